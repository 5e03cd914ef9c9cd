"""What targets are told apart by in a summary: how alike the templates are, how large the query is."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TypeVar

from templ.runs.record import Record

Of = TypeVar("Of")
"""What is known of the targets of a stratum."""
STRATA: Mapping[str, tuple[tuple[float, ...], str]] = {
    "tanimoto": ((0.2, 0.4, 0.6, 0.8), "ligand similarity of the nearest template"),
    "query_coverage": ((0.25, 0.5, 0.75), "query coverage: share of its heavy atoms copied"),
    "identity": ((0.3, 0.5, 0.9), "sequence identity of the nearest receptor"),
    "query_atoms": ((20, 30, 40), "heavy atoms"),
    "rotors": ((4, 8, 12), "rotatable bonds"),
}
"""What targets are told apart by: ends of the ranges, and what to call it."""


def strata_of(record: Record) -> Iterator[tuple[str, str]]:
    """Name and range of each stratum that a record belongs to; of none where the value is not known."""
    for name, (ends, _) in STRATA.items():
        value = getattr(record, name)
        if value is not None:
            yield name, ranges(ends)[bisect_right(ends, value)]


def ranges(ends: Sequence[float]) -> list[str]:
    """Names of the ranges between ends.

    Examples
    --------
    >>> ranges((0.2, 0.4))
    ['below 0.2', '0.2 to 0.4', '0.4 and more']
    """
    between = [f"{low:g} to {high:g}" for low, high in pairwise(ends)]
    return [f"below {ends[0]:g}", *between, f"{ends[-1]:g} and more"]


def by_name(strata: Mapping[tuple[str, str], Of]) -> dict[str, dict[str, Of]]:
    """Strata by name, then by range in its order; none where all targets fall into one range."""
    found = {
        name: {part: strata[name, part] for part in ranges(ends) if (name, part) in strata}
        for name, (ends, _) in STRATA.items()
    }
    return {name: parts for name, parts in found.items() if len(parts) > 1}
