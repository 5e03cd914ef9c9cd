"""Poses from random starts that hang on the residue they bond to, as docking makes them all over a pocket."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from templ.chemistry.conformers import PreparedQuery
from templ.chemistry.geometry import cross, unit
from templ.sampling.docking import random_conformers
from templ.scoring.bond_restraint import BondRestraint

Array = NDArray[np.float64]


def bonded_starts(
    query: PreparedQuery, bond: BondRestraint, count: int, random: np.random.Generator
) -> Array:
    """Conformers with random torsions, bonded at random positions of the residue, turned about the bond.

    Returns
    -------
    array, shape (count, atoms, 3)
        Angstrom, in the frame of `bond`.
    """
    xyz = random_conformers(query, count, random)
    position = random.integers(len(bond.reactive), size=count)
    reactive, back = bond.reactive[position], unit(bond.before[position] - bond.reactive[position])
    at_residue = np.full(count, np.cos(np.radians(bond.angles[0])))
    outward = _tilted(back, at_residue, random)
    own = xyz[:, bond.atom]
    turns = _frames(-outward, random) @ np.swapaxes(_frames(_open_side(xyz, bond, random), random), -1, -2)
    middle = reactive + bond.length * outward
    return np.asarray((xyz - own[:, None]) @ np.swapaxes(turns, -1, -2) + middle[:, None])


def _open_side(xyz: Array, bond: BondRestraint, random: np.random.Generator) -> Array:
    """Direction from the bonded atom to where the residue should be, at the same angle to all neighbours."""
    near = unit(xyz[:, bond.neighbours] - xyz[:, [bond.atom]])
    cosine = np.cos(np.radians(bond.angles[1]))
    if near.shape[1] == 1:
        return _tilted(near[:, 0], np.full(len(xyz), cosine), random)
    if near.shape[1] > 2:
        return unit(-near.sum(axis=1))
    between = near.sum(axis=1)
    along = 2 * cosine / (between**2).sum(axis=-1, keepdims=True) * between
    left = np.sqrt(np.clip(1 - (along**2).sum(axis=-1, keepdims=True), 0, 1))
    side = unit(cross(near[:, 0], near[:, 1]))
    return unit(along + left * side * np.sign(random.normal(size=(len(xyz), 1))))


def _tilted(axes: Array, cosines: Array, random: np.random.Generator) -> Array:
    """Unit vectors at an angle to others, on any side of them."""
    across = unit(cross(axes, random.normal(size=axes.shape)))
    return np.asarray(cosines[:, None] * axes + np.sqrt(1 - cosines**2)[:, None] * across)


def _frames(axes: Array, random: np.random.Generator) -> Array:
    """Right-handed axes, one a column, the first as given and the second on any side of it."""
    second = unit(cross(axes, random.normal(size=axes.shape)))
    return np.stack([axes, second, cross(axes, second)], axis=-1)
