"""Standard streams as a shell may give them: closed, full, without a reader, of few letters."""

from __future__ import annotations

import fcntl
import io
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _Messages(io.FileIO):
    """What is said to a person: where it cannot be written it is lost, and the command goes on."""

    def write(self, data: ReadableBuffer, /) -> int:
        """Write, or do as if."""
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


def prepare_streams() -> None:
    """Make the streams of this process fit to be written to, whatever they are."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # It gets this number, the lowest that is free, before a library does, and then what C++ prints.
            os.open(os.devnull, os.O_RDONLY)
    encoding = getattr(sys.stderr, "encoding", "utf-8")
    messages = io.BufferedWriter(_Messages(2, "w", closefd=False))
    sys.stderr = io.TextIOWrapper(messages, encoding, errors="backslashreplace", line_buffering=True)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    else:  # None: it was closed
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def output_is_closed() -> bool:
    """Whether nothing can ever be written to stdout."""
    return fcntl.fcntl(1, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY


def discard_output() -> None:
    """Throw away what is left in the buffer of stdout, which would raise again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
