"""The records of a run as rows for a page, and what belongs to one of them; read again once they change."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from templ.benchmark.compare_runs import compare_runs
from templ.chemistry.molecules import heavy, positions
from templ.errors import InputError, RunError
from templ.evaluation.run import load_run
from templ.evaluation.success_rate import HEADLINE
from templ.library.format import read_manifest
from templ.pictures.drawings import draw, draw_pair, draw_smiles
from templ.records import confidence_in_words
from templ.report.collect import read_results
from templ.report.plots import draw_plots
from templ.report.structures import Structures
from templ.runs.journal import JOURNAL_NAME, read_lines
from templ.runs.pose_shards import read_poses
from templ.runs.record import Record
from templ.web.inline_svg import without_styles
from templ.web.pose_view import pose_view

MOST_IN_SDF = 1000
"""Results whose poses are sent at once: some 20 MB."""
RANKING, SAMPLING = "ranking", "sampling"
"""Why a target is missed: a pose that was handed out is right, but not the first; or none is."""


def rows_of(path: str) -> list[dict[str, Any]]:
    """One row a record, in the order of the journal; none where the run has not begun.

    Raises
    ------
    RunError
        When the run is damaged.
    """
    if not (Path(path) / JOURNAL_NAME).exists():
        return []
    return [_row(record) for record in load_run(path)]


def _row(record: Record) -> dict[str, Any]:
    first = record.first
    return {
        "index": record.index,
        "id": record.id,
        "group": record.group,
        "status": record.status,
        "reason": record.reason,
        "detail": record.detail,
        "smiles": record.smiles,
        "confidence": None if first is None else first.confidence,
        "words": "" if first is None else confidence_in_words(first.confidence),
        "template": "" if first is None else first.template,
        "method": "" if first is None else first.placement_method,
        "core": 0 if first is None else len(first.core),
        "atoms": record.query_atoms,
        "tanimoto": record.tanimoto,
        "prior": record.prior_confidence,
        "rmsd": record.rmsd,
        "best": record.best_rmsd,
        "missed": missed_by(record),
        "notes": list(record.notes),
        "seconds": record.cost.wall_s,
        "memory": record.cost.uss_bytes,
    }


def missed_by(record: Record) -> str:
    """Why the first pose is not near the crystal: ranking or sampling; empty where it is, or none is known.

    Examples
    --------
    >>> missed_by(Record(0, "a", "posed"))
    ''
    """
    if record.rmsd is None or record.best_rmsd is None or record.rmsd <= HEADLINE:
        return ""
    return RANKING if record.best_rmsd <= HEADLINE else SAMPLING


def record_at(path: str, index: int) -> Record:
    """Record of a run by its position in the list of the run.

    Raises
    ------
    RunError
        When it has none there.
    """
    journal = Path(path) / JOURNAL_NAME
    try:
        now = journal.stat()
    except OSError:
        raise RunError("the run has no results yet") from None
    start = _starts(path, (now.st_size, now.st_mtime_ns, now.st_ino)).get(index)
    if start is None:
        raise RunError(f"the run has no result number {index} yet")
    with journal.open("rb") as file:
        file.seek(start)
        record = Record.from_line(file.readline())
    if record is None or record.index != index:
        raise RunError(f"result number {index} is damaged; start the command of the run again")
    return record


@lru_cache(maxsize=4)
def _starts(path: str, state: tuple[int, ...]) -> dict[int, int]:
    """Where the line of each record begins, by its position in the list.

    `state` tells a journal that changed: it grew, or was put into its final order at the same size.
    """
    return {record.index: start for start, record in read_lines(Path(path) / JOURNAL_NAME)}


def view_at(path: str, index: int, libraries: Sequence[str] = ()) -> dict[str, Any]:
    """What the page of a pose shows (`templ.web.pose_view.pose_view`)."""
    return pose_view(path, record_at(path, index), libraries_of(path, libraries))


def card_at(path: str, index: int, libraries: Sequence[str] = ()) -> dict[str, str]:
    """Drawings of a result: query, and template with the copied core, where they are known."""
    record = record_at(path, index)
    run = load_run(path)
    shown = Structures(run, libraries_of(path, libraries))
    poses = [heavy(pose) for pose in run.poses(record)[:1]]
    if not poses:
        return {"query": without_styles(draw_smiles(record.smiles))}
    receptor = shown.receptor(record)
    template = shown.template(record.first, receptor, positions(poses[0]))
    if template is None or record.first is None:
        return {"query": without_styles(draw(poses[0]))}
    query, other = draw_pair(poses[0], template, record.first.core)
    return {"query": without_styles(query), "template": without_styles(other)}


def poses_at(path: str, indices: Sequence[int]) -> str:
    """All poses of some results as SDF, in the order that is asked for.

    Raises
    ------
    InputError
        When there are too many, or none.
    RunError
        When there is no such result.
    """
    if not 0 < len(indices) <= MOST_IN_SDF:
        raise InputError(
            f"poses of {len(indices):,} results; expected 1 to {MOST_IN_SDF:,}: all are in the poses.sdf of "
            "the job, or in what `templ export` writes of a run"
        )
    records = [record_at(path, index) for index in indices]
    return "".join(read_poses(Path(path), record.address) for record in records if record.address is not None)


def plots_of(path: str) -> dict[str, Any]:
    """Headline, notes, counts and plots of a benchmark's run.

    Raises
    ------
    RunError
        When nothing is recorded yet, or the records are broken.
    """
    results = read_results(path)
    summary = results.summary
    rates = [] if summary is None else summary.overall.first_of_all
    best = [] if summary is None else summary.overall.best_of_all
    headline = next((rate for rate in rates if rate.threshold == HEADLINE), None)
    return {
        "title": results.run.manifest.name,
        "notes": results.notes,
        "molecules": results.run.manifest.molecules,
        "headline": None
        if headline is None
        else {"rate": headline.rate, "low": headline.low, "high": headline.high, "n": headline.n},
        "best": next((rate.rate for rate in best if rate.threshold == HEADLINE), None),
        "plots": [
            {"title": plot.title, "caption": plot.caption, "svg": without_styles(plot.svg), "wide": plot.wide}
            for plot in draw_plots(results)
        ],
    }


def comparison_of(a: str, b: str) -> dict[str, Any]:
    """Compare two runs: verdict, notes, tables, and targets that changed sides, with their positions in each.

    Raises
    ------
    RunError
        When they cannot be compared.
    """
    compared, one, other = compare_runs(a, b), load_run(a), load_run(b)
    flipped = [
        {
            "id": id,
            "side": side,
            "a": _known(compared.targets.pairs[id][0].first),
            "b": _known(compared.targets.pairs[id][1].first),
            "index_a": one[id].index,
            "index_b": other[id].index,
        }
        for side, ids in (("gained", compared.targets.gained), ("lost", compared.targets.lost))
        for id in ids
    ]
    return {
        "verdict": _named(compared.verdict, a, b),
        "notes": list(compared.notes),
        "tables": [
            {"title": table.title, "header": list(table.header), "rows": [list(row) for row in table.rows]}
            for table in compared.tables
        ],
        "flipped": flipped,
        "identical": compared.identical,
        "both_posed": compared.both_posed,
    }


def _named(verdict: str, a: str, b: str) -> str:
    """The verdict without the paths of the runs: a page names them by what they are there."""
    names = {f"un A ({a})": "the baseline", f"un B ({b})": "this run"}
    for path, name in names.items():
        verdict = verdict.replace(f"r{path}", name).replace(f"R{path}", name.capitalize())
    return verdict


def _known(rmsd: float) -> float | None:
    """An RMSD, which is infinite without poses, as JSON can hold it."""
    return rmsd if math.isfinite(rmsd) else None


def overlay_of(a: str, index_a: int, b: str, index_b: int, libraries: Sequence[str] = ()) -> dict[str, Any]:
    """Both first poses of a target, its crystal and its pocket, in the frame of the first run."""
    one, other = view_at(a, index_a, libraries), view_at(b, index_b, libraries)
    models = [model for model in one["models"] if model["kind"] in ("pocket", "crystal")]
    for name, view, colour in (("run A", one, "pose"), ("run B", other, "template")):
        first = next((model for model in view["models"] if model["kind"] == "rank"), None)
        if first is not None:
            models.append({**first, "name": name, "kind": name.replace(" ", "-").lower(), "colour": colour})
    return {
        "id": one["id"],
        "models": models,
        "labels": one["labels"],
        "same_frame": one["receptor"] == other["receptor"],
        "rmsd": [view["ranks"][0]["rmsd"] if view["ranks"] else None for view in (one, other)],
    }


def libraries_of(path: str, libraries: Sequence[str]) -> list[Path]:
    """Libraries that the run may have used, of those that are served; its own are found by its manifest."""
    digests = load_run(path).manifest.identity
    wanted = {digests.library, digests.truth}
    return [Path(library) for library in libraries if read_manifest(Path(library)).digest in wanted]
