"""What a run achieved: counts, success rates, time and memory, in one pass over its records."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from templ.errors import InputError
from templ.evaluation.calibration import Calibration, calibrate
from templ.runs.record import Record


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


HEADLINE = 2.0
"""Angstrom: what the field calls a success."""
UNFIT = frozenset({"peptide", "saccharide", "too-small", "too-many-atoms", "unsupported-element"})
"""Reasons of a refusal that lie in the query alone."""
STRATA: Mapping[str, tuple[tuple[float, ...], str]] = {
    "tanimoto": ((0.2, 0.4, 0.6, 0.8), "ligand similarity of the nearest template"),
    "query_coverage": ((0.25, 0.5, 0.75), "query coverage: share of its heavy atoms copied"),
    "identity": ((0.3, 0.5, 0.9), "sequence identity of the nearest receptor"),
    "query_atoms": ((20, 30, 40), "heavy atoms"),
    "rotors": ((4, 8, 12), "rotatable bonds"),
}
"""What targets are told apart by: ends of the ranges, and what to call it."""


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


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Success over one set of targets.

    Attributes
    ----------
    attempted, posed : int
        Targets, and those with poses.
    without_truth : int
        Posed, but the crystal is not known: in none of the rates.
    first_of_all, best_of_all : tuple of Rate
        The first pose, and the best of those kept (up to 5), over all attempted: refused and failed targets
        count as missed. Empty when nothing is known of any crystal.
    first_of_posed, best_of_posed : tuple of Rate
        The same over posed targets only: flattering, since a method may refuse what is hard.
    median_rmsd : float or None
        Angstrom, of first poses, over posed targets.
    """

    attempted: int
    posed: int
    without_truth: int
    first_of_all: tuple[Rate, ...]
    best_of_all: tuple[Rate, ...]
    first_of_posed: tuple[Rate, ...]
    best_of_posed: tuple[Rate, ...]
    median_rmsd: float | None


