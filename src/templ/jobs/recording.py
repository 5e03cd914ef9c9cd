"""Records what an executor's workers send: poses, then records, on disk before a molecule counts as done."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from templ.engine.executor import Executor, TaskResult, Work
from templ.runs.final_form import finish_run
from templ.runs.journal import JOURNAL_NAME, Journal
from templ.runs.manifest import RunManifest, mark_finished
from templ.runs.memory_log import MEMORY_NAME, MemoryLog
from templ.runs.pose_shards import PoseShards
from templ.runs.record import Cost, Record
from templ.runs.recovery import Recovery

HEADLINE = 2.0
"""Angstrom: what the field calls a success."""


@dataclass(frozen=True, slots=True)
class MoleculeResult:
    """What a worker sends back of one molecule: its record, and its poses as SDF text, best first."""

    record: Record
    sdf: str = ""


@dataclass(slots=True)
class Progress:
    """How far a run is, told after each molecule.

    Attributes
    ----------
    total : int
        Molecules of the run.
    done : int
        Those with a record.
    judged, within : int
        Molecules but for those posed without a known crystal, and those whose first pose is within 2
        Angstrom.
    refused, failed : int
        Molecules that policy refused, and those that a fault ended.
    latest : Record or None
        The one that was recorded just now.
    """

    total: int
    done: int = 0
    judged: int = 0
    within: int = 0
    refused: int = 0
    failed: int = 0
    latest: Record | None = None

    def add(self, record: Record) -> None:
        """Count a record."""
        self.done += 1
        self.refused += record.status == "refused"
        self.failed += record.status == "failed"
        self.judged += record.status != "posed" or record.rmsd is not None
        self.within += record.rmsd is not None and record.rmsd <= HEADLINE
        self.latest = record

    def __str__(self) -> str:
        share = f"within {HEADLINE:g} A so far: {self.within / self.judged:.0%}" if self.within else ""
        counts = (("refused", self.refused), ("failed", self.failed))
        return ", ".join(filter(None, (share, *(f"{number} {what}" for what, number in counts if number))))


def record_all(
    folder: Path,
    manifest: RunManifest,
    executor: Executor,
    work: Work,
    tasks: Iterable[tuple[int, str]],
    failure: Callable[[TaskResult], Record],
    on_progress: Callable[[Progress], None],
    *,
    retry_failed: bool = True,
    on_start: Callable[[str], None] = lambda line: None,
) -> None:
    """Do what has no record yet, then put the run into its final form; it is on disk as it comes.

    Parameters
    ----------
    folder : Path
        The run, held and started.
    executor, work :
        Who does what.
    tasks : iterable of (int, str)
        Position in the run's list, and the reference that the worker gets.
    failure : callable
        Makes the record of a molecule whose worker could not.
    on_progress : callable
        Told how far the run is.
    retry_failed : bool
        Do again what failed in a way that a crowded or broken machine can cause.
    on_start : callable
        Told what is done again.

    Raises
    ------
    StorageError
        When the disk refuses; what was recorded stays.
    """
    progress = Progress(manifest.targets)
    ends: dict[str, int] = {}
    recovery = Recovery(folder, manifest.order, retry_failed=retry_failed)

    def sort_out(record: Record) -> Record | None:
        kept = recovery(record)
        if kept is not None:
            progress.add(kept)
            if (address := kept.address) is not None:
                ends[address.shard] = max(ends.get(address.shard, 0), address.offset + address.length)
        return kept

    with (
        Journal.open(folder / JOURNAL_NAME, sort_out) as journal,
        PoseShards(folder) as shards,
        MemoryLog(folder / MEMORY_NAME) as memory,
    ):
        for note in recovery.notes(journal):
            on_start(note)
        shards.discard_after(ends)
        progress.latest = None
        on_progress(progress)
        waiting = (task for index, task in tasks if index not in journal.done)
        with contextlib.closing(executor.run(work, waiting, memory.add)) as results:
            for result in results:
                record = _record(result, failure, shards, manifest.order)
                journal.append(record)
                progress.add(record)
                on_progress(progress)
    finish_run(folder, manifest.order)
    mark_finished(folder)


def _record(
    result: TaskResult, failure: Callable[[TaskResult], Record], shards: PoseShards, order: range
) -> Record:
    """Turn what a worker sent into a record; the poses go to disk first."""
    cost = Cost(round(result.cpu_s, 4), round(result.wall_s, 4), result.uss_bytes)
    if not isinstance(result.value, MoleculeResult):
        return replace(failure(result), cost=cost)
    record, sdf = result.value.record, result.value.sdf
    cost = replace(cost, stages=record.cost.stages)
    address = shards.append(order.index(record.index), sdf) if sdf else None
    return replace(record, cost=cost, address=address)
