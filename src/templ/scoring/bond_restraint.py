"""The covalent bond to the protein, as springs between a ligand and a reactive residue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from templ.chemistry.geometry import Float
from templ.chemistry.reactive_residue import ReactiveResidue
from templ.chemistry.warheads import AT_LIGAND, AT_RESIDUE, TETRAHEDRAL, bond_length

Floats = NDArray[np.float32]

STIFF, BENDING = 60.0, 30.0
"""kcal/mol/A^2 of the bond, and of the distances that stand for its angles: softer than a force field's, so
that poses come to rest in few steps."""
LENGTH_SLACK, ANGLE_SLACK = 0.1, 15.0
"""Angstrom and degrees within which a bond is sound;"""
NEAREST = 2.2
"""Angstrom: and no atom but that which bonds is nearer to the rest of the side chain."""


@dataclass(frozen=True, slots=True, eq=False)
class BondGeometry:
    """How the bonds of poses lie: Angstrom; degrees at the residue's atom and at the ligand's, largest error.

    Attributes
    ----------
    length, at_residue, at_ligand : array, shape (poses,)
    reactive : array, shape (poses, 3)
        Where the residue's atom is for each.
    sound : array, shape (poses,), bool
        Whether length and angles are as they should be, and the pose does not run into the side chain.
    """

    length: NDArray[np.float64]
    at_residue: NDArray[np.float64]
    at_ligand: NDArray[np.float64]
    reactive: NDArray[np.float64]
    sound: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class BondRestraint:
    """Springs of one bond: its length, and the angles at both ends as distances across them.

    For each pose the residue takes, of its positions, that which costs least.

    Attributes
    ----------
    atom, neighbours : int, array, shape (neighbours,)
        The ligand's atom that bonds, and those that it hangs on.
    reactive, before : array, shape (positions, 3)
        Where the residue's atom can be, and the one that it hangs on, Angstrom, in the frame of the poses.
    others : array, shape (positions, atoms, 3)
        The side chain's other atoms with each position, Angstrom.
    length, across_residue : float
        Angstrom between the ligand's atom and `reactive`, and `before`.
    across_ligand : array, shape (neighbours,)
        Angstrom between the neighbours and `reactive`.
    angles : array, shape (2,)
        Degrees, at the residue's atom and at the ligand's.
    """

    atom: int
    neighbours: NDArray[np.intp]
    reactive: NDArray[np.float64]
    before: NDArray[np.float64]
    others: NDArray[np.float64]
    length: float
    across_residue: float
    across_ligand: NDArray[np.float64]
    angles: tuple[float, float]

    @classmethod
    def of(
        cls, mol: Chem.Mol, conformer: NDArray[np.float64], atom: int, residue: ReactiveResidue
    ) -> BondRestraint:
        """Take lengths and angles from the table.

        Parameters
        ----------
        mol : rdkit.Chem.Mol
            Heavy atoms of what the ligand is once bonded, without the residue.
        conformer : array, shape (atoms, 3)
            For the lengths of its own bonds, Angstrom.
        atom : int
            That which bonds.
        """
        own = mol.GetAtomWithIdx(atom)
        neighbours = np.array([other.GetIdx() for other in own.GetNeighbors()], np.intp)
        length = bond_length(own, residue.element)
        at_residue = AT_RESIDUE[residue.element]
        # Three neighbours and the protein make four: flat only as the free molecule is drawn.
        flat = AT_LIGAND.get(own.GetHybridization(), TETRAHEDRAL)
        at_ligand = flat if len(neighbours) < 3 else TETRAHEDRAL
        hangs = np.linalg.norm(residue.reactive[:1] - residue.before[:1], axis=-1)
        bonds = np.linalg.norm(conformer[neighbours] - conformer[atom], axis=-1)
        return cls(
            atom,
            neighbours,
            residue.reactive,
            residue.before,
            residue.others,
            length,
            float(_across(length, hangs, at_residue)[0]),
            _across(length, bonds, at_ligand),
            (at_residue, at_ligand),
        )

    def moved(self, move: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> BondRestraint:
        """The same in another frame: `move` carries points, shape (..., 3), there."""
        return replace(self, reactive=move(self.reactive), before=move(self.before), others=move(self.others))

    def springs(
        self, poses: NDArray[Float]
    ) -> tuple[NDArray[np.intp], NDArray[Float], NDArray[Float], NDArray[Float], NDArray[np.intp]]:
        """Each spring: the ligand's atom, and where the other end is for each pose, at rest so far apart.

        Returns
        -------
        atoms : array, shape (springs,)
        ends : array, shape (poses, springs, 3)
            Angstrom.
        rest, stiffness : array, shape (springs,)
            Angstrom and kcal/mol/A^2.
        chosen : array, shape (poses,)
            Which position the residue takes for each.
        """
        atoms: NDArray[np.intp] = np.array([self.atom, self.atom, *self.neighbours.tolist()], np.intp)
        rest = np.array([self.length, self.across_residue, *self.across_ligand], poses.dtype)
        stiffness = np.array([STIFF, *[BENDING] * (len(atoms) - 1)], poses.dtype)
        ends = np.stack([self.reactive, self.before, *[self.reactive] * len(self.neighbours)], axis=1)
        ends = ends.astype(poses.dtype)
        away = np.linalg.norm(poses[:, None, atoms] - ends, axis=-1) - rest
        chosen = (stiffness * away**2).sum(axis=-1).argmin(axis=1)
        return atoms, ends[chosen], rest, stiffness, chosen

    def __call__(self, poses: Floats) -> tuple[Floats, Floats]:
        """Energy of each pose, shape (poses,), kcal/mol, and its gradient, shape (poses, atoms, 3)."""
        atoms, ends, rest, stiffness, _ = self.springs(poses)
        apart = poses[:, atoms] - ends
        distance = np.linalg.norm(apart, axis=-1) + np.float32(1e-6)
        away = distance - rest
        slope, pulls = np.zeros_like(poses), (2 * stiffness * away / distance)[..., None] * apart
        for spring, atom in enumerate(atoms.tolist()):
            slope[:, atom] += pulls[:, spring]
        return (stiffness * away**2).sum(axis=1), slope

    def geometry(self, poses: NDArray[np.float64]) -> BondGeometry:
        """How the bond of each pose lies, shape (poses, atoms, 3)."""
        _, ends, _, _, chosen = self.springs(poses)
        own, reactive, before = poses[:, self.atom], ends[:, 0], ends[:, 1]
        length = np.linalg.norm(own - reactive, axis=-1)
        first = _angle(before - reactive, own - reactive)
        near = poses[:, self.neighbours] - own[:, None]
        second = _angle(near, (reactive - own)[:, None])
        worst = np.abs(second - self.angles[1]).argmax(axis=1)
        second = second[np.arange(len(poses)), worst]
        sound = np.abs(length - self.length) <= LENGTH_SLACK
        sound &= np.abs(first - self.angles[0]) <= ANGLE_SLACK
        sound &= np.abs(second - self.angles[1]) <= ANGLE_SLACK
        free = np.delete(poses, self.atom, axis=1)[:, :, None] - self.others[chosen][:, None]
        sound &= np.linalg.norm(free, axis=-1).min(axis=(1, 2), initial=np.inf) >= NEAREST
        return BondGeometry(length, first, second, reactive, sound)


def _across(first: float, second: NDArray[np.float64], degrees: float) -> NDArray[np.float64]:
    """Distance across an angle between two bonds: the law of cosines."""
    return np.asarray(np.sqrt(first**2 + second**2 - 2 * first * second * np.cos(np.radians(degrees))))


def _angle(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Degrees between vectors, shape (..., 3)."""
    lengths = np.linalg.norm(first, axis=-1) * np.linalg.norm(second, axis=-1)
    return np.asarray(np.degrees(np.arccos(np.clip((first * second).sum(axis=-1) / lengths, -1, 1))))
