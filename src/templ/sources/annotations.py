"""Date and group of complexes by id: a CSV table, or PDBbind's INDEX files."""

from __future__ import annotations

import csv
import datetime
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from templ.errors import InputError
from templ.sources.files import delimiter_of, read_text
from templ.sources.sdf import parse_date

INDEX_ROW = re.compile(r"(\w{4})\s+(?:[A-Za-z/-]+|[\d.]+)\s+([12]\d{3})(?:\s|$)", re.ASCII)
"""PDBbind: PDB code, resolution (or NMR, EM, N/A), release year, binding data."""
COLUMNS = ("id", "date", "group", "cluster")


@dataclass(frozen=True, slots=True)
class Annotation:
    """What an index says about a complex.

    Attributes
    ----------
    date : datetime.date or None
        Day the crystal became known; the last day of the year where only the year is told, so that nothing
        of that year counts as known before it.
    group : str
        Protein or cluster it belongs to.
    """

    date: datetime.date | None
    group: str


def read_annotations(path: str | Path) -> dict[str, Annotation]:
    """Read annotations by id, ids in lower case.

    Parameters
    ----------
    path : str or Path
        ``.csv``: a header with ``id`` and at least one of ``date`` (YYYY-MM-DD), ``group``, ``cluster``
        (taken where there is no group). Anything else: a PDBbind INDEX file.

    Raises
    ------
    InputError
        When the file cannot be read, a date cannot, or an id is annotated twice in different ways.
    """
    path = Path(path)
    table = path.name.removesuffix(".gz").lower().endswith((".csv", ".tsv"))
    text = read_text(path, "an index of complexes")
    if table and "\N{REPLACEMENT CHARACTER}" in text:  # in the comments of an INDEX it does no harm
        raise InputError(f"{path} is not UTF-8: save the file as UTF-8")
    rows = _from_csv if table else _from_index
    found: dict[str, Annotation] = {}
    try:
        for line, id, annotation in rows(path, text):
            if found.setdefault(id.lower(), annotation) != annotation:
                raise InputError(f"{path}, line {line}: '{id}' was annotated otherwise before")
    except csv.Error as error:
        raise InputError(f"{path} is not CSV that can be read ({error}): is a quote not closed?") from None
    if not found:
        raise InputError(
            f"{path} annotates no complex; expected a CSV with {', '.join(COLUMNS)}, or an INDEX"
        )
    return found


def _from_csv(path: Path, text: str) -> Iterator[tuple[int, str, Annotation]]:
    delimiter = delimiter_of(text.partition("\n")[0])
    rows = csv.DictReader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True, strict=True)
    rows.fieldnames = [name.strip().lower() for name in rows.fieldnames or ()]
    names = rows.fieldnames
    if "id" not in names or not set(COLUMNS[1:]) & set(names):
        raise InputError(f"{path}: columns {', '.join(names)}; expected id and one of date, group, cluster")
    for row in rows:
        try:
            date = parse_date(row.get("date") or "")
        except InputError as error:
            raise InputError(f"{path}, line {rows.line_num}: {error}") from None
        id = (row["id"] or "").strip().lower()
        yield rows.line_num, id, Annotation(date, row.get("group") or row.get("cluster") or "")


def _from_index(path: Path, text: str) -> Iterator[tuple[int, str, Annotation]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        row = INDEX_ROW.match(line)
        if row is None:
            raise InputError(
                f"{path}, line {number}: expected a PDB code, resolution and year: {line[:40]!r}"
            )
        yield number, row[1], Annotation(datetime.date(int(row[2]), 12, 31), "")
