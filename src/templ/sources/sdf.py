"""SDF files read as a stream: one record in memory at a time, each with its number, line and byte offset."""

from __future__ import annotations

import datetime
import hashlib
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rdkit.Chem import Mol

from templ.chemistry.mol_file import parse_mol_block
from templ.disk import path_text
from templ.errors import InputError
from templ.records import Entry
from templ.sources.files import DAMAGED, check_input, file_stem, open_input
from templ.sources.ledger import Ledger

MAX_RECORD_BYTES = 50_000_000
"""A larger record is junk without line ends, or a file that is no SDF."""

RECORD_END = b"$$$$"
BLOCK_END = b"M  END"
HEADER_LINES = 3
MOST_BLANK = 5
"""Lines too many before a record in which its title is looked for."""
VERSIONS = (b"V2000", b"V3000")
"""How a line of counts ends."""
DATA_NAME = re.compile(r"^>[^<]*<(.*)>")


@dataclass(frozen=True, slots=True)
class RawRecord:
    """The lines of one record, not yet understood.

    Attributes
    ----------
    number, line : int
        Of the record in the file and of its first line, from 1.
    offset : int
        Where it begins, in bytes of the uncompressed stream.
    lines : list of bytes
        With their line ends, without the ``$$$$``.
    fault : str
        Why the lines cannot be understood; empty when they may be.
    """

    number: int
    line: int
    offset: int
    lines: list[bytes]
    fault: str = ""

    @property
    def title(self) -> str:
        """The first line, stripped; empty when there is none."""
        return title_of(self.lines[: HEADER_LINES + MOST_BLANK + 1])

    @property
    def checksum(self) -> int:
        """BLAKE2b of the lines, 8 bytes: it tells whether a record was changed."""
        digest = hashlib.blake2b(digest_size=8)
        for line in self.lines:
            digest.update(line)
        return int.from_bytes(digest.digest(), "little")


@dataclass(frozen=True, slots=True)
class SdfRecord:
    """One molecule of an SDF file with its data items.

    Attributes
    ----------
    mol : rdkit.Chem.Mol
        Sanitised, as the file has it.
    title : str
        The title line; empty when the file gives none.
    properties : Mapping[str, str]
        Data items by name.
    number, line, offset, checksum : int
        As those of `RawRecord`.
    """

    mol: Mol
    title: str
    properties: Mapping[str, str]
    number: int
    line: int
    offset: int
    checksum: int


@dataclass(frozen=True, slots=True)
class MoleculeReference:
    """Where one molecule lies in an SDF file: a few words instead of the molecule.

    Attributes
    ----------
    file : Path
        The SDF file.
    offset : int
        Where the record begins, in bytes of the uncompressed file.
    id : str
        Of the molecule, for messages.
    checksum : int
        `RawRecord.checksum` of the record when it was read; 0 when that is not known.
    """

    file: Path
    offset: int
    id: str
    checksum: int = 0

    def load(self) -> SdfRecord:
        """Read the record by seeking; a ``.gz`` must be decompressed up to the offset, which is slow.

        Returns
        -------
        SdfRecord
            The molecule as the file has it; its record and line numbers are 0, for nobody counted.

        Raises
        ------
        InputError
            When the file is gone, was changed, or the record is not a molecule.
        """
        mend = f"put the file back as it was when '{self.id}' was read from it, or read it again"
        if not self.file.exists():
            raise InputError(f"{self.file} is gone: {mend}")
        with open_input(self.file) as stream:
            try:
                stream.seek(self.offset)
                raw = next(split_records(stream), None)
            except DAMAGED:
                raise InputError(f"{self.file} is damaged before byte {self.offset}: {mend}") from None
        if raw is None or self.checksum not in (0, raw.checksum):
            raise InputError(f"{self.file} was changed: {mend}")
        try:
            return replace(parse_record(raw), number=0, line=0)
        except InputError as error:
            raise InputError(f"{self.file}, byte {self.offset} ({self.id}): {error}") from None


def title_of(lines: Sequence[bytes]) -> str:
    """Title of a record by its first lines: the first of the three before the counts."""
    counts = next((i for i, text in enumerate(lines) if text.rstrip().endswith(VERSIONS)), HEADER_LINES)
    title = lines[max(0, counts - HEADER_LINES) : counts][:1]
    return title_text(title[0]) if title else ""


def title_text(line: bytes) -> str:
    """Title as text, without the byte order mark that some editors put before the first."""
    return line.decode(errors="replace").removeprefix("\ufeff").strip()


def split_records(stream: io.BufferedIOBase) -> Iterator[RawRecord]:
    r"""Cut a stream, from where it stands, into records that end with ``$$$$`` or the end of the file.

    Blank lines at the end are no record. Where gzip data break off, the last record carries the fault.

    Examples
    --------
    >>> import io
    >>> [(r.number, r.line, r.offset) for r in split_records(io.BytesIO(b"a\n$$$$\nb\n$$$$\n\n"))]
    [(1, 1, 0), (2, 3, 7)]
    """
    number, line, offset = 1, 1, stream.tell()
    lines: list[bytes] = []
    size = line_ends = 0
    at_line_start = True

    def record(fault: str = "") -> RawRecord:
        if size > MAX_RECORD_BYTES and not fault:
            fault = f"record over {MAX_RECORD_BYTES // 1_000_000} MB"
        return RawRecord(number, line, offset, lines, fault)

    try:
        while piece := stream.readline(MAX_RECORD_BYTES):
            size += len(piece)
            ended = at_line_start and piece.startswith(RECORD_END)
            at_line_start = piece.endswith(b"\n")
            line_ends += at_line_start
            if ended:
                yield record()
                number, line, offset = number + 1, line + line_ends, offset + size
                lines, size, line_ends = [], 0, 0
            elif size <= MAX_RECORD_BYTES:
                lines.append(piece)
            else:
                del lines[1:]  # the title names the record; the rest would only fill memory
    except EOFError:
        yield record("file truncated: the compressed data end within this record")
    except DAMAGED as error:
        yield record(f"file damaged: {error}")
    else:
        if any(piece.strip() for piece in lines):
            yield record()


