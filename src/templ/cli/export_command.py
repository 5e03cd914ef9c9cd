"""``templ export``: a run for other programs to read."""

from __future__ import annotations

from pathlib import Path

import typer

from templ.cli.options import RUN, say
from templ.errors import InputError

SERIES = "series"
HINTS = {
    "posebusters": "cd {folder} && bust -t {table}",
    "pymol": "cd {folder} && pymol {table}",
    "chimerax": "cd {folder} && chimerax {table}",
    "plinder": "target ids are taken to be PLINDER's system ids",
}


def export(
    run: Path = RUN,
    format: str = typer.Option(
        ...,
        "--format",
        "-f",
        help="csv, parquet, plinder, posebusters or polaris: a table and poses; complex, pymol or chimerax: "
        "poses in their receptors, with a script that shows them; series: first poses in one frame with atom "
        "maps, for free energy calculations.",
    ),
    out: Path = typer.Option(..., "-o", "--out", help="Folder to make; must be absent or empty."),
    library: list[Path] = typer.Option(
        [], "--library", help="Where a library of the run is, if it was moved; may be given often."
    ),
) -> None:
    """Write poses and a table of them for other programs."""
    from templ.export.run_export import export_run
    from templ.export.series import export_series, told
    from templ.export.session_scripts import SESSIONS, export_session
    from templ.export.table_formats import FORMATS

    if format not in (*FORMATS, *SESSIONS, SERIES):
        raise InputError(f"'{format}' is no format; expected {', '.join([*FORMATS, *SESSIONS, SERIES])}")
    if format == SERIES:
        done = export_series(run, out, libraries=library)
        for line in told(done.table):
            say(line)
    elif format in SESSIONS:
        done = export_session(run, out, format, libraries=library)
    else:
        done = export_run(run, out, format, libraries=library)
    if done.targets < done.planned:
        say(f"{run} is not finished: {done.targets} of {done.planned} {done.molecules} are exported")
    if done.unposed:
        say(f"{done.unposed} of {done.targets} {done.molecules} have no pose")
    say(f"{done.poses} poses of {done.targets - done.unposed} {done.molecules}; written: {done.table}")
    if format in HINTS:
        say(HINTS[format].format(folder=out, table=done.table.name))
