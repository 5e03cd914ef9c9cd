"""The statistics of a comparison against other ways to compute them, and what it says in clear cases."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from templ.errors import InputError, RunError
from templ.evaluation.comparison import Attempt, compare, mcnemar, paired_interval, verdict
from templ.runs.record import Cost

COUNTS = st.integers(0, 400)


@pytest.fixture(scope="module")
def attempt(record, no_pose):
    """``attempt(rmsd, cpu)``: what a run made of a target; without RMSD it was refused."""

    def make(rmsd=(1.0,), cpu=1.0):
        cost = Cost(cpu_s=cpu, wall_s=2 * cpu, uss_bytes=int(cpu * 1e6))
        made = record("x", rmsd, cost=cost) if rmsd else no_pose("x", "refused", "peptide", cost=cost)
        return Attempt.of(made)

    return make


@pytest.fixture(scope="module")
def run(attempt):
    """``run((rmsd, ...), None, ...)``: attempts at targets t0, t1, ...; None: refused."""
    return lambda *rmsds, **options: {
        f"t{position}": attempt(rmsd, **options) for position, rmsd in enumerate(rmsds)
    }


@given(COUNTS, COUNTS)
def test_mcnemar_is_the_chi_square_test_of_those_that_changed(gained, lost):
    changed = gained + lost
    wanted = chi2.sf((gained - lost) ** 2 / changed, 1) if changed else 1.0
    assert mcnemar(gained, lost) == pytest.approx(wanted, rel=1e-9)


def test_mcnemar_of_no_counts():
    with pytest.raises(InputError, match="expected none below 0"):
        mcnemar(-1, 3)


@given(COUNTS, COUNTS, st.integers(0, 400))
def test_the_interval_and_the_test_never_disagree(gained, lost, same):
    n = max(1, gained + lost + same)
    low, high = paired_interval(gained, lost, n)
    assert -1 <= low <= (gained - lost) / n <= high <= 1
    assert (low > 0 or high < 0) == (mcnemar(gained, lost) < 0.05)
    assert paired_interval(lost, gained, n) == pytest.approx((-high, -low), abs=1e-9)


@pytest.mark.parametrize(("gained", "lost", "n"), [(12, 3, 144), (15, 20, 200), (40, 90, 1000)])
def test_the_interval_is_near_that_of_drawing_targets(gained, lost, n):
    changes = np.zeros(n)
    changes[:gained], changes[gained : gained + lost] = 1, -1
    drawn = np.random.default_rng(7).choice(changes, (20_000, n)).mean(axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    assert paired_interval(gained, lost, n) == pytest.approx((low, high), abs=0.02)


def test_no_target_that_changes_leaves_an_interval():
    """That none of 50 changed does not show that none ever would."""
    low, high = paired_interval(0, 0, 50)
    assert (low, high) == pytest.approx((-0.0714, 0.0714), abs=1e-4)
    assert paired_interval(1, 0, 1)[1] == pytest.approx(1)


def test_sides_are_told_apart_and_refused_targets_count_as_missed(run):
    a = run((0.5, 0.4), (3.0, 1.5), None, (1.0,), (9.0, 8.0))
    b = run((0.5, 0.4), (1.9, 1.9), (2.0,), None, (9.0, 0.9))
    found = compare(a, b)
    assert (found.gained, found.lost) == (("t1", "t2"), ("t3",))
    first_1, first_2, best_1, best_2 = found.differences
    assert [(d.pose, d.threshold) for d in found.differences] == [
        ("first pose", 1.0),
        ("first pose", 2.0),
        ("best of those kept", 1.0),
        ("best of those kept", 2.0),
    ]
    assert (first_1.in_a, first_1.in_b, first_1.n) == (2, 1, 5)
    assert (first_2.in_a, first_2.in_b, first_2.gained, first_2.lost) == (2, 3, 2, 1)
    assert (best_1.in_a, best_1.in_b, best_2.in_a, best_2.in_b) == (2, 2, 3, 4)
    assert first_2.change == pytest.approx(0.2)
    assert found.headline is first_2


def test_a_target_whose_crystal_is_not_known_is_in_no_rate_but_has_a_cost(run, attempt):
    a, b = run((0.5,), (0.5,)), run((0.5,), (0.5,), cpu=3.0)
    b["t1"] = attempt((None,), cpu=3.0)
    found = compare(a, b)
    assert (found.judged, len(found.pairs), found.headline.n) == (1, 2, 1)
    assert [(cost.name, cost.a, cost.b, cost.change) for cost in found.costs] == [
        ("cpu_s", 1, 3, 2),
        ("wall_s", 2, 6, 4),
        ("uss_bytes", 1e6, 3e6, 2e6),
    ]


def test_the_difference_of_costs_is_that_of_each_target(attempt):
    a = {id: attempt(cpu=cpu) for id, cpu in (("t0", 1), ("t1", 5), ("t2", 9))}
    b = {id: attempt(cpu=cpu) for id, cpu in (("t0", 9), ("t1", 6), ("t2", 8))}
    (cpu, *_) = compare(a, b).costs
    assert (cpu.a, cpu.b, cpu.change) == (5, 8, 1)


def test_only_targets_of_both_are_compared_in_the_order_of_the_first(run):
    a, b = run((1.0,), (1.0,), (1.0,)), run((1.0,), (1.0,))
    del a["t0"]
    assert list(compare(a, b).pairs) == ["t1"]
    with pytest.raises(RunError, match="no target in common"):
        compare(a, {"other": b["t0"]})


def test_the_verdict_names_the_better_run_and_by_how_much(run):
    good, bad = run(*[(1.0,)] * 20), run(*[(1.0,)] * 10, *[(5.0,)] * 10)
    said = verdict(compare(bad, good), "run A", "run B")
    assert said.startswith(
        "Run B is better by 50.0 points, more than chance: 50.0% of run A and 100.0% of run B"
    )
    assert "over 20 targets (+50.0 points" in said
    assert "McNemar p = 0.0016)" in said
    assert verdict(compare(good, bad), "run A", "run B").startswith("Run A is better by 50.0 points")


def test_a_difference_that_chance_may_make_is_called_that(run):
    a, b = run(*[(1.0,)] * 20), run(*[(1.0,)] * 17, *[(5.0,)] * 3)
    found = compare(a, b)
    said = verdict(found, "run A", "run B")  # p is 0.08
    assert said.startswith("No difference beyond chance: 100.0% of run A and 85.0% of run B")
    assert found.headline.low < 0 < found.headline.high


def test_runs_in_which_no_target_changes_sides_are_called_that(run):
    a = run((1.0,), (1.5,), (5.0,), None)
    said = verdict(compare(a, a), "run A", "run B")
    assert said.startswith(
        "No difference: the same 2 of 4 targets are within 2 A in run A and run B (0.0 points"
    )


def test_no_pose_is_infinitely_far(no_pose):
    failed = Attempt.of(no_pose("x", "failed", "timeout"))
    assert (failed.outcome, failed.known, failed.first, failed.best) == (
        "failed: timeout",
        True,
        math.inf,
        math.inf,
    )
