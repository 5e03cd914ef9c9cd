"""Puts a report together: its figures, its table of targets, and what there is to look at of each."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from templ.evaluation.markdown import WHOSE_RECEPTOR
from templ.evaluation.success_rate import HEADLINE
from templ.evaluation.summary import Accuracy
from templ.pictures.viewer_script import pack, read_viewer
from templ.records import confidence_in_words
from templ.report.collect import Results, outcome_of, read_results
from templ.report.html_page import render, write_page
from templ.report.plots import draw_plots
from templ.report.structures import Structures, drawn_alone
from templ.runs.record import Record

STRUCTURE_BYTES = 6_500_000
"""Of structures in a page: some 400 targets. With the viewer (0.2 MB) and the table it stays under 10 MB."""
DRAWING_BYTES = 1_500_000
"""Of drawings alone, for targets whose structures found no room: some 1,000."""

MOST_OPEN = 12
"""Groups that are shown unfolded."""

COLUMNS: tuple[tuple[str, str, int | None, Callable[[Record], Any]], ...] = (
    ("id", "name of the molecule", None, lambda record: record.id),
    ("group", "protein or series it belongs to", None, lambda record: record.group),
    ("outcome", "how it ended; refused: the method does not take it", None, outcome_of),
    (
        "RMSD",
        "of the first pose from the crystal: mean distance of its heavy atoms, Å",
        2,
        lambda record: record.rmsd,
    ),
    ("best", "RMSD of the best of up to 5 poses, Å", 2, lambda record: record.best_rmsd),
    (
        "confidence",
        "probability that the first pose is within 2 Å of the crystal",
        2,
        lambda record: _first(record, "confidence"),
    ),
    (
        "valid",
        "whether the first pose passes all checks of PoseBusters: bond lengths, clashes and others",
        None,
        lambda record: _validity(record),
    ),
    (
        "Tanimoto",
        "similarity of the nearest template, 0 to 1, by shared fragments",
        2,
        lambda record: record.tanimoto or None,
    ),
    (
        "identity",
        "share of the sequence that the nearest receptor has in common",
        2,
        lambda record: record.identity,
    ),
    (
        "coverage",
        "query coverage: share of heavy atoms whose position was copied from the template",
        2,
        lambda record: record.query_coverage,
    ),
    ("atoms", "heavy atoms", 0, lambda record: record.query_atoms or None),
    ("rotors", "rotatable bonds", 0, lambda record: record.rotors if record.query_atoms else None),
    ("method", "placement method of the first pose", None, lambda record: _first(record, "placement_method")),
    (
        "template",
        "crystal ligand that the first pose was copied from",
        None,
        lambda record: _first(record, "template"),
    ),
    ("CPU, s", "seconds of a processor", 2, lambda record: record.cost.cpu_s),
    ("memory, MB", "peak private memory of its worker", 0, lambda record: record.cost.uss_bytes / 1e6),
)
"""Name, what it is, decimals (None: text), and how a record says it."""


def write_report(source: str | Path, out: str | Path, *, libraries: Sequence[str | Path] = ()) -> list[str]:
    """Write the page of a run.

    Parameters
    ----------
    source : str or Path
        A run, finished or not: its folder, or the SDF file that `templ predict` wrote.
    out : str or Path
        The page.
    libraries : sequence of str or Path
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
    structures = Structures(results.run, [Path(library) for library in libraries])
    manifest = results.run.manifest
    plots = draw_plots(results)
    kept, which = keep_structures(results.records, structures, manifest.molecules)
    notes = [*results.notes, *structures.notes]
    outcomes = Counter(map(outcome_of, results.records))
    text = render(
        "report.html.j2",
        results=results,
        title=manifest.name,
        headline=HEADLINE,
        whose_receptor=WHOSE_RECEPTOR,
        posed=sum(record.status == "posed" for record in results.records),
        notes=notes,
        outcomes=sorted(outcomes.items(), key=lambda item: _OUTCOMES.get(item[0].partition(":")[0], 0)),
        plots=plots,
        command=shlex.join(["templ", *manifest.command[1:]]),
        groups=_groups(results),
        most_open=MOST_OPEN,
        table=pack(json.dumps(table_of(results))),
        kept=kept,
        which=which,
        viewer=viewer,
    )
    write_page(Path(out), text)
    return notes


