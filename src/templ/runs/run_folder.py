"""Who holds a run folder: one process at a time, and never somebody else's folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from templ.disk import locked, make_folder
from templ.errors import RunError
from templ.runs.manifest import MANIFEST_NAME

LOCK_NAME = "run.lock"
INPUTS_FOLDER = "inputs"
"""Where a benchmark puts the libraries that it makes for a run."""
PROCESSES_FOLDER = "processes"
"""Of a joined run: a folder for each process that did parts of it, with its lock and memory log."""
TRY_AGAIN_S = 0.5
"""Seconds between two tries to get the lock of a run."""


class RunInUseError(RunError):
    """Another process, the `holder`, writes in the run folder."""

    def __init__(self, folder: Path, holder: str) -> None:
        super().__init__(
            f"{folder} is being written by process {holder}; wait for it, stop it, or choose another folder"
        )
        self.holder = f"process {holder}"


def run_of(poses: Path) -> Path:
    """Folder of the run that `templ predict` keeps beside the poses it writes.

    Examples
    --------
    >>> from pathlib import Path
    >>> str(run_of(Path("out/poses.sdf")))
    'out/poses.run'
    """
    return poses.with_suffix(".run")


def lock_run(folder: Path) -> AbstractContextManager[None]:
    """Take the right to write in a folder, which one process at a time has; a killed process loses it.

    Raises
    ------
    RunInUseError
        When another process has it; the message names that process.
    StorageError
        When the lock file cannot be written.
    """
    return locked(folder / LOCK_NAME, lambda holder: RunInUseError(folder, holder))


@contextmanager
def hold_run_folder(folder: Path, on_wait: Callable[[str], None] | None = None) -> Iterator[None]:
    """Make `folder` ours while the block runs: refuse what is no run, create it, take its lock.

    Parameters
    ----------
    folder : pathlib.Path
        The run folder.
    on_wait : callable, optional
        Wait while another process writes there, and tell this who that is, once; without it, refuse.

    Raises
    ------
    RunError
        When the folder holds something else, or another process writes there.
    StorageError
        When the disk refuses.
    """
    _refuse_what_is_no_run(folder)
    make_folder(folder)
    told = False
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(lock_run(folder))
                break
            except RunInUseError as refusal:
                if on_wait is None:
                    raise
                if not told:
                    on_wait(f"waiting for {refusal.holder}, which writes in {folder}")
                told = True
            time.sleep(TRY_AGAIN_S)
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
