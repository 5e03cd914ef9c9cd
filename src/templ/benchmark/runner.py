"""Runs a benchmark in a folder: streams results to disk, resumes, and puts the finished run in order."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from templ.benchmark.definition import NONE, WHOSE, Benchmark, BenchmarkSource, TargetList, list_targets
from templ.chemistry.receptor import check_protein
from templ.chemistry.receptor_file import read_receptor
from templ.disk import replacing
from templ.engine.executor import TaskResult, Work, choose_executor
from templ.errors import InputError
from templ.evaluation.both_receptors import in_both_receptors
from templ.evaluation.markdown import to_markdown
from templ.evaluation.run import load_run
from templ.evaluation.summary import Summary
from templ.evaluation.validity import PACKAGE, require_posebusters
from templ.jobs.joining import record_run
from templ.jobs.recording import Progress
from templ.jobs.target import FUNCTION, PRELOAD, target_of
from templ.library.store import open_library
from templ.records import Outcome
from templ.runs.identity import Identity, list_digest, software_here
from templ.runs.manifest import RunManifest, start_run
from templ.runs.record import Record
from templ.runs.run_folder import INPUTS_FOLDER, hold_run_folder
from templ.settings import RunSettings
from templ.sources.files import STRUCTURE, file_digest
from templ.templates.target_receptor import NEAREST, OWN

SUMMARY_JSON, SUMMARY_MARKDOWN = "summary.json", "summary.md"


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What of a benchmark is run, and how.

    Attributes
    ----------
    prediction : Mapping
        Settings of the prediction that replace the benchmark's.
    validity : bool
        Check the first pose of each target by PoseBusters, in the receptor it was predicted in.
    site : {"own", "none"}
        Whether each target's pocket is known, as docking benchmarks give it (the middle of its own ligand in
        its own receptor), or has to be found. Matters where each target has its own receptor.
    only : iterable of str, optional
        Run just these targets, in the benchmark's order.
    limit : int, optional
        Run the first so many.
    shard : tuple of (int, int), optional
        ``(i, n)``: do only the i-th of n shares of the targets (from 1); see `templ.benchmark.merge`.
    dry_run : bool
        Stop once the run is planned: data checked, targets listed, the folder begun, nothing predicted.
    """

    prediction: Mapping[str, Any] = field(default_factory=dict)
    validity: bool = False
    site: Literal["own", "none"] = "none"
    only: Iterable[str] | None = None
    limit: int | None = None
    shard: tuple[int, int] | None = None
    dry_run: bool = False


