"""The process of one job: ``python -m templ.web.job_process FOLDER LIBRARIES``."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NoReturn

from templ.benchmark.builtin import find_benchmark
from templ.benchmark.runner import RunOptions, run_benchmark
from templ.disk import locked
from templ.errors import RunError, TemplError
from templ.jobs.binding_site import BindingSite
from templ.jobs.query_run import predict_queries
from templ.jobs.recording import Progress
from templ.settings import PredictionSettings
from templ.web.web_job import (
    LOCK,
    POSES,
    BenchmarkOrder,
    PredictOrder,
    WebJob,
    read_job,
    write_ending,
    write_progress,
)

EVERY_S = 0.3
"""Seconds between two notes of how far it is."""
STOPPED = 143
Tell = Callable[[Progress], None]


def main(folder: Path, libraries: dict[str, str]) -> None:
    """Do a job from where it was stopped, and note how it ended; of a signal nothing is noted.

    Parameters
    ----------
    libraries : dict of str to str
        Path of each library that is served, by name.
    """
    job = read_job(folder)

    def refusal(holder: str) -> RunError:
        return RunError(f"{folder} is being worked on by process {holder}")

    with locked(folder / LOCK, refusal):
        if job.ending is not None:
            return
        try:
            run_job(job, libraries)
        except TemplError as error:
            write_ending(folder, "failed", str(error))
            return
        write_ending(folder, "finished")


def run_job(job: WebJob, libraries: dict[str, str]) -> None:
    """Predict, or run the benchmark, in the folder of the job."""
    last = 0.0

    def tell(progress: Progress) -> None:
        nonlocal last
        if progress.done == progress.total or time.monotonic() - last >= EVERY_S:
            last = time.monotonic()
            write_progress(job.folder, progress)

    if isinstance(job.order, BenchmarkOrder):
        _benchmark(job, job.order, libraries, tell)
    else:
        _predict(job, job.order, libraries, tell)


def _predict(job: WebJob, order: PredictOrder, libraries: dict[str, str], tell: Tell) -> None:
    predict_queries(
        job.folder / order.queries,
        BindingSite(
            _library(order.library, libraries),
            [job.folder / name for name in order.receptors],
            "",
            order.group,
        ),
        job.folder / POSES,
        PredictionSettings(
            seed=order.seed,
            states=order.states,
            covalent=order.covalent,
            min_confidence=order.min_confidence,
        ),
        on_start=lambda line: print(line, flush=True),
        on_progress=tell,
    )


def _benchmark(job: WebJob, order: BenchmarkOrder, libraries: dict[str, str], tell: Tell) -> None:
    library = Path(_library(order.library, libraries)) if order.library else None
    run_benchmark(
        find_benchmark(order.benchmark, library=library),
        job.run,
        options=RunOptions(prediction={"seed": order.seed}, limit=order.limit),
        on_start=lambda lines: print("\n".join(lines), flush=True),
        on_progress=tell,
    )


def _library(name: str, libraries: dict[str, str]) -> str:
    if name not in libraries:
        raise RunError(f"the library {name} is not served any more: start `templ serve` with it")
    return libraries[name]


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    """End in order: what is open is closed and workers are stopped on the path out."""
    signal.signal(number, signal.SIG_IGN)
    raise SystemExit(STOPPED)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which stops its jobs itself
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
