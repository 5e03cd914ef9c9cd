"""Work for the engine's tests: each task is the name of something that can happen in a worker."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from pathlib import Path

from templ.errors import LibraryError, StorageError
from templ.identity import identity_digest


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
    """Return the work; a `context` that says what goes wrong makes none."""
    if "exit" in context:
        os._exit(context["exit"])
    if "missing" in context:
        raise LibraryError(context["missing"])

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
        stream.write("x" * 200_000)
    return "said"


def die_later(folder):
    """Succeed, and take the worker down when it has nothing to do."""
    announce(folder)
    threading.Timer(0.2, os._exit, [7]).start()
    return "still here"


def stay(folder):
    announce(folder)
    time.sleep(600)


def announce(folder):
    """Tell the test this worker's process id."""
    Path(folder, str(os.getpid())).touch()


# A library that lies under a folder of this program's name, as in a checkout with its environment inside.
exec(compile("def fail_in_library(_):\n    raise ValueError", "/home/me/templ/.venv/library.py", "exec"))


def freeze(argument):
    """Hang in compiled code that never lets the interpreter's lock go."""
    re.match(r"(a+)+$", "a" * 64 + "b")


def hold(megabytes):
    """Take memory that is really used, for a while."""
    block = bytearray(int(megabytes) << 20)
    time.sleep(0.5)
    return len(block)


ACTIONS = {
    "hold": hold,
    "nap": lambda seconds: time.sleep(float(seconds)),
    "freeze": freeze,
    "allocate": lambda size: len(bytearray(int(size))),
    "echo": str,
    "pid": lambda _: os.getpid(),
    "huge": lambda size: b"x" * int(size),
    "fail": fail,
    "fail-in-library": lambda argument: globals()["fail_in_library"](argument),
    "fail-in-program": lambda _: identity_digest(settings=object(), library="", targets=[], rule={}),
    "memory": memory,
    "storage": refuse_to_write,
    "unprintable": unprintable,
    "panic": panic,
    "leave": lambda _: sys.exit(3),
    "exit": lambda code: os._exit(int(code)),
    "kill": lambda number: os.kill(os.getpid(), int(number)),
    "hang": hang,
    "unpicklable": lambda _: lambda: None,
    "unreadable": lambda _: UnreadableOnArrival(),
    "talk": talk,
    "die-later": die_later,
    "stay": stay,
}
