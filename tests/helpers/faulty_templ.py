"""The real command line, where some targets of a benchmark meet a fault; the environment says which.

FAULTS maps ids of targets to tasks of `engine_work`, as JSON; DEADLINE_S is that of a target; with
CLOCK_SET_BACK the time of day goes back by an hour.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace

from engine_work import ACTIONS

from templ.benchmark import run, work
from templ.cli import main

FAULTS = json.loads(os.environ.get("FAULTS", "{}"))


def open_work(context):
    predict = work.open_work(context)

    def meet_fault_or_predict(id):
        if id in FAULTS:
            kind, _, argument = FAULTS[id].partition(" ")
            value = ACTIONS[kind](argument)
            if kind not in ("talk", "nap"):
                return value
        return predict(id)

    return meet_fault_or_predict


def set_deadline(seconds):
    choose_limits = run.choose_limits
    run.choose_limits = lambda *words: replace(choose_limits(*words), deadline_s=seconds)


def set_clock_back():
    """After two looks at it."""
    real, looks = time.time, iter((0, 0))
    time.time = lambda: real() - next(looks, 3600)


if __name__ == "__main__":
    run.FUNCTION = "faulty_templ:open_work"
    set_deadline(float(os.environ.get("DEADLINE_S", "600")))
    if "CLOCK_SET_BACK" in os.environ:
        set_clock_back()
    main()
