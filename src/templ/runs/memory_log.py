"""The memory log of a run: what was seen of memory over time, in a file that stays small.

Samples come once a second. When there are MOST_LINES of them every second line is dropped, and from then on
only every second sample is written, and so on; one that tells of an action is written whenever it comes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from templ.checksums import checksum_agrees, with_checksum
from templ.disk import Closing, GrowingFile, replacing
from templ.errors import RunError

MEMORY_NAME = "memory.jsonl"
MOST_LINES = 4000
"""About 1 MB, an hour at full detail, three months after ten halvings."""


class MemoryLog(Closing):
    """Writes samples; goes on with a file that is there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = GrowingFile(path)
        self._lines = path.read_bytes().count(b"\n")
        self._every = 1
        self._skipped = 0

    def add(self, sample: Mapping[str, Any]) -> None:
        """Note what was seen; ``action`` and ``reason`` say what was done about it.

        Raises
        ------
        StorageError
            When the disk refuses.
        """
        self._skipped += 1
        if self._skipped < self._every and not sample["reason"]:
            return
        self._skipped = 0
        line = json.dumps(with_checksum(sample), separators=(",", ":")).encode() + b"\n"
        self._file.append(line, durable=False)
        self._lines += 1
        if self._lines >= MOST_LINES:
            self._thin()

    def close(self) -> None:
        """Close the file; closing twice is harmless."""
        self._file.close()

    def _thin(self) -> None:
        """Drop every second line."""
        self._every *= 2
        lines = self._path.read_bytes().splitlines(keepends=True)[::2]
        self._file.close()
        with replacing(self._path) as file:
            file.writelines(lines)
        self._file = GrowingFile(self._path)
        self._lines = len(lines)


def read_samples(run: Path) -> list[dict[str, Any]]:
    """Read the memory log of a run; lines that are torn or damaged are left out, for it is no result.

    Raises
    ------
    RunError
        When the run has no memory log, or there is no sample in it.
    """
    path = run / MEMORY_NAME
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise RunError(f"{run} has no memory log ({path.name}: {error.strerror})") from None
    samples = [sample for line in lines if (sample := _sample(line)) is not None]
    if not samples:
        raise RunError(f"{path} has no sample: the run ended before its memory was looked at")
    return samples


def _sample(line: bytes) -> dict[str, Any] | None:
    try:
        sample = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return sample if isinstance(sample, dict) and checksum_agrees(sample) else None


def stretches(samples: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Divide where the count of ended targets or the clock begins again: the run was started anew there."""
    parts = [[samples[0]]]
    for before, sample in pairwise(samples):
        if sample["ended"] < before["ended"] or clock(sample) < clock(before):
            parts.append([])
        parts[-1].append(sample)
    return parts


def minutes_of_running(samples: Sequence[dict[str, Any]]) -> list[float]:
    """When each sample was taken; pauses between two stretches are left out."""
    seconds: list[float] = []
    for part in stretches(samples):
        begin = seconds[-1] if seconds else 0.0
        seconds += [begin + clock(sample) - clock(part[0]) for sample in part]
    return [second / 60 for second in seconds]


def clock(sample: Mapping[str, Any]) -> float:
    """Seconds by a clock that nobody sets back."""
    return float(sample["monotonic"])
