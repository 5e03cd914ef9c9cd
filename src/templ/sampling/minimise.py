"""Minimises poses: position, orientation and torsions of many at once; bond lengths and angles stay."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from templ.chemistry.conformers import PreparedQuery
from templ.chemistry.geometry import torque, turn

Floats = NDArray[np.float32]
Energy = Callable[[Floats], tuple[Floats, Floats]]
"""Of poses, shape (poses, atoms, 3): energy, shape (poses,), kcal/mol, and gradient by coordinates."""

STEPS = 50
SHIFT, TURN, TWIST = 0.15, 0.08, 0.15
"""Largest first steps: Angstrom, radians of the whole, radians of a torsion."""
LAST_STEP = 0.05
"""The steps shrink to this share of the first, along a cosine."""
MOMENTUM, SCALE_MEMORY = 0.8, 0.9
"""Of the gradient, and of its square: D. P. Kingma, J. Ba, "Adam", ICLR 2015."""
FLAT = 0.1
"""kcal/mol per unit: a slope below this is not scaled up to a whole step, so that poses come to rest."""


def minimise(
    query: PreparedQuery,
    poses: NDArray[np.float64],
    *energies: Energy,
    steps: int = STEPS,
) -> NDArray[np.float64]:
    """Minimise poses; the number of steps is fixed, so that the result does not depend on the machine.

    Parameters
    ----------
    query : PreparedQuery
        Whose poses these are.
    poses : array, shape (poses, atoms, 3)
        Angstrom; not changed.
    *energies : Energy
        They are added.
    steps : int
        How many are made.

    Returns
    -------
    array, shape (poses, atoms, 3)
        The best that was met on the way.
    """
    xyz = poses.astype(np.float32)
    torsions = query.torsions
    mean = np.zeros((len(xyz), 6 + len(torsions)), np.float32)
    square = np.zeros_like(mean)
    best, lowest = xyz.copy(), np.full(len(xyz), np.inf, np.float32)
    for step in range(steps + 1):
        values, slopes = zip(*(energy(xyz) for energy in energies), strict=True)
        value, slope = np.sum(values, axis=0), np.sum(slopes, axis=0)
        better = value < lowest
        lowest[better], best[better] = value[better], xyz[better]
        if step == steps:
            break
        gradient: Floats = np.concatenate([_as_a_whole(xyz, slope), torsions.gradient(xyz, slope)], axis=1)
        mean = MOMENTUM * mean + (1 - MOMENTUM) * gradient
        square = SCALE_MEMORY * square + (1 - SCALE_MEMORY) * gradient**2
        size = np.sqrt(square / (1 - SCALE_MEMORY ** (step + 1))) + FLAT
        move = -mean / (1 - MOMENTUM ** (step + 1)) / size
        share = LAST_STEP + (1 - LAST_STEP) * (1 + math.cos(math.pi * step / steps)) / 2
        torsions.turn(xyz, TWIST * share * move[:, 6:])
        xyz = turn(xyz, TURN * share * move[:, 3:6]) + SHIFT * share * move[:, None, :3]
    return best.astype(np.float64)


def _as_a_whole(xyz: Floats, slope: Floats) -> Floats:
    """Gradient by shift (3) and by turn about the middle (3), shape (poses, 6)."""
    arms = xyz - xyz.mean(axis=1, keepdims=True)
    return np.concatenate([slope.sum(axis=1), torque(arms, slope)], axis=1)
