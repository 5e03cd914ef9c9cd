"""What a run took of memory and how fast it went, from its memory log."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

from templ.disk import storage_errors
from templ.errors import InputError
from templ.runs.memory_log import clock, minutes_of_running, read_samples, stretches

PICTURE = "profile.png"


def profile_run(run: Path) -> dict[str, Any]:
    """Sum up the memory log of a run.

    Times and targets count from each start of the run, so a resumed one has several stretches.

    Raises
    ------
    RunError
        When the run has no memory log.
    """
    samples = read_samples(run)
    workers = [held for sample in samples for held in sample["workers"]]
    parts = stretches(samples)
    seconds = sum(clock(part[-1]) - clock(part[0]) for part in parts)
    ended = sum(part[-1]["ended"] for part in parts)
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
    samples = read_samples(run)
    minutes = minutes_of_running(samples)
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
