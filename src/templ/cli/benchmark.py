"""``templ benchmark``: run a benchmark and read what a run achieved."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from templ.cli.options import (
    FAILURES,
    LARGEST_SEED,
    MEMORY,
    RECYCLE,
    WORKERS,
    parse_memory,
    parse_workers,
    progress,
    say,
)
from templ.errors import InputError

if TYPE_CHECKING:
    from templ.evaluation.summary import Summary

app = typer.Typer(help="Run benchmarks, resume them, and summarise runs.", no_args_is_help=True)


@app.command()
def run(
    benchmark: str = typer.Argument(..., help="demo, polaris, or the TOML file of a benchmark."),
    out: Path | None = typer.Option(None, "-o", "--out", help="Run folder; by default runs/NAME."),
    data: Path | None = typer.Option(None, "--data", help="Folder with the files of polaris."),
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
    shard: str | None = typer.Option(
        None, "--shard", help="I/N: do only the I-th of N shares of the targets; `merge` joins them."
    ),
    max_failures: int = FAILURES,
) -> None:
    """Predict every target of a benchmark; the same command again goes on where a run was stopped."""
    from templ.benchmark.builtin import find_benchmark
    from templ.benchmark.run import run_benchmark
    from templ.settings import RunSettings

    make = find_benchmark(benchmark, data)
    folder = out or Path("runs") / Path(benchmark).stem
    settings = RunSettings(
        workers=parse_workers(workers),
        memory=parse_memory(memory),
        recycle_after=recycle_after,
        max_failures=max_failures,
    )
    with progress(Path(benchmark).stem) as show:
        summary = run_benchmark(
            make,
            folder,
            settings,
            prediction={} if seed is None else {"seed": seed},
            only=None if targets is None else read_ids(targets),
            limit=limit,
            shard=None if shard is None else parse_shard(shard),
            on_start=lambda started: say("\n".join(started)),
            on_progress=lambda state: show(state.done, state.total, str(state)),
        )
    _print_summary(summary, folder)
    if sum(summary.failed.values()) > max_failures:
        raise typer.Exit(1)


@app.command()
def summary(run: Path = typer.Argument(..., help="A run folder.")) -> None:
    """Print what a run has achieved so far, and write summary.json and summary.md into it."""
    from templ.benchmark.run import write_summary
    from templ.runlog.manifest import read_manifest

    written = write_summary(run)
    _print_summary(written, run)
    manifest = read_manifest(run)
    if manifest.finished is None:
        say(f"{run} is not finished: {written.overall.attempted} of {manifest.targets} targets are done")


@app.command()
def merge(
    out: Path = typer.Argument(..., help="The run to make; must be absent or empty."),
    runs: list[Path] = typer.Argument(..., help="Finished runs, one of each shard."),
) -> None:
    """Join the shards of a run into one."""
    from templ.benchmark.merge import merge_runs

    _print_summary(merge_runs(out, runs), out)


@app.command()
def profile(run: Path = typer.Argument(..., help="A run folder.")) -> None:
    """Print what a run took of memory and how fast it went, and draw both over time (RUN/profile.png)."""
    from templ.benchmark.profile import draw_profile, profile_run

    for name, value in profile_run(run).items():
        typer.echo(f"{name:<28} {value}")
    say(f"written: {draw_profile(run)}")


def parse_shard(text: str) -> tuple[int, int]:
    """Read ``--shard``.

    Raises
    ------
    InputError
        When it is not I/N.
    """
    index, mark, count = text.partition("/")
    if not (mark and index.isdecimal() and count.isdecimal()):
        raise InputError(f"--shard {text}: expected I/N, such as 1/4")
    return int(index), int(count)


def read_ids(path: Path) -> list[str]:
    """Read ids, one a line; blank lines and those beginning with # are skipped.

    Raises
    ------
    InputError
        When the file cannot be read, is not text, or holds no id.
    """
    from templ.sources.files import check_input, open_input

    check_input(path, "a list of target ids")
    with open_input(path) as stream:
        try:
            lines = [line.strip() for line in stream.read().decode().splitlines()]
        except UnicodeDecodeError:
            raise InputError(f"{path} is not UTF-8 text; expected one target id a line") from None
    ids = [line for line in lines if line and not line.startswith("#")]
    if not ids:
        raise InputError(f"{path} holds no ids; expected one target id a line")
    return ids


def _print_summary(summary: Summary, folder: Path) -> None:
    from templ.evaluation.summary import to_markdown

    typer.echo(to_markdown(summary))
    say(f"written: {folder / 'summary.md'}, {folder / 'summary.json'}, {folder / 'results.jsonl'}")
