"""Two runs over the same targets: which is better, by how much, and whether that is more than chance.

One test decides, and the interval is what it does not reject, so that the two cannot disagree
(docs/decisions/0028): T. Tango, "Equivalence test and confidence interval for the difference in proportions
for the paired-sample design", Stat. Med. 17 (1998) 891-908. Where the difference is none it is the test of
Q. McNemar, "Note on the sampling error of the difference between correlated proportions or percentages",
Psychometrika 12 (1947) 153-157.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from templ.errors import InputError, RunError
from templ.evaluation.success_rate import HEADLINE
from templ.runs.record import Record

THRESHOLDS = (1.0, HEADLINE)
"""Angstrom."""
Z = 1.959964
"""Quantile of the normal distribution: a statistic farther from 0 is called more than chance, p < 0.05."""
COSTS: Mapping[str, str] = {
    "cpu_s": "CPU seconds",
    "wall_s": "wall seconds",
    "uss_bytes": "peak memory of its worker, MB",
}
"""What a target costs: the fields of a record, and what to call them."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one run made of one target.

    Attributes
    ----------
    outcome : str
        ``posed``, or why not.
    known : bool
        Whether it can be judged: false where the target is posed and its crystal not known.
    first, best : float
        RMSD of the first pose and of the best of those kept, Angstrom; infinite without poses.
    cost : Mapping of str to float
        By the names of `COSTS`: seconds, bytes.
    """

    outcome: str
    known: bool
    first: float
    best: float
    cost: Mapping[str, float]

    @classmethod
    def of(cls, record: Record) -> Attempt:
        """Take what is compared out of a record."""
        return cls(
            outcome=record.ending,
            known=record.status != "posed" or record.rmsd is not None,
            first=math.inf if record.rmsd is None else record.rmsd,
            best=math.inf if record.best_rmsd is None else record.best_rmsd,
            cost={name: getattr(record.cost, name) for name in COSTS},
        )


@dataclass(frozen=True, slots=True)
class Difference:
    """Success of two runs, A and B, over the same targets.

    Attributes
    ----------
    pose : str
        Which pose must be near the crystal.
    threshold : float
        How near, Angstrom.
    n : int
        Targets.
    in_a, in_b : int
        Successes.
    gained, lost : int
        Successes of B alone, and of A alone.
    low, high : float
        95 % interval of the difference of the rates, B - A: all differences that the test does not reject.
    p : float
        Two-sided, by McNemar's test: how often chance alone would divide the targets that changed sides as
        unevenly.
    """

    pose: str
    threshold: float
    n: int
    in_a: int
    in_b: int
    gained: int
    lost: int
    low: float
    high: float
    p: float

    @property
    def change(self) -> float:
        """Difference of the rates, B - A, as a fraction."""
        return (self.in_b - self.in_a) / self.n

    @property
    def beyond_chance(self) -> bool:
        """Whether the interval leaves out 0; p is then below 0.05."""
        return not self.low <= 0 <= self.high


@dataclass(frozen=True, slots=True)
class CostChange:
    """What a target costs: the median of each run, and the median over targets of the difference B - A."""

    name: str
    a: float
    b: float
    change: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs, A and B, over the targets they have in common.

    Attributes
    ----------
    pairs : Mapping of str to (Attempt, Attempt)
        What A and B made of each target, in A's order.
    judged : int
        Targets whose success is known in both.
    differences : tuple of Difference
        Of the first pose and of the best, at each of `THRESHOLDS`.
    gained, lost : tuple of str
        Targets whose first pose is within `HEADLINE` Angstrom in B alone, and in A alone.
    costs : tuple of CostChange
        By the names of `COSTS`; memory in bytes.
    """

    pairs: Mapping[str, tuple[Attempt, Attempt]]
    judged: int
    differences: tuple[Difference, ...]
    gained: tuple[str, ...]
    lost: tuple[str, ...]
    costs: tuple[CostChange, ...]

    @property
    def headline(self) -> Difference:
        """Difference of the first pose at `HEADLINE` Angstrom."""
        return next(d for d in self.differences if (d.pose, d.threshold) == (POSES["first"], HEADLINE))


POSES: Mapping[str, str] = {"first": "first pose", "best": "best of those kept"}


