"""What a run achieved: counts, success rates, time and memory, in one pass over its records."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from templ.evaluation.calibration import Calibration, calibrate
from templ.evaluation.strata import by_name, strata_of
from templ.evaluation.success_rate import HEADLINE, Rate, wilson_interval
from templ.runs.record import PoseRecord, Record

UNFIT = frozenset({"peptide", "saccharide", "too-small", "too-many-atoms", "unsupported-element"})
"""Reasons of a refusal that lie in the query alone."""


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
        Of the targets that are alike in something (`templ.evaluation.strata`): its name, then its range.
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
    tally = _RunTally(thresholds)
    for record in records:
        tally.add(record)
    return tally.summary(missing)


@dataclass(slots=True)
class _RunTally:
    """Counts of a whole run, and of the sets that its targets fall into."""

    thresholds: Sequence[float]
    overall: _Tally = field(init=False)
    groups: dict[str, _Tally] = field(init=False)
    methods: dict[str, _Tally] = field(init=False)
    strata: dict[tuple[str, str], _Tally] = field(init=False)
    refused: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    receptors: Counter[str] = field(default_factory=Counter)
    stereo: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[bool] = field(default_factory=Counter)
    checks: Counter[str] = field(default_factory=Counter)
    cpu: array[float] = field(default_factory=lambda: array("d"))
    wall: array[float] = field(default_factory=lambda: array("d"))
    peak: int = 0
    promised: array[float] = field(default_factory=lambda: array("d"))
    came: array[int] = field(default_factory=lambda: array("b"))

    def __post_init__(self) -> None:
        self.overall = _Tally(self.thresholds)
        self.groups = defaultdict(lambda: _Tally(self.thresholds))
        self.methods = defaultdict(lambda: _Tally(self.thresholds))
        self.strata = defaultdict(lambda: _Tally(self.thresholds))

    def add(self, record: Record) -> None:
        self.overall.add(record)
        self.groups[record.group].add(record)
        for stratum in strata_of(record):
            self.strata[stratum].add(record)
        if record.first is not None:
            self._add_posed(record, record.first)
        elif record.status == "refused":
            self.refused[record.reason] += 1
        else:
            self.failed[record.reason] += 1
        self.cpu.append(record.cost.cpu_s)
        self.wall.append(record.cost.wall_s)
        self.peak = max(self.peak, record.cost.uss_bytes)

    def _add_posed(self, record: Record, first: PoseRecord) -> None:
        self.methods[first.placement_method].add(record)
        whose = "own" if record.receptor == record.id else "other"
        self.receptors[whose if record.receptor else "none"] += 1
        self.stereo[_STEREO[record.stereo_kept]] += 1
        if record.failed_checks is not None:
            self.verdicts[not record.failed_checks] += 1
            self.checks.update(record.failed_checks)
        if record.rmsd is not None:
            self.promised.append(first.confidence)
            self.came.append(record.rmsd <= HEADLINE)

    def summary(self, missing: int) -> Summary:
        overall, in_any_copy = self.overall, None
        if overall.with_copies:
            in_any_copy = Rate.of(HEADLINE, overall.in_any_copy, overall.judged_of_all)
        return Summary(
            overall=overall.accuracy(),
            by_group={name: self.groups[name].accuracy() for name in sorted(self.groups)},
            by_method={name: self.methods[name].accuracy() for name in sorted(self.methods)},
            by_stratum=by_name({key: tally.accuracy() for key, tally in self.strata.items()}),
            in_any_copy=in_any_copy,
            denominators=_denominators(overall, missing, sum(self.refused[reason] for reason in UNFIT)),
            refused=dict(sorted(self.refused.items())),
            failed=dict(sorted(self.failed.items())),
            receptors=dict(sorted(self.receptors.items())),
            stereo=dict(sorted(self.stereo.items())),
            validity=overall.validity(self.checks, self.verdicts[True]) if self.verdicts else None,
            calibration=calibrate(self.promised, self.came) if self.promised else None,
            cpu_median=_median(self.cpu),
            cpu_max=max(self.cpu, default=None),
            wall_median=_median(self.wall),
            wall_max=max(self.wall, default=None),
            peak_uss_bytes=self.peak,
        )


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
