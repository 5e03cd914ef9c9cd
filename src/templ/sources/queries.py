"""Query lists: the molecules to predict, from SMILES, CSV or SDF files."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rdkit import Chem

from templ.errors import InputError
from templ.molecules import heavy, parse_smiles
from templ.sources.files import DAMAGED, check_input, file_stem, open_input
from templ.sources.sdf import read_records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from templ.sources.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Query:
    """One molecule whose pose is asked for.

    Attributes
    ----------
    id : str
        Unique within the file.
    smiles : str
        As the file has it.
    file : str
        Where it was read.
    line : int
        Line it was read from, from 1; in an SDF the first line of its record.
    """

    id: str
    smiles: str
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class _Row:
    """One query as its file words it; `number` counts every row, also those that cannot be read."""

    number: int
    line: int
    smiles: str
    id: str


def read_queries(path: Path, ledger: Ledger) -> Iterator[Query]:
    """Stream the queries of a file.

    Parameters
    ----------
    path : Path
        ``.smi``, ``.smiles``, ``.txt``: a SMILES a line, then white space and an id up to the next tab;
        lines that begin with ``#`` are comments. ``.csv``, ``.tsv``: a header with the column ``smiles`` and
        perhaps ``id`` or ``name``, in any case. ``.sdf``, ``.mol``: the SMILES is written from the molecule
        without its hydrogens. Each also with ``.gz``.
    ledger : Ledger
        Gets a row for every query that cannot be read or whose id was there before; reading goes on.

    Returns
    -------
    iterator of Query
        Lazy; only the ids seen are kept. A query without an id is named ``<file stem>-<row>``.

    Raises
    ------
    InputError
        At once, when the file as a whole cannot be read; with the first query, when a table has no SMILES.
    """
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    if suffix not in READERS:
        raise InputError(
            f"{path} has suffix '{suffix}', expected one of {', '.join(READERS)} (or these + .gz)"
        )
    kind, reader = READERS[suffix]
    check_input(path, kind)
    return _queries(path, reader(path, ledger), ledger)


def _queries(path: Path, rows: Iterator[_Row], ledger: Ledger) -> Iterator[Query]:
    seen: set[str] = set()
    for row in rows:
        id = row.id or f"{file_stem(path)}-{row.number}"
        reason = f"duplicate id: '{id}' was read before" if id in seen else _unreadable(row)
        if reason:
            ledger.add(str(path), row.number, row.line, reason, id)
            continue
        seen.add(id)
        yield Query(id, row.smiles, str(path), row.line)


def _unreadable(row: _Row) -> str:
    """Say why a row is no query; empty when it is one."""
    if "\N{REPLACEMENT CHARACTER}" in row.id + row.smiles:
        return "not UTF-8: save the file as UTF-8"
    try:
        parse_smiles(row.smiles)
    except InputError as error:
        return f"unreadable SMILES: {error}"
    return ""


def _lines(path: Path, ledger: Ledger) -> Iterator[str]:
    """Yield text lines with their line ends; bytes that are not UTF-8 become replacement characters."""
    number = 0
    with open_input(path) as stream:
        try:
            for number, line in enumerate(stream, start=1):
                yield line.decode("utf-8-sig" if number == 1 else "utf-8", errors="replace")
        except DAMAGED as error:
            ledger.add(str(path), number + 1, number + 1, f"file truncated: {error}")


def _smiles_rows(path: Path, ledger: Ledger) -> Iterator[_Row]:
    number = 0
    for line, text in enumerate(_lines(path, ledger), start=1):
        smiles, *rest = text.split(maxsplit=1) or [""]
        if not smiles or smiles.startswith("#"):
            continue
        number += 1
        yield _Row(number, line, smiles, rest[0].split("\t")[0].strip() if rest else "")


def _table_rows(path: Path, ledger: Ledger, delimiter: str) -> Iterator[_Row]:
    reader = csv.reader(_lines(path, ledger), delimiter=delimiter, strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
    except csv.Error as error:
        raise InputError(f"{path} has a malformed header ({error}), expected column names") from None
    if "smiles" not in header:
        raise InputError(
            f"{path} has no column 'smiles', only {', '.join(header)}; rename the one with SMILES"
        )
    smiles_at = header.index("smiles")
    id_at = next((header.index(name) for name in ("id", "name") if name in header), None)
    number = 0
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            number += 1
            ledger.add(str(path), number, reader.line_num, f"malformed row: {error}")
            continue
        if cells is None:
            return
        if not cells:
            continue
        number += 1
        cells += [""] * (len(header) - len(cells))
        yield _Row(
            number, reader.line_num, cells[smiles_at].strip(), "" if id_at is None else cells[id_at].strip()
        )


def _comma_rows(path: Path, ledger: Ledger) -> Iterator[_Row]:
    return _table_rows(path, ledger, ",")


def _tab_rows(path: Path, ledger: Ledger) -> Iterator[_Row]:
    return _table_rows(path, ledger, "\t")


def _molecule_rows(path: Path, ledger: Ledger) -> Iterator[_Row]:
    for record in read_records(path, ledger):
        yield _Row(record.number, record.line, Chem.MolToSmiles(heavy(record.mol)), record.title)


READERS: dict[str, tuple[str, Callable[[Path, Ledger], Iterator[_Row]]]] = {
    ".smi": ("a list of SMILES", _smiles_rows),
    ".smiles": ("a list of SMILES", _smiles_rows),
    ".txt": ("a list of SMILES", _smiles_rows),
    ".csv": ("a table with a column 'smiles'", _comma_rows),
    ".tsv": ("a table with a column 'smiles'", _tab_rows),
    ".sdf": ("an SDF file", _molecule_rows),
    ".mol": ("a MOL file", _molecule_rows),
}
"""What each suffix promises, and who reads it."""
