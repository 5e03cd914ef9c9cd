"""A pool of worker processes on this machine: recycled, with a deadline a task, and crashes kept to one task.

Pebble keeps the pool when a worker dies (concurrent.futures and loky lose it); see ../shared/DESIGN.md.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from pebble import ProcessExpired, ProcessPool

from templ.engine import probe
from templ.engine.worker import TaskResult, perform, start
from templ.errors import TemplError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping, Sequence
    from concurrent.futures import Future

    Finished = queue.SimpleQueue[tuple[str, Future[TaskResult]]]

WORKER_BYTES = 512 * 2**20
"""Private memory a worker is expected to need at most; about 150 MB is usual."""
SPARE_MEMORY = 0.8
"""Share of the available memory that workers may fill."""
QUEUED_PER_WORKER = 2
"""Tasks handed over ahead, so that no worker waits and no long queue is held."""
STALL_S = 120.0
"""Seconds after a deadline in which a pool that still works must have ended some task."""
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""One thread a worker: the cores are shared out by process."""


@dataclass(frozen=True, slots=True)
class Work:
    """What the workers do, by name, so that this module imports none of it.

    Attributes
    ----------
    function : str
        ``package.module:function``, see `templ.engine.worker.start`.
    context : Mapping
        Plain values handed to that function once a worker.
    preload : sequence of str
        Modules imported once, before workers are forked from the process that holds them.
    """

    function: str
    context: Mapping[str, Any]
    preload: Sequence[str] = ()


def choose_workers() -> int:
    """As many workers as cores and free memory allow, at least one."""
    by_memory = int(probe.available_memory() * SPARE_MEMORY / WORKER_BYTES)
    return max(1, min(probe.available_cores(), by_memory))


def run_tasks(
    work: Work, tasks: Iterable[str], *, workers: int, recycle_after: int, deadline_s: float
) -> Generator[TaskResult]:
    """Do all tasks and yield their results as they come; closing the iterator stops the workers.

    Parameters
    ----------
    work : Work
        What to do.
    tasks : iterable of str
        Ids; read as workers become free.
    workers : int
        Processes.
    recycle_after : int
        Tasks after which a worker is replaced.
    deadline_s : float
        Seconds after which a task's worker is killed.

    Yields
    ------
    TaskResult
        Exactly one a task.

    Raises
    ------
    StorageError
        When a worker met one; see `templ.engine.worker.perform`.
    TemplError
        When the workers die between tasks, or no task ends any more.
    """
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    if context.get_start_method() == "forkserver":
        context.set_forkserver_preload(list(work.preload))
    for variable in THREAD_VARIABLES:
        os.environ.setdefault(variable, "1")
    finished: Finished = queue.SimpleQueue()
    pool = ProcessPool(
        max_workers=workers,
        max_tasks=recycle_after,
        initializer=start,
        initargs=(work.function, dict(work.context)),
        context=context,
    )
    try:
        waiting = iter(tasks)
        pending = 0
        for task in islice(waiting, workers * (1 + QUEUED_PER_WORKER)):
            _submit(pool, task, deadline_s, finished)
            pending += 1
        while pending:
            task, future = _next_finished(finished, deadline_s)
            pending -= 1
            for following in islice(waiting, 1):
                _submit(pool, following, deadline_s, finished)
                pending += 1
            yield _result(task, future, deadline_s)
    finally:
        pool.stop()
        pool.join()


def _submit(pool: ProcessPool, task: str, deadline_s: float, finished: Finished) -> None:
    try:
        future = pool.schedule(perform, args=[task], timeout=deadline_s)
    except RuntimeError as error:
        raise _stopped("the worker processes died between tasks") from error
    future.add_done_callback(lambda done: finished.put((task, done)))


def _next_finished(finished: Finished, deadline_s: float) -> tuple[str, Future[TaskResult]]:
    try:
        return finished.get(timeout=deadline_s + STALL_S)
    except queue.Empty:
        # A worker killed while it sends leaves the others without the pipe (pebble issues 97 and 163).
        raise _stopped(f"no task has ended for {deadline_s + STALL_S:g} s, past every deadline") from None


def _result(task: str, future: Future[TaskResult], deadline_s: float) -> TaskResult:
    try:
        return future.result()
    except TimeoutError:
        return TaskResult(task, "timeout", detail=f"stopped after {deadline_s:g} s", wall_s=deadline_s)
    except ProcessExpired as error:
        return TaskResult(task, "crash", detail=f"the worker died (exit code {error.exitcode})")
    except BrokenProcessPool as error:
        raise _stopped("the worker processes died between tasks") from error


def _stopped(why: str) -> TemplError:
    return TemplError(f"{why}; what was finished before is kept, start the same command again to go on")
