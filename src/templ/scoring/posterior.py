"""Clusters of poses by posterior probability: where most of the probability lies, then what that leaves open.

A single best score may be an outlier; a pose near which much of the probability lies is right more often. The
clusters are chosen to cover together as much of the probability as they can, so they differ. (The choice of
least expected loss, as in S. Kumar, W. Byrne, "Minimum Bayes-risk decoding", HLT-NAACL 2004; the covering is
greedy: G. Nemhauser, L. Wolsey, M. Fisher, Math. Program. 14 (1978) 265-294.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from templ.chemistry.geometry import rmsd, squared_distances

Array = NDArray[np.float64]

NEAR = ((0.5, 0.3), (2.0, 0.7))
"""RMSD (Angstrom) within which poses support each other, and the weight of that: the wide one finds the
cluster (it is what the field calls right), the narrow one the best pose in it."""
SOFT = 0.1
"""Angstrom over which support ends, so that no pose hangs on a hair's breadth."""
SAME = 0.25
"""Angstrom RMSD within which poses are one pose that was sampled more than once."""
MEMBER = 1.0
"""Angstrom RMSD from the centre of a cluster within which other poses may represent it;"""
WORSE = 1.0
"""unless their score is so much less than the best one there: what they save by lying clear is never that."""
MOST_MEMBERS = 8
"""Poses of one cluster that may represent it."""
DIGITS = 6
"""Digits to which gains are compared: below them lies rounding, which must not choose."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Poses near each other.

    Attributes
    ----------
    centre : int
        Index of the pose in the middle.
    score : float
        Probability that lies near the centre, 0 to 1: within 2 Angstrom of it, and more so within 0.5.
    probability : float
        Posterior probability of the poses within 2 Angstrom of the centre, 0 to 1.
    gain : float
        Of the score, what no cluster before it has covered.
    """

    centre: int
    score: float
    probability: float
    gain: float = 1.0


def clusters(poses: Array, score: NDArray[np.floating]) -> Iterator[Cluster]:
    """Yield clusters: each covers most of the probability that those before it left.

    Parameters
    ----------
    poses : array, shape (poses, atoms, 3)
        Angstrom; compared atom by atom (symmetry is not looked at).
    score : array, shape (poses,)
        Logarithm of how likely each is, up to a constant.
    """
    gaps = _rmsd(poses)
    likely = np.exp(score.astype(np.float64) - score.max()) / (gaps < SAME).sum(axis=1)
    likely /= likely.sum()
    within = {radius: 1 / (1 + np.exp(np.clip((gaps - radius) / SOFT, -50, 50))) for radius, _ in NEAR}
    near = sum((weight * within[radius] for radius, weight in NEAR), np.zeros_like(gaps))
    wide = within[NEAR[-1][0]]
    supported, probability = near @ likely, wide @ likely
    left, open_ = likely.copy(), np.ones(len(poses), np.bool_)
    while open_.any():
        gain = np.where(open_, np.round(near @ left, DIGITS), -1.0)
        # Once nothing is left to cover, the likeliest goes first.
        best = int(np.lexsort((-np.round(likely, DIGITS), -gain))[0])
        covered = float(max(gain[best], 0.0))
        yield Cluster(best, float(supported[best]), float(probability[best]), covered)
        open_[best] = False
        left *= 1 - wide[best]


def members(poses: Array, score: NDArray[np.floating], centre: int) -> NDArray[np.intp]:
    """Poses that may represent a cluster: near its centre, with about the best score there; the centre last.

    Poses, scores and the index of the centre are those that `clusters` takes and yields.
    """
    near = rmsd(poses, poses[centre]) < MEMBER
    near &= score >= score[near].max() - WORSE
    near[centre] = False
    found = np.flatnonzero(near)
    return np.append(found[np.argsort(-score[found], kind="stable")][: MOST_MEMBERS - 1], centre)


def _rmsd(poses: Array) -> Array:
    """RMSD between each two poses, atom by atom."""
    flat = (poses - poses.mean(axis=(0, 1))).reshape(len(poses), -1)
    return np.asarray(np.sqrt(squared_distances(flat, flat) / poses.shape[1]))
