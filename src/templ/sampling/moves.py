"""Monte Carlo moves: take a pose out of its minimum, so that it may find another."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from templ.chemistry.conformers import PreparedQuery
from templ.chemistry.geometry import rotate_about_bond

TURNED = 2
"""Bonds turned to any angle."""
FLIPPED = 0.5
"""Share of the poses that are turned over as well."""


def random_move(
    query: PreparedQuery, pose: NDArray[np.float64], random: np.random.Generator
) -> NDArray[np.float64]:
    """Turn two bonds of a pose to random angles and, half of the time, turn it over about one of its axes.

    Lengths, angles, amides and stereochemistry stay as they are. The pose, shape (atoms, 3), Angstrom, is not
    changed; the state of `random` decides what is turned, and how far.
    """
    moved = pose[None].copy()
    for number in random.permutation(len(query.free_rotors))[:TURNED]:
        rotor = query.free_rotors[number]
        rotate_about_bond(moved, rotor.b, rotor.c, rotor.moving, random.uniform(-math.pi, math.pi, 1))
    turned: NDArray[np.float64] = moved[0]
    if random.uniform() < FLIPPED:
        middle = turned.mean(axis=0)
        arm = turned - middle
        axis = np.linalg.eigh(arm.T @ arm)[1][:, random.integers(3)]
        turned = middle + 2 * np.outer(arm @ axis, axis) - arm
    return turned
