"""A clock of the time that a run could use: what passed while it was suspended or starved is not counted."""

from __future__ import annotations

import time

LONGEST_GAP_S = 2.0
"""Seconds between two looks at the clock that are believed: the engine looks once a second, so in a longer
gap it was stopped (Ctrl-Z, a scheduler's suspend) or had no core."""


class Clock:
    """Monotonic seconds, less the gaps in which nobody looked.

    Examples
    --------
    >>> clock = Clock()
    >>> before = clock()
    >>> 0 <= clock() - before < 1
    True
    """

    def __init__(self) -> None:
        self._looked = time.monotonic()
        self._counted = 0.0

    def __call__(self) -> float:
        """Seconds counted so far."""
        now = time.monotonic()
        self._counted += min(now - self._looked, LONGEST_GAP_S)
        self._looked = now
        return self._counted
