"""Every number of the summary, on a run small enough to count by hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from templ.errors import InputError
from templ.evaluation.markdown import to_markdown
from templ.evaluation.success_rate import wilson_interval
from templ.evaluation.summary import summarise
from templ.runs.record import Cost


@pytest.fixture(scope="module")
def run(record, no_pose):
    return [
        record("a", (0.9, 3.0)),
        record("b", (2.0, 1.0), group="mers", method="overlay", stereo_kept=False),
        record("c", (5.1, 4.9, 6.0), stereo_kept=None, method="partial-core"),
        no_pose("d", "refused", "no-template"),
        no_pose("e", "refused", "peptide", group="mers"),
        no_pose("f", "refused", "no-template"),
        no_pose("g", "failed", "timeout"),
        record("h", (None,), cost=Cost(cpu_s=9.0, wall_s=4.0, uss_bytes=250_000_000)),
    ]


def successes(rates):
    return [(rate.threshold, rate.successes, rate.n) for rate in rates]


def test_counts(run):
    summary = summarise(iter(run))
    assert (summary.overall.attempted, summary.overall.posed, summary.overall.without_truth) == (8, 4, 1)
    assert summary.refused == {"no-template": 2, "peptide": 1}
    assert summary.failed == {"timeout": 1}
    assert summary.stereo == {"kept": 2, "lost": 1, "unknown": 1}


def test_rates_over_all_count_refused_and_failed_as_missed(run):
    overall = summarise(run).overall
    assert successes(overall.first_of_all) == [(1.0, 1, 7), (2.0, 2, 7), (5.0, 2, 7)]
    assert successes(overall.best_of_all) == [(1.0, 2, 7), (2.0, 2, 7), (5.0, 3, 7)]
    assert successes(overall.first_of_posed) == [(1.0, 1, 3), (2.0, 2, 3), (5.0, 2, 3)]
    assert successes(overall.best_of_posed) == [(1.0, 2, 3), (2.0, 2, 3), (5.0, 3, 3)]
    rate = overall.first_of_all[1]
    assert (rate.rate, rate.low, rate.high) == (2 / 7, *wilson_interval(2, 7))
    assert overall.median_rmsd == 2.0


def test_poses_in_another_copy_of_the_pocket_are_counted_apart(record, no_pose):
    def with_copy(id, rmsd, copy):
        made = record(id, (rmsd,))
        return replace(made, poses=(replace(made.poses[0], copy_rmsd=copy),))

    run = [
        with_copy("a", 1.0, 1.0),
        with_copy("b", 40.0, 1.5),
        with_copy("c", 40.0, 9.0),
        record("d", (0.5,)),
        no_pose("e", "refused", "no-template"),
    ]
    summary = summarise(run)
    assert successes(summary.overall.first_of_all)[1] == (2.0, 2, 5)
    assert successes([summary.in_any_copy]) == [(2.0, 3, 5)]
    assert "in any equivalent copy of the pocket" in to_markdown(summary)
    assert summarise([record("d", (0.5,))]).in_any_copy is None


def test_groups_and_placement_methods(run):
    summary = summarise(run)
    assert list(summary.by_group) == ["mers", "sars"]
    assert successes(summary.by_group["mers"].first_of_all) == [(1.0, 0, 2), (2.0, 1, 2), (5.0, 1, 2)]
    assert {method: part.attempted for method, part in summary.by_method.items()} == {
        "core": 2,
        "overlay": 1,
        "partial-core": 1,
    }
    assert summary.by_method["partial-core"].median_rmsd == 5.1


def test_validity_is_out_of_all_attempted(record, no_pose):
    run = [
        record("a", (0.9,), failed_checks=()),
        record("b", (1.5,), failed_checks=("internal_energy", "bond_angles")),
        record("c", (4.0,), failed_checks=()),
        record("d", (0.5,), failed_checks=("internal_energy",)),
        no_pose("e", "refused", "no-template"),
    ]
    summary = summarise(run)
    found = summary.validity
    assert (found.successes, found.n, found.rate) == (2, 5, 2 / 5)
    assert (found.low, found.high) == wilson_interval(2, 5)
    assert successes(found.within) == [(1.0, 1, 5), (2.0, 1, 5), (5.0, 2, 5)]
    assert list(found.failed.items()) == [("internal_energy", 2), ("bond_angles", 1)]
    text = to_markdown(summary)
    assert "| valid | 40.0% (11.8% to 76.9%; 2 of 5) |" in text
    assert "| fails internal energy | 2 |" in text
    json.dumps(summary.to_dict())


def test_the_confidence_of_first_poses_is_held_against_the_crystals(record):
    run = [
        record("a", (0.9, 3.0), confidence=(0.95, 0.2)),
        record("b", (1.5,), confidence=(0.95,)),
        record("c", (4.0,), confidence=(0.25,)),
        record("d", (None,), confidence=(0.9,)),  # its crystal is not known
    ]
    summary = summarise(run)
    found = summary.calibration
    assert [(part.count, part.right) for part in found.bins] == [(1, 0.0), (2, 1.0)]
    assert (found.auroc, found.error) == (1.0, pytest.approx((0.25 + 2 * 0.05) / 3))
    text = to_markdown(summary)
    assert "| 0.95 | 1.00 | 2 |" in text
    assert "AUROC 1.000" in text
    assert summarise([record("d", (None,), confidence=(0.9,))]).calibration is None


def test_a_run_that_did_not_check_validity_says_nothing_of_it(run, record):
    summary = summarise([*run, record("i", failed_checks=None)])
    assert summary.validity is None
    assert "PoseBusters" not in to_markdown(summary)


def test_cost(run):
    summary = summarise(run)
    assert (summary.cpu_median, summary.cpu_max) == (1.0, 9.0)
    assert (summary.wall_median, summary.wall_max) == (2.0, 4.0)
    assert summary.peak_uss_bytes == 250_000_000


def test_other_thresholds(run):
    assert successes(summarise(run, thresholds=(0.5, 0.9)).overall.first_of_all) == [(0.5, 0, 7), (0.9, 1, 7)]


def test_without_truth_there_is_no_rate(record, no_pose):
    summary = summarise([record("a", (None,)), no_pose("b", "refused", "peptide")])
    assert summary.overall.first_of_all == summary.overall.first_of_posed == ()
    assert summary.overall.median_rmsd is None
    assert "%" not in to_markdown(summary).replace("95 %", "")


def test_a_run_that_posed_nothing_scores_zero(no_pose):
    overall = summarise([no_pose("a", "failed", "error"), no_pose("b", "refused", "peptide")]).overall
    assert successes(overall.first_of_all) == [(1.0, 0, 2), (2.0, 0, 2), (5.0, 0, 2)]
    assert overall.first_of_posed == ()


def test_an_empty_run():
    summary = summarise([])
    assert summary.overall.attempted == 0
    assert summary.cpu_median is None
    assert summary.overall.first_of_all == ()
    assert "| attempted | 0 |" in to_markdown(summary)


def test_the_summary_is_json(run):
    content = json.loads(json.dumps(summarise(run).to_dict(), allow_nan=False))
    assert content["overall"]["first_of_all"][1]["successes"] == 2
    assert content["by_group"]["mers"]["attempted"] == 2


def test_markdown_shows_both_denominators_each_with_its_name(run):
    text = to_markdown(summarise(run))
    assert "| within | first pose, of all attempted | best of 5, of all | first pose, of posed only |" in text
    assert "| 2 A | 28.6% (8.2% to 64.1%; 2 of 7) | 28.6% (8.2% to 64.1%; 2 of 7) | 66.7% (" in text
    assert "| refused: no-template | 2 |" in text
    assert "| failed: timeout | 1 |" in text
    assert "over posed targets only: 2.00 A" in text
    assert "Peak private memory (USS) of a worker: 250.0 MB." in text


def test_nothing_posed_is_a_table_too(no_pose):
    refused = no_pose("a", "refused", "no-template")
    assert "| 2 A | 0.0% (0.0% to 79.3%; 0 of 1) | 0.0% (0.0% to 79.3%; 0 of 1) | - |" in to_markdown(
        summarise([refused])
    )


def test_a_group_cannot_break_the_table(record):
    text = to_markdown(summarise([record("a", group="a|b"), record("b", group="c")]))
    assert "| a\\|b |" in text


def test_targets_are_told_apart_by_query_coverage_and_the_like(record, no_pose):
    run = [
        record("a", (0.9,), core=5, tanimoto=0.1),
        record("b", (3.0,), core=10, tanimoto=0.9, identity=0.95),
        record("c", (1.0,), core=12, tanimoto=0.9, identity=0.4),
        no_pose("d", "refused", "no-template", tanimoto=0.1),
    ]
    found = summarise(run).by_stratum
    assert {
        name: [successes(part.first_of_all[1:2])[0][1:] for part in parts.values()]
        for name, parts in found.items()
    } == {
        "tanimoto": [(1, 2), (1, 2)],
        "query_coverage": [(1, 1), (1, 2)],
        "identity": [(1, 1), (0, 1)],
    }
    assert list(found["query_coverage"]) == ["below 0.25", "0.25 to 0.5"]


def test_denominators(record, no_pose):
    run = [record("a", (0.9,)), no_pose("b", "refused", "peptide"), no_pose("c", "failed", "timeout")]
    found = summarise(run, missing=2).denominators
    assert {name: (rate.successes, rate.n) for name, rate in found.items()} == {
        "listed": (1, 5),
        "attempted": (1, 3),
        "fit for the method": (1, 2),
        "posed": (1, 1),
    }


@given(st.integers(1, 10_000), st.data())
def test_wilson_ends_solve_its_equation(n, data):
    hits = data.draw(st.integers(0, n))
    z = 1.959964
    low, high = wilson_interval(hits, n)
    assert 0 <= low <= hits / n <= high <= 1
    for end in (low, high):
        # By definition the observed rate lies z standard errors of the END away from it.
        assert math.isclose(
            abs(hits / n - end), z * math.sqrt(end * (1 - end) / n), rel_tol=1e-6, abs_tol=1e-9
        )


def test_wilson_published_value():
    # Newcombe, Stat. Med. 17 (1998) 857-872, table I: 81 of 263, and 0 of 20.
    assert [round(end, 4) for end in wilson_interval(81, 263)] == [0.2553, 0.3662]
    assert [round(end, 4) for end in wilson_interval(0, 20)] == [0.0, 0.1611]


def test_wilson_of_nothing_says_nothing():
    assert wilson_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("hits", "n"), [(-1, 5), (6, 5)])
def test_wilson_refuses_what_is_no_proportion(hits, n):
    with pytest.raises(InputError, match="no proportion"):
        wilson_interval(hits, n)
