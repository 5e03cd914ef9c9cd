"""What runs in a worker process: one task in, one result out.

The edge of the worker: whatever a task raises becomes a result here, and nothing goes further.
"""

from __future__ import annotations

import fcntl
import importlib
import multiprocessing
import os
import pickle
import signal
import time
import traceback
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from templ.engine.probe import uss_bytes
from templ.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from multiprocessing.process import BaseProcess

Kind = Literal["done", "error", "out-of-memory", "timeout", "crash"]

PACKAGE = str(Path(__file__).parents[1]) + os.sep


@dataclass(frozen=True, slots=True)
class TaskResult:
    """How one task ended.

    Attributes
    ----------
    task : str
        Its id.
    kind : {"done", "error", "out-of-memory", "timeout", "crash"}
        What happened.
    value : object
        What the work returned; None unless done.
    detail : str
        What went wrong, as a sentence.
    stage : str
        Function of the program in which it went wrong; empty when unknown.
    cpu_s, wall_s : float
        Seconds; 0 where the worker died before it could tell.
    uss_bytes : int
        Private memory of the worker when the task ended, its data still held; 0 like them.
    """

    task: str
    kind: Kind
    value: Any = None
    detail: str = ""
    stage: str = ""
    cpu_s: float = 0.0
    wall_s: float = 0.0
    uss_bytes: int = 0


_source: tuple[str, Mapping[str, Any]] | None = None


def start(function: str, context: Mapping[str, Any]) -> None:
    """Prepare a worker.

    Parameters
    ----------
    function : str
        ``package.module:function``; called with `context` once, it returns the callable for tasks.
    context : Mapping
        Plain values: paths and settings, no open files.
    """
    # Pebble's handler would first wait for compiled code to return. (It has SIGINT ignored, as it should be.)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    run = multiprocessing.parent_process()
    if run is not None:
        _end_with(run)
    global _source
    _source = function, context


def _end_with(run: BaseProcess) -> None:
    """Have the kernel end this process when the run ends, however it ends and whatever this one computes."""
    # The run holds the other end of this pipe. When it closes, SIGIO ends who does not handle it; a thread
    # that waits would have to wait for compiled code that keeps the interpreter's lock, too.
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(run.sentinel, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(run.sentinel, fcntl.F_SETFL, os.O_ASYNC)
    if not run.is_alive():
        os._exit(1)  # it ended before the kernel was asked


@cache
def _work() -> Callable[[str], Any]:
    """Make the callable that does the work, with the first task: from there an error reaches the run."""
    assert _source is not None, "start() comes first"
    name, context = _source
    module, _, function = name.partition(":")
    work: Callable[[str], Any] = getattr(importlib.import_module(module), function)(context)
    return work


def perform(task: str) -> TaskResult:
    """Do one task; whatever it raises becomes a result.

    Raises
    ------
    StorageError
        Of the task: the host's trouble, which the next task would meet too. The run stops.
    Exception
        When the work cannot be made.
    """
    work = _work()
    cpu, wall = time.process_time(), time.perf_counter()
    kind: Kind = "done"
    value, detail, stage = None, "", ""
    try:
        result = work(task)
        # What cannot be read on arrival would stop the pool, so it is tried where only this task fails.
        pickle.loads(pickle.dumps(result))
        value = result
    except StorageError:
        raise
    except MemoryError as error:
        kind, detail, stage = "out-of-memory", str(error) or "the worker ran out of memory", _stage(error)
    except BaseException as error:  # noqa: BLE001  the worker's edge: sys.exit() and a Rust panic too
        kind, detail, stage = "error", "".join(traceback.format_exception_only(error)), _stage(error)
    return TaskResult(
        task,
        kind,
        value,
        " ".join(detail.split())[:500],
        stage,
        time.process_time() - cpu,
        time.perf_counter() - wall,
        uss_bytes(),
    )


def _stage(error: BaseException) -> str:
    """Innermost function of this program on the way from `perform` to the error."""
    frames = traceback.extract_tb(error.__traceback__)[1:]
    ours = [frame.name for frame in frames if frame.filename.startswith(PACKAGE)]
    return ours[-1] if ours else ""
