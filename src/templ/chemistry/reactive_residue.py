"""Residues that a ligand can bond to, and where their reactive atom can be as the side chain turns."""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from templ.chemistry.elements import standard_name
from templ.chemistry.geometry import rotations, squared_distances, unit
from templ.chemistry.receptor import MAIN_CHAIN, Receptor

Array = NDArray[np.float64]

SIDE_CHAINS = {
    "CYS": ("CA", "CB", "SG"),
    "SER": ("CA", "CB", "OG"),
    "THR": ("CA", "CB", "OG1"),
    "LYS": ("CA", "CB", "CG", "CD", "CE", "NZ"),
    "TYR": ("CA", "CB", "CG", "CD1", "CE1", "CZ", "OH"),
}
"""Atoms from the backbone to the reactive atom, the last."""
TURNING = {"CYS": 1, "SER": 1, "THR": 1, "LYS": 4, "TYR": 1}
"""Bonds between them whose turning moves the reactive atom, from the backbone on (the second of a tyrosine
turns its ring about the line to its oxygen)."""
FINE, COARSE = 10.0, 60.0
"""Degrees between positions of a side chain with one such bond, and with several."""
FREE = 2.8
"""Angstrom: the reactive atom has no place nearer than this to an atom of another residue."""
AROUND = 15.0
"""Angstrom from the C-alpha within which other residues are looked at."""


@dataclass(frozen=True, slots=True, eq=False)
class ReactiveResidue:
    """A residue that a ligand can bond to.

    Attributes
    ----------
    label : str
        Such as ``A:CYS145``.
    kind : str
        Its three letters.
    atom, element : str, int
        Name and atomic number of the reactive atom.
    side_chain : array, shape (atoms,)
        Receptor atoms beyond the C-alpha, by index: what is bonded to the residue does not clash with these.
    reactive, before : array, shape (positions, 3)
        Where the reactive atom can be, and with it the atom that it hangs on, Angstrom; as the crystal has
        them first.
    """

    label: str
    kind: str
    atom: str
    element: int
    side_chain: NDArray[np.intp] = field(repr=False)
    reactive: Array = field(repr=False)
    before: Array = field(repr=False)

    def is_called(self, name: str) -> bool:
        """Whether a name is this residue's: ``A:CYS145``, or ``CYS145``, which fits that of any chain."""
        return name in (self.label, self.label.partition(":")[2])


def reactive_residues(
    receptor: Receptor, near: NDArray[np.float64], reach: float = np.inf
) -> list[ReactiveResidue]:
    """Residues of a kind that can be bonded to and that have all their atoms, the nearest to points first.

    Parameters
    ----------
    near : array, shape (points, 3)
        Angstrom.
    reach : float
        Angstrom from a point to the reactive atom, as the crystal has it.
    """
    atoms, found = receptor.atoms, list[tuple[float, ReactiveResidue]]()
    for atom in np.flatnonzero(
        (atoms.residues >= 0) & np.isin(atoms.names, [names[-1] for names in SIDE_CHAINS.values()])
    ):
        kind = standard_name(str(atoms.residue_names[atom]))
        if kind not in SIDE_CHAINS or atoms.names[atom] != SIDE_CHAINS[kind][-1]:
            continue
        gap = float(np.linalg.norm(near - atoms.xyz[atom], axis=1).min())
        own = np.flatnonzero(atoms.residues == atoms.residues[atom]) if gap <= reach else ()
        index = {str(atoms.names[other]): int(other) for other in own}
        if all(name in index for name in SIDE_CHAINS[kind]):
            found.append((gap, _residue(receptor, kind, index)))
    return [residue for _, residue in sorted(found, key=itemgetter(0))]


def _residue(receptor: Receptor, kind: str, index: dict[str, int]) -> ReactiveResidue:
    """Make one of its atoms, by name."""
    atoms, names = receptor.atoms, SIDE_CHAINS[kind]
    chain = atoms.xyz[[index[name] for name in names]].astype(np.float64)
    reactive, before = _turned(chain, TURNING[kind])
    residue = int(atoms.residues[index[names[-1]]])
    others = atoms.xyz[atoms.residues != residue] - chain[0]
    near = others[(others**2).sum(axis=1) < AROUND**2]
    free = squared_distances(reactive - chain[0], near).min(axis=1, initial=np.inf) >= FREE**2
    free[0] = True  # the crystal has it there
    return ReactiveResidue(
        receptor.residues.label(residue, kind),
        kind,
        names[-1],
        int(atoms.elements[index[names[-1]]]),
        np.array([atom for name, atom in index.items() if name not in MAIN_CHAIN], np.intp),
        reactive[free],
        before[free],
    )


def _turned(chain: Array, turning: int) -> tuple[Array, Array]:
    """Last atom of a side chain and the one before it, each bond turned in steps; the first unturned."""
    angles = np.radians(np.arange(0, 360, FINE if turning == 1 else COARSE))
    points = chain[None]
    for bond in range(turning):
        points = np.repeat(points, len(angles), axis=0)
        about = points[:, [bond + 1]]
        turns = rotations(unit(about[:, 0] - points[:, bond]), np.tile(angles, len(points) // len(angles)))
        points[:, bond + 2 :] = (points[:, bond + 2 :] - about) @ np.swapaxes(turns, -1, -2) + about
    return points[:, -1], points[:, -2]
