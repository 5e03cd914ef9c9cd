"""Clash removal: the last step of poses that may be handed out, out of the receptor by the shortest path.

A receptor from another crystal has side chains that move for the query in truth but not here, so poses are
minimised with a soft receptor. What is handed out must not clash with the receptor all the same: it is moved
until no two heavy atoms are nearer than the limit by which PoseBusters judges (M. Buttenschoen, G. M. Morris,
C. M. Deane, Chem. Sci. 15 (2024) 3130), to the nearest pose where that holds, by Gauss and Newton's method.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from templ.chemistry.conformers import CLASH_DISTANCE, PreparedQuery
from templ.chemistry.geometry import skew, squared_distances, turn
from templ.chemistry.receptor import Atoms
from templ.scoring.bond_restraint import BondRestraint

Array = NDArray[np.float64]

CLEAR = 0.77
"""Share of the sum of two van der Waals radii below which atoms push;"""
LIMIT = 0.76
"""share that is too near: a pose without such a pair stays where it is;"""
REFUSED = 0.75
"""and below which PoseBusters calls a pose invalid."""
PUSHES = (300.0, 3_000.0, 30_000.0)
"""What the square of an overlap costs, where that of an atom's path costs 1: nearly hard at first, and harder
for poses that are still too near."""
STEPS = 25
LONGEST = 0.3
"""Angstrom: no atom moves farther in one step, for beyond that the slopes do not hold;"""
STILL = 1e-3
"""a pose of which no atom moves farther than this is at rest."""
REACH = 5.0
"""Angstrom from an atom of a pose within which receptor atoms are looked at: those that push, and may."""


def remove_clashes(
    query: PreparedQuery, poses: Array, receptor: Atoms, bond: BondRestraint | None = None
) -> tuple[Array, NDArray[np.bool_]]:
    """Move poses out of the receptor; those that are not too near stay where they are.

    Position, orientation and torsions change; lengths, angles and amides do not.

    Parameters
    ----------
    poses : array, shape (poses, atoms, 3)
        Angstrom; not changed.
    receptor : Atoms
        Heavy atoms, in the frame of the poses.
    bond : BondRestraint, optional
        Of the poses to the receptor; they are moved until it is sound.

    Returns
    -------
    poses : array, shape (poses, atoms, 3)
        Angstrom.
    clear : array, shape (poses,)
        Whether nothing clashes any more, and the bond is sound; false where nothing near is free.
    """
    middle = poses.mean(axis=(0, 1))
    if bond is not None:
        bond = bond.moved(lambda xyz: xyz - middle)
    moved, clear = _Clashes(query, poses - middle, receptor, middle, bond).removed()
    return moved + middle, clear


def clashes(mol: Chem.Mol, pose: Array, receptor: Atoms) -> NDArray[np.bool_]:
    """Which atoms of a pose, shape (atoms, 3), clash with which of a receptor, (atoms, receptor atoms).

    `mol` has the heavy atoms of the pose.
    """
    apart = _distances(pose[None], receptor.xyz.astype(np.float64))[0]
    return np.asarray(apart < REFUSED * _sums_of_radii(mol, receptor.elements))


def _sums_of_radii(mol: Chem.Mol, elements: NDArray[np.uint8]) -> Array:
    """Van der Waals radii of atoms of the query and the receptor, Angstrom, shape (atoms, others)."""
    table = Chem.GetPeriodicTable()
    mine = [table.GetRvdw(atom.GetAtomicNum()) for atom in mol.GetAtoms()]
    return np.asarray(np.add.outer(mine, [table.GetRvdw(number) for number in elements.tolist()]))


class _Clashes:
    """A few poses and the receptor atoms that they must not run into."""

    def __init__(
        self, query: PreparedQuery, start: Array, receptor: Atoms, middle: Array, bond: BondRestraint | None
    ) -> None:
        self._query, self._start, self._bond = query, start, bond
        low, high = start.min(axis=(0, 1)) - REACH, start.max(axis=(0, 1)) + REACH
        atoms = receptor.xyz - middle
        inside = np.flatnonzero(((atoms > low) & (atoms < high)).all(axis=1))
        near = _distances(start.reshape(1, -1, 3), atoms[inside]).min(axis=(0, 1), initial=np.inf) < REACH
        self._atoms = atoms[inside[near]]
        self._sums = _sums_of_radii(query.mol, receptor.elements[inside[near]])
        self._first, self._second = query.far_pairs
        own = start[:, self._first] - start[:, self._second]
        # Nearer than this its atoms push each other, unless they were nearer from the first.
        self._own = np.minimum(np.linalg.norm(own, axis=-1), CLASH_DISTANCE)

    def removed(self) -> tuple[Array, NDArray[np.bool_]]:
        """The nearest poses that are clear, or nearly, where nothing is free; and which are clear."""
        best = self._start.copy()
        clear = ~self._any_nearer(best, LIMIT) & self._is_sound(best)
        for push in PUSHES:
            left = np.flatnonzero(~clear)  # only these have moved since they were looked at
            if not len(left):
                break
            self._push(best, left, push)
            clear[left] = ~self._any_nearer(best[left], LIMIT) & self._is_sound(best[left])
        left = np.flatnonzero(~clear)
        clear[left] = ~self._any_nearer(best[left], REFUSED) & self._is_sound(best[left])
        return best, clear

    def _is_sound(self, poses: Array) -> NDArray[np.bool_]:
        """Which poses have a sound bond to the receptor; all where there is none."""
        return np.ones(len(poses), np.bool_) if self._bond is None else self._bond.geometry(poses).sound

    def _any_nearer(self, poses: Array, share: float) -> NDArray[np.bool_]:
        """Which poses have an atom nearer to the receptor than a share of the sum of the radii."""
        return np.asarray((_distances(poses, self._atoms) < share * self._sums).any(axis=(1, 2)))

    def _push(self, best: Array, moving: NDArray[np.intp], push: float) -> None:
        """Move some of the poses, in place, to where overlaps and paths cost least together."""
        now, cost = best[moving], np.full(len(moving), np.inf)
        for _ in range(STEPS + 1):
            value, step = self._look(now, moving, push)
            better = value < cost
            best[moving[better]], cost[better] = now[better], value[better]
            there = self._moved(now, step)
            length = np.abs(there - now).max(axis=(1, 2), initial=0)
            far = length > LONGEST
            there[far] = self._moved(now[far], step[far] * (LONGEST / length[far])[:, None])
            going = length > STILL
            if not going.any():
                break
            moving, cost, now = moving[going], cost[going], there[going]

    def _look(self, now: Array, which: NDArray[np.intp], push: float) -> tuple[Array, Array]:
        """Cost of each pose, shape (poses,), and the step to where it would be least, were nothing curved.

        Steps are of shift (3), turn about the middle (3) and each torsion, shape (poses, 6 + rotors).
        """
        slopes = _slopes(self._query, now)
        back = self._start[which] - now
        cost = (back**2).sum(axis=(1, 2))
        matrix = np.einsum("paxi,paxj->pij", slopes, slopes, optimize=True)
        side = np.einsum("paxi,pax->pi", slopes, back)
        for pose, overlap, slope in (
            self._with_receptor(now, slopes),
            self._with_itself(now, slopes, which),
            *self._with_bond(now, slopes),
        ):
            np.add.at(cost, pose, push * overlap**2)
            np.add.at(side, pose, push * overlap[:, None] * slope)
            np.add.at(matrix, pose, push * slope[:, :, None] * slope[:, None])
        # A torsion that moves nothing (C#C) has no slope; a touch on the diagonal keeps it where it is.
        matrix += 1e-6 * np.eye(matrix.shape[-1])
        return cost, np.linalg.solve(matrix, side[..., None])[..., 0]

    def _with_receptor(self, now: Array, slopes: Array) -> tuple[NDArray[np.intp], Array, Array]:
        """Overlaps with the receptor: pose and depth of each, and how each degree of freedom mends it."""
        overlap = CLEAR * self._sums - _distances(now, self._atoms)
        pose, mine, its = np.nonzero(overlap > 0)
        away = now[pose, mine] - self._atoms[its]
        away /= np.linalg.norm(away, axis=-1, keepdims=True) + 1e-9
        return pose, overlap[pose, mine, its], np.einsum("nx,nxi->ni", away, slopes[pose, mine])

    def _with_itself(
        self, now: Array, slopes: Array, which: NDArray[np.intp]
    ) -> tuple[NDArray[np.intp], Array, Array]:
        """The same of overlaps of each pose with itself."""
        apart = now[:, self._first] - now[:, self._second]
        distance = np.linalg.norm(apart, axis=-1)
        overlap = self._own[which] - distance
        pose, pair = np.nonzero(overlap > 0)
        away = apart[pose, pair] / (distance[pose, pair, None] + 1e-9)
        slope = slopes[pose, self._first[pair]] - slopes[pose, self._second[pair]]
        return pose, overlap[pose, pair], np.einsum("nx,nxi->ni", away, slope)

    def _with_bond(self, now: Array, slopes: Array) -> Iterator[tuple[NDArray[np.intp], Array, Array]]:
        """The same of each spring of the bond: what it is shorter than at rest, or longer (negative)."""
        if self._bond is None:
            return
        atoms, ends, rest, _, _ = self._bond.springs(now)
        for number, atom in enumerate(atoms.tolist()):
            apart = now[:, atom] - ends[:, number]
            distance = np.linalg.norm(apart, axis=-1)
            away = apart / (distance[:, None] + 1e-9)
            yield np.arange(len(now)), rest[number] - distance, np.einsum("nx,nxi->ni", away, slopes[:, atom])

    def _moved(self, now: Array, step: Array) -> Array:
        moved = now.copy()
        self._query.torsions.turn(moved, step[:, 6:])
        return turn(moved, step[:, 3:6]) + step[:, None, :3]


def _slopes(query: PreparedQuery, poses: Array) -> Array:
    """How each atom moves with shift, turn and each torsion, shape (poses, atoms, 3, 6 + rotors)."""
    torsions = query.torsions
    slopes = np.zeros((*poses.shape, 6 + len(torsions)))
    slopes[..., :3] = np.eye(3)
    arm = poses - poses.mean(axis=1, keepdims=True)
    slopes[..., 3:6] = -skew(arm)
    slopes[..., 6:] = torsions.slopes(poses)
    return slopes


def _distances(poses: Array, atoms: Array) -> Array:
    """Angstrom between each atom of each pose and each atom of the receptor, shape (poses, atoms, others)."""
    return np.asarray(np.sqrt(squared_distances(poses, atoms)))
