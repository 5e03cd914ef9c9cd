"""Finds the ligands in a structure file: what is no water, ion, buffer, glycan, or part of a chain."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import gemmi
import numpy as np
from numpy.typing import NDArray

from templ.chemistry.elements import COVALENT_RADII, is_polymer, standard_name
from templ.chemistry.receptor import METALS
from templ.chemistry.receptor_file import ADDITIVES, WATERS, FileResidue, Structure
from templ.chemistry.structure_header import AtomName

LEAST_ATOMS = 6
"""Heavy atoms: what is smaller comes from the liquid or caps a chain."""
LONGEST_BOND = 1.2
"""Atoms of two residues nearer than this times the sum of their covalent radii are bonded (C-S 2.17 A)."""
OVERLAP = 0.8
"""Angstrom: residues with atoms this near are two descriptions of one place, and not bonded."""
REACH = 2.8
"""Angstrom: no such bond is longer (between two iodine atoms 3.3, which no residues share)."""
BACKBONE = {"N": "C", "C": "N", "P": "O3'", "O3'": "P"}
"""Atoms by which residues are linked to a chain, and those of the next residue that they are linked to."""
NEXT_ATOM = 1.9
"""Angstrom between these two (1.33 and 1.61)."""
NEXT_ALPHA = 4.5
"""Angstrom between C-alpha atoms of neighbours (3.8), where the atoms between them are absent."""
NOT_LIGANDS = ADDITIVES | frozenset({
    "12P", "15P", "1BO", "1PG", "2HT", "2PE", "33O", "7PE", "7PG", "ACN", "AE3", "AE4", "B3P", "B7G", "BCN",
    "BGQ", "BNG", "BOG", "BTB", "BU1", "BU2", "BU3", "C8E", "CAC", "CE1", "CPS", "CXE", "CXS", "D10", "DDQ",
    "DIO", "DMU", "DOX", "DTD", "DTT", "DTU", "DTV", "ETE", "FLC", "GBL", "HED", "HEX", "HEZ", "HTG", "IMD",
    "JEF", "LDA", "LFA", "LI1", "LMN", "LMT", "LMU", "MAC", "MB3", "MLA", "MPO", "MRD", "MXE", "MYS", "NEH",
    "NHE", "OCT", "OES", "OLA", "OLB", "OLC", "OXL", "P33", "P4C", "PE3", "PE4", "PE5", "PE7", "PE8", "PEU",
    "PG0", "PG5", "PG6", "PGO", "PGQ", "PGR", "PIG", "PIN", "PLM", "POL", "PPI", "PTL", "PX4", "SBT", "SDS",
    "SIN", "SOG", "SPD", "SPJ", "SPK", "SPM", "SRT", "STE", "TAM", "TAR", "TBU", "TCE", "TEA", "TFA", "TMA",
    "TOE", "XPE",
})  # fmt: skip
"""Buffers, cryoprotectants, detergents, lipids of crystallisation, reducing agents, and what nobody knew; by
and large those that BioLiP (J. Yang et al., Nucleic Acids Res. 41 (2013) D1096) takes to be artefacts."""


@dataclass(frozen=True, slots=True)
class FoundLigand:
    """One copy of a ligand in a structure.

    Attributes
    ----------
    residues : tuple of FileResidue
        Usually one; several that are bonded to each other.
    rows : tuple of int
        Its heavy atoms in the table of the structure, residue after residue.
    bonds : tuple of (int, int)
        Those between its residues, by index in `rows`.
    links : tuple of (int, AtomName)
        Its bonds to chains: index in `rows`, and the atom there.
    occupancy, b_factor : float
        Mean of its atoms; B factor in Angstrom^2.
    """

    residues: tuple[FileResidue, ...]
    rows: tuple[int, ...]
    bonds: tuple[tuple[int, int], ...]
    links: tuple[tuple[int, AtomName], ...]
    occupancy: float
    b_factor: float

    @property
    def name(self) -> str:
        """Residue names, joined by hyphens."""
        return "-".join(residue.name for residue in self.residues)

    @property
    def location(self) -> str:
        """Chain and number of its first residue."""
        first = self.residues[0]
        return f"{first.chain}{first.number}{first.insertion.strip()}"


def find_ligands(
    structure: Structure,
    links: Iterable[tuple[AtomName, AtomName]] = (),
    wanted: Iterable[str] = (),
) -> list[FoundLigand]:
    """Find the ligands of a structure, every copy, in the order of the file.

    Single amino acids and nucleotides count where they are heteroatoms of the file and bonded to no chain.

    Parameters
    ----------
    links : iterable of pairs of AtomName
        Bonds that the header names; those that the distances show are found without.
    wanted : iterable of str
        Names of residues that are ligands although they are small or on the list of artefacts.
    """
    heavy = {
        index: [row for row in residue.atoms if structure.elements[row] > 1]
        for index, residue in enumerate(structure.residues)
    }
    wanted = frozenset(wanted)
    metals = np.isin(structure.elements, METALS)
    small = {
        index
        for index, residue in enumerate(structure.residues)
        if heavy[index]
        and not (residue.name in WATERS and len(heavy[index]) == 1)
        and not metals[heavy[index]].any()
        and (residue.name not in ADDITIVES or residue.name in wanted)
        and not (is_polymer(residue.name) and not structure.table.hetero[heavy[index]].all())
    }
    bonds = list(_bonds(structure, heavy, small, metals)) + list(_named(structure, small, links))
    small -= _in_chains(structure, small, bonds)
    partners: defaultdict[int, set[int]] = defaultdict(set)
    chained: set[int] = set()
    for (one, _), (other, _) in bonds:
        if one in small and other in small:
            partners[one].add(other)
            partners[other].add(one)
        else:
            chained.update({one, other} & small)
    found = []
    for group in _groups(small, partners):
        names = {structure.residues[index].name for index in group}
        sugars = all(_is_sugar(name) for name in names)
        if sugars and (len(group) > 1 or group[0] in chained):
            continue
        rows = [row for index in group for row in heavy[index]]
        if names & wanted or (len(rows) >= LEAST_ATOMS and not names <= NOT_LIGANDS):
            found.append(_ligand(structure, group, rows, bonds))
    return found


_Bond = tuple[tuple[int, int], tuple[int, int]]
"""Residue and row in the table of two bonded atoms."""


def _bonds(
    structure: Structure, heavy: dict[int, list[int]], small: set[int], metals: NDArray[np.bool_]
) -> Iterator[_Bond]:
    """Yield bonds between a small molecule and any other residue, by distance; metals have none."""
    table = structure.table
    owner = np.full(len(table), -1, np.intp)
    for index, rows in heavy.items():
        owner[rows] = index
    owner[metals] = -1
    for residue in structure.residues:
        if residue.name in WATERS:
            owner[residue.atoms] = -1
    for index in sorted(small):
        own = np.array(heavy[index], np.intp)
        low, high = table.xyz[own].min(axis=0) - REACH, table.xyz[own].max(axis=0) + REACH
        near = np.flatnonzero(
            (owner >= 0) & (owner != index) & ((table.xyz >= low) & (table.xyz <= high)).all(axis=1)
        )
        gaps = np.linalg.norm(table.xyz[own][:, None] - table.xyz[near][None], axis=-1)
        reach = LONGEST_BOND * (
            COVALENT_RADII[structure.elements[own]][:, None] + COVALENT_RADII[structure.elements[near]][None]
        )
        overlapping = set(owner[near][(gaps < OVERLAP).any(axis=0)].tolist())
        for first, second in np.argwhere(gaps < reach).tolist():
            if int(owner[near[second]]) in overlapping:
                continue
            yield (index, int(own[first])), (int(owner[near[second]]), int(near[second]))


def _named(
    structure: Structure, small: set[int], links: Iterable[tuple[AtomName, AtomName]]
) -> Iterator[_Bond]:
    """Yield those bonds of the header that a small molecule takes part in."""
    links = list(links)
    if not links:
        return
    wanted = {atom for pair in links for atom in pair}
    rows: dict[AtomName, tuple[int, int]] = {}
    for index, residue in enumerate(structure.residues):
        for row in residue.atoms:
            atom = _atom_name(structure, index, row)
            if atom in wanted:
                rows.setdefault(atom, (index, row))
    for one, other in links:
        first, second = rows.get(one), rows.get(other)
        if first is None or second is None or first[0] == second[0]:
            continue
        if any(structure.elements[row] in METALS for _, row in (first, second)):
            continue
        if first[0] in small or second[0] in small:
            yield first, second


def _in_chains(structure: Structure, small: set[int], bonds: list[_Bond]) -> set[int]:
    """Those small molecules that are residues or caps of a chain: bonded to a backbone, or next in it."""
    names, residues, inside = structure.table.names, structure.residues, set[int]()
    for ends in bonds:
        for (own, own_row), (other, other_row) in (ends, ends[::-1]):
            if own in small and is_polymer(residues[other].name):
                by_own = is_polymer(residues[own].name) and str(names[own_row]) in BACKBONE
                if by_own or _is_free_end(structure, other_row):
                    inside.add(own)
    single = {index for index in small - inside if is_polymer(residues[index].name)}
    if single:
        alphas = {
            (residue.chain, residue.number): structure.table.xyz[row]
            for residue in residues
            for row in residue.atoms
            if names[row] == "CA" and is_polymer(residue.name)
        }
        for index in single:
            site = residues[index].chain, residues[index].number
            around = [alphas.get((site[0], site[1] + step)) for step in (-1, 1)]
            if site in alphas and any(
                other is not None and np.linalg.norm(other - alphas[site]) < NEXT_ALPHA for other in around
            ):
                inside.add(index)
    return inside


def _is_free_end(structure: Structure, row: int) -> bool:
    """Tell an atom of a backbone that has no next residue: only there a cap can be bonded."""
    table = structure.table
    next_name = BACKBONE.get(str(table.names[row]))
    if next_name is None:
        return False
    candidates = np.flatnonzero(table.names == next_name)
    own = (table.chains == table.chains[row]) & (table.numbers == table.numbers[row])
    candidates = candidates[~own[candidates]]
    gaps = np.linalg.norm(table.xyz[candidates] - table.xyz[row], axis=1)
    return not any(is_polymer(str(name)) for name in table.residue_names[candidates[gaps < NEXT_ATOM]])


def _groups(small: set[int], partners: dict[int, set[int]]) -> Iterator[list[int]]:
    """Yield the residues that are bonded to each other, each group once."""
    seen: set[int] = set()
    for first in sorted(small):
        group, pending = set[int](), [first]
        while pending:
            index = pending.pop()
            if index not in seen:
                seen.add(index)
                group.add(index)
                pending += partners.get(index, ())
        if group:
            yield sorted(group)


def _ligand(structure: Structure, group: list[int], rows: list[int], bonds: list[_Bond]) -> FoundLigand:
    table, position = structure.table, {row: number for number, row in enumerate(rows)}
    inner = {
        (min(ends), max(ends))
        for (one, first), (other, second) in bonds
        if one in group and other in group
        for ends in [(position[first], position[second])]
    }
    outer = {
        (position[own_row], _atom_name(structure, other, other_row))
        for ends in bonds
        for (own, own_row), (other, other_row) in (ends, ends[::-1])
        if own in group and other not in group
    }
    return FoundLigand(
        tuple(structure.residues[index] for index in group),
        tuple(rows),
        tuple(sorted(inner)),
        tuple(sorted(outer)),
        float(table.occupancies[rows].mean()),
        float(table.b_factors[rows].mean()),
    )


def _atom_name(structure: Structure, index: int, row: int) -> AtomName:
    residue = structure.residues[index]
    return AtomName(residue.chain, residue.number, residue.insertion, str(structure.table.names[row]))


def _is_sugar(name: str) -> bool:
    kind = gemmi.find_tabulated_residue(standard_name(name)).kind
    return kind in (gemmi.ResidueKind.PYR, gemmi.ResidueKind.KET)
