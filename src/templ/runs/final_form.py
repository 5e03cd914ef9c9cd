"""Puts a complete run into its final form: the same bytes however it was computed.

Workers finish in any order, and a resumed run has another order again. So at the end results and poses are
rewritten in the order of the run's list; only the ``cost`` of each record still tells runs apart.
"""

from __future__ import annotations

from array import array
from itertools import zip_longest
from pathlib import Path

from templ.disk import replacing
from templ.errors import RunError
from templ.runs.journal import JOURNAL_NAME, read_lines, read_records
from templ.runs.pose_shards import RUNNING_PREFIX, SHARD_BYTES, PoseShards, read_poses
from templ.runs.record import Record

FINAL_PREFIX = ""


def finish_run(run: Path, order: range, *, per_shard_bytes: int = SHARD_BYTES) -> None:
    """Rewrite results and poses in the order of the run's list, under the shards' final names.

    At every instant ``results.jsonl`` points at whole shards: the new ones are on disk before it is replaced,
    the old ones go after. Killed at any point, it is simply called again; on a run in final form it changes
    nothing. The run must be locked and its journal closed.

    Parameters
    ----------
    run : pathlib.Path
        The run folder.
    order : range
        Positions of all molecules of this run.
    per_shard_bytes : int
        A shard at least this long is followed by a new one.

    Raises
    ------
    RunError
        When a molecule has no record yet, a record belongs to none, or poses are missing.
    StorageError
        When the disk refuses; the run is complete as it was.
    """
    shards_in_use = {record.address.shard for record in read_records(run / JOURNAL_NAME) if record.address}
    unfinished = {shard for shard in shards_in_use if shard.rpartition("/")[2].startswith(RUNNING_PREFIX)}
    found = (record.index for record in read_records(run / JOURNAL_NAME))
    if unfinished or any(index != wanted for index, wanted in zip_longest(found, order)):
        if shards_in_use > unfinished:  # a finished run was added to: free the final names first
            _rewrite(run, order, PoseShards(run, per_shard_bytes=per_shard_bytes))
        final = PoseShards(run, prefix=FINAL_PREFIX, per_shard_bytes=per_shard_bytes)
        final.discard_after(())
        _rewrite(run, order, final)
    PoseShards(run).discard_after(())


def _rewrite(run: Path, order: range, shards: PoseShards) -> None:
    """Copy all poses to `shards` in order, then replace the journal by one that points there."""
    journal = run / JOURNAL_NAME
    starts = _starts_in_order(journal, order)
    # Left in reverse order: the shards are on disk before the journal is replaced.
    with journal.open("rb") as old, replacing(journal) as new, shards:
        for start in starts:
            old.seek(start)
            record = Record.from_line(old.readline())
            assert record is not None
            new.write(carry_over(record, run, shards).to_line())


def carry_over(record: Record, run: Path, shards: PoseShards) -> Record:
    """Copy the poses of a record of `run` to other shards; return the record with their new address."""
    if record.address is None:
        return record
    return record.at(shards.append(read_poses(run, record.address), durable=False))


def _starts_in_order(journal: Path, order: range) -> array[int]:
    """Byte offset of each record, in order.

    A number a molecule, never the record: memory does not grow with what a record holds.
    """
    starts = array("q", [-1]) * len(order)
    for line in read_lines(journal):
        if line.record.index not in order:
            raise RunError(f"{journal}: {line.record.id!r} is no molecule of this run; remove its line")
        starts[order.index(line.record.index)] = line.start
    missing = starts.count(-1)
    if missing:
        raise RunError(
            f"{journal}: {missing} of {len(order)} molecules have no record yet "
            f"(the first is number {order[starts.index(-1)] + 1}); start the same command again to go on"
        )
    return starts
