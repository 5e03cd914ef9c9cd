"""Throws a pose out of where it came to rest, so that it may come to rest elsewhere."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from templ.posing.geometry import rotate_about_bond

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from templ.query import PreparedQuery

TURNED = 2
"""Bonds turned to any angle."""
FLIPPED = 0.5
"""Share of the poses that are turned over as well."""


def shake(
    query: PreparedQuery, pose: NDArray[np.float64], random: np.random.Generator
) -> NDArray[np.float64]:
    """Turn two bonds of a pose to random angles, and, half of the time, turn it over about one of its axes.

    Lengths, angles, amides and stereochemistry stay as they are.

    Parameters
    ----------
    query : PreparedQuery
        Whose pose this is.
    pose : array, shape (atoms, 3)
        Angstrom; not changed.
    random : numpy.random.Generator
        Its state decides what is turned, and how far.

    Returns
    -------
    array, shape (atoms, 3)
    """
    shaken = pose[None].copy()
    for number in random.permutation(len(query.free_rotors))[:TURNED]:
        rotor = query.free_rotors[number]
        rotate_about_bond(shaken, rotor.b, rotor.c, rotor.moving, random.uniform(-math.pi, math.pi, 1))
    turned: NDArray[np.float64] = shaken[0]
    if random.uniform() < FLIPPED:
        middle = turned.mean(axis=0)
        arm = turned - middle
        axis = np.linalg.eigh(arm.T @ arm)[1][:, random.integers(3)]
        turned = middle + 2 * np.outer(arm @ axis, axis) - arm
    return turned
