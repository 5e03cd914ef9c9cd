"""Options and output that several commands share."""

from __future__ import annotations

import re
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from templ.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from templ.sources.ledger import Ledger

_quiet = False


def set_quiet(wanted: bool) -> bool:
    """Say nothing any more to the person, but errors; what an option of a command asks for, it gets."""
    global _quiet
    _quiet = wanted or _quiet
    return wanted


def reset_quiet(wanted: bool) -> bool:
    """Say what there is to say, unless the program is to be quiet."""
    global _quiet
    _quiet = wanted
    return wanted


QUIET = typer.Option(
    False,
    "--quiet",
    callback=set_quiet,
    is_eager=True,
    help="Say nothing but errors.",
)
LARGEST_SEED = 2**31 - 1
PLAIN_EVERY_S = 10.0
"""Seconds between progress lines where there is no terminal to draw on."""

FAILURES = typer.Option(
    0, "--max-failures", min=0, help="End with exit code 1 when more than this many fail."
)
SEED = typer.Option(1, "--seed", min=0, max=LARGEST_SEED, help="Of the conformers: same seed, same poses.")
TOP = typer.Option(5, "--top", min=1, max=100, help="Poses kept of each query.")
WORKERS = typer.Option("auto", "--workers", help="Worker processes: a number, or auto.")
MEMORY = typer.Option(
    None, "--memory", help="For all processes together, such as 8GiB; by default 80 % of what is available."
)
RETRY = typer.Option(
    True,
    "--retry-failed/--no-retry-failed",
    help="Try again what failed before for want of time or memory, or by a crash.",
)
ON = typer.Option(
    "", "--on", help="Where work is done: dask://HOST:PORT, or local:N, Dask with N workers (extra: dask)."
)
JOIN = typer.Option(
    False, "--join", help="Do the run together with other processes that are given the same command."
)
RECYCLE = typer.Option(25, "--recycle-after", min=1, help="Tasks after which a worker is replaced.")
NUMBER = r"\d{1,9}"
"""A whole number that means something; Python refuses to read one of thousands of digits."""
UNITS = {
    "": 1,
    "k": 10**3,
    "m": 10**6,
    "g": 10**9,
    "t": 10**12,
    "ki": 2**10,
    "mi": 2**20,
    "gi": 2**30,
    "ti": 2**40,
}
LEAST_BARE = 2**20
"""Bytes: a smaller size without a unit lacks one."""
MOST_MEMORY = 2**50
"""Bytes; no machine has more, and what is near 2^63 cannot be set as a limit."""


def parse_memory(text: str | None) -> int | None:
    """Read ``--memory`` as bytes; `InputError` when it is no size.

    Examples
    --------
    >>> parse_memory("1.5GiB")
    1610612736
    """
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?) *([kmgt]?i?)b?", text.strip().lower())
    size = 0.0 if found is None else float(found[1]) * UNITS.get(found[2], 0)
    if found is None or not 1 <= size <= MOST_MEMORY:
        raise InputError(f"--memory {text}: expected a size such as 8GiB or 800MB")
    if not found[2] and size < LEAST_BARE:
        raise InputError(f"--memory {text}: that is {size:g} bytes; expected a size such as {text}GiB")
    return int(size)


def parse_workers(text: str) -> int | Literal["auto"]:
    """Read ``--workers``; `InputError` when it is neither ``auto`` nor a positive number."""
    if text == "auto":
        return "auto"
    if re.fullmatch(NUMBER, text) and int(text) > 0:
        return int(text)
    raise InputError(f"--workers {text}: expected auto or a number of at least 1")


def run_folder(path: Path) -> Path:
    """Folder of a run that is named by itself, or by the poses that ``predict`` wrote."""
    from templ.evaluation.run import folder_of_run

    return folder_of_run(path)


def run_folders(paths: list[Path]) -> list[Path]:
    """Folders of several (`run_folder`)."""
    return [run_folder(path) for path in paths]


RUN = typer.Argument(..., help="A run folder, or the poses.sdf that predict wrote.", callback=run_folder)


def say(message: str) -> None:
    """Print a line for the person, apart from the data on stdout."""
    if not _quiet:
        print(message, file=sys.stderr)


def report_ledger(ledger: Ledger) -> None:
    """Say what could not be read: how many by reason, the first few in full, and where the rest is."""
    if not ledger.total:
        return
    reasons = ", ".join(f"{count} x {reason}" for reason, count in ledger.counts.most_common())
    say(f"left out {ledger.total}: {reasons}")
    for row in ledger.first:
        say(f"  {row}")
    if ledger.path is not None:
        say(f"  all of them: {ledger.path}")


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int | None, str], None]]:
    """Show progress on stderr: a bar on a terminal, else a plain line every ten seconds and at the end.

    Yields
    ------
    callable
        Told how many are done, of how many (None: not known), and a remark.
    """
    started = last = time.monotonic()
    if _quiet:
        yield lambda done, total, remark: None
        return
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=12),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[remark]}"),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(what, total=None, remark="")
            yield lambda done, total, remark: bar.update(task, completed=done, total=total, remark=remark)
        return
    first: int | None = None
    told: tuple[int, int | None, str] | None = None
    said = None

    def line(done: int, total: int | None, remark: str) -> str:
        """How far it is, how long that took, and how long the rest takes at this speed."""
        seconds = time.monotonic() - started
        times = time_in_words(seconds)
        if total is not None and first is not None and first < done < total:
            times += f", {time_in_words(seconds / (done - first) * (total - done))} left"
        parts = (f"{what}: {done}{f' of {total}' if total is not None else ''}", times, remark)
        return ", ".join(filter(None, parts))

    def plain(done: int, total: int | None, remark: str) -> None:
        nonlocal last, first, told, said
        first = done if first is None else first  # what was done before this start took no time of it
        told = (done, total, remark)
        if done == total or time.monotonic() - last >= PLAIN_EVERY_S:
            last = time.monotonic()
            said = told
            say(line(*told))

    yield plain
    if told is not None and told != said:  # how many there were is known at the end only
        say(line(*told))


def time_in_words(seconds: float) -> str:
    """A time in hours, minutes and seconds.

    Examples
    --------
    >>> time_in_words(42), time_in_words(3720), time_in_words(90_000)
    ('42 s', '1 h 02 min', '25 h 00 min')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"
