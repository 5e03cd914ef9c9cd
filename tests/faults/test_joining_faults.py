"""Processes join a run, are killed, stopped and woken: it ends as one process alone would have ended it."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace

import pytest

from templ.evaluation.run import load_run
from templ.runs.manifest import MANIFEST_NAME, read_manifest
from templ.runs.parts import is_finished, latest_attempts
from templ.runs.pose_shards import POSES_FOLDER
from templ.runs.record import Cost
from templ.runs.run_folder import lock_run

TARGETS = 40
PROCESSES = 6
STOPS = 20
PATIENCE_S = 480
"""Only a failing test waits that long."""
REFUSED = "its results from here are not taken"


@pytest.fixture
def start(running, helpers, fast_benchmark, tmp_path):
    """``with start(run, name, *words) as process``: the real command line; it says things in NAME.log."""

    @contextmanager
    def start(run, name, *words, targets=TARGETS):
        command = [sys.executable, helpers / "joining_templ.py", "benchmark", "run", fast_benchmark]
        options = ["--limit", targets, "--workers", 1, "-o", run, *words]
        with (
            (tmp_path / f"{name}.log").open("w") as log,
            running([*command, *options], stdout=log, stderr=log) as process,
        ):
            yield process

    return start


@pytest.fixture
def undisturbed(start, tmp_path):
    """``undisturbed(targets)``: what one process alone gives."""

    def run(targets=TARGETS):
        with start(tmp_path / "alone", "alone", targets=targets) as process:
            assert process.wait(PATIENCE_S) == 0
        return outcome(tmp_path / "alone")

    return run


def outcome(run):
    """Everything a finished run says, but for what it cost: records in their order, and all pose files."""
    assert load_run(run).manifest.finished is not None
    records = [replace(record, cost=Cost()) for record in load_run(run)]
    return records, {path.name: path.read_bytes() for path in (run / POSES_FOLDER).iterdir()}


def is_over(run):
    return (run / MANIFEST_NAME).exists() and read_manifest(run).finished is not None


def signal_all(process, number):
    """To the process and its workers, as a node that hangs or is lost takes all of them."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def begun(run):
    """Attempts that are under way and have a record."""
    return [
        attempt
        for attempt in latest_attempts(run).values()
        if (attempt / "results.jsonl").exists()
        and (attempt / "results.jsonl").stat().st_size
        and not is_finished(attempt)
    ]


@pytest.mark.slow
def test_a_process_that_is_stopped_in_a_part_wakes_when_all_is_done(start, undisturbed, tmp_path):
    run = tmp_path / "run"
    expected = undisturbed(8)
    with start(run, "asleep", "--join", targets=8) as asleep:
        end = time.monotonic() + PATIENCE_S
        while not begun(run):
            assert time.monotonic() < end
            assert asleep.poll() is None
            time.sleep(0.005)
        signal_all(asleep, signal.SIGSTOP)
        with start(run, "other", "--join", targets=8) as other:
            assert other.wait(PATIENCE_S) == 0
        assert outcome(run) == expected
        signal_all(asleep, signal.SIGCONT)
        assert asleep.wait(PATIENCE_S) == 0
    assert "is taken over from" in (tmp_path / "other.log").read_text()
    assert REFUSED in (tmp_path / "asleep.log").read_text()
    assert outcome(run) == expected


@pytest.mark.slow
def test_six_processes_killed_and_stopped_at_random_moments(start, undisturbed, tmp_path):
    seed = random.randrange(10**6)
    print("seed", seed)
    moments = random.Random(seed)
    run = tmp_path / "run"
    expected = undisturbed()
    begin, kills, stops = time.monotonic(), 0, 0
    with ExitStack() as started:
        processes, asleep = [], {}

        def another():
            name = f"process-{len(started_names)}"
            started_names.append(name)
            processes.append(started.enter_context(start(run, name, "--join")))

        started_names = []
        for _ in range(PROCESSES):
            another()
        while not is_over(run):
            assert time.monotonic() - begin < PATIENCE_S, f"seed {seed}"
            time.sleep(moments.uniform(0, 2))
            for process, until in list(asleep.items()):
                if time.monotonic() > until:
                    signal_all(process, signal.SIGCONT)
                    del asleep[process]
            awake = [each for each in processes if each not in asleep and each.poll() is None]
            if not begun(run) or len(awake) < 2:
                continue
            victim, stop = moments.choice(awake), moments.random() < 0.5
            if stop and stops < STOPS:
                signal_all(victim, signal.SIGSTOP)
                asleep[victim] = time.monotonic() + moments.uniform(1, 10)
                stops += 1
            elif not stop and kills < PROCESSES:
                signal_all(victim, signal.SIGKILL)
                processes.remove(victim)
                kills += 1
                another()
        for process in asleep:
            signal_all(process, signal.SIGCONT)
        assert [process.wait(PATIENCE_S) for process in processes] == [0] * PROCESSES, f"seed {seed}"
    print("kills", kills, "stops", stops)
    assert kills, f"seed {seed}"
    assert stops, f"seed {seed}"
    assert outcome(run) == expected, f"seed {seed}"
    assert len(list((run / "processes").iterdir())) >= PROCESSES
    assert not (run / "parts").exists()


def test_who_joins_while_another_process_makes_the_run_waits_for_it(start, tmp_path):
    """All jobs of an array begin at once, and the first may have libraries to make."""
    with lock_run(tmp_path / "run"), start(tmp_path / "run", "second", "--join", targets=2) as process:
        log, end = tmp_path / "second.log", time.monotonic() + PATIENCE_S
        while "waiting for process" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end
            time.sleep(0.05)
        time.sleep(1)
        assert process.poll() is None, log.read_text()
