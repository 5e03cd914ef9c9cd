"""Calibration: predicted probabilities against how often the predictions were right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

BINS = 10


@dataclass(frozen=True, slots=True)
class Bin:
    """Predictions of about the same confidence: their number, mean confidence, and share that were right."""

    count: int
    promised: float
    right: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """Confidence of predictions against whether they were right.

    Attributes
    ----------
    brier : float
        Mean squared gap between confidence and outcome (G. W. Brier, Mon. Weather Rev. 78 (1950) 1-3).
    error : float
        Expected calibration error: mean gap between promise and outcome of the bins, weighted by their counts
        (M. P. Naeini, G. F. Cooper, M. Hauskrecht, AAAI 2015).
    auroc : float or None
        Chance that a right prediction has the larger confidence than a wrong one; None without both kinds.
    bins : tuple of Bin
        The reliability curve; empty bins left out.
    """

    brier: float
    error: float
    auroc: float | None
    bins: tuple[Bin, ...]


def calibrate(confidence: Sequence[float], right: Sequence[int]) -> Calibration:
    """Compare confidence with outcome.

    Parameters
    ----------
    confidence : sequence of float
        0 to 1; at least one.
    right : sequence of int
        As many, true or false.

    Examples
    --------
    >>> found = calibrate([0.9, 0.9, 0.2, 0.2], [True, True, False, True])
    >>> found.auroc, round(found.error, 3)
    (0.8333333333333334, 0.2)
    """
    promised, came = np.asarray(confidence, np.float64), np.asarray(right, np.bool_)
    bin_of = np.minimum((promised * BINS).astype(int), BINS - 1)
    bins = tuple(
        Bin(int(chosen.sum()), float(promised[chosen].mean()), float(came[chosen].mean()))
        for chosen in (bin_of == number for number in range(BINS))
        if chosen.any()
    )
    error = sum(part.count * abs(part.promised - part.right) for part in bins) / len(promised)
    return Calibration(float(((promised - came) ** 2).mean()), error, _auroc(promised, came), bins)


def _auroc(value: np.ndarray, right: np.ndarray) -> float | None:
    """By ranks (Mann and Whitney): no table of all pairs, which thousands of targets would make large."""
    positive, negative = int(right.sum()), int((~right).sum())
    if not positive or not negative:
        return None
    _, index, count = np.unique(value, return_inverse=True, return_counts=True)
    middle = np.cumsum(count) - (count - 1) / 2  # of those with one value: the mean of their ranks
    return float((middle[index][right].sum() - positive * (positive + 1) / 2) / (positive * negative))
