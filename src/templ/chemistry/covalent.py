"""The covalent bond between a ligand and its protein, where there is one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from templ.chemistry.elements import COVALENT_RADII
from templ.chemistry.receptor import MAIN_CHAIN, Receptor
from templ.chemistry.structure_header import AtomName

SLACK = 0.3
"""Angstrom by which a bond may exceed the sum of the covalent radii (C-S 2.06 A)."""
NAMED_SLACK = 0.8
"""Angstrom: the same, where the header of the file names the bond."""


@dataclass(frozen=True, slots=True)
class CovalentBond:
    """A bond between a ligand and its protein.

    Attributes
    ----------
    residue, chain, number, insertion, atom : str, str, int, str, str
        The atom of the protein, as its file names it.
    ligand_atom : int
        The other atom, by index in the ligand.
    length : float
        Angstrom.
    """

    residue: str
    chain: str
    number: int
    insertion: str
    atom: str
    ligand_atom: int
    length: float

    def __str__(self) -> str:
        number = f"{self.chain}{self.number}{self.insertion.strip()}"
        return f"{self.atom} of {self.residue} {number}, {self.length:.2f} A"


def covalent_bond(
    xyz: NDArray[np.float64],
    elements: Sequence[int],
    receptor: Receptor,
    named: Collection[AtomName] = (),
) -> CovalentBond | None:
    """Find the shortest bond between a ligand and the chains of its receptor.

    One to a side chain goes before one to a main chain: by the latter a part of a peptide that is deposited
    as a ligand hangs on the rest of it.

    Parameters
    ----------
    xyz, elements : array of shape (atoms, 3), sequence of int
        Heavy atoms of the ligand: Angstrom, and atomic numbers.
    named : collection of AtomName
        Atoms of chains that the header of the file says are bonded to the ligand.
    """
    atoms, residues = receptor.atoms, receptor.residues
    chains = residues.chain_of_each()

    def name_of(atom: int) -> AtomName:
        residue = int(atoms.residues[atom])
        return AtomName(
            chains[residue],
            int(residues.numbers[residue]),
            residues.insertions[residue],
            str(atoms.names[atom]),
        )

    own = np.asarray(elements, np.intp)
    near = np.flatnonzero(atoms.residues >= 0)
    gaps = np.linalg.norm(xyz[:, None] - atoms.xyz[near][None], axis=-1)
    over = gaps - COVALENT_RADII[own][:, None] - COVALENT_RADII[atoms.elements[near]][None]
    found = [
        (float(gaps[ligand, column]), int(ligand), int(near[column]))
        for ligand, column in np.argwhere(over < NAMED_SLACK)
        if over[ligand, column] < SLACK or name_of(int(near[column])) in named
    ]
    if not found:
        return None
    length, ligand, atom = min(found, key=lambda bond: (str(atoms.names[bond[2]]) in MAIN_CHAIN, *bond))
    name = name_of(atom)
    return CovalentBond(
        str(atoms.residue_names[atom]),
        name.chain,
        name.number,
        name.insertion,
        name.atom,
        ligand,
        round(length, 3),
    )
