"""``templ fetch``: structures from the PDB."""

from __future__ import annotations

from pathlib import Path

import typer

from templ.cli.options import FAILURES, progress, say


def fetch(
    ids: list[str] = typer.Argument(..., metavar="IDS...", help="PDB ids, such as 5R7Y."),
    out: Path = typer.Option(..., "-o", "--out", help="Folder for the files; made if need be."),
    mirror: str | None = typer.Option(
        None, "--mirror", help="Address of a folder with <id>.cif.gz, or of a file with {id} in it."
    ),
    max_failures: int = FAILURES,
) -> None:
    """Fetch structures from the PDB as mmCIF. What is in the folder already is not fetched again."""
    from templ.sources.fetch import RCSB, fetch_structures

    with progress("fetching") as show:
        faults = fetch_structures(
            ids, out, mirror=mirror or RCSB, on_progress=lambda done, total: show(done, total, "")
        )
    for id, fault in faults.items():
        say(f"{id}: {fault}")
    say(f"{len({id.strip().lower() for id in ids}) - len(faults)} structures are in {out}")
    if len(faults) > max_failures:
        raise typer.Exit(1)
