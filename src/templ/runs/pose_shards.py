"""The poses of a run: SDF text in a few large files (shards), found again by offset.

A million small files would overwhelm most file systems, one file could not be moved about; so shards.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from templ.disk import Closing, GrowingFile, make_folder, storage_errors
from templ.errors import RunError
from templ.runs.record import PoseAddress

POSES_FOLDER = "poses"
RUNNING_PREFIX = "part-"
"""Shards of a run that has not finished; a finished run has shards without prefix, in target order."""
SHARD_BYTES = 64 * 2**20


class PoseShards(Closing):
    """Writer of the pose shards of a run; goes on at the end of the last shard that is there.

    Parameters
    ----------
    run : pathlib.Path
        The run folder.
    prefix : str
        Start of the shards' names.
    per_shard_bytes : int
        A shard at least this long is followed by a new one.
    """

    def __init__(
        self, run: Path, *, prefix: str = RUNNING_PREFIX, per_shard_bytes: int = SHARD_BYTES
    ) -> None:
        self._run = run
        self._prefix = prefix
        self._per_shard_bytes = per_shard_bytes
        self._shard: GrowingFile | None = None
        make_folder(run / POSES_FOLDER)

    def append(self, sdf_text: str, *, durable: bool = True) -> PoseAddress:
        """Write the poses of one target, as a whole or not at all.

        Parameters
        ----------
        sdf_text : str
            One or more SDF records.
        durable : bool
            Wait until the disk has them. Without that they are safe only after `close`.

        Raises
        ------
        StorageError
            When the disk refuses.
        """
        data = sdf_text.encode()
        shard = self._shard_with_room()
        offset = shard.append(data, durable=durable)
        return PoseAddress(f"{POSES_FOLDER}/{shard.path.name}", offset, len(data))

    def discard_after(self, addresses: Iterable[PoseAddress]) -> None:
        """Cut away what follows the last address in each shard: poses whose record was never written.

        Shards without any address are deleted.

        Raises
        ------
        RunError
            When a shard is absent or ends before an address does.
        """
        self.close()
        ends: dict[str, int] = {}
        for address in addresses:
            ends[address.shard] = max(ends.get(address.shard, 0), address.offset + address.length)
        for shard, end in ends.items():
            path = self._run / shard
            if not path.is_file() or path.stat().st_size < end:
                raise RunError(
                    f"{path} is absent or shorter than the {end} bytes that the results refer to; "
                    "bring the file back, or choose another folder for a new run"
                )
        for number in self._numbers():
            path = self._path(number)
            with storage_errors(path):
                if end := ends.get(f"{POSES_FOLDER}/{path.name}", 0):
                    os.truncate(path, end)
                else:
                    path.unlink()

    def close(self) -> None:
        """Wait until the disk has everything; closing twice is harmless."""
        if self._shard is not None:
            shard, self._shard = self._shard, None
            with shard:
                shard.sync()

    def _shard_with_room(self) -> GrowingFile:
        if self._shard is None:
            self._shard = GrowingFile(self._path(max(self._numbers(), default=0)))
        if self._shard.end >= self._per_shard_bytes:
            self.close()
            self._shard = GrowingFile(self._path(max(self._numbers()) + 1))
        return self._shard

    def _path(self, number: int) -> Path:
        return self._run / POSES_FOLDER / f"{self._prefix}{number:04d}.sdf"

    def _numbers(self) -> list[int]:
        pattern = re.compile(rf"{re.escape(self._prefix)}(\d{{4,}})\.sdf")
        names = (pattern.fullmatch(path.name) for path in (self._run / POSES_FOLDER).iterdir())
        return [int(name[1]) for name in names if name]


def read_poses(run: Path, address: PoseAddress) -> str:
    """Read the SDF text of one target.

    Raises
    ------
    RunError
        When the shard is absent, ends too early or is no text.
    """
    path = run / address.shard
    try:
        with path.open("rb") as file:
            file.seek(address.offset)
            data = file.read(address.length)
    except OSError as error:
        raise RunError(
            f"{path} cannot be read ({error.strerror}): the poses of this run are incomplete"
        ) from error
    if len(data) < address.length:
        raise RunError(
            f"{path} ends before byte {address.offset + address.length}: the poses of this run are incomplete"
        )
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise RunError(f"{path} is damaged at byte {address.offset}: expected poses as SDF text") from None
