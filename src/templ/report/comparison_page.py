"""The page that shows two runs beside each other."""

from __future__ import annotations

from templ.benchmark.compare_runs import RunComparison
from templ.evaluation.success_rate import HEADLINE
from templ.report.html_page import render

SIDE = 310
"""Of the plot, in its own units."""
TICKS = (0, 2, 4, 6, 8, 10)
"""Angstrom, on both axes; what is farther than the last is drawn at the edge."""


def comparison_page(comparison: RunComparison) -> str:
    """Write a comparison as a page.

    Raises
    ------
    InputError
        When Jinja is not installed.
    """
    targets = comparison.targets
    return render(
        "compare.html.j2",
        comparison=comparison,
        headline=HEADLINE,
        numbers={id: number for number, id in enumerate(targets.pairs, 1)},
        gained=frozenset(targets.gained),
        lost=frozenset(targets.lost),
        side=SIDE,
        ticks=TICKS,
        farthest=float(TICKS[-1]),
    )
