"""The receptor as posing sees it: heavy atoms near the templates, and how far poses run into them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

CONTACT = 3.2
"""Angstrom: heavy atoms nearer than this overlap; a hydrogen bond, a little shorter, costs little."""
REACH = 8.0
"""Angstrom around the poses within which receptor atoms matter."""
CHUNK = 64
"""Poses compared at a time, which bounds memory to a few MB."""


def clash(poses: NDArray[np.float64], receptor: NDArray[np.float32]) -> NDArray[np.float32]:
    """Overlap with the receptor per atom of the pose: mean of (CONTACT - nearest distance)^2 where positive.

    Parameters
    ----------
    poses : array, shape (poses, atoms, 3)
        Angstrom.
    receptor : array, shape (receptor atoms, 3)
        Angstrom.

    Returns
    -------
    array, shape (poses,)
        Angstrom^2; 0 for a pose that touches nothing.
    """
    low, high = poses.min(axis=(0, 1)) - REACH, poses.max(axis=(0, 1)) + REACH
    near = receptor[((receptor >= low) & (receptor <= high)).all(axis=1)]
    if not len(near):
        return np.zeros(len(poses), np.float32)
    centre = near.mean(axis=0)
    fixed = near - centre
    weight = (fixed**2).sum(axis=-1)
    overlaps = []
    for start in range(0, len(poses), CHUNK):
        moved = poses[start : start + CHUNK].astype(np.float32) - centre
        # The nearest atom by a matrix product; adding |pose atom|^2 after the minimum saves a large array.
        nearest = (weight - 2 * (moved @ fixed.T)).min(axis=-1) + (moved**2).sum(axis=-1)
        gap = CONTACT - np.sqrt(np.maximum(nearest, 0))
        overlaps.append((np.clip(gap, 0, None) ** 2).mean(axis=-1))
    return np.concatenate(overlaps)
