"""Which tasks are left, in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Mapping


def plan(costs: Mapping[str, float], done: Container[str]) -> list[str]:
    """Tasks not yet done, the most costly first, so that none of them is left for the end of the run.

    Parameters
    ----------
    costs : Mapping[str, float]
        A cheap estimate for each task, in any unit.
    done : container of str
        Tasks that have a record.

    Examples
    --------
    >>> plan({"small": 8, "large": 40, "old": 20}, done={"old"})
    ['large', 'small']
    """
    return sorted((task for task in costs if task not in done), key=lambda task: -costs[task])
