"""The parts of a joined run, which any number of processes on a shared file system do together.

A part is a shard of the run. Who wants to do one makes the folder ``parts/NNNN.K`` for its K-th attempt,
as one process can, and changes the file ``lease`` in it every few seconds. Where that file does not change
any more, another process makes the folder of the next attempt; the attempt with the highest number counts,
and no other. So nobody writes where another does, and clocks of different machines are never compared.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Container
from contextlib import suppress
from pathlib import Path

from templ.disk import make_folder, storage_errors
from templ.errors import RunError
from templ.runs.journal import JOURNAL_NAME
from templ.runs.manifest import MANIFEST_NAME, read_manifest
from templ.runs.pose_shards import POSES_FOLDER

PARTS_FOLDER = "parts"
MERGED_FOLDER = "parts.merged"
"""What the folder of parts is called from when their results are merged until it is deleted."""
LEASE_NAME = "lease"
RENEW_S = 5.0
"""Seconds between two signs of life of who does a part."""
EXPIRED_S = 60.0
"""Seconds without one, as seen by who waits, after which a part is taken over."""
MOLECULES_A_PART = 8
"""A few seconds to a minute of work: little is left to wait for at the end of a run."""
MOST_PARTS = 900
"""All are open when they are merged, and a process may open 1024 files; parts of long runs are larger."""
GIVEN_UP = "given up"
_ATTEMPT = re.compile(r"(\d{4})\.(\d+)")


def count_parts(molecules: int) -> int:
    """Into how many parts so many molecules are divided.

    Examples
    --------
    >>> count_parts(3), count_parts(20), count_parts(450_000)
    (1, 3, 900)
    """
    return min(MOST_PARTS, -(-molecules // MOLECULES_A_PART))


class Lease:
    """The right of this process to do a part, as long as it shows signs of life.

    Parameters
    ----------
    folder : pathlib.Path
        Of the attempt, just made.
    owner : str
        What no other process calls itself.
    """

    def __init__(self, folder: Path, owner: str) -> None:
        self.folder = folder
        self._owner, self._renewed = owner, 0
        self._file = folder / LEASE_NAME
        with storage_errors(self._file):
            self._file.write_text(f"{owner} 0\n")

    def renew(self) -> None:
        """Show a sign of life; where the disk refuses it, the lease expires."""
        self._renewed += 1
        # Closed each time: only then do other machines see it. Not made where it is gone with its folder.
        with suppress(OSError), self._file.open("r+") as file:
            file.write(f"{self._owner} {self._renewed}\n")

    @property
    def lost(self) -> bool:
        """Whether another process has taken the part over, or the run is finished without this one."""
        return not self._file.exists() or _next(self.folder).exists()

    def give_up(self) -> None:
        """Let others go on with the part at once."""
        with suppress(OSError), self._file.open("r+") as file:
            file.truncate(file.write(GIVEN_UP))


class Parts:
    """All parts of a joined run, as one process sees them.

    Parameters
    ----------
    run : pathlib.Path
        The run folder.
    count : int
        How many parts there are.
    owner : str
        What no other process calls itself.
    clock : callable
        Seconds by a clock of this process, by which leases expire.
    """

    def __init__(
        self, run: Path, count: int, owner: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.count = count
        self._folder, self._owner, self._clock = run / PARTS_FOLDER, owner, clock
        self._finished: set[Path] = set()
        self._seen: dict[Path, tuple[str, float]] = {}

    def claim(self, own: Container[int] = ()) -> tuple[int, Lease, str] | None:
        """Take a part that nobody has begun, else one whose process gives no sign of life.

        Parameters
        ----------
        own : container of int
            Parts that this process has already.

        Returns
        -------
        tuple or None
            Number of the part, from 1, the lease, and who had the part before, or an empty text; None where
            nothing is to be had at the moment. What of an earlier attempt is whole is in the new one, too.

        Raises
        ------
        StorageError
            When the disk refuses.
        """
        latest = latest_attempts(self._folder.parent)
        for part in range(1, self.count + 1):
            if part not in latest and (lease := self._make(_folder(self._folder, part, 1))):
                return part, lease, ""
        for part, attempt in latest.items():
            if part not in own and not self._is_finished(attempt) and self._has_expired(attempt):
                before = _read_lease(attempt)
                if lease := self._make(_next(attempt)):
                    _copy_results(attempt, lease.folder)
                    return part, lease, "one that ended" if before in ("", GIVEN_UP) else before.split()[0]
        return None

    def begin_again(self, attempt: Path) -> None:
        """Let what is damaged of a finished attempt be done again, by who claims it next.

        Raises
        ------
        StorageError
            When the disk refuses.
        """
        if lease := self._make(_next(attempt)):
            _copy_results(attempt, lease.folder)
            lease.give_up()

    def finished(self) -> set[int]:
        """Numbers of the parts that are done."""
        latest = latest_attempts(self._folder.parent)
        return {part for part, attempt in latest.items() if self._is_finished(attempt)}

    def _make(self, folder: Path) -> Lease | None:
        """Begin an attempt; None where another process did so first, or merges the parts already."""
        with storage_errors(folder):
            try:
                folder.mkdir()
                return Lease(folder, self._owner)
            except (FileExistsError, FileNotFoundError):
                return None

    def _is_finished(self, attempt: Path) -> bool:
        if attempt not in self._finished and is_finished(attempt):
            self._finished.add(attempt)
        return attempt in self._finished

    def _has_expired(self, attempt: Path) -> bool:
        content, now = _read_lease(attempt), self._clock()
        if self._seen.setdefault(attempt, (content, now))[0] != content:
            self._seen[attempt] = (content, now)
        return content == GIVEN_UP or now - self._seen[attempt][1] > EXPIRED_S


def begin_parts(run: Path) -> None:
    """Make the folder of the parts; the run is held.

    Raises
    ------
    RunError
        When the run was begun by one process for itself.
    StorageError
        When the disk refuses.
    """
    if (run / JOURNAL_NAME).exists() and not (run / PARTS_FOLDER).exists():
        raise RunError(f"{run} was started without --join: go on without it, or choose another folder")
    make_folder(run / PARTS_FOLDER)


def refuse_joined(run: Path) -> None:
    """Refuse to go on alone with a run that processes do together, before it is finished."""
    if (run / PARTS_FOLDER).exists():
        raise RunError(f"{run} is done by processes that join: start the same command with --join")


def latest_attempts(run: Path) -> dict[int, Path]:
    """Folder, by number of the part, of the attempt that counts; empty where no part was begun."""
    found: dict[int, int] = {}
    with suppress(FileNotFoundError):
        for path in (run / PARTS_FOLDER).iterdir():
            if _ATTEMPT.fullmatch(path.name):
                part, number = _numbers(path)
                found[part] = max(found.get(part, 0), number)
    return {part: _folder(run / PARTS_FOLDER, part, found[part]) for part in sorted(found)}


def is_finished(attempt: Path) -> bool:
    """Whether a part was done to its end."""
    return (attempt / MANIFEST_NAME).exists() and read_manifest(attempt).finished is not None


def remove_parts(run: Path) -> None:
    """Delete the parts of a run that is held and finished; who still writes there has lost its lease.

    Raises
    ------
    StorageError
        When the disk refuses.
    """
    with storage_errors(run / PARTS_FOLDER), suppress(FileNotFoundError):
        (run / PARTS_FOLDER).rename(run / MERGED_FOLDER)  # at once: a part that is gone could be begun again
    shutil.rmtree(run / MERGED_FOLDER, ignore_errors=True)


def _folder(parts: Path, part: int, number: int) -> Path:
    return parts / f"{part:04d}.{number}"


def _next(attempt: Path) -> Path:
    part, number = _numbers(attempt)
    return _folder(attempt.parent, part, number + 1)


def _numbers(attempt: Path) -> tuple[int, int]:
    part, _, number = attempt.name.partition(".")
    return int(part), int(number)


def _read_lease(attempt: Path) -> str:
    """Content of a lease; empty where it is being made."""
    try:
        return (attempt / LEASE_NAME).read_text(errors="replace").strip()
    except FileNotFoundError:
        return ""


def _copy_results(old: Path, new: Path) -> None:
    """Copy records, then poses, of an attempt that may still be written: what is torn is found out later."""
    make_folder(new / POSES_FOLDER)
    poses = sorted((old / POSES_FOLDER).glob("*.sdf"))
    for path in (old / JOURNAL_NAME, *poses):
        with storage_errors(new), suppress(FileNotFoundError):
            shutil.copyfile(path, new / path.relative_to(old))
