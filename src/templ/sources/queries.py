"""Lists of queries: light references to the molecules to predict, in SMILES, CSV or SDF files of any size."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import mmap
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
from rdkit import Chem

from templ.chemistry.molecules import heavy, parse_smiles
from templ.errors import InputError
from templ.sources.files import (
    DAMAGED,
    HEAD_BYTES,
    check_input,
    delimiter_of,
    file_stem,
    open_input,
    open_text,
)
from templ.sources.sdf import RECORD_END, parse_record, split_records, title_of, title_text
from templ.sources.table_rows import TableRow, read_rows

SMILES_COLUMNS = ("smiles", "canonical_smiles", "isomeric_smiles", "cxsmiles", "smi", "structure")
ID_COLUMNS = (
    *("id", "name", "compound_id", "molecule_id", "mol_id", "compound", "molecule_name", "compound_name"),
    *("title", "identifier", "catalog_id", "catalog_number", "idnumber", "molecule_chembl_id", "chembl_id"),
)
"""As vendors, ChEMBL and spreadsheets name them, in small letters with underscores."""
DATA_ITEM = re.compile(rb"^>[^\n]*<([^<>\n]+)>[^\n]*\n([^\n]*)", re.MULTILINE)
"""A property of an SDF's record: its name, and the first line of its value."""
EXTENSION = re.compile(r"(\|[^|]*\|)?\s*(.*)", re.DOTALL)
"""What follows a SMILES: perhaps a CXSMILES extension between bars, then the id."""
SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab"}
NOT_BLANK = re.compile(rb"\S")
LEAST_IN_MOLECULE = 4
"""Atoms: a word that reads as a SMILES of fewer, such as CO or No, may as well be the name of a column."""
LONGEST_ID, LONGEST_SMILES = 1000, 20_000
"""Characters: more is no name, or no molecule that could be posed."""
NOT_UTF8 = "not UTF-8: save the file as UTF-8"
RECENT = 50_000
"""Ids that are held one by one; older ones take eight bytes each."""
RELEASE_BYTES = 2**24
"""Of a file that are looked at before the pages are given back."""


@dataclass(frozen=True, slots=True)
class QueryReference:
    """Where one query is: a few words instead of a molecule.

    Attributes
    ----------
    index : int
        Position in its file, from 0; rows that cannot be read count too.
    id : str
        Its name: that of the file, or ``<file stem>-<number>``.
    smiles : str
        As the file has it; empty where the molecule is in an SDF.
    file : str
        Where it is.
    line : int
        Line in a table or list, from 1; 0 in an SDF.
    offset : int
        Where its record begins in an SDF, in bytes.
    fault : str
        Why it cannot be read, where that is known already; else empty.
    """

    index: int
    id: str
    smiles: str
    file: str
    line: int = 0
    offset: int = 0
    fault: str = ""

    def load(self) -> str:
        """Read the SMILES of this one query.

        Raises
        ------
        InputError
            When it cannot be read; the message says where it is, and why.
        """
        where = f"{self.file}, line {self.line}" if self.line else f"{self.file}, record {self.index + 1}"
        if self.fault:
            raise InputError(f"{where}: {self.fault}")
        try:
            smiles = self.smiles or self._from_sdf()
            parse_smiles(smiles)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        return smiles

    def to_json(self) -> str:
        """Write it as text that `from_json` reads."""
        return json.dumps({name: getattr(self, name) for name in self.__slots__})

    @classmethod
    def from_json(cls, text: str) -> QueryReference:
        """Read what `to_json` wrote."""
        return cls(**json.loads(text))

    def _from_sdf(self) -> str:
        with open_input(Path(self.file)) as stream:
            stream.seek(self.offset)
            raw = next(split_records(stream), None)
        if raw is None:
            raise InputError("the file ends before it; it was changed")
        return str(Chem.MolToSmiles(heavy(parse_record(raw).mol)))


