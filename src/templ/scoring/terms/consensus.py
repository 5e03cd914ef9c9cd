"""Consensus: how far a pose fills the space that the best templates fill, in shape and features.

A pose that lies well on its own template may contradict the others, so it is overlaid with each of them, and
each counts by how much of the query it explains (`templ.scoring.pocket`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from templ.scoring.score_term import PosesToScore, Term
from templ.scoring.shape import shape_similarity


def consensus(poses: PosesToScore) -> NDArray[np.float64]:
    """Weighted mean over templates of shape and feature Tanimoto, 0 to 1, shape (poses,)."""
    pocket = poses.pocket
    similarity = shape_similarity(poses.xyz, poses.query.features, pocket.shapes)
    return np.asarray((pocket.template_weights[:, None] * similarity).sum(axis=0))


TERM = Term(
    "consensus",
    unit="",
    better="more",
    function=consensus,
    source="Grant, Gallardo, Pickup, J. Comput. Chem. 17 (1996) 1653",
)
