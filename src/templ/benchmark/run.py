"""Runs a benchmark in a folder: streams results to disk, resumes, and puts the finished run in order."""

from __future__ import annotations

import contextlib
import json
import platform
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import psutil

from templ.benchmark.definition import list_targets, target_of
from templ.benchmark.work import FUNCTION, PRELOAD, TargetResult, failure
from templ.disk import replacing
from templ.engine import probe
from templ.engine.local import Limits, choose_limits, run_tasks
from templ.engine.plan import plan
from templ.engine.pool import Work
from templ.errors import InputError, RunError
from templ.evaluation.markdown import to_markdown
from templ.evaluation.summary import Summary, summarise
from templ.evaluation.validity import PACKAGE, require_posebusters
from templ.identity import identity_digest
from templ.library.store import open_library
from templ.runlog.finish import finish_run
from templ.runlog.journal import JOURNAL_NAME, Journal, read_records
from templ.runlog.manifest import (
    INPUTS_FOLDER,
    Host,
    RunManifest,
    hold_run_folder,
    mark_finished,
    read_manifest,
    software_versions,
    start_run,
)
from templ.runlog.memory import MEMORY_NAME, MemoryLog
from templ.runlog.poses import PoseAddress, PoseShards

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from templ.benchmark.definition import Benchmark, TargetList
    from templ.engine.worker import TaskResult
    from templ.library.store import Library
    from templ.settings import PredictionSettings, RunSettings

SUMMARY_JSON, SUMMARY_MARKDOWN = "summary.json", "summary.md"
RESULT_VERSIONS = ("templ", "rdkit", "numpy")
"""Software that decides the poses: a run is not resumed under another version of it."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is, told after each target.

    Attributes
    ----------
    done, total : int
        Targets with a record, and all.
    judged, within : int
        Targets but for those posed without a known crystal, and those whose first pose is within 2 Angstrom.
    failed : int
        Targets that a fault ended.
    """

    done: int
    total: int
    judged: int
    within: int
    failed: int

    def __str__(self) -> str:
        share = f"within 2 A so far: {self.within / self.judged:.0%}" if self.judged else ""
        return f"{share}, {self.failed} failed" if self.failed else share


