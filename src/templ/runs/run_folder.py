"""Who holds a run folder: one process at a time, and never somebody else's folder."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from templ.disk import make_folder, storage_errors
from templ.errors import RunError
from templ.runs.manifest import MANIFEST_NAME

LOCK_NAME = "run.lock"
INPUTS_FOLDER = "inputs"
"""Where a benchmark puts the libraries that it makes for a run."""


def run_of(poses: Path) -> Path:
    """Folder of the run that `templ predict` keeps beside the poses it writes.

    Examples
    --------
    >>> from pathlib import Path
    >>> str(run_of(Path("out/poses.sdf")))
    'out/poses.run'
    """
    return poses.with_suffix(".run")


class RunLock:
    """The right to write in a folder that exists, for one process at a time; a killed process loses it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK_NAME

    def __enter__(self) -> Self:
        """Take the lock.

        Raises
        ------
        RunError
            When another process has it; the message names that process.
        StorageError
            When the lock file cannot be written.
        """
        with storage_errors(self._path):
            self._file = self._path.open("a+", encoding="utf-8")
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._file.seek(0)
                holder = self._file.read().strip() or "unknown"
                self._file.close()
                raise RunError(
                    f"{self._path.parent} is being written by process {holder}; "
                    "wait for it, stop it, or choose another folder"
                ) from None
            self._file.truncate(0)
            self._file.write(f"{os.getpid()} on {socket.gethostname()}\n")
            self._file.flush()
        return self

    def __exit__(self, *_: object) -> None:
        # The file stays: deleting it would let two processes lock two files of the same name.
        self._file.close()


@contextmanager
def hold_run_folder(folder: Path) -> Iterator[None]:
    """Make `folder` ours while the block runs: refuse what is no run, create it, take its lock.

    Raises
    ------
    RunError
        When the folder holds something else, or another process writes there.
    StorageError
        When the disk refuses.
    """
    _refuse_what_is_no_run(folder)
    make_folder(folder)
    with RunLock(folder):
        yield


def _refuse_what_is_no_run(folder: Path) -> None:
    """Look before anything is written: not even a lock file belongs into somebody else's folder."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise RunError(f"{folder} is a file; a run needs a folder")
    ours = (MANIFEST_NAME, LOCK_NAME, INPUTS_FOLDER, f".{MANIFEST_NAME}.new")
    if not (folder / MANIFEST_NAME).exists() and any(path.name not in ours for path in folder.iterdir()):
        raise RunError(f"{folder} is not empty and not a run; choose another folder")
