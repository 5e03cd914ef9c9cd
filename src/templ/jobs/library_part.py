"""Builds a library of complexes through the engine: parts in parallel, each on disk, then joined.

A part is a small library of its own. What was built stays when the build is stopped, and is used again by the
same command; a complex that brings its worker down costs itself only.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import rdkit

from templ import __version__
from templ.disk import make_folder, path_text, replacing
from templ.engine.executor import Executor, Work
from templ.errors import EmptyLibraryError, InputError
from templ.library.build import Row, build_library, building_folder
from templ.library.format import FORMAT_VERSION, Manifest
from templ.library.store import is_sound, open_library
from templ.sources.annotations import read_annotations
from templ.sources.complexes import complex_in, find_complexes, read_or_note
from templ.sources.ledger import Ledger

FUNCTION = "templ.jobs.library_part:open_work"
PRELOAD = ("templ.jobs.library_part",)
COMPLEXES_A_PART = 64
"""About a second's work, and 1 MB."""


def build_complexes(
    out: str | Path,
    folder: str | Path,
    executor: Executor,
    *,
    ledger: Ledger,
    index: str | Path | None = None,
    embeddings: str | Path | None = None,
    on_progress: Callable[[int], None] = lambda done: None,
) -> Manifest:
    """Build a library of the complexes of a folder, or go on where the same build was stopped.

    Parameters
    ----------
    out : Path
        The library to make; must not exist.
    folder : Path
        Holds the complexes, at any depth (`templ.sources.complexes`).
    executor : Executor
        Who makes the parts.
    ledger : Ledger
        Takes the complexes that are left out, with the reason, in the order of their paths.
    index : Path, optional
        Dates and groups (`templ.sources.annotations.read_annotations`).
    embeddings : Path, optional
        See `build_library`.
    on_progress : callable
        Told the number of complexes done.

    Raises
    ------
    LibraryError
        When `out` exists or is being built by another process, or no complex could be kept.
    InputError
        When a folder or file as a whole cannot be read.
    StorageError
        When the disk refuses; parts that were built stay.
    """
    out, folder = Path(out), Path(folder)
    index = None if index is None else Path(index)
    with building_folder(out) as held:
        if index is not None:
            read_annotations(index)  # refused once, here, and not by every worker
        plan = list(_plan(folder))
        if not plan:
            raise InputError(
                f"{folder} holds no complex; expected folders <id> with <id>_protein.pdb and so on"
            )
        parts = out.with_name(f".{out.name}.parts")
        make_folder(parts)
        build = _Build(parts, index, executor, on_progress)
        failed = build.make(plan)
        # Once more, one complex at a time: the one that brought the worker down is then known by name.
        single = {
            name: [(f"{name}-{number:02d}", [path]) for number, path in enumerate(paths)]
            for name, paths in plan
            if name in failed
        }
        lost = build.make(chain(*single.values()))
        plan = list(chain(*(single.get(name, [(name, paths)]) for name, paths in plan)))
        manifest = build_library(
            out,
            _join(parts, plan, lost, ledger),
            ledger=ledger,
            sources=[path_text(path.name) for path in (folder, index) if path is not None],
            complexes=True,
            embeddings=embeddings,
            held=held,
        )
        shutil.rmtree(parts, ignore_errors=True)
    return manifest


def _plan(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield name and folders of each part."""
    folders = (str(files.folder) for files in find_complexes(folder))
    parts = iter(lambda: list(islice(folders, COMPLEXES_A_PART)), [])
    return ((f"{number:06d}", part) for number, part in enumerate(parts))


class _Build:
    """Makes parts that are not there yet."""

    def __init__(
        self, parts: Path, index: Path | None, executor: Executor, on_progress: Callable[[int], None]
    ) -> None:
        self._parts, self._executor, self._on_progress = parts, executor, on_progress
        digest = "" if index is None else hashlib.sha256(index.read_bytes()).hexdigest()
        self._versions = [__version__, str(FORMAT_VERSION), rdkit.__version__, digest]
        self._work = Work(
            FUNCTION, {"parts": str(parts), "index": None if index is None else str(index)}, PRELOAD
        )
        self._done = 0

    def make(self, plan: Iterable[tuple[str, list[str]]]) -> dict[str, str]:
        """Make the parts of a plan; return the reason for each that could not be made."""
        failed: dict[str, str] = {}
        with contextlib.closing(self._executor.run(self._work, self._tasks(plan))) as results:
            for result in results:
                task = json.loads(result.task)
                if result.kind == "done":
                    self._done += len(task["folders"])
                    self._on_progress(self._done)
                else:
                    failed[task["name"]] = f"{result.kind}: {result.detail}"
        return failed

    def _tasks(self, plan: Iterable[tuple[str, list[str]]]) -> Iterator[str]:
        for name, folders in plan:
            stamp = self._stamp(folders)
            mark = self._parts / f"{name}.made"
            if mark.exists() and mark.read_bytes() == stamp.encode() and self._is_sound(name):
                self._done += len(folders)
            else:
                yield json.dumps({"name": name, "folders": folders, "stamp": stamp})

    def _is_sound(self, name: str) -> bool:
        library = self._parts / f"{name}.templ"
        return not library.exists() or is_sound(library)  # without one, a part is a ledger alone

    def _stamp(self, folders: Sequence[str]) -> str:
        """Name what a part is made from by its files' sizes and times; a part of others is made anew."""
        files = [
            [str(path), path.stat().st_size, path.stat().st_mtime_ns]
            for folder in folders
            for path in sorted(Path(folder).iterdir())
            if path.is_file()
        ]
        return hashlib.sha256(json.dumps([self._versions, files]).encode()).hexdigest()


def open_work(context: Mapping[str, Any]) -> Callable[[str], None]:
    """Return the function that makes one part."""
    parts = Path(context["parts"])
    annotations = read_annotations(Path(context["index"])) if context["index"] else {}

    def work(task: str) -> None:
        order = json.loads(task)
        name, folders = order["name"], [Path(folder) for folder in order["folders"]]
        library, notes = parts / f"{name}.templ", parts / f"{name}.csv"
        shutil.rmtree(library, ignore_errors=True)
        notes.unlink(missing_ok=True)
        with Ledger(notes) as ledger:
            entries = chain.from_iterable(
                read_or_note(files, ledger, annotations) for files in map(complex_in, folders) if files
            )
            with contextlib.suppress(EmptyLibraryError):  # then the part is a ledger alone
                build_library(library, entries, ledger=ledger, complexes=True)
        with replacing(parts / f"{name}.made") as file:
            file.write(order["stamp"].encode())

    return work


def _join(
    parts: Path, plan: Sequence[tuple[str, list[str]]], lost: Mapping[str, str], ledger: Ledger
) -> Iterator[Row]:
    """Yield the rows of all parts in order; what they left out, and those that are lost, go to the ledger."""
    for name, folders in plan:
        if name in lost:
            ledger.add(folders[0], 1, 1, lost[name], Path(folders[0]).name)
            continue
        library, notes = parts / f"{name}.templ", parts / f"{name}.csv"
        if library.exists():
            with open_library(library) as opened:
                for row in range(len(opened)):
                    yield Row(*opened.row(row))
        if notes.exists():
            with notes.open(newline="", encoding="utf-8") as lines:
                for note in csv.DictReader(lines):
                    if note["kept"] == "no":  # what was done to the others, their rows say
                        where = note["file"], int(note["record"]), int(note["line"])
                        ledger.add(*where, note["reason"], note["id"])
