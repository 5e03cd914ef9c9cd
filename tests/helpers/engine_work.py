"""Work for the engine's tests: each task is the name of something that can happen in a worker."""

from __future__ import annotations

import ctypes
import gc
import os
import pickle
import re
import sys
import threading
import time
import uuid
from multiprocessing.connection import Connection
from pathlib import Path

from templ.disk import storage_errors
from templ.engine.governor import Observation, State, decide
from templ.errors import LibraryError, StorageError


class Unprintable(Exception):
    """Can neither be pickled nor shown."""

    def __init__(self, first, second):
        super().__init__(first)
        self.lock = threading.Lock()

    def __str__(self):
        raise RuntimeError("no text")


class Garbage:
    """Can only be collected as garbage, and then does something."""

    def __init__(self, last_act):
        self.me, self.last_act = self, last_act

    def __del__(self):
        self.last_act()


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
    if "stall" in context:
        time.sleep(600)

    def work(task):
        kind, _, argument = task.partition(" ")
        return ACTIONS[kind](argument)

    def release():
        """Hang the first time."""
        flag = Path(context["stall once"])
        if not flag.exists():
            flag.touch()
            time.sleep(600)

    if "stall once" in context:
        work.release = release
    return work


def keep_in_files(context):
    """Return what a value goes through where it is made: it is left in a file, and the path is sent."""

    def keep(value):
        path = Path(context["folder"], uuid.uuid4().hex)
        with storage_errors(path):
            path.write_bytes(pickle.dumps(value))
        return path

    return keep


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


def die_sending(argument):
    """Succeed, and be gone when half of the result is sent."""

    def send_half(self, buffer):
        os.write(self.fileno(), buffer[: len(buffer) // 2])
        os._exit(9)

    Connection._send = send_half
    return "x" * 10_000


def leave_garbage(last_act):
    """Succeed; what is left does something when the worker clears up."""
    gc.disable()  # not before
    Garbage(last_act)
    return "done before"


def linger(folder):
    """Succeed, and never end when told to."""
    threading.Thread(target=time.sleep, args=[600]).start()
    announce(folder)
    return os.getpid()


def outlive(folder):
    """End once the worker that announced itself there is gone."""
    [pid] = [int(path.name) for path in Path(folder).iterdir()]
    while _runs(pid):
        time.sleep(0.02)


def _runs(pid):
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def wait_for(path):
    """End when there is such a file, or something in such a folder."""
    path = Path(path)
    while not (any(path.iterdir()) if path.is_dir() else path.exists()):
        time.sleep(0.02)


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


C60 = (
    "c12c3c4c5c1c1c6c7c2c2c8c3c3c9c4c4c%10c5c5c1c1c6c6c%11c7c2c2c7c8c3c3c8c9c4c4c9c%10c5c5c1c1c6c6c%11c2c2c7c3"
    "c3c8c4c4c9c5c1c1c6c2c3c41"
)


def hang_in_rdkit(argument):
    """Look for what C60 shares with itself: in C++, without end, in little memory."""
    from rdkit import Chem  # here, since it takes every worker of every test half a second
    from rdkit.Chem import rdRascalMCES

    options = rdRascalMCES.RascalOptions()
    options.timeout = -1
    options.maxBondMatchPairs = 1_000_000
    mol = Chem.MolFromSmiles(C60)
    rdRascalMCES.FindMCES(mol, mol, options)


def hold(argument):
    """Take so many MiB of memory that is really used, step by step, for so many seconds."""
    megabytes, seconds = argument.split()
    blocks = []
    for _ in range(0, int(megabytes), 10):
        blocks.append(bytearray(10 << 20))
        time.sleep(0.01)
    time.sleep(float(seconds))
    return len(blocks)


def grow(argument):
    """Take so many MiB of memory, and then 20 more each second without end."""
    blocks = [bytearray(int(argument) << 20)]
    while True:
        blocks.append(bytearray(2 << 20))
        time.sleep(0.1)


ACTIONS = {
    "hold": hold,
    "grow": grow,
    "nap": lambda seconds: time.sleep(float(seconds)),
    "freeze": freeze,
    "hang-rdkit": hang_in_rdkit,
    "hang-after": lambda _: leave_garbage(lambda: time.sleep(600)),
    "die-after": lambda _: leave_garbage(lambda: os._exit(9)),
    "die-sending": die_sending,
    "linger": linger,
    "outlive": outlive,
    "wait-for": wait_for,
    "segfault": lambda _: ctypes.string_at(0),
    "allocate": lambda size: len(bytearray(int(size))),
    "echo": str,
    "pid": lambda _: os.getpid(),
    "folder": lambda _: str(Path.cwd()),
    "huge": lambda size: b"x" * int(size),
    "fail": fail,
    "fail-in-library": lambda argument: globals()["fail_in_library"](argument),
    "fail-in-program": lambda _: decide(Observation(0, 0, 0, 0, 0, (), 0, 1, 1), State()),
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
    "stay": stay,
}
