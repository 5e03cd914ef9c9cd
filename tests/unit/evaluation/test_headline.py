"""The five lines that a run ends in."""

from __future__ import annotations

from pathlib import Path

from templ.evaluation.headline import five_lines
from templ.evaluation.summary import summarise


def lines_of(records):
    """Each of the five lines, whole again."""
    wrapped = five_lines(summarise(records), Path("runs/demo"))
    assert max(map(len, wrapped)) <= 80
    return "\n".join(wrapped).replace("\n  ", " ").splitlines()


def test_what_is_worth_knowing(record, no_pose):
    good = [record(f"g{number}", (0.5,), group="CDK2") for number in range(8)]
    bad = [record(f"b{number}", (5.0, 1.0), group="BRD4") for number in range(6)]
    few = [record("x", (9.0,), group="A2A")]
    others = [no_pose(f"r{number}", "refused", "peptide") for number in range(3)]
    headline, strata, endings, cost, following = lines_of(
        [*good, *bad, *few, *others, no_pose("f", "failed", "timeout")]
    )
    assert headline.startswith(
        "42.1% of 19 targets within 2 A by the first pose (95 % interval 23.1% to 63.7%)"
    )
    assert "73.7% by the best of 5; median RMSD 0.50 A" in headline
    # Of a group with a single target nothing is said.
    assert strata == "worst: group BRD4, 0% (0 of 6); best: group CDK2, 100% (8 of 8)"
    assert endings == "15 of 19 posed, 3 refused (peptide 3), 1 failed (timeout 1)"
    assert cost.startswith("cost of a target: ")
    assert following == "tables: runs/demo/summary.md; next: templ report runs/demo"


def test_where_there_is_little_to_say(record):
    headline, strata, *_ = lines_of([record("a", (None,))])
    assert headline == "1 of 1 targets posed; no crystal is known to judge by"
    assert strata == "worst and best: too few targets to tell any apart"
