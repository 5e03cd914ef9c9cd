"""Does parts of a run together with other processes: each records its own, the last one merges them."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from templ.disk import make_folder
from templ.engine.executor import Executor, TaskResult, Work
from templ.errors import InputError, RunError
from templ.evaluation.run import load_run
from templ.jobs.keeping import keeping_poses
from templ.jobs.recording import Progress, Recording, record_all, record_of
from templ.runs import parts
from templ.runs.manifest import RunManifest, read_manifest, start_run
from templ.runs.memory_log import MEMORY_NAME, MemoryLog
from templ.runs.merging import merge_shards
from templ.runs.parts import Lease, Parts
from templ.runs.record import Record
from templ.runs.run_folder import PROCESSES_FOLDER, hold_run_folder, lock_run
from templ.settings import RunSettings

FAULTS_OF_LOST = (InputError, FileNotFoundError)
"""What can be in the way of writing to a part that others have taken over, finished and deleted."""
LOOK_EVERY_S = 1.0
"""Seconds between looks for a part that can be had, where others do all that are left."""


def record_run(
    folder: Path,
    held: contextlib.ExitStack,
    manifest: RunManifest,
    executor: Executor,
    work: Work,
    tasks_of: Callable[[range], Iterable[tuple[int, str]]],
    failure: Callable[[TaskResult], Record],
    on_progress: Callable[[Progress], None],
    *,
    machine: RunSettings,
    on_start: Callable[[str], None],
) -> None:
    """Do a run until it is in its final form: alone, or together with other processes that join it.

    Parameters
    ----------
    folder : Path
        The run, started.
    held : ExitStack
        Holds the run folder, before and after; while parts are done together it is left to the others.
    tasks_of : callable
        Tasks of the molecules at some positions of the run's list: position, and reference for a worker.
    machine : RunSettings
        `join` says whether together, `retry_failed` whether to do again what may have failed by the machine.
    manifest, executor, work, failure, on_progress, on_start
        As in `templ.jobs.recording.record_all`.

    Raises
    ------
    RunError
        When the run was begun in the other manner.
    StorageError
        When the disk refuses; what was recorded stays.
    """
    retry = machine.retry_failed
    if not machine.join:
        parts.refuse_joined(folder)
        with keeping_poses(folder, work, elsewhere=bool(machine.on)) as kept:
            record_all(
                folder,
                manifest,
                executor,
                kept,
                tasks_of(manifest.order),
                failure,
                on_progress,
                retry_failed=retry,
                on_start=on_start,
            )
        return
    if manifest.finished is None:
        parts.begin_parts(folder)
    merged = False
    with _Joined(folder, manifest, tasks_of, on_start, retry_failed=retry) as joined:
        while not merged:
            held.close()
            joined.do_parts(executor, work, failure, on_progress)
            held.enter_context(hold_run_folder(folder, on_start))
            merged = joined.merge()
    parts.remove_parts(folder)


class _Joined:
    """One of the processes that do a run together, and the parts that it does at the moment."""

    def __init__(
        self,
        folder: Path,
        manifest: RunManifest,
        tasks_of: Callable[[range], Iterable[tuple[int, str]]],
        on_start: Callable[[str], None],
        *,
        retry_failed: bool,
    ) -> None:
        owner = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._folder, self._manifest, self._tasks_of = folder, manifest, tasks_of
        self._on_start, self._retry_failed = on_start, retry_failed
        self._process = folder / PROCESSES_FOLDER / owner
        self._shared = Parts(folder, parts.count_parts(manifest.targets), owner)
        self._progress = Progress(manifest.targets)
        self._held: dict[int, tuple[Lease, Recording]] = {}
        self._over = threading.Event()
        self._renewing = threading.Thread(target=self._renew, daemon=True)

    def __enter__(self) -> Self:
        self._renewing.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop; others can go on with what this process has begun at once."""
        self._over.set()
        self._renewing.join()
        for lease, recording in self._held.values():
            recording.close()
            lease.give_up()

    def do_parts(
        self,
        executor: Executor,
        work: Work,
        failure: Callable[[TaskResult], Record],
        on_progress: Callable[[Progress], None],
    ) -> None:
        """Do parts until all are done, by whomever."""
        if self._all_finished():
            return
        make_folder(self._process)
        # The lock tells `status` that this process is there.
        with lock_run(self._process), MemoryLog(self._process / MEMORY_NAME) as memory:

            def on_memory(sample: Mapping[str, Any]) -> None:
                memory.add(sample)
                self._progress.see_memory(sample)

            while not self._all_finished():
                first = self._claim()
                on_progress(self._progress)
                if first is None:
                    time.sleep(LOOK_EVERY_S)
                    continue
                tasks = self._tasks(first)
                with contextlib.closing(executor.run(work, tasks, on_memory)) as results:
                    for result in results:
                        if self._add(*record_of(result, failure)):
                            on_progress(self._progress)

    def merge(self) -> bool:
        """Put the parts into the final form of the run, which is held; tell whether it is in it.

        Where a part is damaged, what is damaged of it is left to be done again.

        Raises
        ------
        RunError
            When records or poses cannot be read.
        StorageError
            When the disk refuses.
        """
        if read_manifest(self._folder).finished is not None:
            return True
        if not self._all_finished():  # another process has found damage
            return False
        attempts = list(parts.latest_attempts(self._folder).values())
        try:
            merge_shards(self._folder, attempts, self._manifest.targets)
        except RunError:
            damaged = [attempt for attempt in attempts if any(load_run(attempt).damage())]
            if not damaged:
                raise
            for attempt in damaged:
                self._on_start(f"{attempt} is damaged: what of it is damaged is done again")
                self._shared.begin_again(attempt)
            return False
        return True

    def _all_finished(self) -> bool:
        finished = read_manifest(self._folder).finished is not None
        return finished or len(self._shared.finished()) == self._shared.count

    def _claim(self) -> int | None:
        """Take a part and open its records; None where nothing is to be had at the moment."""
        claimed = None
        while claimed is None and (found := self._shared.claim(self._held)) is not None:
            part, lease, before = found
            if before:
                self._on_start(f"part {part} of {self._shared.count} is taken over from {before}")
            try:
                self._open(part, lease)
            except FAULTS_OF_LOST:
                if not lease.lost:
                    raise
                self._lose(part)
            if part in self._held:  # there is something left to do
                claimed = part
        self._progress.latest = None
        elsewhere = sum(self._size(part) for part in self._shared.finished())
        self._progress.done = elsewhere + sum(len(recording) for _, recording in self._held.values())
        return claimed

    def _tasks(self, part: int | None) -> Iterator[str]:
        """Yield the tasks of a part that was claimed, then of others, one after the other as workers ask."""
        while part is not None:
            held = self._held[part]
            _, recording = held
            for task in recording.waiting(self._tasks_of(recording.manifest.order)):
                if self._held.get(part) is not held:
                    break  # it was taken over by another process
                yield task
            part = self._claim()

    def _add(self, record: Record, sdf: str) -> bool:
        """Write a result down, unless the part it belongs to was taken over; tell whether it was written."""
        part = record.index % self._shared.count + 1
        if part not in self._held:
            return False
        lease, recording = self._held[part]
        if record.index in recording:  # from before this process lost the part, and got it back
            return False
        try:
            if not lease.lost:
                recording.add(record, sdf)
                self._finish_complete(part)
                return True
        except FAULTS_OF_LOST:
            if not lease.lost:
                raise
        self._lose(part)
        return False

    def _open(self, part: int, lease: Lease) -> None:
        """Open the records of a part; what an earlier attempt left of them is sorted out."""
        shard = (part, self._shared.count)
        manifest = self._manifest.model_copy(update={"shard": shard, "targets": self._size(part)})
        start_run(lease.folder, manifest)
        recording = Recording(lease.folder, manifest, self._progress, retry_failed=self._retry_failed)
        self._held[part] = lease, recording
        for note in recording.notes:
            self._on_start(note)
        self._finish_complete(part)

    def _size(self, part: int) -> int:
        return len(range(part - 1, self._manifest.targets, self._shared.count))

    def _lose(self, part: int) -> None:
        """Leave a part to the process that has taken it over."""
        self._on_start(
            f"part {part} of {self._shared.count} was taken over by another process, for this one gave no "
            "sign of life: its results from here are not taken"
        )
        if part in self._held:
            self._held.pop(part)[1].close()

    def _finish_complete(self, part: int) -> None:
        """Put a part into its final form if it is complete."""
        _, recording = self._held[part]
        if recording.complete:
            recording.finish()
            del self._held[part]

    def _renew(self) -> None:
        while not self._over.wait(parts.RENEW_S):
            for lease, _ in list(self._held.values()):
                lease.renew()
