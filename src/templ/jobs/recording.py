"""Records what an executor's workers send: poses, then records, on disk before a molecule counts as done."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from templ.disk import Closing
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
    workers, tree : int
        Workers when memory was last looked at, of all machines, and bytes of all processes of the run.
    """

    total: int
    done: int = 0
    judged: int = 0
    within: int = 0
    refused: int = 0
    failed: int = 0
    latest: Record | None = None
    workers: int = 0
    tree: int = 0

    def add(self, record: Record) -> None:
        """Count a record."""
        self.done += 1
        self.refused += record.status == "refused"
        self.failed += record.status == "failed"
        self.judged += record.status != "posed" or record.rmsd is not None
        self.within += record.rmsd is not None and record.rmsd <= HEADLINE
        self.latest = record

    def see_memory(self, sample: Mapping[str, Any]) -> None:
        """Note what was seen of memory."""
        self.workers, self.tree = len(sample["workers"]), sample["tree"]

    def __str__(self) -> str:
        share = f"within {HEADLINE:g} A so far: {self.within / self.judged:.0%}" if self.within else ""
        counts = (("refused", self.refused), ("failed", self.failed))
        told = (f"{number} {what}" for what, number in counts if number)
        memory = f"{self.workers} workers, {self.tree / 2**30:.1f} GiB" if self.workers else ""
        return ", ".join(filter(None, (share, *told, memory)))


class Recording(Closing):
    """Writes what workers send into a run folder; what an earlier start left there is sorted out first.

    Parameters
    ----------
    folder : Path
        The run, held and started.
    manifest : RunManifest
        Of that run.
    progress : Progress
        Counts the records that stand, and those that come.
    retry_failed : bool
        Do again what failed in a way that a crowded or broken machine can cause.

    Attributes
    ----------
    notes : list of str
        What is done again.

    Raises
    ------
    StorageError
        When the disk refuses; what was recorded stays.
    """

    def __init__(
        self, folder: Path, manifest: RunManifest, progress: Progress, *, retry_failed: bool
    ) -> None:
        self.folder, self.manifest, self._progress = folder, manifest, progress
        ends: dict[str, int] = {}
        recovery = Recovery(folder, manifest.order, retry_failed=retry_failed)

        def sort_out(record: Record) -> Record | None:
            kept = recovery(record)
            if kept is not None:
                progress.add(kept)
                if (address := kept.address) is not None:
                    ends[address.shard] = max(ends.get(address.shard, 0), address.offset + address.length)
            return kept

        with ExitStack() as opened:
            self._journal = opened.enter_context(Journal.open(folder / JOURNAL_NAME, sort_out))
            self._poses = opened.enter_context(PoseShards(folder))
            self._poses.discard_after(ends)
            self._opened = opened.pop_all()
        self.notes = recovery.notes(self._journal)
        progress.latest = None

    def waiting(self, tasks: Iterable[tuple[int, str]]) -> Iterator[str]:
        """Yield the tasks, given with their positions in the run's list, of what has no record."""
        return (task for index, task in tasks if index not in self._journal.done)

    def add(self, record: Record, sdf: str) -> None:
        """Write poses, then the record that says where they are."""
        if sdf:
            position = self.manifest.order.index(record.index)
            record = record.at(self._poses.append(position, sdf))
        self._journal.append(record)
        self._progress.add(record)

    def __contains__(self, index: int) -> bool:
        """Whether the molecule at this position of the run's list has a record."""
        return index in self._journal.done

    def __len__(self) -> int:
        """Molecules that have a record."""
        return len(self._journal.done)

    @property
    def complete(self) -> bool:
        """Whether every molecule has a record."""
        return len(self) == self.manifest.targets

    def finish(self) -> None:
        """Put the run into its final form, and close it."""
        self.close()
        finish_run(self.folder, self.manifest.order)
        mark_finished(self.folder)

    def close(self) -> None:
        """Close the files; closing twice is harmless."""
        self._opened.close()


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
    with (
        Recording(folder, manifest, progress, retry_failed=retry_failed) as recording,
        MemoryLog(folder / MEMORY_NAME) as memory,
    ):
        for note in recording.notes:
            on_start(note)
        on_progress(progress)

        def on_memory(sample: Mapping[str, Any]) -> None:
            memory.add(sample)
            progress.see_memory(sample)

        with contextlib.closing(executor.run(work, recording.waiting(tasks), on_memory)) as results:
            for result in results:
                recording.add(*record_of(result, failure))
                on_progress(progress)
        recording.finish()


def record_of(result: TaskResult, failure: Callable[[TaskResult], Record]) -> tuple[Record, str]:
    """Turn what a worker sent into a record and poses; `failure` makes the record where it could not."""
    cost = Cost(round(result.cpu_s, 4), round(result.wall_s, 4), result.uss_bytes)
    if not isinstance(result.value, MoleculeResult):
        return replace(failure(result), cost=cost), ""
    record = result.value.record
    return replace(record, cost=replace(cost, stages=record.cost.stages)), result.value.sdf
