"""The engine leaves no process behind, and never waits for one that is gone."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
import uuid

import psutil
import pytest

from templ.engine import local
from templ.engine.executor import Work
from templ.engine.local import Limits, LocalExecutor
from templ.errors import StorageError

MARK = "TEMPL_TEST_RUN"
PATIENCE_S = 30.0
"""Only a failing test waits that long."""

RUN = """
import sys
from templ.engine import probe
from templ.engine.executor import Work
from templ.engine.local import Limits, LocalExecutor

if __name__ == "__main__":
    probe.available_memory = probe.memory_limit = lambda: 2**36
    tasks = sys.argv[1:] * 1000
    for _ in LocalExecutor(Limits(2**32, 2, True, 1, 600)).run(Work("engine_work:open_work", {}), tasks):
        print("done", flush=True)
"""


@pytest.fixture
def work(engine_work, calm):
    return Work(engine_work, {})


@pytest.fixture
def pids(tmp_path):
    """Folder in which workers leave their process ids."""
    folder = tmp_path / "pids"
    folder.mkdir()
    return folder


@pytest.fixture
def start_run(tmp_path, running, helpers):
    """Starts a run in a process of its own; yields it with the mark that all its processes carry."""
    script = tmp_path / "run.py"
    script.write_text(RUN, encoding="utf-8")

    @contextlib.contextmanager
    def start(*tasks):
        mark = uuid.uuid4().hex
        environment = os.environ | {MARK: mark, "PYTHONPATH": str(helpers)}
        command = [sys.executable, script, *tasks]
        with running(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as run:
            yield run, mark

    return start


def run_tasks(work, tasks, limits):
    return LocalExecutor(limits).run(work, tasks)


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
    """Workers of this process: they are children of its forkserver (a browser's are none)."""
    servers = [child for child in psutil.Process().children() if "forkserver" in " ".join(child.cmdline())]
    return [worker for server in servers for worker in server.children()]


def test_sigkill_of_the_run_takes_its_working_workers_along(start_run, pids):
    with start_run(f"stay {pids}") as (run, mark):
        wait_for(lambda: len(list(pids.iterdir())) == 2)
        workers = {int(path.name) for path in pids.iterdir()}
        assert workers < {process.pid for process in marked(mark)}
        run.kill()
        run.wait()
        wait_for(lambda: not marked(mark))


def test_sigkill_of_the_run_takes_workers_along_that_only_start(start_run):
    seed = random.randrange(10**6)
    print("seed", seed)
    pause = random.Random(seed)
    for _ in range(4):
        with start_run("echo 1") as (run, mark):
            run.stdout.readline()
            time.sleep(pause.uniform(0, 0.3))  # each task has a new worker: some are starting now
            run.kill()
            run.wait()
            wait_for(lambda mark=mark: not marked(mark))


def test_sigterm_to_the_run_ends_its_workers(start_run, pids):
    with start_run(f"stay {pids}") as (run, mark):
        wait_for(lambda: len(list(pids.iterdir())) == 2)
        run.terminate()
        run.wait()
        wait_for(lambda: not marked(mark))


def test_ctrl_c_ends_the_run_and_no_task_counts_as_a_crash(start_run, pids):
    """A terminal sends it to the whole group, workers too; only the run heeds it."""
    with start_run(f"stay {pids}") as (run, mark):
        wait_for(lambda: len(list(pids.iterdir())) == 2)
        os.killpg(run.pid, signal.SIGINT)
        assert run.wait(PATIENCE_S) == -signal.SIGINT
        assert run.stdout.read() == ""
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


def test_the_end_of_a_run_leaves_no_worker(work):
    list(run_tasks(work, ["echo 1", "hang"], Limits(2**32, 2, True, 25, backstop_s=4)))
    assert not own_workers()


def test_a_run_that_ends_with_an_error_leaves_no_worker(work):
    with pytest.raises(StorageError):
        list(run_tasks(work, ["storage", "hang"], Limits(2**32, 2, True, 25, 600)))
    assert not own_workers()


def test_a_worker_that_dies_between_tasks_is_replaced(work):
    results = run_tasks(work, ["pid", "echo 1"], Limits(2**32, 1, True, 25, 600))
    pid = next(results).value
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not psutil.pid_exists(pid))
    assert [(result.kind, result.value) for result in results] == [("done", "1")]
    assert not own_workers()


