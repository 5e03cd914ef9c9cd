"""Puts a report together: its figures, its table of targets, and what there is to look at of each."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from templ.errors import InputError
from templ.evaluation.summary import HEADLINE
from templ.report.collect import cover_of, outcome_of, read_results
from templ.report.page import MISSING, pack, render, write_page
from templ.report.plots import draw_plots
from templ.report.structures import Structures

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from templ.report.collect import Results

VIEWER_PACKAGE, VIEWER_FILE = "chemiscope", "sphinx/static/chemiscope.min.js"
"""Carries 3Dmol.js (N. Rego, D. Koes, Bioinformatics 31 (2015) 1322), which no package has by itself."""
STRUCTURE_BYTES = 6_500_000
"""Of structures in a page: some 400 targets. With the viewer (1.3 MB) and the table it stays under 10 MB."""

COLUMNS: tuple[tuple[str, str, int | None, Callable[[Mapping[str, Any]], Any]], ...] = (
    ("target", "", None, lambda record: record["id"]),
    ("group", "", None, lambda record: record["group"]),
    ("outcome", "", None, outcome_of),
    ("RMSD", "of the first pose, Å", 2, lambda record: record["rmsd"][0] if record["rmsd"] else None),
    ("best", "RMSD of the best of 5, Å", 2, lambda record: min(record["rmsd"]) if record["rmsd"] else None),
    ("confidence", "that the first pose is within 2 Å", 2, lambda record: _first(record.get("confidence"))),
    ("valid", "PoseBusters checks that the first pose fails", None, lambda record: _validity(record)),
    ("Tanimoto", "of the nearest template", 2, lambda record: record.get("tanimoto")),
    ("identity", "of the nearest receptor's sequence", 2, lambda record: record.get("identity")),
    ("cover", "share of the query's atoms copied", 2, cover_of),
    ("atoms", "heavy atoms", 0, lambda record: record.get("query_atoms")),
    ("rotors", "bonds that turn", 0, lambda record: record.get("rotors")),
    ("way", "how the first pose was placed", None, lambda record: record["way"]),
    ("template", "that the first pose was copied from", None, lambda record: record["template"]),
    ("CPU", "seconds", 2, lambda record: record["cost"].get("cpu_s")),
    ("memory", "peak private memory, MB", 0, lambda record: _megabytes(record["cost"].get("uss_bytes"))),
)
"""Name, what it is, decimals (None: text), and how a record says it."""


def write_report(
    source: Path, out: Path, *, libraries: Sequence[Path] = (), receptor: Path | None = None
) -> list[str]:
    """Write the page of a run, or of the poses of a prediction.

    Parameters
    ----------
    source : Path
        Folder of a run, finished or not, or the SDF file that `templ predict` wrote.
    out : Path
        The page.
    libraries, receptor :
        See `Structures`.

    Returns
    -------
    list of str
        What the page cannot show, and what to do about it.

    Raises
    ------
    InputError
        When `source` is neither, cannot be read, or a package that pages need is not installed.
    StorageError
        When the disk refuses.
    """
    viewer = pack(read_viewer())
    results = read_results(source)
    structures = Structures(results, libraries, receptor)
    plots = draw_plots(results)
    kept, which = keep_structures(results.records, structures)
    notes = [*results.notes, *structures.notes]
    outcomes = Counter(map(outcome_of, results.records))
    text = render(
        "report.html.j2",
        results=results,
        title=results.manifest.benchmark if results.manifest else source.name,
        headline=HEADLINE,
        posed=sum(record["status"] == "posed" for record in results.records),
        notes=notes,
        outcomes=sorted(outcomes.items(), key=lambda item: _OUTCOMES.get(item[0].partition(":")[0], 0)),
        plots=plots,
        command=shlex.join(["templ", *results.manifest.command[1:]]) if results.manifest else "",
        table=pack(json.dumps(table_of(results))),
        kept=kept,
        which=which,
        viewer=viewer,
    )
    write_page(out, text)
    return notes


def read_viewer() -> str:
    """Read the script of the 3D viewer out of the package that has it.

    Raises
    ------
    InputError
        When it is not installed.
    """
    package = find_spec(VIEWER_PACKAGE)
    if package is None or package.origin is None:
        raise InputError(MISSING.format(package=VIEWER_PACKAGE))
    path = Path(package.origin).parent / VIEWER_FILE
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}): pip install --force-reinstall 'templ-pose[report]'"
        ) from None


def table_of(results: Results) -> dict[str, Any]:
    """Columns that any target has something in, and for each target their values and what else is known."""
    values = [[value_of(record) for *_, value_of in COLUMNS] for record in results.records]
    used = [place for place in range(len(COLUMNS)) if any(row[place] not in (None, "") for row in values)]
    return {
        "columns": [dict(zip(("name", "about", "decimals"), COLUMNS[place], strict=False)) for place in used],
        "rows": [[row[place] for place in used] for row in values],
        "details": [_details(record) for record in results.records],
    }


def keep_structures(
    records: Sequence[Mapping[str, Any]], structures: Structures, most: int = STRUCTURE_BYTES
) -> tuple[dict[int, str], str]:
    """Pack what there is to look at, of the targets that matter most, until `most` bytes are full.

    Returns
    -------
    kept : dict of int to str
        By place in `records`.
    which : str
        A sentence about those that were kept; empty when all were.
    """
    kept: dict[int, str] = {}
    size = 0
    for place in sorted(range(len(records)), key=lambda place: _importance(records[place])):
        packed = pack(json.dumps(structures.of(records[place])))
        size += len(packed)
        if size > most:
            break
        kept[place] = packed
    else:
        return kept, ""
    return kept, (
        f"Structures are kept for {len(kept):,} of {len(records):,} targets: first those that failed, then "
        f"those whose first pose is farther than {HEADLINE:g} A from the crystal, the farthest first, then "
        "the refused, then the others."
    )


def _importance(record: Mapping[str, Any]) -> tuple[int, float]:
    """Sort key: what a reader will want to look at comes first."""
    first = record["rmsd"][0] if record["rmsd"] else 0.0
    if record["status"] == "failed":
        return 0, 0.0
    if first > HEADLINE:
        return 1, -first
    return (2 if record["status"] == "refused" else 3), -first


_OUTCOMES = {"failed": 3, "refused": 2, f"farther than {HEADLINE:g} A": 1}
"""Order of outcomes; the good ones first."""


def _details(record: Mapping[str, Any]) -> dict[str, Any]:
    """What the row of a target tells once it is opened, beyond the columns."""
    fields = (
        "detail",
        "stage",
        "notes",
        "rmsd",
        "scores",
        "confidence",
        "superposition",
        "templates_allowed",
    )
    told = {name: record[name] for name in (*fields, "prospect", "validity") if record.get(name)}
    if stages := record["cost"].get("stages"):
        told["stages"] = stages
    return told


def _first(values: Sequence[float] | None) -> float | None:
    return values[0] if values else None


def _validity(record: Mapping[str, Any]) -> str | None:
    failed = record.get("validity")
    if failed is None:
        return None
    return f"fails {len(failed)}" if failed else "valid"


def _megabytes(value: int | None) -> float | None:
    return None if value is None else value / 1e6
