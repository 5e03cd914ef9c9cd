"""A pool of worker processes on this machine: recycled, with a deadline a task, and crashes kept to one task.

Pebble keeps the pool when a worker dies (concurrent.futures and loky lose it); see ../shared/DESIGN.md.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import time
from concurrent.futures import CancelledError, TimeoutError
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pebble import ProcessExpired, ProcessPool

from templ.engine import probe
from templ.engine.worker import TaskResult, perform, start

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping, Sequence
    from concurrent.futures import Future

    Finished = queue.SimpleQueue[tuple[str, float, Future[TaskResult]]]

WORKER_BYTES = 512 * 2**20
"""Private memory a worker is expected to need at most; about 150 MB is usual."""
SPARE_MEMORY = 0.8
"""Share of the available memory that workers may fill."""
QUEUED_PER_WORKER = 2
"""Tasks handed over ahead, so that no worker waits and no long queue is held."""
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
        initargs=(work.function, dict(work.context), os.getpid()),
        context=context,
    )
    try:
        waiting = iter(tasks)
        pending = 0
        for task in waiting:
            _submit(pool, task, deadline_s, finished)
            pending += 1
            if pending >= workers * (1 + QUEUED_PER_WORKER):
                break
        while pending:
            task, submitted, future = finished.get()
            pending -= 1
            for following in waiting:
                _submit(pool, following, deadline_s, finished)
                pending += 1
                break
            yield _result(task, submitted, future)
        pool.close()
    finally:
        pool.stop()
        pool.join()


def _submit(
    pool: ProcessPool,
    task: str,
    deadline_s: float,
    finished: Finished,
) -> None:
    submitted = time.perf_counter()
    future = pool.schedule(perform, args=[task], timeout=deadline_s)
    future.add_done_callback(lambda done: finished.put((task, submitted, done)))


def _result(task: str, submitted: float, future: Future[TaskResult]) -> TaskResult:
    try:
        return future.result()
    except TimeoutError as error:
        limit = error.args[1] if len(error.args) > 1 else time.perf_counter() - submitted
        return TaskResult(task, "timeout", detail=f"stopped after {limit:g} s", wall_s=float(limit))
    except ProcessExpired as error:
        return TaskResult(
            task,
            "crash",
            detail=f"the worker died (exit code {error.exitcode})",
            wall_s=time.perf_counter() - submitted,
        )
    except CancelledError:
        return TaskResult(task, "crash", detail="the pool was stopped")
