"""Worker processes that the engine starts, watches, empties, stops and kills one by one.

Each worker has a pipe of its own, and the parent never waits inside a message: a worker that dies or hangs
while it sends can spoil nothing but its own result. See docs/decisions/0006-own-pool.md.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import selectors
import signal
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Any

from templ.disk import Closing, allow_open_files
from templ.engine import worker as child
from templ.engine.executor import TaskResult, Work
from templ.engine.probe import cpu_seconds, uss_bytes
from templ.errors import TemplError

HEADER = struct.Struct("!i")
"""Length before every message, as `multiprocessing.Connection.send_bytes` writes it for less than 2 GiB."""
READ_BYTES = 2**18
FALSE_STARTS = 3
"""Workers in a row that die before they are ready, after which the run gives up."""
JOIN_S = 5.0
"""Seconds that a process may take to end after its pipe was closed, before it is killed."""
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""One thread a worker: the cores are shared out by process."""


@dataclass(eq=False, slots=True)
class Worker:
    """One worker as its parent sees it.

    Attributes
    ----------
    ready : bool
        It has started.
    releasing : bool
        It gives memory back, as it does after each task, and has not yet said that this is done. It gets no
        task until then, so that one which dies or hangs in that costs none.
    task : str or None
        What it is at work on.
    since, cpu_at : float
        When it began what it does now (to start, a task, to give memory back, to end), by the clock of the
        run, and the CPU seconds that it had used then.
    cpu_used : float
        CPU seconds that its task had used when it was killed.
    done : int
        Tasks it has finished.
    uss_bytes, peak_bytes : int
        Private memory when it was last looked at, and the most seen during its task.
    stopping : bool
        It has been told to end.
    verdict : str
        Why it was killed; empty when it was not.
    """

    process: BaseProcess
    pipe: Connection
    since: float
    inbox: bytearray = field(default_factory=bytearray)
    outbox: bytearray = field(default_factory=bytearray)
    ready: bool = False
    releasing: bool = False
    task: str | None = None
    cpu_at: float = 0.0
    cpu_used: float = 0.0
    done: int = 0
    uss_bytes: int = 0
    peak_bytes: int = 0
    verdict: str = ""
    stopping: bool = False

    @property
    def idle(self) -> bool:
        """Whether it can be given a task."""
        return self.ready and not (self.task or self.releasing or self.stopping or self.verdict)

    def cpu_s(self) -> float:
        """CPU seconds that it has used for what it does now."""
        return cpu_seconds(self.process.pid or 0) - self.cpu_at

    def measure(self) -> int:
        """Look at its private memory, bytes; what was seen last when it is gone."""
        try:
            self.uss_bytes = uss_bytes(self.process.pid)
        except (ProcessLookupError, PermissionError):
            return self.uss_bytes
        self.peak_bytes = max(self.peak_bytes, self.uss_bytes)
        return self.uss_bytes


