"""The real command line, where some targets of a benchmark or some queries meet a fault.

FAULTS in the environment maps their ids to tasks of `engine_work`, as JSON; what never ends is stopped soon,
and all else is given its time. With CLOCK_SET_BACK the time of day goes back by an hour.
"""

from __future__ import annotations

import json
import os
import time

from engine_work import ACTIONS

from templ.benchmark import runner
from templ.cli import main
from templ.engine import local
from templ.jobs import query, query_run, target

FAULTS = json.loads(os.environ.get("FAULTS", "{}"))
SOON_S = 1.0
GOES_ON = ("talk", "nap", "wait-for")
"""What happens before a prediction rather than in its place."""


def id_of(task):
    """Id in the reference to a target or to a query."""
    told = json.loads(task)
    return told["id"] if isinstance(told, dict) else told[1]


def open_work(context):
    predict = (target if "targets" in context else query).open_work(context)

    def meet_fault_or_predict(task):
        if id_of(task) in FAULTS:
            kind, _, argument = FAULTS[id_of(task)].partition(" ")
            value = ACTIONS[kind](argument)
            if kind not in GOES_ON:
                return value
        return predict(task)

    return meet_fault_or_predict


def stop_soon_what_never_ends():
    """A deadline for all would have to be long enough for a healthy target on the slowest machine."""
    deadline = local._Run._deadline

    def of(run, worker):
        fault = FAULTS.get(id_of(worker.task), "") if worker.task else ""
        if fault.startswith(("hang", "freeze")) and not worker.verdict:
            return worker.since + SOON_S
        return deadline(run, worker)

    local._Run._deadline = of


def set_clock_back():
    """After two looks at it."""
    real, looks = time.time, iter((0, 0))
    time.time = lambda: real() - next(looks, 3600)


if __name__ == "__main__":
    runner.FUNCTION = query_run.FUNCTION = "faulty_templ:open_work"
    stop_soon_what_never_ends()
    if "CLOCK_SET_BACK" in os.environ:
        set_clock_back()
    main()
