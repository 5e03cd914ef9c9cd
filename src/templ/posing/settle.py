"""The last step of the few poses kept: out of the receptor's walls, as little as it takes.

A receptor from another crystal has side chains that give way to the query in truth but not here, so poses
are ranked with soft walls. What is handed out must not run into the receptor all the same: it is moved until
no two heavy atoms are nearer than the limit by which PoseBusters judges (M. Buttenschoen, G. M. Morris, C. M.
Deane, Chem. Sci. 15 (2024) 3130).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from rdkit import Chem

from templ.posing.relax import relax

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from templ.query import PreparedQuery
    from templ.receptor import Atoms

    Floats = NDArray[np.float32]

CLEAR = 0.78
"""Share of the sum of two van der Waals radii below which atoms push; PoseBusters refuses below 0.75."""
PUSH = 10.0
"""kcal/mol per Angstrom^2 of overlap."""
TETHERS = (0.2, 0.05)
"""kcal/mol per Angstrom^2 and atom: pulls back to where the pose was ranked; the loose one for what the tight
one leaves too near."""
LIMIT = 0.76
"""Share of the sum of the radii that is too near, a hair above where PoseBusters refuses."""
REACH = 5.0
"""Angstrom from an atom of a pose within which receptor atoms are looked at: those that push, and may."""


def settle(query: PreparedQuery, poses: NDArray[np.float64], receptor: Atoms) -> NDArray[np.float64]:
    """Move poses out of the receptor; those that are not too near stay where they are.

    Parameters
    ----------
    poses : array, shape (poses, atoms, 3)
        Angstrom; not changed.
    receptor : Atoms
        Heavy atoms, in the frame of the poses.

    Returns
    -------
    array, shape (poses, atoms, 3)
    """
    middle = poses.mean(axis=(0, 1))  # near the origin, where float32 is exact enough
    around = (poses.min(axis=(0, 1)) - REACH, poses.max(axis=(0, 1)) + REACH)
    near = receptor.only(((receptor.xyz > around[0]) & (receptor.xyz < around[1])).all(axis=1))
    gaps = np.linalg.norm(poses.reshape(-1, 1, 3) - near.xyz, axis=-1)
    near = near.only(gaps.min(axis=0) < REACH)
    walls = _Walls(query, near.elements, (near.xyz - middle).astype(np.float32))
    start = poses - middle
    inside = start.copy()
    for tether in TETHERS:
        pressed = walls.nearest(inside) < LIMIT
        if pressed.any():
            hold = _Tether(start[pressed].astype(np.float32), tether)
            inside[pressed] = relax(query, start[pressed], walls, hold)
    return np.asarray(inside + middle)


class _Walls:
    """Energy of overlaps with the receptor, by distances between all pairs: a few poses need no grid."""

    def __init__(self, query: PreparedQuery, elements: NDArray[np.integer], xyz: Floats) -> None:
        table = Chem.GetPeriodicTable()
        mine = [table.GetRvdw(atom.GetAtomicNum()) for atom in query.mol.GetAtoms()]
        its = [table.GetRvdw(element) for element in elements.tolist()]
        self._limit = (CLEAR * np.add.outer(mine, its)).astype(np.float32)
        self._xyz = xyz

    def __call__(self, poses: Floats) -> tuple[Floats, Floats]:
        gap = poses[:, :, None] - self._xyz
        distance = np.sqrt((gap**2).sum(axis=-1)) + np.float32(1e-6)
        overlap = np.clip(self._limit - distance, 0, None)
        slope = ((-2 * PUSH * overlap / distance)[..., None] * gap).sum(axis=2)
        return PUSH * (overlap**2).sum(axis=(1, 2)), slope

    def nearest(self, poses: NDArray[np.float64]) -> NDArray[np.float64]:
        """Least distance of each pose to an atom, as a share of the sum of the radii, shape (poses,)."""
        distance = np.linalg.norm(poses[:, :, None] - self._xyz, axis=-1)
        return np.asarray((CLEAR * distance / self._limit).min(axis=(1, 2), initial=np.inf))


class _Tether:
    """Energy of leaving the start."""

    def __init__(self, start: Floats, strength: float) -> None:
        self._start, self._strength = start, strength

    def __call__(self, poses: Floats) -> tuple[Floats, Floats]:
        gap = poses - self._start
        return self._strength * (gap**2).sum(axis=(1, 2)), 2 * self._strength * gap