def run_benchmark(
    source: BenchmarkSource,
    folder: str | Path,
    machine: RunSettings | None = None,
    options: RunOptions | None = None,
    *,
    on_start: Callable[[list[str]], None] = lambda lines: None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Summary | None:
    """Run a benchmark in `folder`, or go on with the run that is there.

    Parameters
    ----------
    source : BenchmarkSource
        What makes the benchmark: of a name or a TOML file that is `templ.find_benchmark`.
    folder : str or Path
        The run.
    machine : RunSettings, optional
        Workers, memory, deadlines; they may differ when a run is resumed.
    options : RunOptions, optional
        What of the benchmark is run, and how.
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
    if isinstance(source, (str, Path)):
        raise InputError(
            f"benchmark {source}: expected templ.find_benchmark({str(source)!r}), which finds it"
        )
    folder, machine, options = Path(folder), machine or RunSettings(), options or RunOptions()
    if options.validity:
        require_posebusters()
    if machine.join and options.shard:
        raise InputError("--shard and --join: either shards, or processes that join one run")

    def tell(line: str) -> None:
        on_start([line])

    with ExitStack() as held:
        held.enter_context(hold_run_folder(folder, tell if machine.join else None))
        benchmark = source.make(folder / INPUTS_FOLDER)
        listed = list_targets(benchmark, only=options.only, limit=options.limit)
        manifest = _manifest(benchmark, listed, machine, options)
        executor = choose_executor(machine, manifest.targets)
        manifest = start_run(folder, manifest)
        on_start([*benchmark.notes, *_missing_note(listed), str(executor)])
        if options.dry_run:
            on_start([f"{manifest.targets} targets, {len(load_run(folder))} of them done"])
            return None
        with open_library(benchmark.targets) as targets:

            def failure(result: TaskResult) -> Record:
                index, id = json.loads(result.task)
                target = target_of(targets.entry(targets.row_of(id)))
                outcome = Outcome(id, "failed", result.kind, result.detail)
                return Record.of(outcome, target, index, stage=result.stage)

            record_run(
                folder,
                held,
                manifest,
                executor,
                _work(benchmark, manifest.identity),
                lambda order: _tasks(listed, order),
                failure,
                on_progress,
                machine=machine,
                on_start=tell,
            )
        return write_summary(folder)


def shard_order(targets: int, index: int, count: int) -> range:
    """Positions of every `count`-th target, beginning with the `index`-th (from 1).

    Raises
    ------
    InputError
        When there is no such shard, or it would be empty.

    Examples
    --------
    >>> list(shard_order(3, 1, 2))
    [0, 2]
    """
    if not 1 <= index <= count:
        raise InputError(f"there is no shard {index}/{count}; expected 1/{count} to {count}/{count}")
    order = range(index - 1, targets, count)
    if not order:
        raise InputError(f"shard {index}/{count} is empty: there are only {targets} targets")
    return order


def write_summary(folder: str | Path) -> Summary:
    """Summarise what a run has recorded so far, and write that into its folder.

    Raises
    ------
    RunError
        When the folder is no run, or nothing is recorded yet.
    """
    folder = Path(folder)
    run = load_run(folder)
    summary = run.summary
    summary = replace(summary, both_receptors=in_both_receptors(run, summary))
    with replacing(folder / SUMMARY_JSON) as file:
        file.write(json.dumps(summary.to_dict(), indent=1).encode() + b"\n")
    with replacing(folder / SUMMARY_MARKDOWN) as file:
        file.write(to_markdown(summary).encode())
    return summary


def _work(benchmark: Benchmark, identity: Identity) -> Work:
    """What the workers of a run are told."""
    context = {
        "library": str(Path(benchmark.library).absolute()),
        "targets": str(Path(benchmark.targets).absolute()),
        "splits": None if benchmark.splits is None else str(Path(benchmark.splits).absolute()),
        "digests": [identity.library, identity.truth],
        "rule": identity.rule,
        "settings": identity.settings,
        "validity": bool(identity.validity),
        "site": identity.site,
        "receptor": _whose(benchmark),
        "software": software_here(),
    }
    return Work(FUNCTION, context, (*PRELOAD, PACKAGE) if identity.validity else PRELOAD)


def _whose(benchmark: Benchmark) -> str:
    """Whose receptor a worker takes: own, nearest, or a path."""
    if benchmark.receptor != NONE:
        return str(benchmark.receptor if benchmark.receptor in WHOSE else Path(benchmark.receptor).absolute())
    with open_library(benchmark.library) as library:  # where each has a frame, poses need that of a crystal
        return NEAREST if library.has_receptors else OWN


def _tasks(listed: TargetList, order: range) -> Iterator[tuple[int, str]]:
    """References to the targets, the most costly first: none of those is left for the end of the run."""
    ids = list(listed.sizes)
    for index in sorted(order, key=lambda index: -listed.sizes[ids[index]]):
        yield index, json.dumps([index, ids[index]])


def _missing_note(listed: TargetList) -> list[str]:
    if not listed.missing:
        return []
    some = ", ".join(listed.missing[:5]) + (", ..." if len(listed.missing) > 5 else "")
    total = len(listed.missing) + len(listed.sizes)
    return [f"{len(listed.missing)} of {total} targets listed are not in the library: {some}"]


def _manifest(
    benchmark: Benchmark, listed: TargetList, machine: RunSettings, options: RunOptions
) -> RunManifest:
    with open_library(benchmark.library) as library, open_library(benchmark.targets) as truth:
        for opened in {benchmark.library: library, benchmark.targets: truth}.values():
            opened.verify()
        digest, truth_digest = library.digest, truth.digest
        if options.site == "own" and not library.has_receptors:
            raise InputError(
                f"{benchmark.library} has one frame, and all know the site: leave out --site own"
            )
        if options.site == "own" and benchmark.receptor != OWN:
            raise InputError(
                f"--site own is the pocket of each target's own receptor: leave it out, or --receptor "
                f"{benchmark.receptor}"
            )
        if benchmark.receptor == NEAREST and not library.has_receptors:
            raise InputError(f"{benchmark.library} has no receptors to choose from: leave out --receptor")
    changes = dict(options.prediction)
    if benchmark.receptor == NONE:
        changes["use_receptor"] = False
    science = benchmark.settings.model_copy(update=changes)
    file = None if benchmark.receptor in WHOSE else Path(benchmark.receptor).absolute()
    if file is not None:
        if not file.exists():
            expected = f"{', '.join(WHOSE)} or a structure file"
            raise InputError(f"--receptor {benchmark.receptor}: no such file; expected {expected}")
        check_protein(read_receptor(file), str(benchmark.receptor))
    identity = Identity(
        settings=science.model_dump(mode="json"),
        rule=benchmark.rule.to_json(),
        library=digest,
        targets=list_digest(listed.sizes),
        truth=truth_digest,
        receptor=str(benchmark.receptor) if file is None else file_digest(file, STRUCTURE),
        validity=f"PoseBusters {version(PACKAGE)}" if options.validity else "",
        site="" if options.site == "none" else options.site,
    )
    targets = len(listed.sizes)
    return RunManifest(
        name=benchmark.name,
        identity=identity,
        digest=identity.digest,
        run_settings=machine.model_dump(mode="json"),
        library=str(benchmark.library),
        truth=str(benchmark.targets),
        receptors=[] if file is None else [str(file)],
        targets=len(shard_order(targets, *options.shard)) if options.shard else targets,
        missing=list(listed.missing),
        notes=list(benchmark.notes),
        shard=options.shard,
    )
