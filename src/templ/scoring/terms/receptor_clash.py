"""Receptor clash: overlaps of a pose with the receptor, before it is minimised there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from templ.chemistry.geometry import CHUNK, nearest_squared_distances
from templ.scoring.score_term import PosesToScore, Term

CONTACT = 3.2
"""Angstrom: heavy atoms nearer than this overlap; a hydrogen bond, a little shorter, costs little."""
REACH = 8.0
"""Angstrom around the poses within which receptor atoms matter."""


def overlap_with(receptor: NDArray[np.float32], poses: NDArray[np.float64]) -> NDArray[np.float32]:
    """Overlap with the receptor per atom of the pose: mean of (CONTACT - nearest distance)^2 where positive.

    Angstrom^2, shape (poses,), of a receptor, shape (receptor atoms, 3), and poses, shape (poses, atoms, 3).
    """
    low, high = poses.min(axis=(0, 1)) - REACH, poses.max(axis=(0, 1)) + REACH
    near = receptor[((receptor >= low) & (receptor <= high)).all(axis=1)]
    if not len(near):
        return np.zeros(len(poses), np.float32)
    centre = near.mean(axis=0)
    fixed = near - centre
    overlaps = []
    for start in range(0, len(poses), CHUNK):
        moved = poses[start : start + CHUNK].astype(np.float32) - centre
        gap = CONTACT - np.sqrt(nearest_squared_distances(moved, fixed))
        overlaps.append((np.clip(gap, 0, None) ** 2).mean(axis=-1))
    return np.concatenate(overlaps)


def receptor_clash(poses: PosesToScore) -> NDArray[np.float32]:
    """Overlap an atom with the receptor, Angstrom^2, shape (poses,); 0 without a receptor."""
    return overlap_with(poses.pocket.excluded_volume, poses.xyz)


TERM = Term(
    "receptor_clash",
    unit="Angstrom^2 an atom",
    better="less",
    function=receptor_clash,
    source="templ.scoring.terms.receptor_clash",
)
