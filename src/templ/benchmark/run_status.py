"""How far runs are, while they run: what is done and left, how fast it goes, and when it will be over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from templ.disk import is_locked
from templ.errors import RunError
from templ.evaluation.run import Run, load_run
from templ.runs.journal import JOURNAL_NAME, read_records
from templ.runs.memory_log import clock, read_samples, stretches
from templ.runs.parts import latest_attempts
from templ.runs.record import Record
from templ.runs.run_folder import LOCK_NAME, PROCESSES_FOLDER

RECENT_S = 600.0
"""Seconds of a run by which its speed goes: the largest targets come first, so it grows."""

State = Literal["finished", "running", "stopped"]


@dataclass(frozen=True, slots=True)
class RunStatus:
    """How far one run is.

    Attributes
    ----------
    path : Path
        Its folder.
    state : {"finished", "running", "stopped"}
        ``stopped``: it is not finished, and nobody is at it.
    targets, done, posed, refused, failed : int
        Targets, or queries: all of the run, those that have ended, and how.
    speed : float or None
        Targets a second, lately; None where it is not known or nobody is at it.
    """

    path: Path
    state: State
    targets: int
    done: int
    posed: int
    refused: int
    failed: int
    speed: float | None

    @property
    def seconds_left(self) -> float | None:
        """Seconds until it is over, at this speed; None where that is not known."""
        if self.state == "finished":
            return 0.0
        return (self.targets - self.done) / self.speed if self.speed else None


def status_of(folder: Path) -> RunStatus:
    """Look how far a run is; it is not disturbed.

    Raises
    ------
    RunError
        When the folder is no run.
    """
    run = load_run(folder)
    try:
        counts = _counts(run)
    except RunError:
        counts = None
    if run.manifest.finished is None and (now := load_run(folder)).manifest.finished is not None:
        run, counts = now, None  # its parts were put together, and deleted, while they were looked at
    if counts is None:
        counts = _counts(run)
    processes = [run.path, *(run.path / PROCESSES_FOLDER).glob("*")]
    at_it = [process for process in processes if is_locked(process / LOCK_NAME)]
    state: State = "running" if at_it else "stopped"
    if run.manifest.finished is not None:
        state = "finished"
    speeds = [_speed(process) for process in at_it] if state == "running" else []
    known = [speed for speed in speeds if speed is not None]
    speed = sum(known) if known else None
    return RunStatus(folder, state, run.manifest.targets, sum(counts.values()), **counts, speed=speed)


def _counts(run: Run) -> dict[str, int]:
    """Count the records of a run so far, by how they ended."""
    counts = {"posed": 0, "refused": 0, "failed": 0}
    for record in _records(run):
        counts[record.status] += 1
    return counts


def _records(run: Run) -> Iterator[Record]:
    """Records of a run so far; of one that processes do together, those of its parts until it is finished."""
    attempts = latest_attempts(run.path) if run.manifest.finished is None else {}
    if not attempts:
        if len(run):
            yield from run
        return
    for attempt in attempts.values():
        if (attempt / JOURNAL_NAME).exists():
            yield from read_records(attempt / JOURNAL_NAME)


def _speed(folder: Path) -> float | None:
    """Targets a second over the last minutes since the run was started; None where it is not known."""
    try:
        samples = stretches(read_samples(folder))[-1]
    except RunError:
        return None
    last = samples[-1]
    first = next(sample for sample in samples if clock(last) - clock(sample) <= RECENT_S)
    seconds = clock(last) - clock(first)
    return (last["ended"] - first["ended"]) / seconds if seconds > 0 else None


def to_text(found: Sequence[RunStatus]) -> Iterable[str]:
    """Lines of a table, one a run, and one of all together where there are several."""
    rows = [_cells(str(status.path), status.state, [status]) for status in found]
    if len(found) > 1:
        states = {status.state for status in found}
        worst = next(state for state in ("stopped", "running", "finished") if state in states)
        rows.append(_cells("all", worst, found))
    head = ("run", "state", "done", "of", "posed", "refused", "failed", "a minute", "left")
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        cells = (
            cell.ljust(width) if number < 2 else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()


def _cells(name: str, state: str, found: Sequence[RunStatus]) -> tuple[str, ...]:
    """Cells of a row about some runs that go on side by side."""
    counts = [
        sum(getattr(status, what) for status in found)
        for what in ("done", "targets", "posed", "refused", "failed")
    ]
    speed = sum(status.speed or 0.0 for status in found)
    left = [status.seconds_left for status in found]
    known = [seconds for seconds in left if seconds is not None]
    time_left = _duration(max(known)) if len(known) == len(left) else "?"
    return (
        name,
        state,
        *(f"{count:,}" for count in counts),
        f"{60 * speed:.1f}" if speed else "-",
        time_left,
    )


def _duration(seconds: float) -> str:
    """A time in hours, minutes and seconds.

    Examples
    --------
    >>> _duration(42), _duration(3720), _duration(90_000)
    ('42 s', '1 h 02 min', '25 h 00 min')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"
