"""Residues that a ligand can bond to, and where their reactive atom can be as the side chain turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from templ.chemistry.covalent import SLACK
from templ.chemistry.elements import COVALENT_RADII, standard_name
from templ.chemistry.geometry import rotations, squared_distances, unit
from templ.chemistry.receptor import MAIN_CHAIN, METALS, Receptor, residues_with

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
BRANCHES = {"THR": ("CG2",), "TYR": ("CD2", "CE2")}
"""Further atoms that the first of these bonds moves."""
FINE, COARSE = 10.0, 60.0
"""Degrees between positions of a side chain with one such bond, and with several."""
FREE = 2.8
"""Angstrom: no atom of a side chain that has turned is nearer than this to an atom of another residue."""
BASE_AT = {16: 4.2, 8: 3.4}
"""Angstrom from a sulphur or an oxygen, wherever it turns, to a nitrogen that takes its proton: the dyads and
triads of proteases (S-N 3.5 to 4.0 A, O-N 2.6 to 3.2), the lysine of beta-lactamases."""
BASES = (("HIS", "ND1"), ("HIS", "NE2"), ("LYS", "NZ"))
NITROGEN = 7
AROUND = 15.0
"""Angstrom from the C-alpha within which other residues are looked at."""


@dataclass(frozen=True, slots=True, eq=False)
class ReactiveResidue:
    """A residue that a ligand can bond to.

    Attributes
    ----------
    label : str
        Such as ``A:CYS145``, or ``A:CYX145`` where its file has it so.
    kind : str
        The three letters of its amino acid.
    atom, element : str, int
        Name and atomic number of the reactive atom.
    side_chain : array, shape (atoms,)
        Receptor atoms beyond the C-alpha, by index: what is bonded to the residue does not clash with these.
    rows : array, shape (atoms,)
        Receptor atoms from the C-alpha to the reactive atom, by index, then the branches;
    turned : array, shape (positions, atoms, 3)
        and where they can be, Angstrom; as the crystal has them first.
    held_by : str
        Residue or metal of the receptor that its reactive atom is bonded to already, such as ``A:CYS44``.
    activated : bool
        A histidine or a lysine is in reach that takes its proton, or it begins its chain, as the threonine of
        a proteasome does.
    """

    label: str
    kind: str
    atom: str
    element: int
    side_chain: NDArray[np.intp] = field(repr=False)
    rows: NDArray[np.intp] = field(repr=False)
    turned: Array = field(repr=False)
    held_by: str = ""
    activated: bool = False

    @property
    def reactive(self) -> Array:
        """Where the reactive atom can be, shape (positions, 3)."""
        return self.turned[:, self._last]

    @property
    def before(self) -> Array:
        """With each position the atom that the reactive one hangs on, shape (positions, 3)."""
        return self.turned[:, self._last - 1]

    @property
    def others(self) -> Array:
        """With each position the side chain's atoms but the reactive one, shape (positions, atoms, 3)."""
        return np.delete(self.turned, [0, self._last], axis=1)

    @property
    def _last(self) -> int:
        """Of the atoms in `rows` the reactive one."""
        return len(SIDE_CHAINS[self.kind]) - 1


def is_called(label: str, name: str) -> bool:
    """Whether a name is that of a residue: ``A:CYS145``, or ``CYS145``, which fits that of any chain.

    A force field's name of the amino acid (CYX, CYM, LYN) is as good as its own.

    Examples
    --------
    >>> is_called("A:CYS145", "CYS145"), is_called("A:CYX145", "A:CYS145"), is_called("A:CYS145", "B:CYS145")
    (True, True, False)
    """
    chain, _, wanted = name.rpartition(":")
    own_chain, _, own = label.rpartition(":")
    kinds_agree = standard_name(wanted[:3]) == standard_name(own[:3])
    return kinds_agree and wanted[3:].upper() == own[3:].upper() and chain in ("", own_chain)


def reactive_residues(
    receptor: Receptor, near: NDArray[np.float64], reach: float = np.inf, called: str = ""
) -> list[ReactiveResidue]:
    """Residues of a kind that can be bonded to and that have all their atoms, the nearest to points first.

    Parameters
    ----------
    near : array, shape (points, 3)
        Angstrom.
    reach : float
        Angstrom from a point to the reactive atom, as the crystal has it.
    called : str
        Those of this name alone (`is_called`); empty for all.
    """
    atoms, found = receptor.atoms, list[tuple[float, ReactiveResidue]]()
    for atom in np.flatnonzero(
        (atoms.residues >= 0) & np.isin(atoms.names, [names[-1] for names in SIDE_CHAINS.values()])
    ):
        kind = standard_name(str(atoms.residue_names[atom]))
        if kind not in SIDE_CHAINS or atoms.names[atom] != SIDE_CHAINS[kind][-1]:
            continue
        if called and not is_called(_label(receptor, atom), called):
            continue
        gap = float(np.linalg.norm(near - atoms.xyz[atom], axis=1).min())
        own = np.flatnonzero(atoms.residues == atoms.residues[atom]) if gap <= reach else ()
        index = {str(atoms.names[other]): int(other) for other in own}
        if all(name in index for name in SIDE_CHAINS[kind]):
            found.append((gap, _residue(receptor, kind, index)))
    return [residue for _, residue in sorted(found, key=itemgetter(0))]


