"""What counts as a success, and how often it came about, with its interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

from templ.errors import InputError

HEADLINE = 2.0
"""Angstrom: what the field calls a success."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Targets with a pose at most `threshold` Angstrom off, out of `n`; fractions, 95 % interval."""

    threshold: float
    successes: int
    n: int
    rate: float
    low: float
    high: float

    @classmethod
    def of(cls, threshold: float, successes: int, n: int) -> Rate:
        """Rate of successes, out of at least one target."""
        return cls(threshold, successes, n, successes / n, *wilson_interval(successes, n))


def wilson_interval(successes: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Confidence interval of a proportion, sound for few targets and for rates near 0 and 1.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
    J. Am. Stat. Assoc. 22 (1927) 209-212.

    Parameters
    ----------
    successes, n : int
        Out of `n` tries; without any the interval is everything.
    z : float
        Quantile of the normal distribution; 1.959964 gives 95 %.

    Returns
    -------
    tuple of float
        Lower and upper end, fractions.

    Raises
    ------
    InputError
        Unless 0 <= successes <= n.

    Examples
    --------
    >>> low, high = wilson_interval(69, 98)
    >>> print(f"{69 / 98:.3f} ({low:.3f} to {high:.3f})")
    0.704 (0.607 to 0.785)
    """
    if not 0 <= successes <= n:
        raise InputError(f"{successes} successes of {n} is no proportion; expected 0 <= successes <= n")
    if n == 0:
        return 0.0, 1.0
    rate, weight = successes / n, z * z / n
    centre = (rate + weight / 2) / (1 + weight)
    half = z * math.sqrt(rate * (1 - rate) / n + weight / (4 * n)) / (1 + weight)
    # At 0 and n of n the interval ends at the rate itself; rounding must not leave it beside.
    return max(0.0, min(rate, centre - half)), min(1.0, max(rate, centre + half))
