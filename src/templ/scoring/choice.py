"""The choice among ranked poses: the one that most of the likely poses agree with, then what it leaves open.

A single best score may be an outlier; a pose near which much of the probability lies is right more often.
That finds the place; of the poses at that place the best may then stand in.
The five answers are chosen to cover together as much of that probability as they can, so they differ. (The
choice of least expected loss, as in S. Kumar, W. Byrne, "Minimum Bayes-risk decoding", HLT-NAACL 2004; the
covering is greedy: G. Nemhauser, L. Wolsey, M. Fisher, Math. Program. 14 (1978) 265-294.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from templ.posing.geometry import rmsd

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

NEAR = ((0.5, 0.3), (2.0, 0.7))
"""RMSD (Angstrom) within which poses agree, and what that is worth: the wide one finds the place (it is what
the field calls right), the narrow one the best pose there."""
SOFT = 0.1
"""Angstrom over which agreement ends, so that no pose hangs on a hair's breadth."""
SAME = 0.25
"""Angstrom RMSD within which poses are one pose that was sampled more than once."""
PLACE = 1.0
"""Angstrom RMSD from an answer within which other poses are at the same place, and may stand in for it;"""
WORSE = 1.0
"""unless their score is so much less than the best one there: what they save by lying clear is never that."""
MOST = 8
"""Poses at one place that are looked at."""
DIGITS = 6
"""Digits to which gains are compared: below them lies rounding, which must not choose."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One pose as an answer.

    Attributes
    ----------
    index : int
        Of the pose.
    agreement : float
        Probability that lies near it, 0 to 1: within 2 Angstrom of it, and more so within 0.5.
    mass : float
        Probability within 2 Angstrom of it, 0 to 1.
    """

    index: int
    agreement: float
    mass: float


def choose(poses: Array, score: NDArray[np.floating]) -> Iterator[Choice]:
    """Yield poses as answers: each covers most of the probability that those before it left.

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
    near = sum((worth * within[radius] for radius, worth in NEAR), np.zeros_like(gaps))
    wide = within[NEAR[-1][0]]
    agreement, mass = near @ likely, wide @ likely
    left, open_ = likely.copy(), np.ones(len(poses), np.bool_)
    while open_.any():
        gain = np.where(open_, np.round(near @ left, DIGITS), -1.0)
        # Once nothing is left to cover, the likeliest goes first.
        best = int(np.lexsort((-np.round(likely, DIGITS), -gain))[0])
        yield Choice(best, float(agreement[best]), float(mass[best]))
        open_[best] = False
        left *= 1 - wide[best]


def same_place(poses: Array, score: NDArray[np.floating], index: int) -> NDArray[np.intp]:
    """Poses that may stand in for an answer: those near it with about the best score there, and itself, last.

    Parameters
    ----------
    poses : array, shape (poses, atoms, 3)
        Angstrom.
    score : array, shape (poses,)
        Logarithm of how likely each is.
    index : int
        Of the answer.
    """
    near = rmsd(poses, poses[index]) < PLACE
    near &= score >= score[near].max() - WORSE
    near[index] = False
    members = np.flatnonzero(near)
    return np.append(members[np.argsort(-score[members], kind="stable")][: MOST - 1], index)


def _rmsd(poses: Array) -> Array:
    """RMSD between each two poses, atom by atom."""
    flat = (poses - poses.mean(axis=(0, 1))).reshape(len(poses), -1)
    square = (flat**2).sum(axis=1)
    squares = square[:, None] + square[None] - 2 * flat @ flat.T
    return np.asarray(np.sqrt(np.maximum(squares, 0) / poses.shape[1]))