STUCK = """
import sys
from pathlib import Path
from templ.engine import local, probe
from templ.engine.executor import Work
from templ.engine.governor import Action, Decision
from templ.errors import TemplError

if __name__ == "__main__":
    state, *tasks = sys.argv[1:]
    deadline = local._Run._deadline

    def soon_but_for_starts(run, worker):
        # Else a slow machine, on which a healthy worker takes long to start, would see the wrong ones killed.
        local.ANSWER_S = 600 if state != "starting" and not worker.ready else 1
        return deadline(run, worker)

    local._Run._deadline = soon_but_for_starts
    context = {"starting": {"stall": True}, "releasing": {"stall once": "flag"}}.get(state, {})
    probe.available_memory = probe.memory_limit = lambda: 2**36
    if state == "releasing":
        # Before its first task the worker is told to empty its caches.
        local.LOOK_EVERY_S, calm = 0, local.decide
        release = lambda seen, state: Decision(Action.RELEASE, "", state)
        local.decide = lambda *seen: calm(*seen) if Path("flag").exists() else release(*seen)
    try:
        executor = local.LocalExecutor(local.Limits(2**32, 1))
        for result in executor.run(Work("engine_work:open_work", context), tasks):
            print(result.task, result.kind)
    except TemplError as error:
        print(error)
"""


@pytest.mark.parametrize(
    ("state", "tasks", "output"),
    [
        ("starting", ["echo 1"], "3 workers in a row ended before they were ready (it took too long)"),
        ("releasing", ["echo 1", "echo 2"], "echo 1 done\necho 2 done\n"),
        ("giving back", ["hang-after", "echo 1"], "hang-after done\necho 1 done\n"),
    ],
)
def test_a_worker_that_hangs_without_a_task_does_not_hold_the_run(tmp_path, helpers, state, tasks, output):
    (tmp_path / "stuck.py").write_text(STUCK, encoding="utf-8")
    command = [sys.executable, "stuck.py", state, *tasks]
    environment = os.environ | {"PYTHONPATH": str(helpers)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=4 * PATIENCE_S
    )
    assert done.stdout.startswith(output), done.stderr
    assert (tmp_path / "flag").exists() == (state == "releasing")


def test_a_worker_that_does_not_end_when_told_to_is_killed(work, pids, monkeypatch):
    """The next task ends once the worker is gone."""
    deadline = local._Run._deadline

    def soon_for_the_end(run, worker):
        return worker.since + 1 if worker.stopping and not worker.verdict else deadline(run, worker)

    monkeypatch.setattr(local._Run, "_deadline", soon_for_the_end)
    results = run_tasks(
        work, [f"linger {pids}", f"outlive {pids}"], Limits(2**32, 1, True, recycle_after=1, deadline_s=600)
    )
    pid = next(results).value
    assert next(results).kind == "done"
    wait_for(lambda: not psutil.pid_exists(pid))
    results.close()


STOPPED = """
from templ.engine.executor import Work
from templ.engine.local import Limits, LocalExecutor

executor = LocalExecutor(Limits(2**32, 1, True, backstop_s=8))
for result in executor.run(Work("engine_work:open_work", {}), ["echo ready", "nap 3", "echo on"]):
    print(result.task, result.kind, flush=True)
"""


def test_a_run_that_was_suspended_loses_nothing(tmp_path, helpers, running):
    """Ctrl-Z, or a scheduler: parent and workers stop for longer than a task may take, and go on."""
    (tmp_path / "stopped.py").write_text(STOPPED, encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(helpers), *filter(None, sys.path)])}
    with running(
        [sys.executable, "stopped.py"], cwd=tmp_path, env=environment, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == "echo ready done\n"
        family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
        for member in family:
            member.suspend()
        time.sleep(12)
        for member in family:
            member.resume()
        assert process.stdout.read() == "nap 3 done\necho on done\n"
        assert process.wait(PATIENCE_S) == 0
