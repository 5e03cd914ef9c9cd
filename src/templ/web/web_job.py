"""A job of the web app: what was asked for, in a folder of its own, and how far it is."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from templ.disk import is_locked, make_folder, replacing
from templ.errors import RunError, first_fault
from templ.jobs.recording import Progress
from templ.settings import Covalent

ORDER, ENDING, PROGRESS, LOCK, LOG = "job.json", "ended.json", "progress.json", "job.lock", "log.txt"
POSES, BENCHMARK_RUN = "poses.sdf", "run"
JOB_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{6}")
State = Literal["waiting", "running", "finished", "failed", "stopped"]


class PredictOrder(BaseModel):
    """A prediction that was asked for; files are named as they lie in the folder of the job.

    Attributes
    ----------
    library : str
        Name of one of the libraries that are served.
    queries : str
        File of the queries.
    receptors : tuple of str
        Files of the receptors; none where the program chooses.
    group : str
        Protein whose templates are used; all where empty.
    covalent : str
        As the setting of this name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["predict"] = "predict"
    title: str
    library: str
    queries: str
    receptors: tuple[str, ...] = ()
    group: str = ""
    states: bool = False
    covalent: Covalent = "auto"
    min_confidence: float = Field(default=0.0, ge=0, le=1)
    seed: int = Field(default=1, ge=0, le=2**31 - 1)


class BenchmarkOrder(BaseModel):
    """A benchmark that was asked for; `limit` None runs all of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["benchmark"] = "benchmark"
    title: str
    benchmark: Literal["demo", "demo-mpro", "loo", "cross"]
    library: str = ""
    limit: int | None = Field(default=None, ge=1, le=10**6)
    seed: int = Field(default=1, ge=0, le=2**31 - 1)


class _Order(BaseModel):
    order: Annotated[PredictOrder | BenchmarkOrder, Field(discriminator="kind")]


Order = PredictOrder | BenchmarkOrder


@dataclass(frozen=True, slots=True)
class WebJob:
    """A job in its folder.

    Attributes
    ----------
    id : str
        Name of the folder, made by the server.
    folder : Path
    order : PredictOrder or BenchmarkOrder
    """

    id: str
    folder: Path
    order: Order

    @property
    def run(self) -> Path:
        """Folder of its run, which may not be there yet."""
        return self.folder / (BENCHMARK_RUN if self.order.kind == "benchmark" else "poses.run")

    @property
    def ending(self) -> dict[str, Any] | None:
        """How it ended, ``state`` and ``message``; None where it did not."""
        return _read_json(self.folder / ENDING)

    @property
    def state(self) -> State:
        """Waiting, running, or how it ended."""
        if (ending := self.ending) is not None:
            state: State = ending["state"]
            return state
        return "running" if is_locked(self.folder / LOCK) else "waiting"

    @property
    def progress(self) -> dict[str, Any]:
        """How far it was when last it said so; all 0 before."""
        zero = {"total": 0, "done": 0, "refused": 0, "failed": 0, "within": 0, "judged": 0, "said": ""}
        return {**zero, **(_read_json(self.folder / PROGRESS) or {})}

    def stop(self) -> None:
        """Ask its process to end; what is recorded stays."""
        if not is_locked(self.folder / LOCK):
            return
        number = (self.folder / LOCK).read_text(encoding="ascii").partition(" ")[0]
        if number.isdecimal():
            try:
                os.kill(int(number), signal.SIGTERM)
            except ProcessLookupError:
                return


def write_order(folder: Path, order: Order) -> None:
    """Write what was asked for into the folder of a job, made if need be.

    Raises
    ------
    StorageError
        When the disk refuses.
    """
    make_folder(folder)
    _write_json(folder / ORDER, {"order": order.model_dump(mode="json")})


def read_job(folder: Path) -> WebJob:
    """Open the folder of a job.

    Raises
    ------
    RunError
        When it is none.
    """
    content = _read_json(folder / ORDER)
    try:
        return WebJob(folder.name, folder, _Order.model_validate(content).order)
    except ValidationError as error:
        raise RunError(
            f"{folder / ORDER} is no order of a job ({first_fault(error)}); remove the folder"
        ) from None


def write_ending(folder: Path, state: State, message: str = "") -> None:
    """Note how a job ended, the last thing that is done for it."""
    _write_json(folder / ENDING, {"state": state, "message": message})


def write_progress(folder: Path, progress: Progress) -> None:
    """Note how far a job is."""
    names = ("total", "done", "refused", "failed", "within", "judged")
    _write_json(
        folder / PROGRESS, {**{name: getattr(progress, name) for name in names}, "said": str(progress)}
    )


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    with replacing(path) as file:
        file.write(json.dumps(content).encode())


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
