"""The engine leaves no process behind, and never waits for one that is gone."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import psutil
import pytest

from templ.engine.local import Limits, run_tasks
from templ.engine.pool import Work
from templ.errors import StorageError

HELPERS = Path(__file__).parents[1] / "helpers"
MARK = "TEMPL_TEST_RUN"
PATIENCE_S = 30.0
"""Only a failing test waits that long."""

RUN = """
import sys
from templ.engine.local import Limits, run_tasks
from templ.engine.pool import Work

if __name__ == "__main__":
    tasks = sys.argv[1:] * 1000
    for _ in run_tasks(Work("engine_work:open_work", {}), tasks, Limits(2**32, 2, True, 1, 600)):
        print("done", flush=True)
"""


@pytest.fixture(autouse=True)
def _work_on_the_path(monkeypatch):
    monkeypatch.syspath_prepend(HELPERS)


@pytest.fixture
def work():
    return Work("engine_work:open_work", {})


@pytest.fixture
def pids(tmp_path):
    """Folder in which workers leave their process ids."""
    folder = tmp_path / "pids"
    folder.mkdir()
    return folder


@pytest.fixture
def start_run(tmp_path):
    """Starts a run in a process of its own; returns it with the mark that all its processes carry."""
    script = tmp_path / "run.py"
    script.write_text(RUN, encoding="utf-8")

    def start(*tasks):
        mark = uuid.uuid4().hex
        environment = os.environ | {MARK: mark, "PYTHONPATH": str(HELPERS)}
        command = [sys.executable, str(script), *tasks]
        return subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        ), mark

    return start


def wait_for(condition):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def marked(mark):
    """Living processes of a run, wherever they hang in the tree."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def own_workers():
    """Workers of this process: they are children of its forkserver."""
    return [worker for server in psutil.Process().children() for worker in server.children()]


def test_sigkill_of_the_run_takes_its_working_workers_along(start_run, pids):
    run, mark = start_run(f"stay {pids}")
    with run:
        wait_for(lambda: len(list(pids.iterdir())) == 2)
        workers = {int(path.name) for path in pids.iterdir()}
        assert workers < {process.pid for process in marked(mark)}
        run.kill()
    wait_for(lambda: not marked(mark))


def test_sigkill_of_the_run_takes_workers_along_that_only_start(start_run):
    seed = random.randrange(10**6)
    print("seed", seed)
    pause = random.Random(seed)
    marks = []
    for _ in range(4):
        run, mark = start_run("echo 1")
        marks.append(mark)
        with run:
            run.stdout.readline()
            time.sleep(pause.uniform(0, 0.3))  # each task has a new worker: some are starting now
            run.kill()
    for mark in marks:
        wait_for(lambda mark=mark: not marked(mark))


def test_sigterm_to_the_run_ends_its_workers(start_run, pids):
    run, mark = start_run(f"stay {pids}")
    with run:
        wait_for(lambda: len(list(pids.iterdir())) == 2)
        run.terminate()
    wait_for(lambda: not marked(mark))


def test_ctrl_c_ends_the_run_and_no_task_counts_as_a_crash(start_run, pids):
    """A terminal sends it to the whole group, workers too; only the run answers."""
    run, mark = start_run(f"stay {pids}")
    with run:
        wait_for(lambda: len(list(pids.iterdir())) == 2)
        os.killpg(run.pid, signal.SIGINT)
        assert run.stdout.read() == ""
    assert run.returncode == -signal.SIGINT
    wait_for(lambda: not marked(mark))


@pytest.mark.parametrize("task", ["echo 1", "hang"])
def test_closing_the_results_early_leaves_no_worker(work, task):
    results = run_tasks(work, ["pid", *[task] * 50], Limits(2**32, 2, True, 25, 600))
    first = next(results)
    if first.task == "pid":
        assert psutil.pid_exists(first.value)
    assert own_workers()
    results.close()
    assert not own_workers()


@pytest.mark.parametrize("task", ["storage", "echo 1"])
def test_the_end_of_a_run_leaves_no_worker(work, task):
    try:
        list(run_tasks(work, [task, "hang"], Limits(2**32, 2, True, 25, 1)))
    except StorageError:
        assert task == "storage"
    assert not own_workers()


def test_a_worker_that_dies_between_tasks_is_replaced(work, pids):
    def tasks():
        yield f"die-later {pids}"
        wait_for(lambda: list(pids.iterdir()))
        [pid] = (int(path.name) for path in pids.iterdir())
        wait_for(lambda: not psutil.pid_exists(pid))
        yield "echo 1"

    results = list(run_tasks(work, tasks(), Limits(2**32, 1, True, 25, 600)))
    assert [(result.kind, result.value) for result in results] == [("done", "still here"), ("done", "1")]
    assert not own_workers()