@dataclass(frozen=True, slots=True)
class TableColumns:
    """Which columns of a table have the SMILES and the ids; None for those of the usual names.

    Of an SDF, `id` is the property that has the ids; None for the titles, or the usual names where they are
    blank.
    """

    smiles: str | None = None
    id: str | None = None


def read_queries(path: str | Path, columns: TableColumns = TableColumns()) -> Iterator[QueryReference]:
    """Stream references to the queries of a file; every row of it yields one, also those that cannot be read.

    Parameters
    ----------
    path : str or Path
        ``.smi``, ``.smiles``, ``.txt``: a SMILES a line, perhaps with a CXSMILES extension, then white space
        and an id up to the next tab; lines that begin with ``#`` are comments, and names of columns
        (``smiles id``) may come first. ``.csv``, ``.tsv``: a header
        and rows, separated by commas, semicolons or tabs. ``.sdf``, ``.mol``: the SMILES is written from the
        molecule without its hydrogens, by whoever loads the reference. Each also with ``.gz``.
    columns : TableColumns
        Which columns of a table to read; by default ``smiles`` or ``structure`` (or the only one with
        SMILES in its name) and ``id`` or ``name``, in any case.

    Returns
    -------
    iterator of QueryReference
        Lazy; eight bytes are held of each id. A second query of one id carries that as its fault.

    Raises
    ------
    InputError
        At once, when the file as a whole cannot be read; with the first query, when a table has no SMILES.
    """
    return _distinct(_reader(Path(path), columns))


def count_queries(path: str | Path, columns: TableColumns = TableColumns()) -> int:
    """Count the queries of a file, those that cannot be read included."""
    return sum(1 for _ in _reader(Path(path), columns))


def _reader(path: Path, columns: TableColumns) -> Iterator[QueryReference]:
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    if suffix not in READERS:
        with open_input(path):  # what is absent, or a folder, has no wrong suffix
            pass
        raise InputError(
            f"{path} has suffix '{suffix}', expected one of {', '.join(READERS)} (or these + .gz); save a "
            "spreadsheet as CSV"
        )
    kind, reader = READERS[suffix]
    check_input(path, kind)
    if reader is _table_rows:
        return _table_rows(path, columns)
    if reader is _molecule_rows and columns.smiles is None:
        return _molecule_rows(path, columns.id)
    if columns != TableColumns():
        raise InputError(
            f"{path} is no table: --smiles-column is for .csv and .tsv, --id-column for these and .sdf"
        )
    return reader(path)


