"""Reads a structure file, PDB or mmCIF, into one table of the atoms of its first model.

gemmi parses mmCIF. Lines of PDB are cut by column here: what real programs write (columns moved by long
serial numbers, names of four letters, segments inside a residue, a second monomer of the same chain name)
every reader that was tried merges or drops in silence (docs/decisions/0017-reading-structures.md).
"""

from __future__ import annotations

import codecs
import gzip
import string
import zlib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import gemmi
import numpy as np
from numpy.typing import NDArray

from templ.errors import InputError

STRUCTURE_SUFFIXES = (".pdb", ".ent", ".cif", ".mmcif")
STRUCTURE_ENDINGS = tuple(suffix + packed for suffix in STRUCTURE_SUFFIXES for packed in ("", ".gz"))

LARGEST_COORDINATE = 1e6
"""Angstrom; beyond this (or not a number) a coordinate is damage."""
FRAME_REACH = 8.0
"""Angstrom: where END divides a file and the atoms are the same again, this near (median) they are a further
model, and farther away another copy of the molecule."""
LONGEST_LINE = 80
MOST_SHIFT = 4
"""Columns by which a long serial number may have moved the rest of its line."""


@dataclass(frozen=True, slots=True, eq=False)
class AtomTable:
    """Atoms of a structure in the order of its file, all arrays of shape (atoms,) but `xyz`.

    Attributes
    ----------
    xyz : array, shape (atoms, 3), float64
        Angstrom.
    names, residue_names, chains : array of str
        As the file has them, blanks stripped.
    numbers : array of int32
        Of the residues; 0 where the file has none.
    insertions, altlocs : array of str
        One character, a blank where there is none.
    elements : array of str
        As the file has them, which need not be true; empty where it has none.
    named_in_column_14 : array of bool
        The name begins in column 14 of a PDB line: then its element has one letter.
    occupancies, b_factors : array of float32
        B factors in Angstrom^2.
    molecules : array of int32
        TER lines before the atom.
    hetero : array of bool
        HETATM and no ATOM.
    """

    xyz: NDArray[np.float64]
    names: NDArray[np.str_]
    residue_names: NDArray[np.str_]
    chains: NDArray[np.str_]
    numbers: NDArray[np.int32]
    insertions: NDArray[np.str_]
    altlocs: NDArray[np.str_]
    elements: NDArray[np.str_]
    named_in_column_14: NDArray[np.bool_]
    occupancies: NDArray[np.float32]
    b_factors: NDArray[np.float32]
    molecules: NDArray[np.int32]
    hetero: NDArray[np.bool_]

    def __len__(self) -> int:
        """Atoms."""
        return len(self.xyz)

    def only(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> AtomTable:
        """Those atoms that a mask or an array of indices names."""
        return AtomTable(*(getattr(self, name)[chosen] for name in self.__slots__))


def read_structure_file(path: str | Path) -> tuple[AtomTable, int]:
    """Read the atoms of the first model of a PDB or mmCIF file, gzipped or not.

    What the file is, its content says, not its name. A byte order mark, UTF-16 and line ends of any kind are
    understood. An END in the middle of a PDB file is no end.

    Returns
    -------
    table : AtomTable
        May be empty.
    models : int
        Further models, which were left out.

    Raises
    ------
    InputError
        When the file is missing, damaged, or no structure; the message names the line.
    """
    table, models, _ = read_structure_with_text(path)
    return table, models


def read_structure_with_text(path: str | Path) -> tuple[AtomTable, int, bytes]:
    """Read as `read_structure_file` does; return the text too: UTF-8, lines that end with a line feed."""
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder; expected a PDB or mmCIF file")
    if not path.is_file():
        raise InputError(f"{path}: no such structure file; expected a PDB or mmCIF file")
    try:
        text = _as_lines(gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes())
        table, models = _read_mmcif(text) if is_mmcif(text) else _read_pdb(text)
    except (RuntimeError, ValueError, OSError, EOFError, zlib.error) as error:
        raise InputError(
            f"{path} is not a structure that can be read ({error}); expected PDB or mmCIF"
        ) from None
    if not (np.abs(table.xyz) < LARGEST_COORDINATE).all():
        raise InputError(
            f"{path} is not a structure that can be read (a coordinate is no number or beyond any structure)"
            "; expected PDB or mmCIF"
        )
    return table, models, text


def _as_lines(data: bytes) -> bytes:
    """UTF-8 without a byte order mark, lines that end with a line feed."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        data = data.decode("utf-16").encode()
    if b"\0" in data[:4096]:
        raise ValueError("it is binary")
    return data.removeprefix(codecs.BOM_UTF8).replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def is_mmcif(text: bytes) -> bool:
    """Tell mmCIF from PDB by its first line that says something."""
    lines = (line.strip() for line in text[:100_000].split(b"\n"))
    first = next((line for line in lines if line and not line.startswith(b"#")), b"")
    return first.lower().startswith(b"data_")


# PDB -----------------------------------------------------------------------------------------------------


def _read_pdb(text: bytes) -> tuple[AtomTable, int]:
    """Read ATOM and HETATM lines; the columns are those of the format's version 3.3."""
    lines: list[bytes] = []
    numbers: list[int] = []  # of the lines, for messages
    parts: list[int] = []  # lines that were read when an END or ENDMDL came
    molecules: list[int] = []
    models, molecule, wanted = 0, 0, True
    for number, line in enumerate(text.split(b"\n"), 1):
        if line.startswith((b"ATOM", b"HETATM")):
            if wanted:
                lines.append(line)
                numbers.append(number)
                molecules.append(molecule)
        elif line.startswith(b"TER"):
            molecule += 1
        elif line.startswith(b"MODEL "):
            models += 1
            wanted = models == 1
        elif line.startswith(b"ENDMDL"):
            wanted = True
            if not models:
                parts.append(len(lines))
        elif line[:6].strip() == b"END":
            parts.append(len(lines))
    if not lines:
        return _empty(), 0
    if not b"".join(lines).isascii():
        number = next(number for number, line in zip(numbers, lines, strict=True) if not line.isascii())
        raise ValueError(f"line {number}: a character that is not ASCII")
    table = _cut_columns(lines, numbers, np.array(molecules, np.int32))
    kept, repeated = _without_repeats(table, parts)
    return table.only(kept), max(models - 1, 0) + repeated


def _without_repeats(table: AtomTable, parts: list[int]) -> tuple[NDArray[np.bool_], int]:
    """Tell which atoms are no further model: parts between ENDs that have the atoms of the first again."""
    kept = np.ones(len(table), np.bool_)
    ends = sorted({*parts, len(table)} - {0})
    first, repeated = slice(0, ends[0]), 0
    for start, end in pairwise(ends):
        part = slice(start, end)
        same = end - start == ends[0] and all(
            np.array_equal(column[part], column[first])
            for column in (table.names, table.residue_names, table.chains, table.numbers, table.altlocs)
        )
        if same:
            moved = np.median(np.linalg.norm(table.xyz[part] - table.xyz[first], axis=1))
            if moved < FRAME_REACH:
                kept[part] = False
                repeated += 1
    return kept, repeated


def _cut_columns(lines: list[bytes], numbers: list[int], molecules: NDArray[np.int32]) -> AtomTable:
    """Cut lines by column.

    Raises
    ------
    ValueError
        When a line has no coordinates; the message has its number.
    """
    cells = _cells(lines)
    try:
        xyz = _coordinates(cells)
    except ValueError:  # of some line; most files never come here
        lines = [_aligned(line, number) for line, number in zip(lines, numbers, strict=True)]
        cells = _cells(lines)
        xyz = _coordinates(cells)
    letter4 = _text(cells, 20, 21)
    residue_names, chains = _text(cells, 17, 20), _text(cells, 21, 22)
    for name, fourth in {*zip(residue_names[letter4 != ""], letter4[letter4 != ""], strict=True)}:
        rows = (residue_names == name) & (letter4 == fourth)
        if _is_four_letters(str(name), str(fourth)):
            residue_names = np.where(rows, str(name) + str(fourth), residue_names)
        else:
            chains = np.where(rows, np.char.add(letter4, chains), chains)
    count = len(lines)
    return AtomTable(
        xyz.reshape(count, 3),
        _text(cells, 12, 16),
        residue_names,
        chains,
        _numbers(_text(cells, 22, 26)),
        _blank_or(_text(cells, 26, 27)),
        _blank_or(_text(cells, 16, 17)),
        _text(cells, 76, 78),
        (cells[:, 12] == b" ") & (cells[:, 13] != b" "),
        _floats_or(_text(cells, 54, 60), 1.0),
        _floats_or(_text(cells, 60, 66), 0.0),
        molecules,
        cells[:, 0] == b"H",
    )


def _cells(lines: list[bytes]) -> NDArray[np.bytes_]:
    """One character a cell, shape (lines, LONGEST_LINE)."""
    padded = b"".join(line[:LONGEST_LINE].ljust(LONGEST_LINE) for line in lines)
    return np.frombuffer(padded, "S1").reshape(len(lines), LONGEST_LINE)


def _columns(cells: NDArray[np.bytes_], start: int, end: int) -> NDArray[np.bytes_]:
    return np.ascontiguousarray(cells[:, start:end]).view(f"S{end - start}").ravel()


def _text(cells: NDArray[np.bytes_], start: int, end: int) -> NDArray[np.str_]:
    """Columns as text without blanks; each different cell is understood once."""
    found, which = np.unique(_columns(cells, start, end), return_inverse=True)
    texts = np.array([cell.decode(errors="replace").strip() for cell in found.tolist()], np.str_)
    return texts[which]


def _coordinates(cells: NDArray[np.bytes_]) -> NDArray[np.float64]:
    return np.ascontiguousarray(cells[:, 30:54]).view("S8").astype(np.float64)


def _floats_or(texts: NDArray[np.str_], default: float) -> NDArray[np.float32]:
    def number(text: str) -> float:
        try:
            return float(text)
        except ValueError:
            return default

    found, which = np.unique(texts, return_inverse=True)
    values = np.array([number(text) for text in found.tolist()], np.float32)
    return np.where(np.isfinite(values), values, default).astype(np.float32)[which]


def _numbers(texts: NDArray[np.str_]) -> NDArray[np.int32]:
    found, which = np.unique(texts, return_inverse=True)
    return np.array([_number(text) for text in found.tolist()], np.int32)[which]


def _number(text: str) -> int:
    """Read a residue number of four columns, hybrid-36 above 9999 (cci.lbl.gov/hybrid_36); 0 for none.

    Examples
    --------
    >>> _number("-12"), _number("A000"), _number("a000"), _number("")
    (-12, 10000, 1223056, 0)
    """
    try:
        return int(text)
    except ValueError:
        pass
    if len(text) == 4 and text[0] in string.ascii_letters and text.isalnum() and text.isascii():
        if text.isupper() or text.upper() == text:
            return int(text, 36) - 10 * 36**3 + 10**4
        if text.lower() == text:
            return int(text, 36) + 16 * 36**3 + 10**4
    return 0


def _blank_or(texts: NDArray[np.str_]) -> NDArray[np.str_]:
    return np.where((texts == "") | (texts == ".") | (texts == "?"), " ", texts)


def _aligned(line: bytes, number: int) -> bytes:
    """Move a line back to its columns where a serial number of more than five digits moved it."""
    for shift in range(MOST_SHIFT + 1):
        moved = line[:6] + line[6 + shift :]
        if (shift == 0 or line[6 : 11 + shift].strip().isdigit()) and _has_coordinates(moved):
            return moved
    raise ValueError(f"line {number}: no coordinates in columns 31 to 54")


def _has_coordinates(line: bytes) -> bool:
    try:
        _coordinates(_cells([line]))
    except ValueError:
        return False
    return True


def _is_four_letters(name: str, fourth: str) -> bool:
    """Tell a residue name of four letters (columns 18 to 21) from one of three before a chain of two."""
    if name.startswith(("N", "C")) and gemmi.find_tabulated_residue((name + fourth)[1:]).is_amino_acid():
        return True  # Amber's ends of a chain: NALA, CALA
    return not gemmi.find_tabulated_residue(name).found()


# mmCIF ---------------------------------------------------------------------------------------------------


def _read_mmcif(text: bytes) -> tuple[AtomTable, int]:
    document = gemmi.cif.read_string(text.decode(errors="replace"))
    block = next((block for block in document if block.find_values("_atom_site.Cartn_x")), None)
    if block is None:
        return _empty(), 0

    def column(*tags: str) -> NDArray[np.str_] | None:
        """Return the first of these columns that has a value; None when none has."""
        for tag in tags:
            found, which = np.unique(list(block.find_values(f"_atom_site.{tag}")), return_inverse=True)
            texts = [gemmi.cif.as_string(cell) for cell in found.tolist()]
            if any("\N{REPLACEMENT CHARACTER}" in text for text in texts):
                raise ValueError(f"in _atom_site.{tag} a character that is not UTF-8")
            if any(texts):
                return np.array(texts, np.str_)[which]
        return None

    count = len(block.find_values("_atom_site.Cartn_x"))

    def or_blank(values: NDArray[np.str_] | None) -> NDArray[np.str_]:
        return np.full(count, "", np.str_) if values is None else values

    xyz = [column(f"Cartn_{axis}") for axis in "xyz"]
    if any(axis is None or len(axis) != count for axis in xyz):
        raise ValueError("its atoms have no coordinates")
    model = or_blank(column("pdbx_PDB_model_num"))
    table = AtomTable(
        np.array(xyz).T.astype(np.float64),
        or_blank(column("auth_atom_id", "label_atom_id")),
        or_blank(column("auth_comp_id", "label_comp_id")),
        or_blank(column("auth_asym_id", "label_asym_id")),
        _numbers(or_blank(column("auth_seq_id", "label_seq_id"))),
        _blank_or(or_blank(column("pdbx_PDB_ins_code"))),
        _blank_or(or_blank(column("label_alt_id"))),
        or_blank(column("type_symbol")),
        np.zeros(count, np.bool_),
        _floats_or(or_blank(column("occupancy")), 1.0),
        _floats_or(or_blank(column("B_iso_or_equiv")), 0.0),
        np.zeros(count, np.int32),
        or_blank(column("group_PDB")) == "HETATM",
    )
    return table.only(model == model[0]), len(set(model.tolist())) - 1


def _empty() -> AtomTable:
    text, number = np.empty(0, np.str_), np.empty(0, np.float32)
    integers, truths = np.empty(0, np.int32), np.empty(0, np.bool_)
    return AtomTable(
        np.empty((0, 3)),
        text,
        text,
        text,
        integers,
        text,
        text,
        text,
        truths,
        number,
        number,
        integers,
        truths,
    )
