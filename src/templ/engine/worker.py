"""What runs in a worker process: orders in, one result out for each task.

The edge of the worker: whatever a task raises becomes a result here, and nothing goes further.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import os
import pickle
import resource
import signal
import sys
import time
import traceback
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from templ.engine.probe import data_bytes, uss_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from multiprocessing.connection import Connection

Kind = Literal["done", "error", "out-of-memory", "timeout", "crash"]

PR_SET_PDEATHSIG = 1  # linux/prctl.h
LARGEST_RESULT = 16 * 2**20
"""Bytes that a result may have when it is sent; those of a prediction have about 20 thousand."""


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
        Seconds.
    uss_bytes : int
        Private memory of the worker when the task ended, its data still held; for a worker that was stopped,
        when it was last looked at.
    """

    task: str
    kind: Kind
    value: Any = None
    detail: str = ""
    stage: str = ""
    cpu_s: float = 0.0
    wall_s: float = 0.0
    uss_bytes: int = 0


def serve(pipe: Connection, work: str, context: Mapping[str, Any], parent: int, headroom: int) -> None:
    """Be a worker: prepare, then follow orders until told to stop or the parent is gone.

    Orders are ``("task", id)``, ``("release", "")`` and ``("stop", "")``; answers are ``("ready", bytes)``,
    ``("broken", reason)``, ``("released", bytes)`` and ``("result", TaskResult)``.

    Parameters
    ----------
    pipe : Connection
        To the parent, of this worker alone.
    work : str
        ``package.module:function``; called with `context` once, it returns the callable for tasks. An
        attribute ``release`` of that callable, if there is one, empties its caches.
    context : Mapping
        Plain values: paths and settings, no open files.
    parent : int
        Process id of the run, without which a worker has no reason to live.
    headroom : int
        Bytes of data that the worker may take beyond what it has at the start; 0 for no limit.
    """
    _belong_to(parent)
    _be_quiet()
    try:
        module, _, function = work.partition(":")
        perform = getattr(importlib.import_module(module), function)(context)
    except Exception as error:  # noqa: BLE001  the worker's edge
        pipe.send(("broken", f"{type(error).__name__}: {error}"))
        return
    if headroom:
        _limit_data(headroom)
    pipe.send(("ready", uss_bytes()))
    while True:
        try:
            order, task = pipe.recv()
        except (EOFError, OSError):
            return
        if order == "stop":
            return
        if order == "release":
            release(perform)
            pipe.send(("released", uss_bytes()))
        else:
            pipe.send_bytes(_packed(_perform(perform, task)))


def release(perform: Callable[[str], Any]) -> None:
    """Empty the caches of the work, then give what is free back to the system."""
    empty = getattr(perform, "release", None)
    if empty is not None:
        empty()
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc; others keep what they have
    if trim is not None:
        trim(0)


def _perform(perform: Callable[[str], Any], task: str) -> TaskResult:
    cpu, wall = time.process_time(), time.perf_counter()
    kind: Kind = "done"
    value, detail, stage = None, "", ""
    try:
        value = perform(task)
    except MemoryError as error:
        kind, stage = "out-of-memory", _stage(error)
        detail = str(error) or "an allocation went beyond the worker's share of memory"
    except Exception as error:  # noqa: BLE001  the worker's edge
        kind, detail, stage = "error", f"{type(error).__name__}: {_text(error)}", _stage(error)
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


def _packed(result: TaskResult) -> bytes:
    """Bytes to send; what cannot be sent is an error of its task."""
    try:
        data = pickle.dumps(("result", result))
        if len(data) <= LARGEST_RESULT:
            return data
        reason = f"its result has {len(data)} bytes; at most {LARGEST_RESULT} can be sent"
    except (pickle.PicklingError, TypeError, AttributeError, RecursionError) as error:
        reason = f"its result cannot be sent ({error})"
    except MemoryError:
        failed = replace(result, kind="out-of-memory", value=None, detail="no memory left to send the result")
        return pickle.dumps(("result", failed))
    return pickle.dumps(("result", replace(result, kind="error", value=None, detail=reason)))


def _belong_to(parent: int) -> None:
    """Die with the run, however it ends, and leave Ctrl-C to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform == "linux":
        # The forkserver ends when the run does; then the kernel ends the forkserver's children.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == 1 and parent != 1:
            os._exit(1)


def _be_quiet() -> None:
    """What a library prints must neither fill the terminal nor block on a pipe that nobody reads."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def _limit_data(headroom: int) -> None:
    """Make an allocation beyond the worker's share fail; mapped files do not count, as in RLIMIT_AS."""
    limit = data_bytes() + headroom
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def _stage(error: BaseException) -> str:
    """Innermost function of this program on the way to the error."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f"{os.sep}templ{os.sep}" in f.filename]
    return frames[-1].name if frames else ""


def _text(error: BaseException) -> str:
    """The message, also of an exception that cannot say it."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001  the worker's edge
        return "(no message)"
