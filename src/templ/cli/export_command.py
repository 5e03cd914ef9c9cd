"""``templ export``: a run for other programs to read."""

from __future__ import annotations

from pathlib import Path

import typer

from templ.cli.options import say

HINTS = {
    "posebusters": "cd {folder} && bust -t {table}",
    "plinder": "target ids are taken to be PLINDER's system ids",
}


def export(
    run: Path = typer.Argument(..., help="A run folder."),
    format: str = typer.Option(..., "--format", "-f", help="csv, parquet, plinder, posebusters or polaris."),
    out: Path = typer.Option(..., "-o", "--out", help="Folder to make; must be absent or empty."),
    library: list[Path] = typer.Option(
        [], "--library", help="Where a library of the run is, if it was moved; may be given often."
    ),
) -> None:
    """Write the poses of a run and a table of them as other programs want them."""
    from templ.export.run_export import export_run

    done = export_run(run, out, format, libraries=library)
    if done.targets < done.planned:
        say(f"{run} is not finished: {done.targets} of {done.planned} {done.molecules} are exported")
    if done.unposed:
        say(f"{done.unposed} of {done.targets} {done.molecules} have no pose")
    say(f"{done.poses} poses of {done.targets - done.unposed} {done.molecules}; written: {done.table}")
    if format in HINTS:
        say(HINTS[format].format(folder=out, table=done.table.name))
