"""Writes one structure in the many ways in which real programs write it; its atoms stay what they are."""

from __future__ import annotations

import gzip
import string
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import groupby

import gemmi

HEAVY_SHIFT = 0.9
"""Angstrom by which the atoms of another alternate location lie elsewhere."""
FAR = 150.0
"""Angstrom to a second copy of everything."""
HISTIDINES = ("HID", "HIE", "HIP")


@dataclass(frozen=True, slots=True)
class Line:
    """One atom as the PDB describes it."""

    record: str
    name: str
    altloc: str
    residue: str
    chain: str
    number: int
    insertion: str
    xyz: tuple[float, float, float]
    occupancy: float
    b_factor: float
    element: str
    segment: str = ""
    ends: bool = False
    """A TER follows."""


def lines_of(text: str) -> list[Line]:
    """Read the atoms of a PDB file of the PDB's own manners."""
    lines: list[Line] = []
    for text_line in text.splitlines():
        if text_line.startswith("TER") and lines:
            lines[-1] = replace(lines[-1], ends=True)
        if not text_line.startswith(("ATOM", "HETATM")):
            continue
        cell = text_line.ljust(80)
        lines.append(
            Line(
                cell[:6].strip(),
                cell[12:16].strip(),
                cell[16],
                cell[17:20].strip(),
                cell[21].strip(),
                int(cell[22:26]),
                cell[26],
                (float(cell[30:38]), float(cell[38:46]), float(cell[46:54])),
                float(cell[54:60] or 1),
                float(cell[60:66] or 0),
                cell[76:78].strip().upper(),
            )
        )
    return lines


# --- changes of the atoms


def other_chains(lines: list[Line]) -> list[Line]:
    """Chains of other names, single characters of every kind."""
    names = {
        name: string.digits[-1 - i] for i, name in enumerate(dict.fromkeys(line.chain for line in lines))
    }
    return [replace(line, chain=names[line.chain]) for line in lines]


def without_hydrogens(lines: list[Line]) -> list[Line]:
    return [line for line in lines if line.element not in ("H", "D")]


def charges_as_segments(lines: list[Line]) -> list[Line]:
    """Maestro writes charges into the columns of segments: they differ inside a residue."""
    return [replace(line, segment=f"{(i % 7) - 3}.{i % 10}") for i, line in enumerate(lines)]


def lesser_alternates(lines: list[Line]) -> list[Line]:
    """Give every third residue a second location of lower occupancy, atom beside atom."""
    return _alternates(lines, "A", 0.6, "B", 0.4, first=True)


def alternates_that_come_first(lines: list[Line]) -> list[Line]:
    """Give every third residue a location of lower occupancy that stands before it, whole residue first."""
    return _alternates(lines, "B", 0.7, "A", 0.3, first=False)


def _alternates(
    lines: list[Line], label: str, occupancy: float, other: str, lower: float, *, first: bool
) -> list[Line]:
    made: list[Line] = []
    for number, (_, group) in enumerate(groupby(lines, _residue)):
        atoms = list(group)
        if number % 3 or any(atom.altloc != " " for atom in atoms) or _repeats(atoms):
            made += atoms
            continue
        true = [replace(atom, altloc=label, occupancy=occupancy, ends=False) for atom in atoms]
        moved = [
            replace(atom, altloc=other, occupancy=lower, ends=False, xyz=_shifted(atom.xyz, HEAVY_SHIFT))
            for atom in atoms
        ]
        pieces = [atom for pair in zip(true, moved, strict=True) for atom in pair] if first else moved + true
        made += [*pieces[:-1], replace(pieces[-1], ends=atoms[-1].ends)]
    return made


def _repeats(atoms: list[Line]) -> bool:
    return len({atom.name for atom in atoms}) < len(atoms)


def numbered_from(first: int) -> Callable[[list[Line]], list[Line]]:
    """Number residues anew: below zero, or into hybrid-36."""

    def numbered(lines: list[Line]) -> list[Line]:
        made = []
        for number, (_, group) in enumerate(groupby(lines, _residue)):
            made += [replace(line, number=first + number, insertion=" ") for line in group]
        return made

    return numbered


