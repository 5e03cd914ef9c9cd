"""Ranking: the logarithm of how likely each pose is the right one, as a weighted sum of terms.

The terms are in `templ.scoring.terms`; their weights are fitted on training sets only
(`templ.scoring.weights`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from templ.scoring.score_term import PosesToScore
from templ.scoring.terms import TERMS
from templ.scoring.weights import fitted_weights

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ScoredPoses:
    """Poses of all placements together, with their terms.

    Attributes
    ----------
    xyz : array, shape (poses, atoms, 3)
        Angstrom.
    score : array, shape (poses,)
        Logarithm of how likely each pose is the right one, up to a constant of the query.
    terms : dict of str to array, shape (poses,)
        What the score is made of, by the names of `TERMS`.
    placement : array, shape (poses,)
        Index of the placement that each comes from.
    member : array, shape (poses,)
        Index of the pose within its placement.
    moved : array, shape (poses,)
        Whether a Monte Carlo move was made since.
    """

    xyz: NDArray[np.float64]
    score: Floats
    terms: dict[str, Floats]
    placement: NDArray[np.intp]
    member: NDArray[np.intp]
    moved: NDArray[np.bool_]

    def only(self, chosen: NDArray[np.bool_]) -> ScoredPoses:
        """Those poses for which `chosen`, shape (poses,), is true."""
        terms = {name: values[chosen] for name, values in self.terms.items()}
        arrays = (self.placement[chosen], self.member[chosen], self.moved[chosen])
        return ScoredPoses(self.xyz[chosen], self.score[chosen], terms, *arrays)

    def joined(self, other: ScoredPoses) -> ScoredPoses:
        """These poses, then others of the same query."""
        terms = {name: np.concatenate([own, other.terms[name]]) for name, own in self.terms.items()}
        return ScoredPoses(
            np.concatenate([self.xyz, other.xyz]),
            np.concatenate([self.score, other.score]),
            terms,
            np.concatenate([self.placement, other.placement]),
            np.concatenate([self.member, other.member]),
            np.concatenate([self.moved, other.moved]),
        )


def score_terms(poses: PosesToScore) -> dict[str, Floats]:
    """Terms of each pose, shape (poses,) each; those of minimised poses only where there is a grid."""
    return {
        term.name: np.asarray(term.function(poses), np.float32)
        for term in TERMS
        if not term.selected and (poses.grid is not None or not term.minimised)
    }


def selected_terms(poses: PosesToScore) -> dict[str, Floats]:
    """Terms of poses that may be handed out, beyond those of all, shape (poses,) each."""
    return {term.name: np.asarray(term.function(poses), np.float32) for term in TERMS if term.selected}


def rank(
    poses: PosesToScore, placement: NDArray[np.intp], member: NDArray[np.intp], *, moved: bool = False
) -> ScoredPoses:
    """Score poses, by the weights of poses as placed or of minimised ones.

    `placement` and `member`, shape (poses,), and `moved` say where they come from (`ScoredPoses`).
    """
    weights = fitted_weights().placed if poses.grid is None else fitted_weights().minimised
    terms = score_terms(poses)
    score = sum((weight * terms[name] for name, weight in weights.items()), np.zeros(len(poses.xyz)))
    return ScoredPoses(
        poses.xyz, np.asarray(score, np.float32), terms, placement, member, np.full(len(poses.xyz), moved)
    )
