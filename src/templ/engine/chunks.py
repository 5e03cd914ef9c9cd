"""Does chunks of tasks for an engine that spans machines: the local executor, in a process of its own.

That process stays for the next chunk. It ends when the one that started it does, however that ends, and takes
its workers along. A fault of a task costs that task, here as on one machine. What values go through before
they are sent (`Work.keeper`) is opened here once a run.
"""

from __future__ import annotations

import os
import pickle
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import IO, Any

from templ.engine.executor import TaskResult, Work
from templ.engine.local import LocalExecutor, choose_limits
from templ.errors import TemplError
from templ.settings import RunSettings


@dataclass(frozen=True, slots=True)
class Chunk:
    """Tasks of one run to be done together."""

    work: Work
    tasks: Sequence[str]
    settings: RunSettings
    run: str


@dataclass(frozen=True, slots=True)
class ChunkResult:
    """Results of a chunk, one a task, and the last of what was seen of memory, in the process named.

    The seconds are those that the work took; those in which the chunk waited for a worker do not count.
    """

    results: Sequence[TaskResult]
    memory: Mapping[str, Any]
    process: str
    seconds: float


class ChunkProcess:
    """The process that does chunks, as the one that started it sees it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            # Not by -m: its classes would be of the module __main__.
            [sys.executable, "-c", f"from {__name__} import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def do(self, chunk: Chunk) -> ChunkResult:
        """Do a chunk.

        Raises
        ------
        TemplError
            When its work cannot be done here at all, or the process ended.
        """
        orders, replies = self._process.stdin, self._process.stdout
        assert orders is not None
        assert replies is not None
        try:
            pickle.dump(chunk, orders)
            orders.flush()
            reply = pickle.load(replies)
        except (OSError, EOFError):
            raise TemplError(f"the process of a chunk ended (exit code {self._process.wait()})") from None
        if isinstance(reply, TemplError):
            raise reply
        assert isinstance(reply, ChunkResult)
        return reply

    def is_there(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End it, and with it its workers."""
        self._process.kill()
        self._process.wait()


def serve_chunks(orders: IO[bytes], send: Callable[[bytes], None]) -> None:
    """Do chunks until `orders` ends; then this process ends at once, in the middle of one as well."""
    waiting: queue.SimpleQueue[Chunk] = queue.SimpleQueue()

    def read() -> None:
        while True:
            try:
                waiting.put(pickle.load(orders))
            except (EOFError, OSError):
                os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    run = ""
    keep: Callable[[Any], Any] | None = None
    while True:
        chunk = waiting.get()
        try:
            if run != chunk.run:
                keep = chunk.work.keeper.open() if chunk.work.keeper else None
                run = chunk.run
            reply: ChunkResult | TemplError = _done(chunk, keep)
        except TemplError as error:
            reply = error
        except Exception as error:  # noqa: BLE001  the worker's edge
            reply = TemplError(f"a chunk could not be done: {type(error).__name__}: {error}")
        send(pickle.dumps(reply))


def _done(chunk: Chunk, keep: Callable[[Any], Any] | None) -> ChunkResult:
    memory: dict[str, Any] = {}
    since = time.monotonic()
    executor = LocalExecutor(choose_limits(chunk.settings, len(chunk.tasks)))
    results = [
        replace(result, value=keep(result.value)) if keep and result.kind == "done" else result
        for result in executor.run(chunk.work, chunk.tasks, memory.update)
    ]
    process = f"{os.getpid()} on {socket.gethostname()}"
    return ChunkResult(results, memory, process, time.monotonic() - since)


def main() -> None:
    """Be the process of `ChunkProcess`: what libraries print must not come between the replies."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)

    def send(data: bytes) -> None:
        replies.write(data)
        replies.flush()

    serve_chunks(sys.stdin.buffer, send)
