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
    from collections.abc import Callable

    from numpy.typing import NDArray

    from templ.query import PreparedQuery
    from templ.receptor import Atoms

    Floats = NDArray[np.float32]

CLEAR = 0.8
"""Share of the sum of two van der Waals radii below which atoms push; PoseBusters refuses below 0.75."""
PUSH = 10.0
"""kcal/mol per Angstrom^2 of overlap."""
TETHER = 0.2
"""kcal/mol per Angstrom^2 and atom: pulls back to where the pose was ranked."""
REACH = 6.0
"""Angstrom around the poses within which receptor atoms are looked at."""


def settle(query: PreparedQuery, poses: NDArray[np.float64], receptor: Atoms) -> NDArray[np.float64]:
    """Move poses out of the receptor; those that do not touch it stay where they are.

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
    walls = _Walls(query, near.elements, (near.xyz - middle).astype(np.float32))
    inside = poses - middle
    touching = walls(inside.astype(np.float32))[0] > 0
    if touching.any():
        start = inside[touching]
        inside[touching] = relax(query, start, walls, _tether(start.astype(np.float32)))
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


def _tether(start: Floats) -> Callable[[Floats], tuple[Floats, Floats]]:
    def energy(poses: Floats) -> tuple[Floats, Floats]:
        gap = poses - start
        return TETHER * (gap**2).sum(axis=(1, 2)), 2 * TETHER * gap

    return energy
