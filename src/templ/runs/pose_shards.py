"""The poses of a run: SDF text in files of many molecules each (shards), found again by offset.

A million small files would overwhelm most file systems. A shard has the poses of neighbours in the run's
list, so that a run is finished shard by shard, with room on the disk for one more.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Mapping
from pathlib import Path

from templ.checksums import checksum
from templ.disk import Closing, GrowingFile, make_folder, storage_errors
from templ.errors import RunError
from templ.runs.record import PoseAddress

POSES_FOLDER = "poses"
RUNNING_PREFIX = "part-"
"""Of shards whose poses are in the order in which they came; those of a finished run have no prefix."""
MOLECULES_A_SHARD = 256
"""Some MB of poses."""
_RUNNING = re.compile(rf"{RUNNING_PREFIX}(\d{{4,9}}|[0-9a-f]{{32}})\.sdf")


def shard_of(position: int) -> str:
    """Name, in a finished run, of the shard for a position in the run's list.

    Examples
    --------
    >>> shard_of(300), running_shard(shard_of(300))
    ('poses/0001.sdf', 'poses/part-0001.sdf')
    """
    return f"{POSES_FOLDER}/{position // MOLECULES_A_SHARD:04d}.sdf"


def running_shard(final: str) -> str:
    """Name of a shard as long as its run is not finished."""
    return final.replace("/", f"/{RUNNING_PREFIX}")


class PoseShards(Closing):
    """Writer of the pose shards of a run; goes on at the end of those that are there.

    Parameters
    ----------
    run : pathlib.Path
        The run folder.
    in_order : bool
        Poses come in the order of the list: they go to shards of the final form at once.
    """

    def __init__(self, run: Path, *, in_order: bool = False) -> None:
        self._run = run
        self._in_order = in_order
        self._shard: GrowingFile | None = None
        self._on_disk = True
        make_folder(run / POSES_FOLDER)

    def append(self, position: int, sdf_text: str, *, durable: bool = True) -> PoseAddress:
        """Write the poses of one molecule, as a whole or not at all.

        Parameters
        ----------
        position : int
            Of the molecule in the run's list.
        sdf_text : str
            One or more SDF records.
        durable : bool
            Wait until the disk has them. Without that they are safe only after `close`.

        Raises
        ------
        StorageError
            When the disk refuses.
        """
        data, name = sdf_text.encode(), shard_of(position)
        if not self._in_order:
            name = running_shard(name)
        if self._shard is None or self._shard.path != self._run / name:
            self.close()
            self._shard = GrowingFile(self._run / name)
        self._on_disk = durable
        return PoseAddress(name, self._shard.append(data, durable=durable), len(data), checksum(data))

    def discard_after(self, ends: Mapping[str, int]) -> None:
        """Cut shards to these lengths, for what follows has no record; delete other running ones."""
        self.close()
        for path in (self._run / POSES_FOLDER).iterdir():
            end = ends.get(f"{POSES_FOLDER}/{path.name}")
            with storage_errors(path):
                if end is None and _RUNNING.fullmatch(path.name):
                    path.unlink()
                elif end is not None and path.stat().st_size > end:
                    os.truncate(path, end)

    def close(self) -> None:
        """Wait until the disk has everything; closing twice is harmless."""
        if self._shard is not None:
            shard, self._shard = self._shard, None
            with shard:
                if not self._on_disk:
                    shard.sync()


class OwnShard:
    """A running shard to which one process adds, beside others that write poses of the same run.

    It is opened for each molecule, so that other machines see what is in it.

    Parameters
    ----------
    run : pathlib.Path
        The run folder.

    Raises
    ------
    StorageError
        When nothing can be written there.
    """

    def __init__(self, run: Path) -> None:
        self._name = running_shard(f"{POSES_FOLDER}/{uuid.uuid4().hex}.sdf")
        self._path = run / self._name
        make_folder(self._path.parent)
        GrowingFile(self._path).close()

    def append(self, sdf_text: str) -> PoseAddress | None:
        """Write the poses of one molecule, on disk when this returns; None where the run goes on without us.

        It then was finished, or started again, and has deleted what no record points to.

        Raises
        ------
        StorageError
            When the disk refuses.
        """
        if not self._path.exists():
            return None
        data = sdf_text.encode()
        with GrowingFile(self._path) as shard:
            return PoseAddress(self._name, shard.append(data), len(data), checksum(data))


class LostPosesError(RunError):
    """Poses are gone or damaged, and can only be made again."""


def read_poses(run: Path, address: PoseAddress) -> str:
    """Read the SDF text of one molecule.

    Raises
    ------
    LostPosesError
        When the shard is absent or too short, or the text is not what was written.
    RunError
        When the system refuses to read it.
    """
    path = run / address.shard
    mend = "start the command of the run again: poses that are missing or damaged are made again"
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(min(address.offset, size))
            data = file.read(min(address.length, size))
    except FileNotFoundError:
        raise LostPosesError(f"{path} is missing; {mend}") from None
    except OSError as error:
        raise RunError(f"{path} cannot be read ({error.strerror}); correct that first") from error
    if len(data) < address.length:
        raise LostPosesError(f"{path} ends before byte {address.offset + address.length}; {mend}")
    if checksum(data) != address.checksum:
        raise LostPosesError(f"{path} was altered after byte {address.offset}; {mend}")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise LostPosesError(f"{path}: no text at byte {address.offset}, expected SDF; {mend}") from None
