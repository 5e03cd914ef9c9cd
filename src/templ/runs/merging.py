"""Joins finished shards of a run, or the parts of a joined one, into one run in its final form."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from templ.disk import allow_open_files, replacing
from templ.errors import RunError
from templ.runs.journal import JOURNAL_NAME, read_records
from templ.runs.manifest import mark_finished
from templ.runs.pose_shards import POSES_FOLDER, PoseShards, read_poses
from templ.runs.record import Record


def merge_shards(out: Path, shards: Sequence[Path], molecules: int) -> None:
    """Write records and poses of all shards, in order, into a run that is held and started.

    Raises
    ------
    RunError
        When a shard lacks a record, or is damaged.
    StorageError
        When the disk refuses; the same call begins again.
    """
    allow_open_files()  # all shards are open at a time
    shutil.rmtree(out / POSES_FOLDER, ignore_errors=True)  # of a merge that was killed
    with PoseShards(out, in_order=True) as poses, replacing(out / JOURNAL_NAME) as results:
        for run, record in _in_order(shards, molecules):
            if record.address is not None:
                sdf = read_poses(run, record.address)
                record = record.at(poses.append(record.index, sdf, durable=False))
            results.write(record.to_line())
        poses.close()  # on disk before the results that point there
    mark_finished(out)


def _in_order(shards: Sequence[Path], molecules: int) -> Iterator[tuple[Path, Record]]:
    """Records of all shards, dealt out one by one as the molecules were."""
    readers = [(run, read_records(run / JOURNAL_NAME)) for run in shards]
    for index in range(molecules):
        run, reader = readers[index % len(readers)]
        record = next(reader, None)
        if record is None or record.index != index:
            raise RunError(f"{run} lacks the record of target {index + 1}; start its command again and merge")
        yield run, record