class Pool(Closing):
    """The workers of one run; leaving the ``with`` block ends them all.

    Parameters
    ----------
    work : Work
        What they do.
    headroom : int
        Bytes of data each may take beyond what it starts with; 0 for no limit.
    clock : callable
        Of the run, in seconds.
    """

    def __init__(self, work: Work, headroom: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.workers: list[Worker] = []
        self._work = work
        self._headroom = headroom
        self._false_starts = 0
        methods = multiprocessing.get_all_start_methods()
        self._context: Any = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
        # What a worker itself needs too: imported by each of them, it would take longer than most tasks.
        self._context.set_forkserver_preload([child.__name__, *work.preload])
        for variable in THREAD_VARIABLES:
            os.environ.setdefault(variable, "1")
        self._selector = selectors.DefaultSelector()
        allow_open_files()  # each worker takes two

    def start(self) -> Worker:
        """Start one more worker; it says when it is ready."""
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=child.serve,
            args=(theirs, self._work.function, dict(self._work.context), self._headroom, self._work.folder),
            daemon=True,
        )
        # A Ctrl-C that arrives while the forkserver starts would end it with a traceback of its own: it comes
        # after. (The resource tracker, once running, inherits no blocked signal.)
        resource_tracker.ensure_running()
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            with without_main():
                process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        theirs.close()
        os.set_blocking(ours.fileno(), False)
        worker = Worker(process, ours, self.clock())
        self.workers.append(worker)
        self._selector.register(ours, selectors.EVENT_READ, worker)
        return worker

    def give(self, worker: Worker, task: str) -> bool:
        """Give an idle worker its next task; False when it turns out to be gone, the task still to do."""
        if not self._send(worker, ("task", task)):
            return False
        worker.task, worker.since, worker.peak_bytes = task, self.clock(), 0
        worker.cpu_at = cpu_seconds(worker.process.pid or 0)
        return True

    def release(self, worker: Worker) -> None:
        """Tell an idle worker to empty its caches."""
        worker.releasing, worker.since = True, self.clock()
        self._send(worker, ("release", ""))

    def stop(self, worker: Worker) -> None:
        """Let an idle worker end."""
        worker.stopping, worker.since = True, self.clock()
        self._send(worker, ("stop", ""))

    def kill(self, worker: Worker, verdict: str) -> None:
        """End a worker now, whatever it does; its task ends with `verdict`."""
        worker.verdict = worker.verdict or verdict
        worker.process.kill()

    def wait(self, seconds: float) -> list[tuple[Worker, TaskResult | None]]:
        """Take what has come from the workers, waiting for it at most so long.

        Returns
        -------
        list of (Worker, TaskResult or None)
            Results; None for a worker that is gone, its `task` still set if it had one.

        Raises
        ------
        TemplError
            When workers cannot be started.
        """
        events: list[tuple[Worker, TaskResult | None]] = []
        for key, ready in self._selector.select(max(0.0, seconds)):
            worker: Worker = key.data
            if ready & selectors.EVENT_WRITE:
                self._flush(worker)
            if not ready & selectors.EVENT_READ:
                continue
            alive = self._read(worker)
            for reply, content in self._messages(worker):
                if reply == "result":
                    worker.task, worker.uss_bytes = None, content.uss_bytes
                    worker.releasing, worker.since = True, self.clock()
                    worker.done += 1
                    events.append((worker, content))
                elif reply == "broken":
                    raise content
                else:
                    worker.ready, worker.releasing, worker.uss_bytes = True, False, content
                    self._false_starts = 0
            if not alive:
                self._bury(worker)
                events.append((worker, None))
        return events

    def close(self) -> None:
        """Kill all workers and wait until they are gone."""
        for worker in list(self.workers):
            worker.process.kill()
        for worker in list(self.workers):
            self._bury(worker, counts=False)
        self._selector.close()

    def _send(self, worker: Worker, order: tuple[str, str]) -> bool:
        data = pickle.dumps(order)
        worker.outbox += HEADER.pack(len(data)) + data
        return self._flush(worker)

    def _flush(self, worker: Worker) -> bool:
        """Send what the pipe takes, the rest when it takes more; False when the worker is gone."""
        try:
            while worker.outbox:
                del worker.outbox[: os.write(worker.pipe.fileno(), worker.outbox)]
        except BlockingIOError:
            pass
        except OSError:
            self.kill(worker, "gone")  # `wait` will report its end
            return False
        waiting = selectors.EVENT_WRITE if worker.outbox else 0
        self._selector.modify(worker.pipe, selectors.EVENT_READ | waiting, worker)
        return True

    def _read(self, worker: Worker) -> bool:
        """Take in what the pipe has; False once the other end is closed."""
        try:
            data = os.read(worker.pipe.fileno(), READ_BYTES)
        except BlockingIOError:
            return True
        except OSError:
            return False
        worker.inbox += data
        return bool(data)

    def _messages(self, worker: Worker) -> list[tuple[str, Any]]:
        messages = []
        while len(worker.inbox) >= HEADER.size:
            (size,) = HEADER.unpack_from(worker.inbox)
            if len(worker.inbox) < HEADER.size + size:
                break
            messages.append(pickle.loads(worker.inbox[HEADER.size : HEADER.size + size]))
            del worker.inbox[: HEADER.size + size]
        return messages

    def _bury(self, worker: Worker, *, counts: bool = True) -> None:
        self._selector.unregister(worker.pipe)
        worker.pipe.close()
        worker.process.join(JOIN_S)
        if worker.process.exitcode is None:
            worker.process.kill()
            worker.process.join()
        self.workers.remove(worker)
        if counts and not worker.ready and worker.verdict in ("", "timeout"):
            self._false_starts += 1
            if self._false_starts >= FALSE_STARTS:
                raise TemplError(
                    f"{FALSE_STARTS} workers in a row ended before they were ready "
                    f"({cause_of_death(worker)}); see `templ doctor`"
                )


@contextmanager
def without_main() -> Iterator[None]:
    """Keep processes that start from running the user's script again: what they do has a name of its own.

    So a call needs no ``if __name__ == "__main__":``, and may come from a notebook or from standard input.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def cause_of_death(worker: Worker) -> str:
    """Say how a worker's process ended."""
    if worker.verdict == "timeout":
        return "it took too long"
    code = worker.process.exitcode
    if code is None or code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    return name + (", often the kernel when memory runs out" if -code == signal.SIGKILL else "")