def inserted(lines: list[Line]) -> list[Line]:
    """Number residues in threes: 1, 1A, 1B, 2, ..."""
    made = []
    for number, (_, group) in enumerate(groupby(lines, _residue)):
        made += [replace(line, number=number // 3, insertion=" AB"[number % 3]) for line in group]
    return made


def all_hetero(lines: list[Line]) -> list[Line]:
    return [replace(line, record="HETATM") for line in lines]


def no_hetero(lines: list[Line]) -> list[Line]:
    return [replace(line, record="ATOM") for line in lines]


def amber(lines: list[Line]) -> list[Line]:
    """Amber's names: protonation states, four letters at the ends of chains, no chain names, TERs."""
    made: list[Line] = []
    for _, chain in groupby(lines, lambda line: line.chain):
        groups = [list(group) for _, group in groupby(chain, _residue)]
        amino = [i for i, group in enumerate(groups) if _is_standard(group[0].residue)]
        for i, group in enumerate(groups):
            name = group[0].residue
            if name == "HIS":
                name = HISTIDINES[i % 3]
            elif name == "CYS":
                name = "CYX" if i % 2 else "CYS"
            elif name == "HOH":
                name = "WAT"
            if amino and i in (amino[0], amino[-1]) and _is_standard(group[0].residue):
                name = ("N" if i == amino[0] else "C") + name
            made += [replace(line, residue=name, chain="") for line in group]
        if amino:
            made[-1] = replace(made[-1], ends=True)
    return made


def charmm(lines: list[Line]) -> list[Line]:
    """CHARMM's names: HSD, isoleucine's CD, OT1 and OT2, TIP3; chains in the segment columns only."""
    made = []
    for line in lines:
        residue, name = line.residue, line.name
        if residue == "HIS":
            residue = ("HSD", "HSE", "HSP")[line.number % 3]
        elif residue == "ILE" and name == "CD1":
            name = "CD"
        elif residue == "HOH":
            residue, name = "TIP3", "OH2" if name == "O" else name
        elif _is_standard(residue) and name == "OXT":
            name = "OT2"
        made.append(replace(line, residue=residue, name=name, chain="", segment=f"PRO{line.chain}"))
    return _with_ends(made)


def _with_ends(lines: list[Line]) -> list[Line]:
    return [
        replace(line, ends=line.ends or after is None or after.segment != line.segment)
        for line, after in zip(lines, [*lines[1:], None], strict=True)
    ]


def waters(name: str, *atoms: str) -> Callable[[list[Line]], list[Line]]:
    """Add waters under another name, with the atoms that its force field gives them."""

    def added(lines: list[Line]) -> list[Line]:
        x, y, z = lines[0].xyz
        return [*lines] + [
            Line("HETATM", atom, " ", name, "W", 1 + i, " ", (x + 3 * i + 0.3 * j, y, z + 60), 1, 20, "")
            for i in range(4)
            for j, atom in enumerate(atoms)
        ]

    return added


# --- ways to write


def pdb(
    lines: list[Line],
    *,
    left: bool = False,
    elements: str = "right",
    width: int = 80,
    end_after: int = 0,
    serials_from: int = 1,
) -> str:
    """Write a PDB file.

    Parameters
    ----------
    left : bool
        Names begin in column 13, whatever their element.
    elements : str
        "right"; "none"; or "guessed": the first two letters of the name where they are an element.
    width : int
        Characters of each line.
    end_after : int
        An END stands after so many atoms too.
    serials_from : int
        From 100,000 on they move what follows.
    """
    written = []
    for i, line in enumerate(lines):
        element = line.element.rjust(2)
        if elements == "none":
            element = "  "
        elif elements == "guessed":
            element = _guessed(line.name).rjust(2)
        one_letter = len(line.element) < 2 and len(line.name) < 4
        name = (f" {line.name}" if one_letter and not left else line.name).ljust(4)
        serial = serials_from + i
        x, y, z = line.xyz
        residue = line.residue.rjust(3).ljust(4) if len(line.residue) < 4 else line.residue
        chain = line.chain or " "
        number = _hybrid36(line.number)
        text = (
            f"{line.record:<6}{serial:>5} {name}{line.altloc}{residue}{chain}{number}{line.insertion}   "
            f"{x:8.3f}{y:8.3f}{z:8.3f}{line.occupancy:6.2f}{line.b_factor:6.2f}"
            f"      {line.segment:<4}{element}"
        )
        written.append(text[:width] if serial < 100_000 else text)
        if line.ends:
            written.append("TER")
        if end_after and i + 1 == end_after:
            written.append("END")
    return "\n".join([*written, "END", ""])


def models(lines: list[Line]) -> str:
    moved = [replace(line, xyz=_shifted(line.xyz, 1.5)) for line in lines]
    texts = [pdb(each).removesuffix("END\n") for each in (lines, moved, moved)]
    return "".join(f"MODEL     {n:>4}\n{text}ENDMDL\n" for n, text in enumerate(texts, 1)) + "END\n"


def frames(lines: list[Line]) -> str:
    """Frames of a trajectory, divided by END alone."""
    return pdb(lines) + pdb([replace(line, xyz=_shifted(line.xyz, 1.5)) for line in lines])


def second_copy(lines: list[Line]) -> str:
    """The same molecule once more, far away, under the same names and numbers, after an END."""
    return pdb(lines) + pdb([replace(line, xyz=_shifted(line.xyz, FAR)) for line in lines])


def mmcif(lines: list[Line], *, auth: bool) -> str:
    """Write an mmCIF file, with or without the author's names beside the dictionary's."""
    document = gemmi.cif.Document()
    block = document.add_new_block("made")
    tags = [
        "group_PDB",
        "id",
        "type_symbol",
        "label_atom_id",
        "label_alt_id",
        "label_comp_id",
        "label_asym_id",
    ]
    tags += [
        "label_seq_id",
        "pdbx_PDB_ins_code",
        "Cartn_x",
        "Cartn_y",
        "Cartn_z",
        "occupancy",
        "B_iso_or_equiv",
    ]
    tags += ["auth_seq_id", "auth_comp_id", "auth_asym_id", "auth_atom_id"] if auth else []
    loop = block.init_loop("_atom_site.", tags)
    asym = {key: i for i, key in enumerate(dict.fromkeys(_asym(line) for line in lines))}
    sequence: dict[tuple[object, ...], int] = {}
    for i, line in enumerate(lines, 1):
        residue = (line.chain, line.number, line.insertion)
        polymer = _is_standard(line.residue)
        label = str(sequence.setdefault(residue, len(sequence) + 1)) if polymer else "."
        values = [line.record, str(i), line.element or "?", line.name, line.altloc, line.residue]
        values += [f"X{asym[_asym(line)]}", label, line.insertion, *(f"{v:.3f}" for v in line.xyz)]
        values += [f"{line.occupancy:.2f}", f"{line.b_factor:.2f}"]
        values += [str(line.number), line.residue, line.chain or "A", line.name] if auth else []
        loop.add_row(["." if value == " " else gemmi.cif.quote(value) for value in values])
    return document.as_string()


def _asym(line: Line) -> tuple[object, ...]:
    """A polymer chain is one molecule for the dictionary, all water of a chain one, and each ligand one."""
    if _is_standard(line.residue):
        return (line.chain or line.segment,)
    return (line.chain, line.residue, None if line.residue == "HOH" else line.number)


def packed(text: str) -> bytes:
    return gzip.compress(text.encode())


def _residue(line: Line) -> tuple[object, ...]:
    return (line.chain, line.number, line.insertion, line.residue)


def _is_standard(name: str) -> bool:
    return gemmi.find_tabulated_residue(name).is_amino_acid()


def _shifted(xyz: tuple[float, float, float], by: float) -> tuple[float, float, float]:
    return (xyz[0] + by, xyz[1], xyz[2])


def _guessed(name: str) -> str:
    letters = "".join(letter for letter in name if letter.isalpha()).upper()
    return letters[:2] if gemmi.Element(letters[:2]).atomic_number else letters[:1]


def _hybrid36(number: int) -> str:
    if number < 10_000:
        return f"{number:>4}"
    digits, value = "", number - 10_000 + 10 * 36**3
    for _ in range(4):
        value, digit = divmod(value, 36)
        digits = (string.digits + string.ascii_uppercase)[digit] + digits
    return digits
