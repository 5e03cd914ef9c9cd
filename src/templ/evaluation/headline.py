"""What a run came to, in five lines for a terminal; the tables are in ``summary.md``."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator
from pathlib import Path

from templ.evaluation.strata import STRATA
from templ.evaluation.success_rate import HEADLINE, Rate
from templ.evaluation.summary import Accuracy, Summary

WIDTH = 80
FEWEST = 5
"""Targets of a stratum that is worth a word."""
MOST_KINDS = 4
"""Kinds of refusals and failures that are named."""


def five_lines(summary: Summary, folder: Path) -> list[str]:
    """Headline, the worst and the best, failures, cost and the next command, each wrapped at 80 columns."""
    lines = (_headline(summary), _worst_and_best(summary), _endings(summary), _cost(summary), _next(folder))
    wrapper = textwrap.TextWrapper(
        WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
    return [part for line in lines for part in wrapper.wrap(line)]


def _headline(summary: Summary) -> str:
    overall = summary.overall
    if not overall.first_of_all:
        return f"{overall.posed:,} of {overall.attempted:,} targets posed; no crystal is known to judge by"
    first, best = _at_headline(overall.first_of_all), _at_headline(overall.best_of_all)
    median = "" if overall.median_rmsd is None else f"; median RMSD {overall.median_rmsd:.2f} A"
    return (
        f"{first.rate:.1%} of {first.n:,} targets within {HEADLINE:g} A by the first pose "
        f"(95 % interval {first.low:.1%} to {first.high:.1%}), {best.rate:.1%} by the best of 5{median}"
    )


def _worst_and_best(summary: Summary) -> str:
    """The best and the worst of what targets are told apart by."""
    rates = dict(_rates(summary))
    if len(rates) < 2:
        return "worst and best: too few targets to tell any apart"
    worst, best = min(rates, key=lambda name: rates[name].rate), max(rates, key=lambda name: rates[name].rate)
    if rates[worst].rate == rates[best].rate:
        return f"worst and best: no difference between groups of {FEWEST} targets and more"
    return f"worst: {worst}, {_of(rates[worst])}; best: {best}, {_of(rates[best])}"


def _rates(summary: Summary) -> Iterator[tuple[str, Rate]]:
    parts: dict[str, Accuracy] = {}
    if len(summary.by_group) > 1:
        parts |= {f"group {name or '(none)'}": part for name, part in summary.by_group.items()}
    for name, ranges in summary.by_stratum.items():
        parts |= {f"{STRATA[name][1]} {which}": part for which, part in ranges.items()}
    for name, part in parts.items():
        if part.first_of_all and part.first_of_all[0].n >= FEWEST:
            yield name, _at_headline(part.first_of_all)


def _endings(summary: Summary) -> str:
    told = [f"{summary.overall.posed:,} of {summary.overall.attempted:,} posed"]
    for status, reasons in (("refused", summary.refused), ("failed", summary.failed)):
        kinds = sorted(reasons, key=lambda reason: -reasons[reason])
        named = [f"{reason} {reasons[reason]:,}" for reason in kinds[:MOST_KINDS]]
        if len(kinds) > MOST_KINDS:
            named.append(f"{len(kinds) - MOST_KINDS} more kinds")
        told.append(f"{sum(reasons.values()):,} {status}" + (f" ({', '.join(named)})" if named else ""))
    return ", ".join(told)


def _cost(summary: Summary) -> str:
    if summary.cpu_median is None or summary.cpu_max is None:
        return "cost: not known"
    return (
        f"cost of a target: {summary.cpu_median:.1f} s of a processor (at most {summary.cpu_max:.1f}), "
        f"{summary.peak_uss_bytes / 1e6:.0f} MB at most"
    )


def _next(folder: Path) -> str:
    return f"tables: {folder / 'summary.md'}; next: {shlex.join(['templ', 'report', str(folder)])}"


def _at_headline(rates: tuple[Rate, ...]) -> Rate:
    return next(rate for rate in rates if rate.threshold == HEADLINE)


def _of(rate: Rate) -> str:
    return f"{rate.rate:.0%} ({rate.successes:,} of {rate.n:,})"