def compare(a: Mapping[str, Attempt], b: Mapping[str, Attempt]) -> Comparison:
    """Compare two runs over the targets that both have.

    Refused and failed targets count as missed.

    Raises
    ------
    RunError
        When they have no target in common whose crystal is known.
    """
    pairs = {id: (a[id], b[id]) for id in a if id in b}
    judged = {id: pair for id, pair in pairs.items() if pair[0].known and pair[1].known}
    if not judged:
        raise RunError(
            "the two runs have no target in common whose crystal is known; nothing can be compared"
        )
    sides = {id: (one.first <= HEADLINE, other.first <= HEADLINE) for id, (one, other) in judged.items()}
    return Comparison(
        pairs=pairs,
        judged=len(judged),
        differences=tuple(
            _difference(list(judged.values()), pose, threshold) for pose in POSES for threshold in THRESHOLDS
        ),
        gained=tuple(id for id, side in sides.items() if side == (False, True)),
        lost=tuple(id for id, side in sides.items() if side == (True, False)),
        costs=tuple(_cost_change(list(pairs.values()), name) for name in COSTS),
    )


def verdict(comparison: Comparison, a: str, b: str) -> str:
    """Say in one sentence which run, as they are called, is better, by how much, and if more than chance."""
    found = comparison.headline
    interval = f"95 % interval {100 * found.low:+.1f} to {100 * found.high:+.1f}"
    if not found.gained + found.lost:
        return (
            f"No difference: the same {found.in_a:,} of {found.n:,} targets are within {HEADLINE:g} A in "
            f"{a} and {b} (0.0 points, {interval})."
        )
    facts = (
        f"{found.in_a / found.n:.1%} of {a} and {found.in_b / found.n:.1%} of {b} within {HEADLINE:g} A, "
        f"over {found.n:,} targets ({100 * found.change:+.1f} points, {interval}; McNemar p = {found.p:.2g})"
    )
    if not found.beyond_chance:
        return f"No difference beyond chance: {facts}."
    better = b if found.change > 0 else a
    by = f"{100 * abs(found.change):.1f} points"
    return f"{better[:1].upper()}{better[1:]} is better by {by}, more than chance: {facts}."


def mcnemar(gained: int, lost: int) -> float:
    """Two-sided p-value of McNemar's test, of the targets that changed sides in either direction.

    Raises
    ------
    InputError
        When one is negative.

    Examples
    --------
    >>> round(mcnemar(1, 7), 4), mcnemar(0, 0)
    (0.0339, 1.0)
    """
    if min(gained, lost) < 0:
        raise InputError(f"{gained} gained and {lost} lost are no counts; expected none below 0")
    return math.erfc(abs(_statistic(gained, lost, gained + lost, 0.0)) / math.sqrt(2))


def paired_interval(gained: int, lost: int, n: int) -> tuple[float, float]:
    """95 % interval of the difference of two success rates over the same targets, by Tango's score.

    Parameters
    ----------
    gained, lost : int
        Targets that changed sides, in either direction.
    n : int
        All targets, at least one.

    Returns
    -------
    tuple of float
        Lower and upper end, fractions; 0 is inside just where `mcnemar` gives 0.05 and more.

    Examples
    --------
    >>> low, high = paired_interval(1, 7, 21)
    >>> print(f"{low:.3f} to {high:.3f}")
    -0.517 to -0.026
    """
    return _bound(gained, lost, n, Z), _bound(gained, lost, n, -Z)


def _bound(gained: int, lost: int, n: int, wanted: float) -> float:
    """Difference at which the statistic, which falls from -1 to 1, is as wanted: by bisection."""
    low, high = -1.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _statistic(gained, lost, n, middle) > wanted:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _statistic(gained: int, lost: int, n: int, difference: float) -> float:
    """Tango's score: how many standard errors what was found is above a true `difference` of the rates."""
    above = gained - lost - n * difference
    if not above:
        return 0.0
    free = difference * (1 - difference)
    slope = (2 * n - gained + lost) * difference - gained - lost
    root = math.sqrt(max(slope * slope + 8 * n * lost * free, 0.0))
    share = (root - slope) / (4 * n)  # of targets lost: the likeliest where `difference` is true
    variance = n * (2 * share + free)
    return above / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, above)


def _difference(pairs: Sequence[tuple[Attempt, Attempt]], pose: str, threshold: float) -> Difference:
    sides = [(getattr(a, pose) <= threshold, getattr(b, pose) <= threshold) for a, b in pairs]
    n, gained, lost = len(sides), sides.count((False, True)), sides.count((True, False))
    both = sides.count((True, True))
    low, high = paired_interval(gained, lost, n)
    return Difference(
        POSES[pose], threshold, n, both + lost, both + gained, gained, lost, low, high, mcnemar(gained, lost)
    )


def _cost_change(pairs: Sequence[tuple[Attempt, Attempt]], name: str) -> CostChange:
    costs = [(a.cost[name], b.cost[name]) for a, b in pairs]
    return CostChange(
        name, median(a for a, _ in costs), median(b for _, b in costs), median(b - a for a, b in costs)
    )
