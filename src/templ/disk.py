"""Writing so that a kill, a full disk or a power cut leaves the old content or the new, nothing between."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO, Self, TextIO

from templ.errors import InputError, StorageError, TemplError

GONE = (
    "is not there any more: it was deleted or moved while it was written; bring it back, then start the "
    "same command again"
)
MENDS = {
    errno.ENOENT: "make the folder first",
    errno.ENOTDIR: "move the file that is in the way of the folder",
    errno.EEXIST: "move the file that is in the way of the folder",
    errno.EISDIR: "move the folder that has this name",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ELOOP: "remove the link that leads in a circle",
    errno.EFBIG: "allow larger files (ulimit -f)",
    errno.EIO: "see to the disk",
    errno.ESTALE: "bring its file system back",
    errno.EMFILE: "allow more open files (ulimit -n), or fewer --workers",
    errno.ENFILE: "end programs that have many files open, or give fewer --workers",
}
NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS}
MOST_OPEN_FILES = 65_536
"""Enough for any run; some systems allow a billion, and programs that they start then count through all."""
LOCK_TRIES = 100
"""More in a row than any number of processes would delete a lock file in that moment."""


def mend_of(error: OSError, otherwise: str = "free space or correct the permissions") -> str:
    """Say what mends an error of the operating system."""
    return MENDS.get(error.errno or 0, otherwise)


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn an operating-system error inside the block into a StorageError that names `path`."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written ({error.strerror}): {mend_of(error)}, "
            "then start the same command again; what was finished before is kept"
        ) from error


def printable(text: str) -> str:
    r"""Write bytes that are not UTF-8, as names of files can have, as ``\udcff`` and so on."""
    return text.encode(errors="backslashreplace").decode()


def path_text(path: str | Path) -> str:
    """Write a path as text that any file can hold and any library takes.

    Raises
    ------
    InputError
        When it has bytes that are not UTF-8.
    """
    text = str(path)
    if text != printable(text):
        raise InputError(f"not UTF-8: '{printable(text)}'; rename it")
    return text


def allow_open_files() -> None:
    """Let this process have as many files open as the system allows: often 1024 are set, and more allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = MOST_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def sync_file(file: IO[bytes]) -> None:
    """Wait until the disk has everything written to `file` so far."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` (new, moved, deleted files) survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Create `folder`, and those above it, where they are not there yet.

    Raises
    ------
    StorageError
        When the disk refuses, or a file is in the way.
    """
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)


@contextmanager
def locked(path: Path, refusal: Callable[[str], TemplError]) -> Iterator[None]:
    """Hold the lock of a file while the block runs, as one process at a time can; a killed one loses it.

    Parameters
    ----------
    path : pathlib.Path
        The file, made with its folder where it is not there yet. It stays, unless the block deletes it.
    refusal : callable
        Makes the error to raise when another process has the lock, of that one's number and host.

    Raises
    ------
    StorageError
        When the file cannot be written, or its file system has no locks.
    """
    with ExitStack() as opened:
        with storage_errors(path):
            for _ in range(LOCK_TRIES):
                with suppress(FileExistsError):  # with `exist_ok` it would be looked at, and may be gone
                    path.parent.mkdir()
                with suppress(FileNotFoundError):  # deleted, in this moment, by who had the lock
                    file = opened.enter_context(path.open("a+", encoding="utf-8"))
                    _lock(file, path, refusal)
                    # Of a deleted file any number of processes could have a lock, each of its own.
                    if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                        break
            else:
                raise refusal("unknown")
            file.truncate(0)
            file.write(f"{os.getpid()} on {socket.gethostname()}\n")
            file.flush()
        yield


def is_locked(path: Path) -> bool:
    """Whether a process, on whatever machine that shares the file, holds the lock of `locked`."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # there is no such file, or no locks
        return False
    return False


def _lock(file: TextIO, path: Path, refusal: Callable[[str], TemplError]) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        raise refusal(file.read().strip() or "unknown") from None
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        raise StorageError(
            f"{path.parent} cannot be locked against other processes ({error.strerror}): "
            "its file system has no locks; put it on a local disk"
        ) from error


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Write a new version of `path`, which readers see only once the block has ended well.

    The temporary sibling has a fixed name: one left behind by a kill is overwritten the next time.

    Raises
    ------
    StorageError
        When the disk refuses the write; `path` then is as it was.
    """
    temporary = path.with_name(f".{path.name}.new")
    with storage_errors(path):
        try:
            with temporary.open("wb") as file:
                yield file
                sync_file(file)
            temporary.replace(path)
            sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


class Closing:
    """Something that a ``with`` block closes."""

    def close(self) -> None:
        """Close it; closing twice is harmless."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class GrowingFile(Closing):
    """A file that only grows, by whole pieces: a piece that the disk refuses leaves no trace.

    Parameters
    ----------
    path : pathlib.Path
        Created when absent.

    Raises
    ------
    StorageError
        When the file cannot be opened for writing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with storage_errors(path):
            new = not path.exists()
            self._file = path.open("xb" if new else "r+b", buffering=0)
            self.end = self._file.seek(0, os.SEEK_END)
            if new:
                sync_folder(path.parent)

    def append(self, data: bytes, *, durable: bool = True) -> int:
        """Add `data` at the end and return the offset where it starts.

        Parameters
        ----------
        data : bytes
            All of it or nothing is added; nothing where the file has been deleted or moved meanwhile, for
            then nobody would find it.
        durable : bool
            Wait until the disk has it. Without that it is safe only after `sync`.

        Raises
        ------
        StorageError
            When the disk refuses.
        """
        start, descriptor = self.end, self._file.fileno()
        try:
            with storage_errors(self.path):
                if durable:
                    self._refuse_if_gone()
                rest = memoryview(data)
                while rest:
                    rest = rest[os.pwrite(descriptor, rest, start + len(data) - len(rest)) :]
                if durable:
                    os.fsync(descriptor)
        except StorageError:
            # Should even this fail, the next piece starts at the same offset and covers the torn one.
            with suppress(OSError):
                os.ftruncate(descriptor, start)
            raise
        self.end = start + len(data)
        return start

    def _refuse_if_gone(self) -> None:
        try:
            there = os.path.samestat(os.fstat(self._file.fileno()), self.path.stat())
        except FileNotFoundError:
            there = False
        if not there:
            raise StorageError(f"{self.path} {GONE}")

    def cut(self, end: int) -> None:
        """Throw away everything from offset `end` on."""
        with storage_errors(self.path):
            self._file.truncate(end)
        self.end = end

    def sync(self) -> None:
        """Wait until the disk has everything."""
        with storage_errors(self.path):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file; closing twice is harmless."""
        self._file.close()