@dataclass(frozen=True, slots=True)
class Validity:
    """First poses that are physically sound by PoseBusters, out of all targets attempted.

    Attributes
    ----------
    successes, n : int
        First poses that pass every check, and targets.
    rate, low, high : float
        Fraction, 95 % interval.
    within : tuple of Rate
        First poses that are near the crystal as well.
    failed : Mapping of str to int
        Posed targets by check that the first pose fails, the commonest check first.
    """

    successes: int
    n: int
    rate: float
    low: float
    high: float
    within: tuple[Rate, ...]
    failed: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run achieved.

    Attributes
    ----------
    overall : Accuracy
        Of all targets.
    by_group, by_method : Mapping of str to Accuracy
        Of the targets of one group, and of those whose first pose was placed by one method.
    by_stratum : Mapping of str to Mapping of str to Accuracy
        Of the targets that are alike in something (`STRATA`): its name, then its range.
    denominators : Mapping of str to Rate
        First poses within `HEADLINE` Angstrom, out of all targets listed, attempted, fit for the method, and
        posed.
    in_any_copy : Rate or None
        First poses within `HEADLINE` Angstrom of the crystal in any equivalent copy of the pocket, out of all
        attempted; None where no receptor has two chains of one protein.
    refused, failed : Mapping of str to int
        Targets by reason.
    receptors : Mapping of str to int
        Posed targets by what they were posed in: ``own``, ``other`` or ``none`` (a receptor).
    both_receptors : Mapping of str to (Accuracy or None)
        See `templ.evaluation.both_receptors`; empty unless asked for there.
    stereo : Mapping of str to int
        Posed targets whose stereocentres were ``kept``, ``lost``, or for which it is ``unknown``.
    validity : Validity or None
        None when the run did not check it.
    calibration : Calibration or None
        Confidence of first poses against whether they are within 2 Angstrom; None where either is not known.
    cpu_median, cpu_max, wall_median, wall_max : float or None
        Seconds a target.
    peak_uss_bytes : int
        Largest private memory (USS) of a worker.
    """

    overall: Accuracy
    by_group: Mapping[str, Accuracy]
    by_method: Mapping[str, Accuracy]
    by_stratum: Mapping[str, Mapping[str, Accuracy]]
    denominators: Mapping[str, Rate]
    in_any_copy: Rate | None
    refused: Mapping[str, int]
    failed: Mapping[str, int]
    receptors: Mapping[str, int]
    stereo: Mapping[str, int]
    validity: Validity | None
    calibration: Calibration | None
    cpu_median: float | None
    cpu_max: float | None
    wall_median: float | None
    wall_max: float | None
    peak_uss_bytes: int
    both_receptors: Mapping[str, Accuracy | None] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


@dataclass(slots=True)
class _Tally:
    """Counts of one set of targets; eight bytes a posed target, for the median."""

    thresholds: Sequence[float]
    attempted: int = 0
    posed: int = 0
    without_truth: int = 0
    first: Counter[float] = field(default_factory=Counter)
    best: Counter[float] = field(default_factory=Counter)
    with_copies: int = 0
    in_any_copy: int = 0
    first_and_valid: Counter[float] = field(default_factory=Counter)
    rmsd: array[float] = field(default_factory=lambda: array("d"))

    def add(self, record: Record) -> None:
        self.attempted += 1
        if record.status != "posed":
            return
        self.posed += 1
        first, best = record.rmsd, record.best_rmsd
        if first is None or best is None:
            self.without_truth += 1
            return
        self.rmsd.append(first)
        copy = None if record.first is None else record.first.copy_rmsd
        self.with_copies += copy is not None
        self.in_any_copy += (first if copy is None else copy) <= HEADLINE
        for threshold in self.thresholds:
            self.first[threshold] += first <= threshold
            self.best[threshold] += best <= threshold
            self.first_and_valid[threshold] += first <= threshold and record.failed_checks == ()

    def accuracy(self) -> Accuracy:
        judged, of_all = len(self.rmsd), self.judged_of_all
        return Accuracy(
            attempted=self.attempted,
            posed=self.posed,
            without_truth=self.without_truth,
            first_of_all=self._rates(self.first, of_all),
            best_of_all=self._rates(self.best, of_all),
            first_of_posed=self._rates(self.first, judged),
            best_of_posed=self._rates(self.best, judged),
            median_rmsd=_median(self.rmsd),
        )

    @property
    def judged_of_all(self) -> int:
        """Targets that success is out of; none when no crystal is known."""
        return self.attempted - self.without_truth if self.rmsd or not self.without_truth else 0

    def validity(self, failed: Counter[str], valid: int) -> Validity:
        return Validity(
            valid,
            self.attempted,
            valid / self.attempted,
            *wilson_interval(valid, self.attempted),
            within=self._rates(self.first_and_valid, self.judged_of_all),
            failed=dict(failed.most_common()),
        )

    def _rates(self, successes: Counter[float], n: int) -> tuple[Rate, ...]:
        return tuple(Rate.of(threshold, successes[threshold], n) for threshold in self.thresholds if n)


def summarise(
    records: Iterable[Record], thresholds: Sequence[float] = (1.0, HEADLINE, 5.0), *, missing: int = 0
) -> Summary:
    """Summarise the records of a run in one pass; none of them is held.

    Parameters
    ----------
    records : Iterable of Record
        As a `templ.Run` yields them.
    thresholds : Sequence of float
        Angstrom; a pose at most this far from the crystal is a success.
    missing : int
        Targets that the benchmark lists and there are no data for.
    """
    overall = _Tally(thresholds)
    groups: defaultdict[str, _Tally] = defaultdict(lambda: _Tally(thresholds))
    methods: defaultdict[str, _Tally] = defaultdict(lambda: _Tally(thresholds))
    strata: defaultdict[tuple[str, str], _Tally] = defaultdict(lambda: _Tally(thresholds))
    reasons: dict[str, Counter[str]] = {"refused": Counter(), "failed": Counter()}
    receptors: Counter[str] = Counter()
    stereo: Counter[str] = Counter()
    verdicts: Counter[bool] = Counter()
    checks: Counter[str] = Counter()
    cpu, wall, peak = array("d"), array("d"), 0
    promised, came = array("d"), array("b")
    for record in records:
        overall.add(record)
        groups[record.group].add(record)
        for name, part in _strata_of(record):
            strata[name, part].add(record)
        if record.first is not None:
            methods[record.first.placement_method].add(record)
            receptors[
                "none" if not record.receptor else "own" if record.receptor == record.id else "other"
            ] += 1
            stereo[_STEREO[record.stereo_kept]] += 1
            if record.failed_checks is not None:
                verdicts[not record.failed_checks] += 1
                checks.update(record.failed_checks)
            if record.rmsd is not None:
                promised.append(record.first.confidence)
                came.append(record.rmsd <= HEADLINE)
        else:
            reasons[record.status][record.reason] += 1
        cpu.append(record.cost.cpu_s)
        wall.append(record.cost.wall_s)
        peak = max(peak, record.cost.uss_bytes)
    return Summary(
        overall=overall.accuracy(),
        by_group={name: groups[name].accuracy() for name in sorted(groups)},
        by_method={name: methods[name].accuracy() for name in sorted(methods)},
        by_stratum=_nested({key: tally.accuracy() for key, tally in strata.items()}),
        in_any_copy=Rate.of(HEADLINE, overall.in_any_copy, overall.judged_of_all)
        if overall.with_copies
        else None,
        denominators=_denominators(overall, missing, sum(reasons["refused"][reason] for reason in UNFIT)),
        refused=dict(sorted(reasons["refused"].items())),
        failed=dict(sorted(reasons["failed"].items())),
        receptors=dict(sorted(receptors.items())),
        stereo=dict(sorted(stereo.items())),
        validity=overall.validity(checks, verdicts[True]) if verdicts else None,
        calibration=calibrate(promised, came) if promised else None,
        cpu_median=_median(cpu),
        cpu_max=max(cpu, default=None),
        wall_median=_median(wall),
        wall_max=max(wall, default=None),
        peak_uss_bytes=peak,
    )


def _strata_of(record: Record) -> Iterator[tuple[str, str]]:
    """Name and range of each stratum that a record belongs to; of none where the value is not known."""
    for name, (ends, _) in STRATA.items():
        value = getattr(record, name)
        if value is not None:
            yield name, _ranges(ends)[bisect_right(ends, value)]


def _ranges(ends: Sequence[float]) -> list[str]:
    """Names of the ranges between ends.

    Examples
    --------
    >>> _ranges((0.2, 0.4))
    ['below 0.2', '0.2 to 0.4', '0.4 and more']
    """
    between = [f"{low:g} to {high:g}" for low, high in pairwise(ends)]
    return [f"below {ends[0]:g}", *between, f"{ends[-1]:g} and more"]


def _nested(strata: Mapping[tuple[str, str], Accuracy]) -> dict[str, dict[str, Accuracy]]:
    """Strata by name, then by range in its order; none where all targets fall into one range."""
    nested = {
        name: {part: strata[name, part] for part in _ranges(ends) if (name, part) in strata}
        for name, (ends, _) in STRATA.items()
    }
    return {name: parts for name, parts in nested.items() if len(parts) > 1}


def _denominators(overall: _Tally, missing: int, unfit: int) -> dict[str, Rate]:
    hits, judged = overall.first[HEADLINE], overall.attempted - overall.without_truth
    out_of = {
        "listed": judged + missing,
        "attempted": judged,
        "fit for the method": judged - unfit,
        "posed": len(overall.rmsd),
    }
    if HEADLINE not in overall.thresholds or not overall.rmsd:
        return {}
    return {name: Rate.of(HEADLINE, hits, n) for name, n in out_of.items() if n}


_STEREO = {True: "kept", False: "lost", None: "unknown"}


def _median(values: array[float]) -> float | None:
    return float(np.median(np.frombuffer(values))) if values else None
