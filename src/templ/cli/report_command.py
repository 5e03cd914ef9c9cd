"""``templ report``: a page to read, of a run or of predicted poses."""

from __future__ import annotations

from pathlib import Path

import typer

from templ.cli.options import say
from templ.errors import InputError


def report(
    run: Path = typer.Argument(..., help="A run folder, or the poses.sdf that predict wrote."),
    out: Path | None = typer.Option(
        None, "-o", "--out", help="The page; by default report.html in the run folder, or beside the poses."
    ),
    library: list[Path] = typer.Option([], "--library", "-l", help="Library of the run, where it was moved."),
) -> None:
    """Write one HTML page that shows what a run did. Figures, every target, drawings and poses in 3D."""
    from templ.report.run_report import write_report

    page = out or (run / "report.html" if run.is_dir() else run.with_suffix(".html"))
    if page.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"-o {page}: expected a name that ends in .html")
    for note in write_report(run, page, libraries=library):
        say(note)
    say(f"written: {page} ({page.stat().st_size / 1e6:.1f} MB)")
