"""Work for the engine's tests: each task is the name of something that can happen in a worker."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

from templ.errors import StorageError


class Unprintable(Exception):
    """Can neither be pickled nor shown."""

    def __init__(self, first, second):
        super().__init__(first)
        self.lock = threading.Lock()

    def __str__(self):
        raise RuntimeError("no text")


class UnreadableOnArrival:
    """Is pickled without complaint, and cannot be loaded again."""

    def __reduce__(self):
        return int, ("not a number",)


def open_work(context):
    """Return the work; a `context` with "broken" makes no worker start."""
    if "broken" in context:
        raise ValueError(context["broken"])

    def work(task):
        kind, _, argument = task.partition(" ")
        return ACTIONS[kind](argument)

    return work


def fail(argument):
    raise ValueError(f"no {argument}\nat all")


def memory(argument):
    raise MemoryError


def refuse_to_write(argument):
    raise StorageError("/full cannot be written")


def unprintable(argument):
    raise Unprintable(1, 2)


def panic(argument):
    raise BaseException("as a Rust library's panic")


def hang(argument):
    time.sleep(600)


def talk(argument):
    for stream in (sys.stdout, sys.stderr):
        stream.write("x" * 2_000_000)
    return "said"


def die_later(argument):
    threading.Timer(0.3, lambda: os._exit(7)).start()
    return "still here"


def announce(argument):
    """Write this worker's process id where the test looks for it, then stay."""
    Path(argument, str(os.getpid())).touch()
    time.sleep(600)


ACTIONS = {
    "echo": str,
    "pid": lambda _: os.getpid(),
    "huge": lambda size: b"x" * int(size),
    "fail": fail,
    "memory": memory,
    "storage": refuse_to_write,
    "unprintable": unprintable,
    "panic": panic,
    "leave": lambda _: sys.exit(3),
    "exit": lambda code: os._exit(int(code)),
    "kill": lambda number: os.kill(os.getpid(), int(number)) or time.sleep(600),
    "hang": hang,
    "unpicklable": lambda _: lambda: None,
    "unreadable": lambda _: UnreadableOnArrival(),
    "talk": talk,
    "die-later": die_later,
    "announce": announce,
}
