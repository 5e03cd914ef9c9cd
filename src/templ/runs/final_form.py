"""Puts a complete run into its final form: the same bytes however it was computed.

Workers finish in any order, and a resumed run has another order again. So at the end results and poses are
put in the order of the run's list; only the ``cost`` of each record still tells runs apart.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from templ.disk import replacing, storage_errors, sync_file, sync_folder
from templ.errors import RunError
from templ.runs.journal import JOURNAL_NAME, all_lines
from templ.runs.pose_shards import MOLECULES_A_SHARD, PoseShards, read_poses, running_shard, shard_of
from templ.runs.record import PoseAddress, Record


def finish_run(run: Path, order: range) -> None:
    """Put results and poses in the order of the run's list, poses under the shards' final names.

    Shard after shard takes the place of the running one, once the new results are on disk: there must be
    room for these and for one shard. `templ.runs.recovery.Recovery` mends a run that was killed meanwhile.
    On a run in final form nothing changes. The run must be locked and its journal closed.

    Parameters
    ----------
    run : pathlib.Path
        The run folder.
    order : range
        Positions of all molecules of this run.

    Raises
    ------
    RunError
        When a molecule has no record yet, a record belongs to none, or poses are missing or damaged.
    StorageError
        When the disk refuses; the same call goes on once it does not.
    """
    form, running = _FinalForm(run, order), PoseShards(run)
    form.must_be_complete()
    moved = any(old != new for _, shard in form.shards() for old, new in shard)
    if moved or not form.in_order:
        with replacing(run / JOURNAL_NAME) as journal:
            for position, record in enumerate(form.records(range(len(order)))):
                address = record.address and form.final_address(position, record.address)
                journal.write(record.at(address).to_line())
            sync_file(journal)
            for name, addresses in form.shards():
                _put_in_order(run, name, addresses)
    running.discard_after({})


def final_addresses(run: Path, order: range) -> Callable[[int, PoseAddress], PoseAddress]:
    """Return what tells where poses, by index of their molecule, are once the run is in final form."""
    form = _FinalForm(run, order)
    return lambda index, address: form.final_address(order.index(index), address)


def _put_in_order(run: Path, name: str, addresses: list[tuple[PoseAddress, PoseAddress]]) -> None:
    """Make a shard of the final form, and free the room of what its poses were in."""
    running, final = run / running_shard(name), run / name
    with storage_errors(final):
        if not addresses:
            final.unlink(missing_ok=True)
        elif _came_in_order(running, addresses):
            running.replace(final)
        elif any(old != new for old, new in addresses):
            with replacing(final) as file:
                for old, _ in addresses:
                    file.write(read_poses(run, old).encode())
        running.unlink(missing_ok=True)
        sync_folder(final.parent)


def _came_in_order(running: Path, addresses: list[tuple[PoseAddress, PoseAddress]]) -> bool:
    """Tell whether a running shard is the final one already, but for its name."""
    last = addresses[-1][1]
    return (
        all((Path(old.shard).name, old.offset) == (running.name, new.offset) for old, new in addresses)
        and running.exists()
        and running.stat().st_size == last.offset + last.length
    )


class _FinalForm:
    """Where in a journal the record of each position is, and where its poses are to be.

    Two numbers a molecule, never the record: memory does not grow with what a record holds.
    """

    def __init__(self, run: Path, order: range) -> None:
        self._journal, self._order = run / JOURNAL_NAME, order
        self._starts = array("q", [-1]) * len(order)
        self._offsets = array("q", [0]) * len(order)
        for start, _, record in all_lines(self._journal):
            if record is None:
                continue
            if record.index not in order:
                raise RunError(f"{self._journal}: {record.id!r} is no molecule of this run; remove its line")
            position = order.index(record.index)
            self._starts[position] = start
            self._offsets[position] = 0 if record.address is None else record.address.length
        end = 0
        for position, length in enumerate(self._offsets):
            if position % MOLECULES_A_SHARD == 0:
                end = 0
            self._offsets[position] = end
            end += length

    def __len__(self) -> int:
        return len(self._order)

    def must_be_complete(self) -> None:
        """Refuse to end a run that is not at its end."""
        if missing := self._starts.count(-1):
            raise RunError(
                f"{self._journal}: {missing} of {len(self)} molecules have no record yet (the first is "
                f"number {self._order[self._starts.index(-1)] + 1}); start the same command again to go on"
            )

    @property
    def in_order(self) -> bool:
        """Whether the journal is in the order of the list already."""
        return all(one < two for one, two in pairwise(self._starts))

    def records(self, positions: range) -> Iterator[Record]:
        """Yield the records of these positions."""
        with self._journal.open("rb") as file:
            for position in positions:
                file.seek(self._starts[position])
                record = Record.from_line(file.readline())
                assert record is not None
                yield record

    def final_address(self, position: int, old: PoseAddress) -> PoseAddress:
        """Say where poses are in the final form."""
        return replace(old, shard=shard_of(position), offset=self._offsets[position])

    def shards(self) -> Iterator[tuple[str, list[tuple[PoseAddress, PoseAddress]]]]:
        """Yield the final name of each shard, and where its poses are and where they are to be."""
        for first in range(0, len(self), MOLECULES_A_SHARD):
            positions = range(first, min(first + MOLECULES_A_SHARD, len(self)))
            addresses = zip(positions, (record.address for record in self.records(positions)), strict=True)
            yield (
                shard_of(first),
                [(old, self.final_address(position, old)) for position, old in addresses if old],
            )
