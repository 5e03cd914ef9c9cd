"""What runs in a worker process: one task in, one result out.

The edge of the worker: whatever a task raises becomes a result here, and nothing goes further.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from templ.engine.probe import uss_bytes
from templ.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Kind = Literal["done", "error", "out-of-memory", "timeout", "crash"]

PR_SET_PDEATHSIG = 1  # linux/prctl.h


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
        Private memory of the worker when the task ended, its data still held.
    """

    task: str
    kind: Kind
    value: Any = None
    detail: str = ""
    stage: str = ""
    cpu_s: float = 0.0
    wall_s: float = 0.0
    uss_bytes: int = 0


_work: Callable[[str], Any] | None = None


def start(work: str, context: Mapping[str, Any], parent: int) -> None:
    """Prepare a worker: make the callable that does the work.

    Parameters
    ----------
    work : str
        ``package.module:function``; called with `context` once, it returns the callable for tasks.
    context : Mapping
        Plain values: paths and settings, no open files.
    parent : int
        Process id of the run, without which a worker has no reason to live.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform == "linux":
        # The forkserver ends when the run does, however it ends; then the kernel ends its children.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == 1 and parent != 1:
            os._exit(1)
    module, _, function = work.partition(":")
    global _work
    _work = getattr(importlib.import_module(module), function)(context)


def perform(task: str) -> TaskResult:
    """Do one task; every exception becomes a result."""
    assert _work is not None, "start() makes the work"
    cpu, wall = time.process_time(), time.perf_counter()
    kind: Kind = "done"
    value, detail, stage = None, "", ""
    try:
        value = _work(task)
    except MemoryError as error:
        kind, detail, stage = "out-of-memory", str(error) or "the worker ran out of memory", _stage(error)
    except StorageError:
        raise  # the host's trouble, not the task's: the run stops
    except Exception as error:  # noqa: BLE001  the worker's edge
        kind, detail, stage = "error", f"{type(error).__name__}: {error}", _stage(error)
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
    """Innermost function of this program on the way to the error."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f"{os.sep}templ{os.sep}" in f.filename]
    return frames[-1].name if frames else ""
