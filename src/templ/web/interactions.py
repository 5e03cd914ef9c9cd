"""What a pose and its receptor do to each other, atom by atom, to be drawn: hydrogen bonds and clashes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from templ.chemistry.molecules import heavy, positions
from templ.chemistry.receptor import Atoms, Receptor, without_side_chain
from templ.poses.clash_removal import clashes
from templ.poses.pose_file import read_bond
from templ.records import PoseBond
from templ.scoring.vina import ligand_types, receptor_types

LONGEST, SHORTEST = 3.5, 2.4
"""Angstrom between the heavy atoms of a hydrogen bond (E. N. Baker, R. E. Hubbard, Prog. Biophys. Mol. Biol.
44 (1984) 97)."""
LEAST_AT_HYDROGEN = 120.0
"""Degrees, donor - hydrogen - acceptor, where the hydrogen is known: that of the pose."""
LEAST_AT_ATOM = 90.0
"""Degrees at an atom of the pose between its neighbour and an atom of the receptor, which has no hydrogen."""
REACH = 5.0
"""Angstrom from the pose within which receptor atoms are looked at."""


@dataclass(frozen=True, slots=True)
class Interaction:
    """Two atoms: one of the pose, by its index among the heavy atoms, and one of the receptor.

    Attributes
    ----------
    kind : str
        ``covalent bond``, ``hydrogen bond`` or ``clash``.
    atom : int
        Of the pose.
    residue, name : str
        Of the receptor's atom, such as ``A:HIS41`` and ``NE2``.
    start, end : tuple of float
        Where the two atoms are, Angstrom.
    distance : float
        Angstrom.
    """

    kind: str
    atom: int
    residue: str
    name: str
    start: tuple[float, ...]
    end: tuple[float, ...]
    distance: float


def find_interactions(pose: Chem.Mol, receptor: Receptor) -> list[Interaction]:
    """Find bonds, hydrogen bonds and clashes between a pose and a receptor, the shortest first of each kind.

    A hydrogen bond needs a donor and an acceptor 2.4 to 3.5 Angstrom apart, and the right angle at the pose;
    the receptor has no hydrogens. A clash is nearer than PoseBusters lets two atoms be.

    Parameters
    ----------
    pose : rdkit.Chem.Mol
        With hydrogens, in the frame of the receptor, Angstrom; as read from a run, for its covalent bond.
    """
    bare, bond = heavy(pose), read_bond(pose)
    if bond is not None:
        return [
            _of_bond(bond, positions(bare)),
            *_of_pose(pose, bare, without_side_chain(receptor, bond.residue)),
        ]
    return _of_pose(pose, bare, receptor)


def _of_bond(bond: PoseBond, xyz: NDArray[np.float64]) -> Interaction:
    start = tuple(xyz[bond.atom].round(3).tolist())
    length = round(bond.length, 2)
    return Interaction(
        "covalent bond", bond.atom, bond.residue, bond.residue_atom, start, bond.position, length
    )


def _of_pose(pose: Chem.Mol, bare: Chem.Mol, receptor: Receptor) -> list[Interaction]:
    """Hydrogen bonds and clashes of a pose, whose heavy atoms are `bare`."""
    mine, xyz = ligand_types(bare), positions(bare)
    low, high = xyz.min(axis=0) - REACH, xyz.max(axis=0) + REACH
    rows = np.flatnonzero(((receptor.atoms.xyz >= low) & (receptor.atoms.xyz <= high)).all(axis=1))
    near = np.zeros(len(receptor.atoms), np.bool_)
    near[rows] = True
    atoms = receptor.atoms.only(near)
    its = receptor_types(atoms)
    gaps = np.linalg.norm(xyz[:, None] - atoms.xyz[None].astype(np.float64), axis=-1)
    pairs = (mine.donor[:, None] & its.acceptor) | (mine.acceptor[:, None] & its.donor)
    bonded = pairs & (gaps <= LONGEST) & (gaps >= SHORTEST)
    clashing = clashes(bare, xyz, atoms) & ~bonded
    hydrogens = _hydrogens(pose)
    found = []
    for kind, chosen in (("hydrogen bond", bonded), ("clash", clashing)):
        for atom, other in np.argwhere(chosen).tolist():
            end = atoms.xyz[other].astype(np.float64)
            donates = bool(mine.donor[atom] and its.acceptor[other])
            if kind == "hydrogen bond" and not (
                (donates and _points_at(xyz[atom], hydrogens.get(atom, []), end))
                or (mine.acceptor[atom] and its.donor[other] and _is_open(bare, xyz, atom, end))
            ):
                continue
            found.append(
                Interaction(
                    kind,
                    atom,
                    residue_of(receptor, atoms, other),
                    str(atoms.names[other]),
                    tuple(xyz[atom].round(3).tolist()),
                    tuple(end.round(3).tolist()),
                    round(float(gaps[atom, other]), 2),
                )
            )
    return sorted(found, key=lambda pair: (pair.kind == "clash", pair.distance))


def residue_of(receptor: Receptor, atoms: Atoms, index: int) -> str:
    """Name of the residue of one of a receptor's atoms, such as ``A:HIS41``; or of a cofactor."""
    residue = int(atoms.residues[index])
    if residue < 0:
        return str(atoms.residue_names[index])
    return receptor.residues.label(residue, str(atoms.residue_names[index]))


def _hydrogens(pose: Chem.Mol) -> dict[int, list[NDArray[np.float64]]]:
    """Where the hydrogens of each heavy atom are, by its index among the heavy atoms."""
    xyz, found = positions(pose), dict[int, list[NDArray[np.float64]]]()
    index = -1
    for atom in pose.GetAtoms():
        if atom.GetAtomicNum() > 1:
            index += 1
            its = [near.GetIdx() for near in atom.GetNeighbors() if near.GetAtomicNum() == 1]
            found[index] = [xyz[hydrogen] for hydrogen in its]
    return found


def _points_at(
    donor: NDArray[np.float64], hydrogens: list[NDArray[np.float64]], to: NDArray[np.float64]
) -> bool:
    """Whether one of a donor's hydrogens points at an atom; true where none is known."""
    if not hydrogens:
        return True
    return any(_angle(donor, hydrogen, to) >= LEAST_AT_HYDROGEN for hydrogen in hydrogens)


def _is_open(mol: Chem.Mol, xyz: NDArray[np.float64], atom: int, to: NDArray[np.float64]) -> bool:
    """Whether an acceptor has nothing of its own between it and an atom."""
    near = [neighbour.GetIdx() for neighbour in mol.GetAtomWithIdx(atom).GetNeighbors()]
    return all(_angle(xyz[neighbour], xyz[atom], to) >= LEAST_AT_ATOM for neighbour in near)


def _angle(first: NDArray[np.float64], middle: NDArray[np.float64], last: NDArray[np.float64]) -> float:
    """Degrees at the middle one of three points."""
    a, b = first - middle, last - middle
    cosine = float(a @ b) / (float(np.linalg.norm(a)) * float(np.linalg.norm(b)))
    return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))
