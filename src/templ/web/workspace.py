"""The folder of the web app: its jobs, its uploads, and the libraries and runs that it shows.

Whatever a visitor names is looked up here, by a name that the server gave: no text of a request becomes a
path.
"""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from templ.disk import is_locked, make_folder
from templ.errors import InputError, RunError
from templ.evaluation.run import folder_of_run
from templ.library.store import open_library
from templ.runs.manifest import MANIFEST_NAME
from templ.web.web_job import (
    ENDING,
    JOB_ID,
    LOCK,
    LOG,
    BenchmarkOrder,
    Order,
    PredictOrder,
    WebJob,
    read_job,
    write_ending,
    write_order,
)

JOBS, UPLOADS = "jobs", "uploads"
MOST_UPLOADS = 20
"""Files that wait to become a job; the oldest goes."""
MOST_WAITING = 50
"""Jobs that may wait."""
PATIENCE_S = 20.0
"""Seconds that a job has to end in order."""


class Workspace:
    """Jobs one after the other, each in a process of its own.

    Parameters
    ----------
    folder : Path
        Made if need be; nothing outside it is written.
    libraries : sequence of Path
        That are served, by the names of their folders.
    runs : sequence of Path
        That are shown, beside those of the jobs.

    Raises
    ------
    InputError
        When two libraries or runs have one name, or one is none.
    """

    def __init__(self, folder: Path, libraries: Sequence[Path] = (), runs: Sequence[Path] = ()) -> None:
        self.folder = folder
        for name in (JOBS, UPLOADS):
            make_folder(folder / name)
        self.libraries = _by_name(libraries, "library")
        for path in self.libraries.values():
            open_library(path).close()
        self.runs = _by_name([folder_of_run(path) for path in runs], "run")
        for path in self.runs.values():
            if not (path / MANIFEST_NAME).is_file():
                raise InputError(
                    f"--run {path} is not a run; expected the folder of one, or poses.sdf of predict"
                )
        self._running: tuple[WebJob, subprocess.Popen[bytes]] | None = None
        self._changing = threading.Lock()
        self._closed = False

    @property
    def jobs(self) -> dict[str, WebJob]:
        """Jobs by id, the newest first; folders that are none are passed over.

        None where somebody removed the folder of the server meanwhile: the next order makes it anew.
        """
        found = {}
        for path in sorted((self.folder / JOBS).glob("*"), reverse=True):
            if JOB_ID.fullmatch(path.name):
                try:
                    found[path.name] = read_job(path)
                except RunError:
                    continue
        return found

    def job(self, id: str) -> WebJob:
        """One job.

        Raises
        ------
        RunError
            When there is none of this id.
        """
        if not JOB_ID.fullmatch(id) or not (self.folder / JOBS / id).is_dir():
            raise RunError("there is no such job")
        return read_job(self.folder / JOBS / id)

    def run_path(self, name: str) -> Path:
        """Folder of a run, by the id of its job or the name that it was served by.

        Raises
        ------
        RunError
            When there is none.
        """
        return self.runs[name] if name in self.runs else self.job(name).run

    def keep_upload(self, name: str, content: bytes) -> str:
        """Keep an upload as a file called `name`, which the server chose, and say by what id it goes on."""
        folder = self.folder / UPLOADS
        waiting = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime)
        for path in waiting[: max(0, len(waiting) - MOST_UPLOADS + 1)]:
            shutil.rmtree(path, ignore_errors=True)
        id = secrets.token_hex(8)
        (folder / id).mkdir()
        (folder / id / name).write_bytes(content)
        return id

    def upload(self, id: str) -> Path:
        """File of an upload.

        Raises
        ------
        InputError
            When there is none of this id, or it waited too long.
        """
        known = {path.name: path for path in (self.folder / UPLOADS).iterdir()}
        found = next(known[id].iterdir(), None) if id in known else None
        if found is None:
            raise InputError("the file is not here any more: drop it once more")
        return found

    def forget_upload(self, id: str) -> None:
        """Remove an upload that is of no use."""
        shutil.rmtree(self.upload(id).parent, ignore_errors=True)

    def submit(self, order: Order, files: Mapping[str, Path | bytes]) -> WebJob:
        """Take an order: its files, by the names it has for them, go into the folder of the job.

        Raises
        ------
        InputError
            When it names a library that is not served, or too many wait.
        StorageError
            When the disk refuses.
        """
        needs_library = isinstance(order, PredictOrder) or order.benchmark in ("loo", "cross")
        if needs_library and order.library not in self.libraries:
            raise InputError("choose one of the libraries that are served")
        if sum(job.state == "waiting" for job in self.jobs.values()) >= MOST_WAITING:
            raise InputError(f"{MOST_WAITING} jobs are waiting: wait for some, or stop them")
        id = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
        new = self.folder / JOBS / f".{id}"
        make_folder(new)
        for name, content in files.items():
            (new / name).write_bytes(content if isinstance(content, bytes) else content.read_bytes())
        write_order(new, order)
        folder = self.folder / JOBS / id
        new.rename(folder)
        self.advance()
        return read_job(folder)

    def stop(self, id: str) -> None:
        """Stop a job; what is recorded stays, and `resume` goes on from there."""
        job = self.job(id)
        if job.ending is None:
            write_ending(job.folder, "stopped", "stopped on request; it can be resumed")
            job.stop()

    def resume(self, id: str) -> None:
        """Go on with a job that was stopped or failed."""
        job = self.job(id)
        if job.state in ("stopped", "failed"):
            (job.folder / ENDING).unlink(missing_ok=True)
        self.advance()

    def advance(self) -> None:
        """Note the end of the job that ran, and start the oldest one that waits; called every second."""
        with self._changing:
            if self._closed:
                return
            if self._running is not None:
                job, process = self._running
                if process.poll() is None:
                    return
                self._running = None
                if job.ending is None:
                    told = (
                        f"its process ended with code {process.returncode}; {LOG} in {job.folder} says more"
                    )
                    write_ending(job.folder, "failed", told)
            waiting = [job for job in self.jobs.values() if job.ending is None]
            # One that a killed server left running goes on by itself.
            if any(is_locked(job.folder / LOCK) for job in waiting):
                return
            if waiting:
                self._running = waiting[-1], self._start(waiting[-1])

    def close(self) -> None:
        """Stop the job that runs, in order; it goes on when the server is started again."""
        with self._changing:
            self._closed = True
            if self._running is None:
                return
            _, process = self._running
            process.terminate()
            try:
                process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start(self, job: WebJob) -> subprocess.Popen[bytes]:
        libraries = {name: str(path) for name, path in self.libraries.items()}
        with (job.folder / LOG).open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "templ.web.job_process", str(job.folder), json.dumps(libraries)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )


def title_of(job: WebJob) -> str:
    """What a job is called."""
    return job.order.title or (job.order.benchmark if isinstance(job.order, BenchmarkOrder) else "prediction")


def _by_name(paths: Sequence[Path], what: str) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in paths:
        name = path.resolve().name.removesuffix(".templ")
        if name in found:
            raise InputError(
                f"two of what is served, {found[name]} and {path}, are called {name}: rename one {what}"
            )
        found[name] = path.resolve()
    return found
