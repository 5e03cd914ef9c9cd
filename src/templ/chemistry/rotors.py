"""Bonds of a molecule that can turn, one at a time and all at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from templ.chemistry.geometry import Float, cross, rotations, unit

ROTOR = Chem.MolFromSmarts("[!$([D1])]-&!@[!$([D1])]")
"""A single bond outside rings with something to turn at both ends."""

AMIDE = Chem.MolFromSmarts("[CX3](=[O,S,N])-[NX3,O;!$([N,O]=*)]")
"""Amides, esters and their kin: flat about the bond of the first and the third atom."""


SATURATED = Chem.HybridizationType.SP3


@dataclass(frozen=True, slots=True)
class Rotor:
    """A bond b-c that can turn, and the atoms that turn with c."""

    b: int
    c: int
    moving: tuple[int, ...]


def rotors_of(mol: Chem.Mol) -> tuple[Rotor, ...]:
    """Bonds that can turn, each moving the smaller side; a bond comes after those that it moves."""
    rotors = []
    for b, c in mol.GetSubstructMatches(ROTOR, maxMatches=10_000):
        moving = _side(mol, b, c)
        if 2 * len(moving) > mol.GetNumAtoms():
            b, c, moving = c, b, _side(mol, c, b)
        rotors.append(Rotor(b, c, moving))
    return tuple(sorted(rotors, key=lambda rotor: len(rotor.moving)))


def without_amides(mol: Chem.Mol, rotors: Sequence[Rotor]) -> tuple[Rotor, ...]:
    """Rotors of a molecule that are no amides."""
    flat = {frozenset((c, n)) for c, _, n in mol.GetSubstructMatches(AMIDE, maxMatches=10_000)}
    return tuple(rotor for rotor in rotors if frozenset((rotor.b, rotor.c)) not in flat)


def saturated_rings(mol: Chem.Mol) -> int:
    """Rings that may pucker: of more than three atoms, two of which or more are saturated."""
    return sum(
        sum(mol.GetAtomWithIdx(atom).GetHybridization() == SATURATED for atom in ring) >= 2
        for ring in mol.GetRingInfo().AtomRings()
        if len(ring) > 3
    )


class Torsions:
    """Rotors of one molecule that turn together, in many poses side by side.

    Parameters
    ----------
    rotors : sequence of Rotor
        As `rotors_of` gives them: none moves the axis of a later one.
    atoms : int
        Of the molecule.
    """

    def __init__(self, rotors: Sequence[Rotor], atoms: int) -> None:
        self._b, self._c = (np.array([getattr(rotor, end) for rotor in rotors], np.intp) for end in "bc")
        self._moving = [list(rotor.moving) for rotor in rotors]
        self._moves = np.zeros((len(rotors), atoms), np.float32)
        for row, moving in zip(self._moves, self._moving, strict=True):
            row[moving] = 1

    def __len__(self) -> int:
        return len(self._moving)

    def turn(self, poses: NDArray[Float], angles: NDArray[Float]) -> None:
        """Turn bonds of poses, shape (poses, atoms, 3), in place by angles, (poses, rotors), radians."""
        origins = poses[:, self._c]
        turns = np.swapaxes(rotations(unit(origins - poses[:, self._b]), angles), -1, -2)
        for number, moving in enumerate(self._moving):
            origin = origins[:, [number]]
            poses[:, moving] = (poses[:, moving] - origin) @ turns[:, number] + origin

    def gradient(self, poses: NDArray[Float], slope: NDArray[Float]) -> NDArray[Float]:
        """Gradient by each torsion, shape (poses, rotors), given that by coordinates, (poses, atoms, 3).

        It is the torque of what turns, along the axis; about a bond it is that about the middle of the pose
        less that of all the force, were it at the bond.
        """
        middle = poses.mean(axis=1, keepdims=True)
        origins = poses[:, self._c]
        torque = self._moves @ cross(poses - middle, slope) - cross(origins - middle, self._moves @ slope)
        return np.asarray(np.einsum("pri,pri->pr", unit(origins - poses[:, self._b]), torque))

    def slopes(self, poses: NDArray[Float]) -> NDArray[Float]:
        """How each atom moves with each torsion, shape (poses, atoms, 3, rotors)."""
        origins = poses[:, self._c]
        axes = unit(origins - poses[:, self._b])
        moved = cross(axes[:, :, None], poses[:, None] - origins[:, :, None]) * self._moves[..., None]
        return np.moveaxis(moved, 1, -1)


def _side(mol: Chem.Mol, b: int, c: int) -> tuple[int, ...]:
    """Atoms on the side of c when the bond b-c is cut."""
    seen, front = {b, c}, [c]
    while front:
        for neighbour in mol.GetAtomWithIdx(front.pop()).GetNeighbors():
            if neighbour.GetIdx() not in seen:
                seen.add(neighbour.GetIdx())
                front.append(neighbour.GetIdx())
    return tuple(sorted(seen - {b}))
