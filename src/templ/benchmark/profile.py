"""What a run took of memory and how fast it went, from its memory log."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Any

from templ.disk import storage_errors
from templ.errors import InputError, RunError
from templ.runlog.memory import MEMORY_NAME

if TYPE_CHECKING:
    from pathlib import Path

PICTURE = "profile.png"


def profile_run(run: Path) -> dict[str, Any]:
    """Sum up the memory log of a run.

    Times and targets count from each start of the run, so a resumed one has several stretches.

    Raises
    ------
    RunError
        When the run has no memory log.
    """
    samples = _read(run)
    workers = [held for sample in samples for held in sample["workers"]]
    stretches = _stretches(samples)
    seconds = sum(_clock(stretch[-1]) - _clock(stretch[0]) for stretch in stretches)
    ended = sum(stretch[-1]["ended"] for stretch in stretches)
    actions = Counter(sample["action"] for sample in samples if sample["reason"])
    return {
        "seconds": round(seconds, 1),
        "targets seen to end": ended,
        "targets a second": round(ended / seconds, 2) if seconds else "not known",
        "all processes, peak MB": round(max(sample["tree"] for sample in samples) / 1e6, 1),
        "a worker, median MB": round(median(workers) / 1e6, 1) if workers else "not known",
        "a worker, peak MB": round(max(workers) / 1e6, 1) if workers else "not known",
        "workers, most at a time": max(len(sample["workers"]) for sample in samples),
        "left on the machine, least MB": round(min(sample["available"] for sample in samples) / 1e6, 1),
        "actions of the governor": ", ".join(f"{action} x {n}" for action, n in actions.items()) or "none",
    }


def draw_profile(run: Path) -> Path:
    """Draw memory and throughput over time into the run folder, and return the picture's path.

    Raises
    ------
    InputError
        When matplotlib is not installed.
    StorageError
        When the disk refuses.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError("drawing needs matplotlib: pip install 'templ-pose[plot]'") from None
    samples = _read(run)
    minutes = _minutes(samples)
    figure = Figure(figsize=(8, 6), layout="constrained")
    memory, targets = figure.subplots(2, 1, sharex=True)
    memory.plot(minutes, [sample["tree"] / 1e6 for sample in samples], label="all processes")
    largest = [max(sample["workers"], default=0) / 1e6 for sample in samples]
    memory.plot(minutes, largest, label="largest worker")
    done = [(m, s) for m, s in zip(minutes, samples, strict=True) if s["action"] not in ("run", "grow")]
    memory.plot(
        [minute for minute, _ in done],
        [sample["tree"] / 1e6 for _, sample in done],
        "k.",
        label="the governor holds back",
    )
    memory.set(ylabel="private memory (MB)", ylim=(0, None))
    memory.legend(loc="center right")
    targets.plot(minutes, [sample["ended"] for sample in samples])
    targets.set(xlabel="minutes of running", ylabel="targets ended since the start")
    path = run / PICTURE
    with storage_errors(path):
        figure.savefig(path, dpi=120)
    return path


def _read(run: Path) -> list[dict[str, Any]]:
    path = run / MEMORY_NAME
    try:
        lines = path.read_text().splitlines()
        samples = [json.loads(line) for line in lines if line.endswith("}")]
    except OSError as error:
        raise RunError(f"{run} has no memory log ({path.name}: {error.strerror})") from None
    except ValueError:
        raise RunError(f"{path} is damaged: a line is no JSON; delete it to go on without") from None
    if not samples:
        raise RunError(f"{path} is empty: the run ended before its memory was looked at")
    return samples


def _stretches(samples: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Divide where the count of ended targets or the clock begins again: the run was started anew there."""
    stretches = [[samples[0]]]
    for before, sample in pairwise(samples):
        if sample["ended"] < before["ended"] or _clock(sample) < _clock(before):
            stretches.append([])
        stretches[-1].append(sample)
    return stretches


def _minutes(samples: list[dict[str, Any]]) -> list[float]:
    """When each sample was taken, in minutes of running: pauses between two stretches are left out."""
    seconds: list[float] = []
    for stretch in _stretches(samples):
        begin = seconds[-1] if seconds else 0.0
        seconds += [begin + _clock(sample) - _clock(stretch[0]) for sample in stretch]
    return [second / 60 for second in seconds]


def _clock(sample: dict[str, Any]) -> float:
    """Seconds by a clock that nobody sets back; logs of earlier versions have the time of day alone."""
    return float(sample.get("monotonic", sample["time"]))
