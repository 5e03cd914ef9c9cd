"""What of an earlier start of a run still stands: the rest is done again, after saying so."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from templ.runs.final_form import final_addresses
from templ.runs.journal import Journal
from templ.runs.pose_shards import LostPosesError, read_poses
from templ.runs.record import PoseAddress, Record

TRIED_AGAIN = frozenset({"timeout", "out-of-memory", "crash"})
"""Reasons of failures that may lie in the machine, not in the molecule."""


class Recovery:
    """Sorts out the records of a run that goes on, for `Journal.open`.

    Parameters
    ----------
    run : pathlib.Path
        The run folder, locked.
    order : range
        Positions of all molecules of this run.
    retry_failed : bool
        Try again what failed in a way that a crowded or broken machine can cause.
    """

    def __init__(self, run: Path, order: range, *, retry_failed: bool) -> None:
        self._run, self._order, self._retry_failed = run, order, retry_failed
        self._failed = self._without_poses = 0

    def __call__(self, record: Record) -> Record | None:
        """Return the record, or None where its molecule is to be done again."""
        if self._retry_failed and record.reason in TRIED_AGAIN:
            self._failed += 1
            return None
        if record.address is None or self._has_poses(record.address):
            return record
        # A run that was killed while it was finished has moved some poses already.
        if record.index in self._order:
            moved = self._final_address(record.index, record.address)
            if self._has_poses(moved):
                return record.at(moved)
        self._without_poses += 1
        return None

    def notes(self, journal: Journal) -> list[str]:
        """Say what is done again."""
        said = {
            "molecules that failed before are tried again": self._failed,
            f"damaged lines of {journal.path} are left out: their molecules are done again": journal.damaged,
            "molecules are done again: their poses are missing or damaged": self._without_poses,
        }
        return [f"{count} {what}" for what, count in said.items() if count]

    def _has_poses(self, address: PoseAddress) -> bool:
        try:
            read_poses(self._run, address)
        except LostPosesError:  # and no other: what cannot be read just now is not lost
            return False
        return True

    @cached_property
    def _final_address(self) -> Callable[[int, PoseAddress], PoseAddress]:
        return final_addresses(self._run, self._order)