def table_of(results: Results) -> dict[str, Any]:
    """Columns that any target has something in, and for each target their values and what else is known."""
    values = [[value_of(record) for *_, value_of in COLUMNS] for record in results.records]
    used = [column for column in range(len(COLUMNS)) if any(row[column] not in (None, "") for row in values)]
    return {
        "columns": [
            dict(zip(("name", "about", "decimals"), COLUMNS[column], strict=False)) for column in used
        ],
        "rows": [[row[column] for column in used] for row in values],
        "details": [_details(record) for record in results.records],
    }


def keep_structures(
    records: Sequence[Record], structures: Structures, molecules: str, most: int = STRUCTURE_BYTES
) -> tuple[dict[int, str], str]:
    """Pack what there is to look at, of the targets that matter most, until `most` bytes are full.

    Of those that find no room a drawing is kept.

    Returns
    -------
    kept : dict of int to str
        By position in `records`.
    which : str
        A sentence about those that were kept; empty when all were.
    """
    kept: dict[int, str] = {}
    size = 0
    order = sorted(range(len(records)), key=lambda index: _importance(records[index]))
    for index in order:
        packed = pack(json.dumps(structures.of(records[index])))
        size += len(packed)
        if size > most:
            break
        kept[index] = packed
    else:
        return kept, ""
    which = (
        f"Structures are kept for {len(kept):,} of {len(records):,} {molecules}: first those that failed, "
        f"then those whose first pose is farther than {HEADLINE:g} A from the crystal, the farthest first, "
        "then the refused, then the others."
    )
    size = 0
    for index in order[len(kept) :]:
        packed = pack(json.dumps(drawn_alone(records[index])))
        size += len(packed)
        if size > DRAWING_BYTES:
            break
        kept[index] = packed
    return kept, which


def _importance(record: Record) -> tuple[int, float]:
    """Sort key: what a reader will want to look at comes first."""
    first = record.rmsd or 0.0
    if record.status == "failed":
        return 0, 0.0
    if first > HEADLINE:
        return 1, -first
    return (2 if record.status == "refused" else 3), -first


_OUTCOMES = {"failed": 3, "refused": 2, f"farther than {HEADLINE:g} A": 1}
"""Order of outcomes; the good ones first."""


def _details(record: Record) -> dict[str, Any]:
    """What the row of a target tells once it is opened, beyond the columns."""
    told: dict[str, Any] = {
        "detail": record.detail,
        "smiles": record.smiles,
        "stage": record.stage,
        "notes": record.notes,
        "rmsd": [pose.rmsd for pose in record.poses if pose.rmsd is not None],
        "scores": [pose.score for pose in record.poses],
        "confidence": [pose.confidence for pose in record.poses],
        "said": confidence_in_words(record.first.confidence) if record.first else "",
        "superposition": record.first.superposition if record.first else {},
        "pocket": " ".join(record.first.pocket) if record.first else "",
        "templates_allowed": record.templates_allowed,
        "prior_confidence": record.prior_confidence,
        "failed_checks": record.failed_checks,
        "stages": record.cost.stages,
    }
    return {name: value for name, value in told.items() if value}


def _groups(results: Results) -> list[tuple[str, Accuracy]]:
    """Success by group, the largest first; nothing where targets have none or nothing can be judged."""
    found = {} if results.summary is None else results.summary.by_group
    if not any(found):
        return []
    named = [(name or "(none)", part) for name, part in found.items() if part.first_of_all]
    return sorted(named, key=lambda group: -group[1].attempted)


def _first(record: Record, name: str) -> Any:  # noqa: ANN401
    """Value of the first pose; None without one."""
    return getattr(record.first, name, None)


def _validity(record: Record) -> str | None:
    if record.failed_checks is None:
        return None
    return f"fails {len(record.failed_checks)}" if record.failed_checks else "valid"