def parse_record(raw: RawRecord) -> SdfRecord:
    """Read the molecule and the data items of a record.

    Raises
    ------
    InputError
        ``class: detail`` of why it cannot be read.
    """
    if raw.fault:
        raise InputError(raw.fault)
    end = next((i for i, text in enumerate(raw.lines) if text.startswith(BLOCK_END)), None)
    if end is None:
        raise InputError("missing M  END: the record is truncated or is not a MOL block")
    # A second counts line before M  END: the first block was cut off, and RDKit would read it as if whole.
    counts = [i for i, text in enumerate(raw.lines[:end]) if text.rstrip().endswith(VERSIONS)]
    if len(counts) > 1:
        raise InputError("two MOL blocks in one record: an M  END and a $$$$ are missing")
    properties = _data_items([text.decode(errors="replace").rstrip("\r\n") for text in raw.lines[end + 1 :]])
    header = _header(raw.lines, counts[0]) if counts else raw.lines[:HEADER_LINES]
    body = raw.lines[counts[0] if counts else HEADER_LINES : end + 1]
    block = b"".join([*header, *body]).decode(errors="replace").replace("\r\n", "\n")
    try:
        mol = parse_mol_block(block)
    except InputError as error:
        raise InputError(f"unreadable molecule: {error}") from None
    return SdfRecord(mol, raw.title, properties, raw.number, raw.line, raw.offset, raw.checksum)


def _header(lines: Sequence[bytes], counts: int) -> Sequence[bytes]:
    """Return the three lines before the counts, where blank ones too many or too few are there."""
    header = list(lines[:counts])
    while len(header) > HEADER_LINES and not header[0].strip():
        del header[0]
    return [*header, *[b"\n"] * (HEADER_LINES - len(header))]


def _data_items(lines: Sequence[str]) -> dict[str, str]:
    """Read ``> <name>``, value lines and a blank line, any number of times; refuse a second MOL block."""
    items: dict[str, str] = {}
    rest = iter(lines)
    for text in rest:
        if text.startswith("M  END"):
            raise InputError("two MOL blocks in one record: a $$$$ is missing between them")
        if header := DATA_NAME.match(text):
            value = []
            while (text := next(rest, "")).strip():
                value.append(text)
            items[header[1]] = "\n".join(value)
    return items


def read_records(path: str | Path, ledger: Ledger | None = None) -> Iterator[SdfRecord]:
    """Stream the molecules of an SDF, SDF.gz or MOL file with their data items.

    Parameters
    ----------
    path : str or Path
        The file.
    ledger : Ledger, optional
        Gets a row for every record that cannot be read; reading goes on.

    Returns
    -------
    iterator of SdfRecord
        Lazy; never more than one record in memory.

    Raises
    ------
    InputError
        At once, when the file as a whole cannot be read: absent, a directory, empty, binary, no gzip.
    """
    check_input(path, "an SDF file")
    noted = Ledger() if ledger is None else ledger

    def records() -> Iterator[SdfRecord]:
        with open_input(path) as stream:
            for raw in split_records(stream):
                try:
                    record = parse_record(raw)
                except InputError as error:
                    noted.add(str(path), raw.number, raw.line, str(error), raw.title)
                else:
                    yield record

    return records()


def read_sdf(
    path: str | Path, ledger: Ledger | None = None, *, group: str = "", date_property: str | None = None
) -> Iterator[Entry]:
    """Stream the entries of an SDF, SDF.gz or MOL file.

    Parameters
    ----------
    path : str or Path
        The file.
    ledger : Ledger, optional
        Gets a row for every record that cannot be read; reading goes on.
    group : str
        Given to every entry.
    date_property : str, optional
        Data item that holds the date as YYYY-MM-DD. An entry without it has no date; one whose date cannot
        be read goes to the ledger, for it could be a template from after the target's date.

    Returns
    -------
    iterator of Entry
        Lazy. The id is the title or ``<file stem>-<record>``; ids are as unique as the titles are.

    Raises
    ------
    InputError
        At once, when the file as a whole cannot be read.
    """
    path, noted = Path(path), Ledger() if ledger is None else ledger
    file, records = Path(path_text(path.absolute())), read_records(path, noted)

    def entries() -> Iterator[Entry]:
        for record in records:
            id = record.title or f"{file_stem(path)}-{record.number}"
            try:
                date = parse_date(record.properties.get(date_property, "")) if date_property else None
            except InputError as error:
                noted.add(str(path), record.number, record.line, str(error), id)
                continue
            reference = MoleculeReference(file, record.offset, id, record.checksum)
            source = f"{path.name}#{record.number}"
            yield Entry(id, record.mol, source, record.title, date, group, reference=reference)

    return entries()


def parse_date(text: str) -> datetime.date | None:
    """Read a date written YYYY-MM-DD; None when there is none.

    Raises
    ------
    InputError
        For any other way to write a date.
    """
    text = text.strip()
    if not text:
        return None
    try:
        date = datetime.date.fromisoformat(text)
    except ValueError:
        date = None
    if date is None or date.isoformat() != text:  # fromisoformat also takes 20200601 and 2020-W23-1
        raise InputError(f"not a date: {text[:40]!r}, expected YYYY-MM-DD")
    return date
