"""Makes a receptor of a structure file: chains, elements, one alternate location, and what is left out."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import gemmi
import numpy as np
from numpy.typing import NDArray

from templ.chemistry.elements import atomic_numbers, is_polymer, standard_name
from templ.chemistry.receptor import Atoms, Receptor, Residues
from templ.chemistry.structure_file import AtomTable, read_structure_file
from templ.errors import InputError

WATERS = frozenset({
    "HOH", "WAT", "H2O", "DOD", "SOL", "TIP", "TIP2", "TIP3", "TIP4", "TIP5", "TP3", "T3P", "TP4", "T4P",
    "TP5", "T5P", "SPC", "SPCE", "OPC", "OPC3", "OH2", "W",
})  # fmt: skip
"""Water in the PDB and in the files of force fields. Some are components of the dictionary too (T3P is a
nucleotide): a water has one atom besides hydrogens."""
ADDITIVES = frozenset({
    "ACT", "ACY", "BME", "BR", "CIT", "CL", "DMS", "EDO", "EOH", "EPE", "FMT", "GOL", "IOD", "IPA", "K",
    "MES", "MLI", "MPD", "NA", "NO3", "P6G", "PEG", "PG4", "PGE", "1PE", "PO4", "SCN", "SO4", "TLA", "TRS",
    "UNX",
})  # fmt: skip
"""Of the crystallisation liquid: another crystal of the same protein has others, or none."""
SALT = (11, 17, 19, 35, 53)
"""Atomic numbers of single ions that belong to the liquid, under whatever name: Na, Cl, K, Br, I."""
SAME_ATOM = 1.0
"""Angstrom: two residues of one number whose C-alpha atoms are this near are alternates without a label."""
CARBON = 6
CHARMM_NAMES = {"OT1": "O", "OT2": "OXT", "OCT1": "O", "OCT2": "OXT"}


@dataclass(slots=True)
class FileResidue:
    """A residue of a structure file; `atoms` are the rows of the table that it has."""

    name: str
    chain: str
    number: int
    insertion: str
    atoms: list[int]


def read_receptor(path: str | Path, *, ligand: str = "") -> Receptor:
    """Read a receptor from PDB or mmCIF, gzipped or not: its first model, without hydrogens and water.

    Of alternate locations each residue has the one with the highest summed occupancy (the first label
    where two are equal). Molecules of the crystallisation liquid are left out. `Receptor.left_out` says what
    was.

    Parameters
    ----------
    path : str or Path
        The file.
    ligand : str
        Residue name of a ligand that is in the file and not part of the receptor: every copy is left out.

    Raises
    ------
    InputError
        When the file is missing, is no structure, or has no heavy atom.
    """
    table, models = read_structure_file(path)
    if not len(table):
        raise InputError(f"{path} holds no atoms; expected a PDB or mmCIF file of a receptor")
    receptor = as_receptor(understand(table, models), ligand)
    if not len(receptor.atoms):
        raise InputError(f"{path} holds no heavy atoms besides water; expected a receptor")
    return receptor


def find_ligand(path: str | Path, name: str) -> NDArray[np.float64]:
    """Find the middle of a ligand in a structure file, shape (3,), Angstrom; of copies that of the first.

    Raises
    ------
    InputError
        When there is none of that name; the message names those there are.
    """
    table, _ = read_structure_file(path)
    residues = group_residues(table)
    first = next((one for one in residues if one.name == name and not is_polymer(name)), None)
    if first is None:
        raise InputError(f"{path} has no ligand '{name}'; small molecules in it: {small_molecules(residues)}")
    middle: NDArray[np.float64] = table.xyz[first.atoms].mean(axis=0)
    return middle


def small_molecules(residues: list[FileResidue]) -> str:
    """Name what is in a structure besides chains and water, for messages."""
    names = {residue.name for residue in residues if not is_polymer(residue.name)}
    return ", ".join(sorted(names - WATERS)) or "none"


@dataclass(slots=True)
class Structure:
    """A structure file as it is understood: one location of each residue, its residues, true elements.

    Attributes
    ----------
    table : AtomTable
        Atoms that are in it.
    residues : list of FileResidue
        In the order of the file.
    elements : array, shape (atoms,), uint8
        Atomic numbers.
    left_out : Counter of str
        What was in the file and is not here.
    """

    table: AtomTable
    residues: list[FileResidue]
    elements: NDArray[np.uint8]
    left_out: Counter[str]


def understand(table: AtomTable, models: int) -> Structure:
    """Choose alternate locations, put residues together and decide elements (`read_structure_file`)."""
    chosen = one_location(table)
    left_out = Counter({"further models": models, "atoms of other alternate locations": int((~chosen).sum())})
    table = table.only(chosen)
    residues = group_residues(table)
    return Structure(table, residues, _elements(table, residues), left_out)


def as_receptor(structure: Structure, ligand: str = "") -> Receptor:
    """Make a receptor of a structure, which may still have its ligand (`read_receptor`)."""
    table, residues, elements = structure.table, structure.residues, structure.elements
    left_out = Counter(structure.left_out)
    additives: Counter[str] = Counter()
    chains = _Chains()
    kept: list[int] = []
    order: list[int] = []
    names: list[str] = []
    residue_names: list[str] = []
    for residue in residues:
        atoms = [atom for atom in residue.atoms if elements[atom] > 1]
        if residue.name in WATERS and len(atoms) <= 1:
            left_out["waters"] += 1
            continue
        if residue.name == ligand:
            left_out[f"molecules of the ligand {ligand}"] += 1
            continue
        if residue.name in ADDITIVES or (len(residue.atoms) == 1 and elements[residue.atoms[0]] in SALT):
            additives[residue.name] += 1
            continue
        alpha = _alpha(residue, table, elements)
        index: int | None = -1
        if alpha is not None:
            index = chains.add(residue, int(table.molecules[alpha]), table.xyz[alpha])
        if index is None:
            left_out["atoms of other alternate locations"] += len(residue.atoms)
            continue
        left_out["hydrogens"] += sum(int(elements[atom]) == 1 for atom in residue.atoms)
        left_out["atoms of no element"] += sum(int(elements[atom]) == 0 for atom in residue.atoms)
        standard = standard_name(residue.name)
        kept += atoms
        order += [index] * len(atoms)
        names += [_atom_name(str(table.names[atom]), standard, index >= 0) for atom in atoms]
        residue_names += [residue.name if len(residue.name) < 4 else standard] * len(atoms)
    liquid = ", ".join(f"{count} {name}" for name, count in sorted(additives.items()))
    left_out[f"molecules of the crystallisation liquid ({liquid})"] = sum(additives.values())
    in_chains, row_of = chains.residues()
    return Receptor(
        in_chains,
        Atoms(
            table.xyz[kept].astype(np.float32).reshape(-1, 3),
            elements[kept],
            row_of[np.array(order, np.intp)],
            np.array(names, np.str_),
            np.array(residue_names, np.str_),
            table.b_factors[kept],
        ),
        np.empty(0, np.int32),
        left_out=tuple(_counted(count, what) for what, count in left_out.items() if count),
    )


def one_location(table: AtomTable) -> NDArray[np.bool_]:
    """Choose one alternate location for each residue, shape (atoms,): true for the atoms that stay.

    The label with the highest summed occupancy, of equal ones the first. Only what bears a label is an
    alternate: a metal that is numbered like a residue is not.
    """
    stays = np.ones(len(table), np.bool_)
    labelled = table.altlocs != " "
    if not labelled.any():
        return stays
    sites: defaultdict[tuple[object, ...], list[int]] = defaultdict(list)
    times: Counter[tuple[object, ...]] = Counter()  # a chain's name can come twice, with the same numbers
    for row in np.flatnonzero(labelled).tolist():
        site = (table.chains[row], table.numbers[row], table.insertions[row])
        atom = (*site, table.residue_names[row], table.names[row], table.altlocs[row])
        sites[*site, times[atom]].append(row)
        times[atom] += 1
    for rows in sites.values():
        occupancies: Counter[str] = Counter()
        for row in rows:
            occupancies[table.altlocs[row]] += table.occupancies[row]
        best = min(occupancies, key=lambda label: (-round(float(occupancies[label]), 3), label))
        stays[[row for row in rows if table.altlocs[row] != best]] = False
    return stays


def group_residues(table: AtomTable) -> list[FileResidue]:
    """Put the atoms of each residue together, in the order of the file.

    What comes again under the same name and number is another residue (a second monomer, a water without a
    number of its own), unless it brings other atoms: then the file has the residue in two pieces.
    """
    runs: list[FileResidue] = []
    last: tuple[str, int, str, str] | None = None
    first_name = ""
    columns = (table.chains, table.numbers, table.insertions, table.residue_names, table.names)
    for row, (*key, name) in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
        chain, number, insertion, residue = identity = tuple(key)
        again = name == first_name and (residue in WATERS or residue == name or is_polymer(residue))
        if identity != last or again:
            runs.append(FileResidue(residue, chain, number, insertion, []))
            last, first_name = identity, name
        runs[-1].atoms.append(row)
    found: dict[tuple[str, int, str, str], FileResidue] = {}
    residues = []
    for run in runs:
        identity = (run.chain, run.number, run.insertion, run.name)
        first = found.get(identity)
        if first is None or set(table.names[run.atoms]) & set(table.names[first.atoms]):
            found[identity] = run
            residues.append(run)
        else:
            first.atoms += run.atoms
    return residues


class _Chains:
    """Puts chains together: a residue number that comes again begins another chain of the same name."""

    def __init__(self) -> None:
        self._parts: list[_Part] = []
        self._current: dict[tuple[str, int], _Part] = {}
        self._count = 0

    def add(self, residue: FileResidue, molecule: int, alpha: NDArray[np.float64]) -> int | None:
        """Add an amino acid; return its number in the order of adding, or None for an unlabelled alternate.

        Where chains have no name a TER tells them apart.
        """
        key = (residue.chain, 0 if residue.chain else molecule)
        number = (residue.number, residue.insertion)
        part = self._current.get(key)
        if part is not None and number in part.alphas:
            if np.linalg.norm(part.alphas[number] - alpha) < SAME_ATOM:
                return None
            part = None
        if part is None:
            part = self._current[key] = _Part(residue.chain, {}, [], [])
            self._parts.append(part)
        part.alphas[number] = alpha
        part.letters.append(_letter(residue.name))
        part.order.append(self._count)
        self._count += 1
        return part.order[-1]

    def residues(self) -> tuple[Residues, NDArray[np.int32]]:
        """Return the chains, and the row of each number; the row of -1 is -1."""
        row_of = np.full(self._count + 1, -1, np.int32)
        order = [number for part in self._parts for number in part.order]
        row_of[order] = np.arange(self._count)
        numbers = [number for part in self._parts for number in part.alphas]
        alphas = [xyz for part in self._parts for xyz in part.alphas.values()]
        return Residues(
            tuple(part.name for part in self._parts),
            np.cumsum([len(part.order) for part in self._parts], dtype=np.int32),
            "".join(letter for part in self._parts for letter in part.letters),
            np.array([number for number, _ in numbers], np.int32),
            "".join(insertion for _, insertion in numbers),
            np.array(alphas, np.float32).reshape(-1, 3),
        ), row_of


@dataclass(slots=True)
class _Part:
    """A chain: C-alpha atoms by residue number, and what belongs to them in the same order."""

    name: str
    alphas: dict[tuple[int, str], NDArray[np.float64]]
    letters: list[str]
    order: list[int]


def _elements(table: AtomTable, residues: list[FileResidue]) -> NDArray[np.uint8]:
    residue_of = np.empty(len(table), np.intp)
    for index, residue in enumerate(residues):
        residue_of[residue.atoms] = index
    return atomic_numbers(
        table.names, table.residue_names, table.elements, table.named_in_column_14, residue_of, table.xyz
    )


def _alpha(residue: FileResidue, table: AtomTable, elements: NDArray[np.uint8]) -> int | None:
    """Row of the C-alpha atom of an amino acid, modified ones included; None for what is none.

    What no dictionary knows is an amino acid if it has a backbone.
    """
    row_of = {str(table.names[row]): row for row in residue.atoms}
    alpha = row_of.get("CA")
    if alpha is None or elements[alpha] != CARBON:
        return None
    known = gemmi.find_tabulated_residue(standard_name(residue.name)).is_amino_acid()
    return alpha if known or {"N", "C"} <= row_of.keys() else None


def _counted(count: int, what: str) -> str:
    """Say how many there are of a plural."""
    one = re.sub(r"s\b", "", what, count=1)
    return f"{count:,} {what if count != 1 else one}"


def _letter(name: str) -> str:
    letter = gemmi.find_tabulated_residue(standard_name(name)).one_letter_code.upper()
    return str(letter) if letter.isalpha() else "X"


def _atom_name(name: str, residue: str, in_chain: bool) -> str:
    """Name of an atom as the PDB has it: CHARMM names the ends of a chain and of isoleucine otherwise."""
    if not in_chain:
        return name
    return "CD1" if (residue, name) == ("ILE", "CD") else CHARMM_NAMES.get(name, name)