def turned_side_chain(receptor: Receptor, label: str, position: Sequence[float]) -> Receptor:
    """Turn the side chain of one residue until its reactive atom is at a position, or nearest to it.

    Parameters
    ----------
    label : str
        As `ReactiveResidue.label`; of several of one name it is the nearest.
    position : sequence of float
        Angstrom.
    """
    point = np.asarray(position, np.float64)
    named = reactive_residues(receptor, point[None], called=label)
    if not named:
        return receptor
    gaps = [np.linalg.norm(residue.reactive - point, axis=1) for residue in named]
    residue, gap = min(zip(named, gaps, strict=True), key=lambda pair: float(pair[1].min()))
    xyz = receptor.atoms.xyz.copy()
    xyz[residue.rows] = residue.turned[gap.argmin()]
    return replace(receptor, atoms=replace(receptor.atoms, xyz=xyz))


def _label(receptor: Receptor, atom: np.intp) -> str:
    """What the residue of an atom is called, as its file has it."""
    atoms = receptor.atoms
    return receptor.residues.label(int(atoms.residues[atom]), str(atoms.residue_names[atom]))


def _residue(receptor: Receptor, kind: str, index: dict[str, int]) -> ReactiveResidue:
    """Make one of its atoms, by name."""
    atoms, names = receptor.atoms, SIDE_CHAINS[kind]
    branches = [name for name in BRANCHES.get(kind, ()) if name in index]
    rows = np.array([index[name] for name in (*names, *branches)], np.intp)
    start = atoms.xyz[rows].astype(np.float64)
    turned = _turned(start, TURNING[kind])
    last = rows[len(names) - 1]
    own = atoms.residues == atoms.residues[last]
    others = atoms.xyz[~own] - start[0]
    near = others[(others**2).sum(axis=1) < AROUND**2]
    free, steps = np.arange(len(turned)), round(len(turned) ** (1 / TURNING[kind]))
    for atom in range(2, len(rows)):
        # The bonds before an atom move it, those after it do not.
        alike = len(turned) // steps ** min(atom - 1, TURNING[kind])
        distinct, which = np.unique(free // alike, return_inverse=True)
        xyz = turned[distinct * alike, atom]
        apart = squared_distances(xyz - start[0], near).min(axis=1, initial=np.inf)[which]
        free = free[(apart >= FREE**2) | (free == 0)]  # the crystal has it there
    turned = turned[free]
    return ReactiveResidue(
        _label(receptor, last),
        kind,
        names[-1],
        int(atoms.elements[last]),
        np.array([atom for name, atom in index.items() if name not in MAIN_CHAIN], np.intp),
        rows,
        turned,
        _held_by(receptor, int(last), own),
        _is_activated(receptor, int(last), own, turned[:, len(names) - 1]),
    )


def _is_activated(receptor: Receptor, atom: int, own: NDArray[np.bool_], reactive: Array) -> bool:
    """Whether a base is near a reactive atom, wherever it turns, shape (positions, 3)."""
    atoms, residues = receptor.atoms, receptor.residues
    reach = BASE_AT.get(int(atoms.elements[atom]))
    if reach is None:
        return False
    around = np.flatnonzero(((atoms.xyz - reactive[0]) ** 2).sum(axis=1) < AROUND**2)
    begins = int(atoms.residues[atom]) in (0, *residues.ends.tolist())
    base = [
        row
        for row in around[atoms.elements[around] == NITROGEN].tolist()
        if (standard_name(str(atoms.residue_names[row])), str(atoms.names[row])) in BASES
        or (begins and own[row] and atoms.names[row] == "N")
    ]
    near = atoms.xyz[base].astype(np.float64)
    return bool(squared_distances(reactive, near).min(initial=np.inf) <= reach**2)


def _held_by(receptor: Receptor, atom: int, own: NDArray[np.bool_]) -> str:
    """Name what an atom is bonded to outside its residue: a disulfide's other half, a metal; or nothing."""
    atoms = receptor.atoms
    other = ~own & ((atoms.residues >= 0) | np.isin(atoms.elements, METALS))
    bond = COVALENT_RADII[atoms.elements] + COVALENT_RADII[atoms.elements[atom]] + SLACK
    bonded = other & (np.linalg.norm(atoms.xyz - atoms.xyz[atom], axis=1) < bond)
    return " ".join((*residues_with(receptor, bonded), *atoms.residue_names[bonded & (atoms.residues < 0)]))


def _turned(start: Array, turning: int) -> Array:
    """Atoms of a side chain, each bond turned in steps, shape (positions, atoms, 3); the first unturned."""
    angles = np.radians(np.arange(0, 360, FINE if turning == 1 else COARSE))
    points = start[None]
    for bond in range(turning):
        points = np.repeat(points, len(angles), axis=0)
        about = points[:, [bond + 1]]
        turns = rotations(unit(about[:, 0] - points[:, bond]), np.tile(angles, len(points) // len(angles)))
        points[:, bond + 2 :] = (points[:, bond + 2 :] - about) @ np.swapaxes(turns, -1, -2) + about
    return points