def _distinct(references: Iterator[QueryReference]) -> Iterator[QueryReference]:
    """Mark those whose id was there before."""
    recent: set[int] = set()
    older = np.empty(0, np.uint64)
    for reference in references:
        number = int.from_bytes(hashlib.blake2b(reference.id.encode(), digest_size=8).digest(), "little")
        at = int(np.searchsorted(older, np.uint64(number)))
        if number in recent or (at < len(older) and older[at] == number):
            yield replace(reference, fault=f"duplicate id: '{reference.id}' was read before")
            continue
        recent.add(number)
        if len(recent) == RECENT:
            older = np.concatenate([older, np.sort(np.fromiter(recent, np.uint64, len(recent)))])
            older.sort(kind="stable")  # two runs that are sorted: merged, in little more room than they have
            recent.clear()
        yield reference


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield text lines with their line ends, and a fault where the file breaks off."""
    with open_text(path) as stream:
        try:
            for line in stream:
                yield line, ""
        except DAMAGED as error:
            yield "", f"file truncated: {error}"


def _reference(path: Path, index: int, line: int, smiles: str, id: str, fault: str = "") -> QueryReference:
    if len(smiles) > LONGEST_SMILES:
        fault, smiles = f"a SMILES of {len(smiles):,} characters; expected at most {LONGEST_SMILES:,}", ""
    elif "\N{REPLACEMENT CHARACTER}" in smiles:
        fault = fault or NOT_UTF8
    elif not smiles:
        fault = fault or "no SMILES in this row"
    id, wrong = _checked_id(path, index, id)
    return QueryReference(index, id, smiles, str(path), line, 0, wrong or fault)


def _checked_id(path: Path, index: int, id: str) -> tuple[str, str]:
    """Id as it is used, a made one where there is none; and what is wrong with it, or nothing."""
    id, fault = " ".join(id.split()), ""  # one line, in every file that it goes to
    if len(id) > LONGEST_ID:
        fault, id = f"an id of {len(id):,} characters; expected at most {LONGEST_ID}: shorten it", ""
    elif "\N{REPLACEMENT CHARACTER}" in id:
        fault = NOT_UTF8
    return id or f"{file_stem(path)}-{index + 1}", fault


def _smiles_rows(path: Path) -> Iterator[QueryReference]:
    index = 0
    for line, (text, fault) in enumerate(_lines(path), start=1):
        smiles, *rest = text.split(maxsplit=1) or [""]
        if (not smiles or smiles.startswith("#")) and not fault:
            continue
        if index == 0 and smiles.lower() in SMILES_COLUMNS:
            continue  # names of columns, as vendors and ZINC write them
        extension, id = EXTENSION.fullmatch(rest[0] if rest else "").groups()  # type: ignore[union-attr]
        smiles = f"{smiles} {extension}" if extension else smiles
        yield _reference(path, index, line, smiles, id.split("\t")[0].strip(), fault)
        index += 1


def _table_rows(path: Path, columns: TableColumns) -> Iterator[QueryReference]:
    broken: list[str] = []

    def lines() -> Iterator[str]:
        for text, fault in _lines(path):
            if fault:
                broken.append(fault)
            else:
                yield text

    text = lines()
    first = next(text, "")
    delimiter = delimiter_of(first)
    rows = read_rows(chain([first], text), delimiter)
    head = next(rows, TableRow(1, []))
    if head.fault:
        raise InputError(f"{path} has a malformed header ({head.fault}), expected column names")
    header = [name.strip() for name in head.cells]
    smiles_at = find_column(path, header, columns.smiles, SMILES_COLUMNS, "smiles")
    if smiles_at is None:
        if any(map(_is_molecule, header)):
            raise InputError(
                f"{path}: its first line has a SMILES where names of columns are expected; put a line "
                "'smiles,id' before it, or rename the file to NAME.smi if it has a SMILES and an id a line"
            )
        raise InputError(
            f"{path} has no column 'smiles', only {', '.join(header)}; rename the one with SMILES, or name "
            "it by --smiles-column"
        )
    id_at = find_column(path, header, columns.id, ID_COLUMNS, "id")
    index, line = 0, 1
    for index, (line, cells, fault) in enumerate(rows, 1):
        cells += [""] * (len(header) - len(cells))
        if any(cell.strip() for cell in cells[len(header) :]):
            quote = f"put quotes around what has a {SEPARATORS[delimiter]} in it"
            fault = fault or f"{len(cells)} cells, expected {len(header)} as in the header; {quote}"
        smiles, id = cells[smiles_at].strip(), "" if id_at is None else cells[id_at].strip()
        if "\n" in smiles or "\r" in smiles:
            fault = fault or "a line break in its SMILES: is a quote not closed?"
        yield _reference(path, index - 1, line, "" if fault else smiles, id, fault)
    for fault in broken:
        yield _reference(path, index, line + 1, "", "", fault)


def _is_molecule(word: str) -> bool:
    """Whether a word is a SMILES and nothing else."""
    try:
        return bool(parse_smiles(word).GetNumAtoms() >= LEAST_IN_MOLECULE)
    except InputError:
        return False


def find_column(
    path: Path, header: Sequence[str], named: str | None, known: Sequence[str], option: str
) -> int | None:
    """Index of a column: the one that was named, else the first of the known names, in any case."""
    lower = [name.lower() for name in header]
    if named is None:
        plain = [_plain(name) for name in header]
        found = next((plain.index(name) for name in known if name in plain), None)
        if found is None and option == "smiles":
            alike = [index for index, name in enumerate(lower) if "smiles" in name]
            found = alike[0] if len(alike) == 1 else None
        return found
    if named.lower() not in lower:
        raise InputError(f"{path} has no column '{named}' (--{option}-column), only {', '.join(header)}")
    return header.index(named) if named in header else lower.index(named.lower())


def _plain(name: str) -> str:
    """Name of a column: "Molecule Name" and "molecule_name" are one."""
    return re.sub(r"[\s_-]+", "_", name.lower())


def _id_of_record(path: Path, index: int, record: bytes, title: str, named: str | None) -> str:
    """Id of an SDF's record: the property that was named, else its title, else a property of a usual name.

    A property that was named must be in the first record; later ones may lack it.
    """
    if named is None and title:
        return title
    items = [(name.decode(errors="replace"), value) for name, value in DATA_ITEM.findall(record)]
    names = [name for name, _ in items]
    if index and named is not None and named.lower() not in map(str.lower, names):
        return title
    at = find_column(path, names, named, ID_COLUMNS, "id")
    return title if at is None else items[at][1].decode(errors="replace").strip() or title


def _molecule_rows(path: Path, named: str | None = None) -> Iterator[QueryReference]:
    """Of a plain file where each record begins; of a compressed one, in which nobody can seek, the SMILES."""
    if path.suffix != ".gz":
        for index, (offset, id) in enumerate(_record_offsets(path, named)):
            id, fault = _checked_id(path, index, id)
            yield QueryReference(index, id, "", str(path), offset=offset, fault=fault)
        return
    with open_input(path) as stream:
        for index, raw in enumerate(split_records(stream)):
            smiles = fault = ""
            try:
                smiles = Chem.MolToSmiles(heavy(parse_record(raw).mol))
            except InputError as error:
                fault = str(error)
            id = _id_of_record(path, index, b"".join(raw.lines), raw.title, named)
            yield _reference(path, index, raw.line, smiles, id, fault)


def _record_offsets(path: Path, named: str | None) -> Iterator[tuple[int, str]]:
    """Yield offset and id of every record of a plain SDF, cut as by `split_records`; none is parsed."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = seen = index = 0
        while start < len(data):
            if start - seen > RELEASE_BYTES and hasattr(mmap, "MADV_DONTNEED"):
                data.madvise(mmap.MADV_DONTNEED)  # or pages of the whole file would count as this process's
                seen = start
            empty = data[start : start + len(RECORD_END)] == RECORD_END
            end = start if empty else data.find(b"\n" + RECORD_END, start) + 1
            if end == 0 and not empty and not NOT_BLANK.search(data, start):
                return  # blank lines after the last record
            title_end = data.find(b"\n", start)
            title = b"" if empty else data[start : title_end if title_end >= 0 else len(data)]
            if not title.strip() and not empty:  # blank lines before the record
                title = title_of(data[start : start + HEAD_BYTES].split(b"\n")).encode()
            told = title_text(title)
            record = b"" if told and named is None else data[start : end or len(data)]
            yield start, _id_of_record(path, index, record, told, named)
            index += 1
            last = data.find(b"\n", end) if empty or end else -1
            start = last + 1 if last >= 0 else len(data)


READERS: dict[str, tuple[str, Callable[..., Iterator[QueryReference]]]] = {
    **dict.fromkeys((".smi", ".smiles", ".txt"), ("a list of SMILES", _smiles_rows)),
    **dict.fromkeys((".csv", ".tsv"), ("a table with a column 'smiles'", _table_rows)),
    ".sdf": ("an SDF file", _molecule_rows),
    ".mol": ("a MOL file", _molecule_rows),
}
"""What each suffix promises, and who reads it."""


def queries_table(queries: list[tuple[str, str]]) -> bytes:
    """Write ids and SMILES as a table that `read_queries` reads."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([("id", "smiles"), *queries])
    return text.getvalue().encode()