def run_benchmark(
    make: Callable[[Path], Benchmark],
    folder: Path,
    settings: RunSettings,
    *,
    prediction: Mapping[str, Any] | None = None,
    validity: bool = False,
    only: Iterable[str] | None = None,
    limit: int | None = None,
    shard: tuple[int, int] | None = None,
    dry_run: bool = False,
    on_start: Callable[[list[str]], None] = lambda lines: None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Summary | None:
    """Run a benchmark in `folder`, or go on with the run that is there.

    Parameters
    ----------
    make : callable
        Makes the benchmark, given a folder for what it builds.
    folder : Path
        The run.
    settings : RunSettings
        Of the machine; they may differ when a run is resumed.
    prediction : Mapping, optional
        Settings of the prediction that replace the benchmark's.
    validity : bool
        Check the first pose of each target by PoseBusters, in the receptor it was predicted in.
    only, limit :
        See `list_targets`.
    shard : tuple of (int, int), optional
        ``(i, n)``: do only the i-th of n shares of the targets (from 1); see `templ.benchmark.merge`.
    dry_run : bool
        Stop once the run is planned: data checked, targets listed, the folder begun, nothing predicted.
    on_start, on_progress : callable
        Told what there is to know about data and machine, then how far the run is.

    Returns
    -------
    Summary or None
        Of the finished run, also written to ``summary.json`` and ``summary.md``; None when it was only
        planned.

    Raises
    ------
    RunError
        When the folder is no run, another run, or in use.
    InputError
        When the benchmark's data cannot be read, or PoseBusters is wanted and not there.
    StorageError
        When the disk refuses; what was recorded stays.
    """
    if validity:
        require_posebusters()
    with hold_run_folder(folder):
        benchmark = make(folder / INPUTS_FOLDER)
        science = benchmark.settings.model_copy(update=dict(prediction or {}))
        listed = list_targets(benchmark, only=only, limit=limit)
        sizes = listed.sizes
        manifest = _manifest(benchmark, science, settings, listed, validity=validity)
        if shard is not None:
            sizes = take_shard(sizes, *shard)
            manifest = manifest.model_copy(update={"shard": shard, "targets": len(sizes)})
        limits = choose_limits(settings, len(sizes))
        start_run(folder, manifest)
        on_start([*benchmark.notes, *_missing_note(listed), str(limits)])
        if dry_run:
            with Journal.open(folder / JOURNAL_NAME) as journal:
                on_start([f"{len(sizes)} targets, {len(journal.done)} of them done"])
            return None
        _record_all(benchmark, folder, manifest, science, limits, sizes, on_progress)
        finish_run(folder, list(sizes))
        mark_finished(folder)
        return write_summary(folder)


def take_shard(sizes: Mapping[str, int], index: int, count: int) -> dict[str, int]:
    """Every `count`-th target, beginning with the `index`-th (from 1).

    Raises
    ------
    InputError
        When there is no such shard, or it would be empty.

    Examples
    --------
    >>> take_shard({"a": 1, "b": 1, "c": 1}, 1, 2)
    {'a': 1, 'c': 1}
    """
    if not 1 <= index <= count:
        raise InputError(f"there is no shard {index}/{count}; expected 1/{count} to {count}/{count}")
    own = dict(list(sizes.items())[index - 1 :: count])
    if not own:
        raise InputError(f"shard {index}/{count} is empty: there are only {len(sizes)} targets")
    return own


def write_summary(folder: Path) -> Summary:
    """Summarise what a run has recorded so far, and write that into its folder.

    Raises
    ------
    RunError
        When the folder is no run, or nothing is recorded yet.
    """
    missing = len(read_manifest(folder).missing)
    if not (folder / JOURNAL_NAME).exists():
        raise RunError(f"{folder} has no results yet; start its benchmark again to go on")
    summary = summarise(read_records(folder / JOURNAL_NAME), missing=missing)
    with replacing(folder / SUMMARY_JSON) as file:
        file.write(json.dumps(summary.to_dict(), indent=1).encode() + b"\n")
    with replacing(folder / SUMMARY_MARKDOWN) as file:
        file.write(to_markdown(summary).encode())
    return summary


def _record_all(
    benchmark: Benchmark,
    folder: Path,
    manifest: RunManifest,
    science: PredictionSettings,
    limits: Limits,
    sizes: Mapping[str, int],
    on_progress: Callable[[Progress], None],
) -> None:
    """Do the targets without a record; each has its poses, then its record, on disk before it counts."""
    path = folder / JOURNAL_NAME
    validity = "validity" in manifest.settings
    work = Work(
        FUNCTION,
        {
            "library": str(benchmark.library),
            "targets": str(benchmark.targets),
            "splits": None if benchmark.splits is None else str(benchmark.splits),
            "digests": [manifest.library_digest, manifest.settings["truth"]],
            "rule": benchmark.rule.to_json(),
            "settings": science.model_dump(mode="json"),
            "validity": validity,
        },
        (*PRELOAD, PACKAGE) if validity else PRELOAD,
    )
    with (
        Journal.open(path) as journal,
        PoseShards(folder) as shards,
        MemoryLog(folder / MEMORY_NAME) as memory,
        open_library(benchmark.targets) as targets,
    ):
        known = filter(None, map(PoseAddress.of, read_records(path)))
        shards.discard_after(known)
        tally = _Tally(len(sizes))
        for record in read_records(path):
            tally.add(record)
        on_progress(tally.progress())
        results = run_tasks(work, plan(sizes, journal.done), limits, memory.add)
        with contextlib.closing(results):
            for result in results:
                record = _record(result, shards, targets)
                journal.append(record)
                tally.add(record)
                on_progress(tally.progress())


def _missing_note(listed: TargetList) -> list[str]:
    if not listed.missing:
        return []
    some = ", ".join(listed.missing[:5]) + (", ..." if len(listed.missing) > 5 else "")
    total = len(listed.missing) + len(listed.sizes)
    return [f"{len(listed.missing)} of {total} targets listed are not in the library: {some}"]


def _record(result: TaskResult, shards: PoseShards, targets: Library) -> dict[str, Any]:
    """Turn what a worker sent into a record; the poses go to disk first."""
    cost = {
        "cpu_s": round(result.cpu_s, 4),
        "wall_s": round(result.wall_s, 4),
        "uss_bytes": result.uss_bytes,
        "stages": {},
    }
    if not isinstance(result.value, TargetResult):
        entry = targets.entry(targets.row_of(result.task))
        record = failure(target_of(entry), result.kind, result.detail, result.stage)
        return record | {"poses": None, "cost": cost}
    value = result.value
    cost["stages"] = {name: round(seconds, 4) for name, seconds in value.stages.items()}
    poses = None
    if value.sdf:
        poses = asdict(shards.append(value.sdf)) | {"count": len(value.record["scores"])}
    return value.record | {"poses": poses, "cost": cost}


class _Tally:
    """Counts for the progress line."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = self.judged = self.within = self.failed = 0

    def add(self, record: Mapping[str, Any]) -> None:
        self.done += 1
        self.failed += record["status"] == "failed"
        self.judged += record["status"] != "posed" or record["rmsd"] is not None
        self.within += bool(record["rmsd"]) and record["rmsd"][0] <= 2.0

    def progress(self) -> Progress:
        return Progress(self.done, self.total, self.judged, self.within, self.failed)


def _manifest(
    benchmark: Benchmark,
    science: PredictionSettings,
    settings: RunSettings,
    listed: TargetList,
    *,
    validity: bool,
) -> RunManifest:
    with open_library(benchmark.library) as library, open_library(benchmark.targets) as truth:
        digest, truth_digest = library.digest, truth.digest
    versions = software_versions()
    science_json = science.model_dump(mode="json")
    science_json["truth"] = truth_digest
    science_json["versions"] = {name: versions[name] for name in RESULT_VERSIONS}
    if validity:
        science_json["validity"] = f"PoseBusters {version(PACKAGE)}"
    rule, targets = benchmark.rule.to_json(), list(listed.sizes)
    return RunManifest(
        benchmark=benchmark.name,
        settings=science_json,
        rule=rule,
        run_settings=settings.model_dump(mode="json"),
        identity=identity_digest(settings=science_json, library=digest, targets=targets, rule=rule),
        library_path=str(benchmark.library),
        library_digest=digest,
        versions=versions,
        host=Host(
            name=platform.node(),
            cores=probe.available_cores(),
            memory_bytes=int(psutil.virtual_memory().total),
            platform=platform.platform(),
        ),
        targets=len(targets),
        missing=list(listed.missing),
        command=sys.argv,
    )
