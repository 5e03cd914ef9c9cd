"""Reads what is to be reported: the folder of a run, or the poses and table that `templ predict` wrote."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

from templ.errors import InputError, RunError
from templ.evaluation.summary import HEADLINE, Summary, summarise
from templ.runlog.journal import JOURNAL_NAME, read_records
from templ.runlog.manifest import RunManifest, read_manifest
from templ.runlog.memory import read_samples
from templ.selection.superpose import SUPERPOSITION

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

NEEDED = ("id", "status", "reason", "detail", "notes", "score", "template", "way", "mcs_atoms")
"""Columns of a table of `templ predict`."""


@dataclass(frozen=True, slots=True)
class Results:
    """What a run or a prediction came to.

    Attributes
    ----------
    path : Path
        The run folder, or the SDF file of poses.
    folder : Path
        What the addresses of poses are relative to.
    records : list of dict
        One a target, as `templ.runlog.journal` has them; a prediction's lack what a prediction cannot know.
    manifest : RunManifest or None
        None for a prediction, which has none.
    summary : Summary or None
        None for a prediction: there is no truth to judge it by.
    samples : list of dict
        The memory log; empty where there is none.
    notes : list of str
        What could not be read, and what the reader must know first.
    """

    path: Path
    folder: Path
    records: list[dict[str, Any]]
    manifest: RunManifest | None = None
    summary: Summary | None = None
    samples: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_results(path: Path) -> Results:
    """Read a run folder, finished or not, or the poses that `templ predict` wrote.

    Raises
    ------
    InputError
        When it is neither, or the table beside the poses is missing or of other poses.
    RunError
        When nothing is recorded yet, or the records are broken.
    """
    if path.suffix.lower() == ".sdf" and path.is_file():
        return _read_prediction(path)
    if not path.is_dir():
        raise InputError(f"{path}: expected the folder of a run, or the poses.sdf that templ predict wrote")
    return _read_run(path)


def outcome_of(record: Mapping[str, Any]) -> str:
    """Name the ending of a target, so that equal ones can be counted and found.

    Examples
    --------
    >>> outcome_of({"status": "posed", "rmsd": [2.3, 0.4]}), outcome_of({"status": "posed", "rmsd": None})
    ('farther than 2 A', 'posed')
    >>> outcome_of({"status": "refused", "reason": "peptide"})
    'refused: peptide'
    """
    if record["status"] != "posed":
        return f"{record['status']}: {record['reason']}"
    if not record["rmsd"]:
        return "posed"
    return f"{'within' if record['rmsd'][0] <= HEADLINE else 'farther than'} {HEADLINE:g} A"


def cover_of(record: Mapping[str, Any]) -> float | None:
    """Share of the query's heavy atoms that were copied for the first pose; None when that is not known."""
    atoms = record.get("query_atoms")
    return record["mcs_atoms"] / atoms if record["status"] == "posed" and atoms else None


def _read_run(folder: Path) -> Results:
    manifest = read_manifest(folder)
    records = list(read_records(folder / JOURNAL_NAME))
    if not records:
        raise RunError(f"{folder} has no results yet; start its benchmark again to go on")
    summary = summarise(records, missing=len(manifest.missing))
    notes = []
    if manifest.finished is None:
        notes.append(
            f"Partial: this run is not finished. {len(records):,} of {manifest.targets:,} targets have ended "
            "(the larger ones come first); every figure is of those alone."
        )
    try:
        samples = read_samples(folder)
    except RunError as error:
        notes.append(f"Memory over time is left out: {error}.")
        samples = []
    return Results(folder, folder, records, manifest, summary, samples, notes)


def _read_prediction(poses: Path) -> Results:
    table = poses.with_suffix(".csv")
    try:
        with table.open(newline="", encoding="utf-8") as rows, poses.open("rb") as blocks:
            reader = csv.DictReader(rows)
            missing = [name for name in NEEDED if name not in (reader.fieldnames or ())]
            if missing:
                raise InputError(f"{table} has no column {missing[0]}: it is no table of templ predict")
            records = [_record(query, blocks, poses) for query in _queries(reader)]
    except OSError as error:
        raise InputError(
            f"{table} cannot be read ({error.strerror}); it belongs beside {poses.name}"
        ) from None
    except ValueError as error:
        raise InputError(f"{table} is damaged ({error}); predict again") from None
    if not records:
        raise InputError(f"{table} has no rows; predict again")
    return Results(poses, poses.parent, records)


def _queries(rows: Iterable[dict[str, str]]) -> Iterator[list[dict[str, str]]]:
    """Rows of one query at a time: the next one begins with rank 1, or without a rank."""
    query: list[dict[str, str]] = []
    for row in rows:
        if query and row["rank"] in ("", "1"):
            yield query
            query = []
        query.append(row)
    if query:
        yield query


def _record(rows: list[dict[str, str]], blocks: BinaryIO, poses: Path) -> dict[str, Any]:
    """Say of a query what a run would say of a target, and pass over its poses."""
    first = rows[0]
    posed = first["status"] == "posed"
    address = None
    if posed:
        address = {"shard": poses.name, "count": len(rows)} | _pass_over(
            blocks, first["id"], len(rows), poses
        )
    return {
        **{name: first[name] for name in ("id", "status", "reason", "detail", "template", "way")},
        "group": "",
        "notes": first["notes"].split("; ") if first["notes"] else [],
        "rmsd": None,
        "scores": [float(row["score"]) for row in rows] if posed else [],
        "confidence": [float(row["confidence"]) for row in rows if row.get("confidence")],
        "mcs_atoms": int(first["mcs_atoms"] or 0),
        "superposition": {name: float(first[name]) for name in SUPERPOSITION if first.get(name)},
        "poses": address,
        "cost": {},
    }


def _pass_over(blocks: BinaryIO, id: str, count: int, poses: Path) -> dict[str, int]:
    """Read past the poses of one query, and say where they were."""
    start = blocks.tell()
    title = blocks.readline().decode().rstrip("\r\n")
    if title != id:
        raise InputError(
            f"{poses}: expected the poses of {id!r}, found {title!r}: its table is of other poses"
        )
    for line in blocks:
        count -= line.rstrip() == b"$$$$"
        if not count:
            return {"offset": start, "length": blocks.tell() - start}
    raise InputError(f"{poses} ends within the poses of {id!r}; predict again")
