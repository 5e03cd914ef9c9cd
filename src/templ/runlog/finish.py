"""Put a complete run into its final form: the same bytes however it was computed.

Workers finish in any order, and a resumed run has another order again. So at the end results and poses are
rewritten in the order of the targets; only the ``cost`` of each record still tells runs apart.
"""

from __future__ import annotations

import json
from array import array
from dataclasses import asdict
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from templ.disk import replacing
from templ.errors import RunError
from templ.runlog.journal import JOURNAL_NAME, encode_record, read_lines, read_records
from templ.runlog.poses import RUNNING_PREFIX, SHARD_BYTES, PoseAddress, PoseShards, read_poses

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FINAL_PREFIX = ""


def finish_run(run: Path, order: Sequence[str], *, per_shard_bytes: int = SHARD_BYTES) -> None:
    """Rewrite results and poses in target order, under the shards' final names.

    At every instant ``results.jsonl`` points at whole shards: the new ones are on disk before it is replaced,
    the old ones go after. Killed at any point, it is simply called again; on a run in final form it changes
    nothing. The run must be locked and its journal closed.

    Parameters
    ----------
    run : pathlib.Path
        The run folder.
    order : Sequence of str
        Ids of all targets.
    per_shard_bytes : int
        A shard at least this long is followed by a new one.

    Raises
    ------
    RunError
        When a target has no record yet, a record belongs to no target, or poses are missing.
    StorageError
        When the disk refuses; the run is complete as it was.
    """
    shards_in_use = {
        address.shard for record in read_records(run / JOURNAL_NAME) if (address := PoseAddress.of(record))
    }
    unfinished = {shard for shard in shards_in_use if _is_running(shard)}
    if unfinished or not _is_in_order(run, order):
        if shards_in_use > unfinished:  # a finished run was added to: free the final names first
            _rewrite(run, order, PoseShards(run, per_shard_bytes=per_shard_bytes))
        final = PoseShards(run, prefix=FINAL_PREFIX, per_shard_bytes=per_shard_bytes)
        final.discard_after(())
        _rewrite(run, order, final)
    PoseShards(run).discard_after(())


def _is_running(shard: str) -> bool:
    return shard.rpartition("/")[2].startswith(RUNNING_PREFIX)


def _is_in_order(run: Path, order: Sequence[str]) -> bool:
    ids = (record["id"] for record in read_records(run / JOURNAL_NAME))
    return all(found == wanted for found, wanted in zip_longest(ids, order))


def _rewrite(run: Path, order: Sequence[str], shards: PoseShards) -> None:
    """Copy all poses to `shards` in target order, then replace the journal by one that points there."""
    journal = run / JOURNAL_NAME
    starts = _starts_in_order(journal, order)
    # Left in reverse order: the shards are on disk before the journal is replaced.
    with journal.open("rb") as old, replacing(journal) as new, shards:
        for start in starts:
            old.seek(start)
            record = json.loads(old.readline())
            new.write(carry_over(record, run, shards))


def carry_over(record: dict[str, Any], run: Path, shards: PoseShards) -> bytes:
    """Copy the poses of a record of `run` to other shards; return its line with their new address."""
    if address := PoseAddress.of(record):
        record["poses"] |= asdict(shards.append(read_poses(run, address), durable=False))
    return encode_record(record)


def _starts_in_order(journal: Path, order: Sequence[str]) -> array[int]:
    """Byte offset of each target's record, in target order.

    A number a target, never the record: memory does not grow with what a record holds.
    """
    places = {target: place for place, target in enumerate(order)}
    starts = array("q", [-1]) * len(order)
    for line in read_lines(journal):
        place = places.get(line.record["id"])
        if place is None:
            raise RunError(f"{journal}: {line.record['id']!r} is not a target of this run; remove its line")
        starts[place] = line.start
    missing = starts.count(-1)
    if missing:
        raise RunError(
            f"{journal}: {missing} of {len(order)} targets have no record yet "
            f"(the first is {order[starts.index(-1)]!r}); start the same command again to go on"
        )
    return starts
