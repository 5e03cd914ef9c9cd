"""What runs in a worker process: orders in, one result out for each task.

The edge of the worker: whatever a task raises becomes a result here, and nothing goes further.
"""

from __future__ import annotations

import ctypes
import fcntl
import gc
import multiprocessing
import os
import pickle
import resource
import signal
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from templ.engine.executor import Kind, TaskResult, open_function
from templ.engine.probe import data_bytes, uss_bytes
from templ.errors import StorageError, TemplError

PACKAGE = str(Path(__file__).parents[1]) + os.sep
_C = ctypes.CDLL(None)
LOOK_AGAIN_BYTES = 2**20
"""Bytes that a task must have added before the worker's memory is looked at once more after it."""
LARGEST_RESULT = 16 * 2**20
"""Bytes that a result may have when it is sent; those of a prediction have about 20 thousand."""


def serve(pipe: Connection, work: str, context: Mapping[str, Any], headroom: int, folder: str) -> None:
    """Be a worker: prepare, then follow orders until told to stop or the parent is gone.

    Orders are ``("task", id)``, ``("release", "")`` and ``("stop", "")``; replies are ``("ready", bytes)`` or
    ``("broken", TemplError)`` to the start, ``("result", TaskResult)`` to a task, and ``("released", bytes)``
    after "release" and after each result, when memory has been given back.

    Parameters
    ----------
    pipe : Connection
        To the parent, of this worker alone.
    work, context :
        `function` and `context` of a `templ.engine.executor.Work`.
    headroom : int
        Bytes of data that the worker may take beyond what it has at the start; 0 for no limit.
    folder : str
        That of the same work.
    """
    _end_with_run()
    _be_quiet()
    with suppress(OSError):  # another machine may not have it; then a relative path is not found, and said
        os.chdir(folder)
    try:
        perform = open_function(work, context)
    except BaseException as error:  # noqa: BLE001  the worker's edge
        # What the user can mend goes on as it is.
        known = isinstance(error, TemplError)
        pipe.send(("broken", error if known else TemplError(f"a worker could not start: {_text(error)}")))
        return
    if headroom:
        _limit_data(headroom)
    gc.freeze()  # what every task needs is never garbage: looking at it each time would take longer than most
    held = uss_bytes()
    pipe.send(("ready", held))
    while True:
        try:
            order, task = pipe.recv()
        except (EOFError, OSError):
            return
        if order == "stop":
            return
        if order == "release":
            release(perform)
            held = uss_bytes()
        else:
            seen = 0
            try:
                result = _perform(perform, task)
                seen = result.uss_bytes
                pipe.send_bytes(_packed(result))
            except StorageError as error:
                pipe.send(("broken", error))
            give_back()
            # A look takes a millisecond: longer than a task that does nothing.
            held = seen if 0 < seen <= held + LOOK_AGAIN_BYTES else uss_bytes()
        pipe.send(("released", held))


def release(perform: Callable[[str], Any]) -> None:
    """Empty the caches of the work, then give what is free back to the system."""
    getattr(perform, "release", lambda: None)()
    give_back()


def give_back() -> None:
    """Collect garbage and return free memory to the system, so that a worker does not grow with its tasks."""
    gc.collect()
    trim = getattr(_C, "malloc_trim", None)  # glibc; others keep what they have
    if trim is not None:
        trim(0)


def _perform(perform: Callable[[str], Any], task: str) -> TaskResult:
    """Do one task; what it raises becomes a result, but for StorageError: the next task would meet it too."""
    cpu, wall = time.process_time(), time.perf_counter()
    kind: Kind = "done"
    value, detail, stage = None, "", ""
    try:
        value = perform(task)
    except StorageError:
        raise
    except MemoryError as error:
        kind, stage = "out-of-memory", _stage(error)
        detail = " ".join(str(error).split()) or "an allocation went beyond the worker's share of memory"
    except BaseException as error:  # noqa: BLE001  the worker's edge: sys.exit() and a Rust panic too
        kind, detail, stage = "error", _text(error), _stage(error)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return TaskResult(task, kind, value, detail[:500], stage, cpu, wall, uss_bytes())


def _packed(result: TaskResult) -> bytes:
    """Bytes to send; what cannot be sent is an error of its task."""
    try:
        data = pickle.dumps(("result", result))
        if len(data) <= LARGEST_RESULT:
            pickle.loads(data)
            return data
        reason = f"its result has {len(data)} bytes; at most {LARGEST_RESULT} can be sent"
    except MemoryError:
        failed = replace(result, kind="out-of-memory", value=None, detail="no memory left to send the result")
        return pickle.dumps(("result", failed))
    except BaseException as error:  # noqa: BLE001  the worker's edge: pickling runs code of the result
        reason = f"its result cannot be sent ({_text(error)})"
    return pickle.dumps(("result", replace(result, kind="error", value=None, detail=reason)))


def _end_with_run() -> None:
    """Have the kernel end this process when the run ends, however it ends and whatever this one computes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the run decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    run = multiprocessing.parent_process()
    assert run is not None
    # The run holds the other end of this pipe. When it closes, SIGIO ends who does not handle it; a thread
    # that waits would have to wait for compiled code that keeps the interpreter's lock, too.
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(run.sentinel, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(run.sentinel, fcntl.F_SETFL, os.O_ASYNC)
    if not run.is_alive():
        os._exit(1)  # it ended before the kernel was asked


def _be_quiet() -> None:
    """What a library prints must neither fill the terminal nor block on a pipe that nobody reads."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def _limit_data(headroom: int) -> None:
    """Make an allocation beyond the worker's share fail; unlike RLIMIT_AS, mapped files are free."""
    limit = data_bytes() + headroom
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def _stage(error: BaseException) -> str:
    """Innermost function of this program on the way from the worker's edge to the error."""
    frames = traceback.extract_tb(error.__traceback__)[1:]
    ours = [frame.name for frame in frames if frame.filename.startswith(PACKAGE)]
    return ours[-1] if ours else ""


def _text(error: BaseException) -> str:
    """Class and message on one line, also of an exception that cannot say its own."""
    return " ".join("".join(traceback.format_exception_only(error)).split())
