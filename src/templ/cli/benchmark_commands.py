"""``templ benchmark``: run a benchmark and read what a run achieved."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from templ.cli.options import (
    FAILURES,
    JOIN,
    LARGEST_SEED,
    MEMORY,
    NUMBER,
    ON,
    QUIET,
    RECYCLE,
    RETRY,
    RUN,
    WORKERS,
    parse_memory,
    parse_workers,
    progress,
    run_folders,
    say,
)
from templ.cli.science import CONFIG, JSON, SET, changed, read_science
from templ.errors import InputError, RunError

if TYPE_CHECKING:
    from templ.evaluation.summary import Summary

STILL_RUNNING = 4
"""Exit code of `status`."""
BOTH = "both"
"""For ``--receptor``: a run in own receptors, and beside it one in those of other crystals."""
app = typer.Typer(help="Run benchmarks, resume them, and summarise runs.", no_args_is_help=True)


@app.command()
def run(
    benchmark: str = typer.Argument(
        ..., help="demo, demo-mpro, polaris, loo, cross, timesplit, or a TOML file."
    ),
    out: Path | None = typer.Option(None, "-o", "--out", help="Run folder; by default runs/NAME."),
    data: Path | None = typer.Option(None, "--data", help="Folder with the files of polaris."),
    library: Path | None = typer.Option(None, "--library", help="Complexes for loo, cross and timesplit."),
    splits: Path | None = typer.Option(None, "--splits", help="Folder with the id lists of timesplit."),
    split: str | None = typer.Option(None, "--split", help="timesplit: train, val, test (default) or all."),
    rule: str | None = typer.Option(
        None, "--rule", help="timesplit: templates by split (default), date, both."
    ),
    exclude_same_ligand: bool | None = typer.Option(
        None, "--exclude-same-ligand", help="timesplit: no template with the target's own ligand."
    ),
    max_identity: float | None = typer.Option(
        None,
        "--max-identity",
        min=0,
        max=1,
        help="loo, cross, timesplit: no receptor more alike in sequence.",
    ),
    receptor: str | None = typer.Option(
        None,
        "--receptor",
        help="What each target is posed in: own (its own crystal's; default), nearest (of the other crystal "
        "with the most similar ligand; cross is loo with it), both (one run after the other, shown side by "
        "side), none (templates only), or a PDB or mmCIF file.",
    ),
    dry_run: bool = typer.Option(
        False, "--dry-run", help="Check the data and plan the run; predict nothing."
    ),
    workers: str = WORKERS,
    memory: str | None = MEMORY,
    recycle_after: int = RECYCLE,
    limit: int | None = typer.Option(None, "--limit", min=1, help="Only the first so many targets."),
    targets: Path | None = typer.Option(
        None, "--targets", help="File of target ids, one a line: only these."
    ),
    seed: int | None = typer.Option(
        None, "--seed", min=0, max=LARGEST_SEED, help="Of the conformers: same seed, same poses."
    ),
    min_confidence: float | None = typer.Option(
        None, "--min-confidence", min=0, max=1, help="Refuse where the best pose is less likely right."
    ),
    validity: bool = typer.Option(
        False, "--validity", help="Check every first pose by PoseBusters, about half a second each."
    ),
    site: str = typer.Option(
        "none", "--site", help="own: the pocket of each target's own ligand is known; none: it is not."
    ),
    shard: str | None = typer.Option(
        None, "--shard", help="I/N: do only the I-th of N shares of the targets; `merge` joins them."
    ),
    retry_failed: bool = RETRY,
    on: str = ON,
    join: bool = JOIN,
    max_failures: int = FAILURES,
    pairs: list[str] = SET,
    config: Path | None = CONFIG,
    as_json: bool = JSON,
    quiet: bool = QUIET,
) -> None:
    """Predict every target of a benchmark. The same command again goes on where a run was stopped."""
    from templ.benchmark.builtin import find_benchmark
    from templ.benchmark.runner import RunOptions, run_benchmark, write_summary
    from templ.evaluation.both_receptors import folder_of
    from templ.runs.run_folder import hold_run_folder
    from templ.settings import RunSettings
    from templ.sources.split_lists import read_ids
    from templ.templates.target_receptor import NEAREST, OWN

    told: dict[str, object] = {"data": data, "library": library, "splits": splits, "split": split}
    told |= {"rule": rule, "exclude_same_ligand": exclude_same_ligand, "max_identity": max_identity}
    folder = out or Path("runs") / Path(benchmark).stem
    receptors = {folder: receptor}
    if receptor == BOTH:
        receptors = {folder_of(folder, whose): whose for whose in (OWN, NEAREST)}
    sources = {path: find_benchmark(benchmark, receptor=whose, **told) for path, whose in receptors.items()}
    machine = RunSettings(
        workers=parse_workers(workers),
        memory=parse_memory(memory),
        recycle_after=recycle_after,
        retry_failed=retry_failed,
        on=on,
        join=join,
        max_failures=max_failures,
    )
    chosen = {"seed": seed, "min_confidence": min_confidence}
    given = {name: value for name, value in chosen.items() if value is not None}
    options = RunOptions(
        prediction=read_science(pairs, config, given),
        validity=validity,
        site=parse_own_site(site),
        only=None if targets is None else read_ids(targets),
        limit=limit,
        shard=None if shard is None else parse_shard(shard),
        dry_run=dry_run,
    )
    failed, begun = 0, set[Path]()
    for path, source in sources.items():
        with progress(Path(benchmark).stem) as show:
            summary = run_benchmark(
                source,
                path,
                machine,
                options,
                on_start=partial(_say_start, path, begun),
                on_progress=lambda state: show(state.done, state.total, str(state)),
            )
        if summary is None:
            say(f"planned only: the same command without --dry-run runs it in {path}")
            continue
        _print_end(summary, path, as_json=as_json, quiet=quiet)
        failed = max(failed, sum(summary.failed.values()))
    if receptor == BOTH and not dry_run:  # now there is a run beside it
        first = next(iter(sources))
        with hold_run_folder(first, say if join else None):
            write_summary(first)
    if failed > max_failures:
        raise typer.Exit(1)


@app.command()
def summary(run: Path = RUN, as_json: bool = JSON) -> None:
    """Print what a run has achieved so far. Summary.json and summary.md are written into it too."""
    from templ.benchmark.runner import write_summary
    from templ.runs.manifest import read_manifest

    written = write_summary(run)
    if as_json:
        _print_end(written, run, as_json=True)
    else:
        from templ.evaluation.markdown import to_markdown

        typer.echo(to_markdown(written))
        say(f"written: {run / 'summary.md'}, {run / 'summary.json'}, {run / 'results.jsonl'}")
    manifest = read_manifest(run)
    if manifest.finished is None:
        say(f"{run} is not finished: {written.overall.attempted} of {manifest.targets} targets are done")


@app.command()
def status(
    runs: list[Path] = typer.Argument(
        ..., help="Run folders, such as all shards of a run.", callback=run_folders
    ),
    as_json: bool = JSON,
) -> None:
    """Print how far runs are, and what is left.

    They may be running. Ends with 0 where all are finished, 1 where one was stopped before its end, and 4
    where all others are finished or running.
    """
    from templ.benchmark.run_status import status_of, to_text

    found = [status_of(run) for run in runs]
    if as_json:
        plain = [asdict(one) | {"path": str(one.path), "seconds_left": one.seconds_left} for one in found]
        typer.echo(json.dumps(plain, indent=1))
    else:
        for line in to_text(found):
            typer.echo(line)
    states = {status.state for status in found}
    if states != {"finished"}:
        raise typer.Exit(1 if "stopped" in states else STILL_RUNNING)


@app.command()
def verify(run: Path = RUN) -> None:
    """Compare the records and poses of a run with their checksums."""
    from templ.evaluation.run import load_run

    loaded, damaged = load_run(run), 0
    for damaged, sentence in enumerate(loaded.damage(), 1):  # noqa: B007  the last one is how many
        typer.echo(sentence)
    if damaged:
        raise RunError(
            f"{run}: {damaged} records or poses are damaged or missing; start the command of the run again: "
            "these are done again, and no others"
        )
    typer.echo(f"{run}: {len(loaded)} records, all checksums agree")


@app.command()
def merge(
    out: Path = typer.Argument(..., help="The run to make; must be absent or empty."),
    runs: list[Path] = typer.Argument(..., help="Finished runs, one of each shard."),
) -> None:
    """Join the shards of a run into one."""
    from templ.benchmark.merge import merge_runs

    _print_end(merge_runs(out, runs), out)


@app.command()
def profile(run: Path = RUN) -> None:
    """Print what a run took of time and memory. Both are drawn over time too (RUN/profile.png)."""
    from templ.benchmark.memory_profile import draw_profile, profile_run

    for name, value in profile_run(run).items():
        typer.echo(f"{name:<28} {value}")
    say(f"written: {draw_profile(run)}")


@app.command()
def compare(
    run_a: Path = typer.Argument(..., help="Run folder of a benchmark."),
    run_b: Path = typer.Argument(..., help="One over the same crystals."),
    out: Path | None = typer.Option(None, "-o", "--out", help="Write a page too, NAME.html."),
) -> None:
    """Say whether one run is better than the other. Target by target, and with what each took."""
    from templ.benchmark.compare_runs import compare_runs, to_markdown

    if out is not None and out.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"-o {out}: expected a name that ends in .html")
    compared = compare_runs(run_a, run_b)
    typer.echo(to_markdown(compared))
    if out is not None:
        from templ.report.comparison_page import comparison_page
        from templ.report.html_page import write_page

        write_page(out, comparison_page(compared))
        say(f"written: {out}")


def parse_own_site(text: str) -> Literal["own", "none"]:
    """Read ``--site`` of a benchmark; `InputError` when it is neither."""
    if text == "own":
        return "own"
    if text == "none":
        return "none"
    raise InputError(f"--site {text}: expected own or none")


def parse_shard(text: str) -> tuple[int, int]:
    """Read ``--shard``; `InputError` when it is not I/N."""
    found = re.fullmatch(f"({NUMBER})/({NUMBER})", text)
    if found is None or not int(found[2]):
        raise InputError(f"--shard {text}: expected I/N, such as 1/4")
    return int(found[1]), int(found[2])


def _say_start(folder: Path, begun: set[Path], started: list[str]) -> None:
    """Say what there is to know about data and machine, and first which settings are not the default."""
    from templ.runs.manifest import MANIFEST_NAME, read_manifest
    from templ.settings import PredictionSettings

    # Who joins a run that another process is just making has to wait for it, and says so.
    if folder not in begun and (folder / MANIFEST_NAME).exists():
        begun.add(folder)
        settings = PredictionSettings.model_validate(read_manifest(folder).identity.settings)
        started = [*changed(settings), *started]
    say("\n".join(started))


def _print_end(summary: Summary, folder: Path, *, as_json: bool = False, quiet: bool = False) -> None:
    """Print what a run came to, in five lines or as JSON."""
    from templ.evaluation.headline import five_lines

    if as_json:
        typer.echo(json.dumps({"run": str(folder)} | summary.to_dict(), indent=1))
    elif not quiet:
        typer.echo("\n".join(five_lines(summary, folder)))
