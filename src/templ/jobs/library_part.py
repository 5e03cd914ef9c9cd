"""Builds a library of complexes through the engine: parts in parallel, each on disk, then joined.

Complexes come from folders, a protein and a ligand each, or from structure files with the ligands inside. A
part is a small library of its own. What was built stays when the build is stopped, and is used again by the
same command; a folder or file that brings its worker down costs itself only.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import rdkit

from templ import __version__
from templ.chemistry.components import Dictionary, write_dictionary
from templ.chemistry.structure_file import STRUCTURE_ENDINGS
from templ.disk import make_folder, path_text, replacing
from templ.engine.executor import Executor, Work
from templ.errors import EmptyLibraryError, InputError
from templ.library.build import Row, build_library, building_folder
from templ.library.combining import check_added
from templ.library.format import FORMAT_VERSION, Manifest
from templ.library.store import Library, is_sound, open_library
from templ.records import Entry
from templ.sources.annotations import read_annotations
from templ.sources.complexes import find_complexes, read_found
from templ.sources.ledger import Ledger
from templ.sources.structure_files import (
    BondOrders,
    find_structures,
    read_ligand_table,
    read_structure,
)
from templ.templates.sequence import cluster_sequences, group_of_protein

FUNCTION = "templ.jobs.library_part:open_work"
DICTIONARY_FUNCTION = "templ.jobs.library_part:open_dictionary"
DICTIONARY = "components"
"""Folder, among the parts, of the component dictionary."""
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
    before: Sequence[Library] = (),
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
    embeddings, before : optional
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
    folder = Path(folder)
    paths = [str(files.folder) for files in find_complexes(folder)]
    if not paths:
        raise InputError(f"{folder} holds no complex; expected folders <id> with <id>_protein.pdb and so on")
    reading = _Reading("complexes", index)
    return _build(Path(out), reading, paths, [folder], executor, ledger, on_progress, embeddings, before)


def build_structures(
    out: str | Path,
    paths: Sequence[str | Path],
    executor: Executor,
    *,
    ledger: Ledger,
    index: str | Path | None = None,
    ligands: str | Path | None = None,
    all_copies: bool = False,
    before: Sequence[Library] = (),
    on_progress: Callable[[int], None] = lambda done: None,
) -> Manifest:
    """Build a library of the ligands inside structure files, or go on where the same build was stopped.

    Ligands without a group are grouped by the sequences of their receptors (`cluster_sequences`), those whose
    protein a library before has with that one's.

    Parameters
    ----------
    out : Path
        The library to make; must not exist.
    paths : sequence of Path
        PDB and mmCIF files, and folders that hold such at any depth (`templ.sources.structure_files`).
    executor : Executor
        Who makes the parts.
    ledger : Ledger
        Takes the structures and ligands that are left out, with the reason.
    index : Path, optional
        Dates and groups of the structures (`templ.sources.annotations.read_annotations`).
    ligands : Path, optional
        SMILES of the ligands (`templ.sources.structure_files.read_ligand_table`).
    all_copies : bool
        Take all copies of a ligand in a structure, not the best one alone.
    before : sequence of Library
        See `build_library`.
    on_progress : callable
        Told the number of structures done.

    Raises
    ------
    LibraryError, InputError, StorageError
        As `build_complexes`.
    """
    files = list(dict.fromkeys(map(str, find_structures(paths))))
    if not files:
        raise InputError(
            f"{', '.join(map(str, paths))}: no structure; expected files named {', '.join(STRUCTURE_ENDINGS)}"
        )
    reading = _Reading("structures", index, ligands, all_copies)
    sources = list(map(Path, paths))
    return _build(Path(out), reading, files, sources, executor, ledger, on_progress, None, before)


@dataclass(frozen=True, slots=True)
class _Reading:
    """What is read, and with what beside it."""

    kind: Literal["complexes", "structures"]
    index: str | Path | None = None
    ligands: str | Path | None = None
    all_copies: bool = False

    def tables(self) -> list[Path]:
        return [Path(table) for table in (self.index, self.ligands) if table is not None]

    def check(self) -> None:
        """Refuse tables here, once, and not by every worker."""
        if self.index is not None:
            read_annotations(self.index)
        if self.ligands is not None:
            read_ligand_table(self.ligands)

    def versions(self) -> list[str]:
        """Name all that a part depends on besides its files."""
        digests = [hashlib.sha256(table.read_bytes()).hexdigest() for table in self.tables()]
        dictionary = _version_of_dictionary() if self.kind == "structures" else ""
        options = [self.kind, str(self.all_copies), dictionary, *digests]
        return [__version__, str(FORMAT_VERSION), rdkit.__version__, *options]

    def context(self, parts: Path) -> dict[str, Any]:
        tables = {name: getattr(self, name) for name in ("index", "ligands")}
        return {
            "kind": self.kind,
            "parts": str(parts),
            **{name: None if table is None else str(table) for name, table in tables.items()},
            "all_copies": self.all_copies,
        }


def _build(
    out: Path,
    reading: _Reading,
    paths: list[str],
    sources: list[Path],
    executor: Executor,
    ledger: Ledger,
    on_progress: Callable[[int], None],
    embeddings: str | Path | None,
    before: Sequence[Library],
) -> Manifest:
    with building_folder(out) as held:
        reading.check()
        for library in before:
            check_added(library, complexes=True, embeddings=embeddings is not None)
        plan = [
            (f"{number:06d}", paths[start : start + COMPLEXES_A_PART])
            for number, start in enumerate(range(0, len(paths), COMPLEXES_A_PART))
        ]
        parts = out.with_name(f".{out.name}.parts")
        make_folder(parts)
        build = _Build(parts, reading, executor, on_progress)
        failed = build.make(plan)
        # Once more, one at a time: the one that brought the worker down is then known by name.
        single = {
            name: [(f"{name}-{number:02d}", [path]) for number, path in enumerate(paths)]
            for name, paths in plan
            if name in failed
        }
        lost = build.make(chain(*single.values()))
        plan = list(chain(*(single.get(name, [(name, paths)]) for name, paths in plan)))
        groups = _groups(parts, plan, before) if reading.kind == "structures" else {}
        manifest = build_library(
            out,
            _join(parts, plan, lost, groups, ledger),
            ledger=ledger,
            sources=[path_text(path.name) for path in (*sources, *reading.tables())],
            complexes=True,
            embeddings=embeddings,
            before=before,
            held=held,
        )
        shutil.rmtree(parts, ignore_errors=True)
    return manifest


class _Build:
    """Makes parts that are not there yet."""

    def __init__(
        self, parts: Path, reading: _Reading, executor: Executor, on_progress: Callable[[int], None]
    ) -> None:
        self._parts, self._executor, self._on_progress = parts, executor, on_progress
        self._reading, self._versions = reading, reading.versions()
        self._work = Work(FUNCTION, reading.context(parts), PRELOAD)
        self._done = 0

    def make(self, plan: Iterable[tuple[str, list[str]]]) -> dict[str, str]:
        """Make the parts of a plan; return the reason for each that could not be made."""
        failed: dict[str, str] = {}
        tasks = list(self._tasks(plan))
        if tasks and self._reading.kind == "structures":
            self._make_dictionary()
        with contextlib.closing(self._executor.run(self._work, tasks)) as results:
            for result in results:
                task = json.loads(result.task)
                if result.kind == "done":
                    self._done += len(task["paths"])
                    self._on_progress(self._done)
                else:
                    failed[task["name"]] = f"{result.kind}: {result.detail}"
        return failed

    def _tasks(self, plan: Iterable[tuple[str, list[str]]]) -> Iterator[str]:
        for name, paths in plan:
            stamp = self._stamp(paths)
            mark = self._parts / f"{name}.made"
            if mark.exists() and mark.read_bytes() == stamp.encode() and self._is_sound(name):
                self._done += len(paths)
            else:
                yield json.dumps({"name": name, "paths": paths, "stamp": stamp})

    def _make_dictionary(self) -> None:
        """Write the component dictionary where workers map it; a process that ends then reads it whole."""
        folder, version = self._parts / DICTIONARY, _version_of_dictionary()
        if not version or (folder / "version").exists():
            return
        work = Work(DICTIONARY_FUNCTION, {"folder": str(folder)}, PRELOAD)
        for result in self._executor.run(work, ["dictionary"]):
            if result.kind != "done":
                raise InputError(
                    f"the component dictionary cannot be read ({result.detail}): pip install biotite, or "
                    "give --ligands-csv"
                )
        with replacing(folder / "version") as file:
            file.write(version.encode())

    def _is_sound(self, name: str) -> bool:
        library = self._parts / f"{name}.templ"
        return not library.exists() or is_sound(library)  # without one, a part is a ledger alone

    def _stamp(self, paths: Sequence[str]) -> str:
        """Name what a part is made from by its files' sizes and times; a part of others is made anew."""
        files = [
            [str(path), path.stat().st_size, path.stat().st_mtime_ns]
            for given in map(Path, paths)
            for path in (sorted(given.iterdir()) if given.is_dir() else [given])
            if path.is_file()
        ]
        return hashlib.sha256(json.dumps([self._versions, files]).encode()).hexdigest()


def _version_of_dictionary() -> str:
    """Version of the package that has the component dictionary; empty where it is not installed."""
    try:
        return version("biotite")
    except PackageNotFoundError:
        return ""


def open_dictionary(context: Mapping[str, Any]) -> Callable[[str], None]:
    """Return the function that writes the component dictionary."""
    return lambda task: write_dictionary(Path(context["folder"]))


def open_work(context: Mapping[str, Any]) -> Callable[[str], None]:
    """Return the function that makes one part."""
    parts = Path(context["parts"])
    annotations = read_annotations(Path(context["index"])) if context["index"] else {}

    def read_folder(path: Path, ledger: Ledger) -> Iterator[Entry]:
        return read_found(path, ledger, annotations)

    def read_file(path: Path, ledger: Ledger) -> Iterator[Entry]:
        return read_structure(path, orders, ledger, annotations, context["all_copies"])

    read = read_folder
    if context["kind"] == "structures":
        folder = parts / DICTIONARY
        orders = BondOrders(
            read_ligand_table(context["ligands"]) if context["ligands"] else {},
            Dictionary(folder) if (folder / "version").exists() else None,
        )
        read = read_file

    def work(task: str) -> None:
        order = json.loads(task)
        name, paths = order["name"], [Path(path) for path in order["paths"]]
        library, notes = parts / f"{name}.templ", parts / f"{name}.csv"
        shutil.rmtree(library, ignore_errors=True)
        notes.unlink(missing_ok=True)
        with Ledger(notes) as ledger:
            entries = chain.from_iterable(read(path, ledger) for path in paths)
            with contextlib.suppress(EmptyLibraryError):  # then the part is a ledger alone
                build_library(library, entries, ledger=ledger, complexes=True)
        with replacing(parts / f"{name}.made") as file:
            file.write(order["stamp"].encode())

    return work


def _groups(parts: Path, plan: Sequence[tuple[str, list[str]]], before: Sequence[Library]) -> dict[str, str]:
    """Name groups of ligands that have none, by id: as a library before does, else by the first structure."""
    owners: list[tuple[str, str]] = []  # id, and name of the structure
    sequences: list[str] = []
    for name, _ in plan:
        library = parts / f"{name}.templ"
        if not library.exists():
            continue
        with open_library(library) as opened:
            for row in range(len(opened)):
                entry = opened.entry(row)
                if not entry.group:
                    owners.append((entry.id, entry.name))
                    sequences.append(opened.main_chain(row))
    known = {sequence: group_of_protein(sequence, before) for sequence in dict.fromkeys(sequences)}
    clusters = cluster_sequences(sequences)
    named = zip(owners, sequences, clusters, strict=True)
    return {id: known[sequence] or owners[first][1] for (id, _), sequence, first in named}


def _join(
    parts: Path,
    plan: Sequence[tuple[str, list[str]]],
    lost: Mapping[str, str],
    groups: Mapping[str, str],
    ledger: Ledger,
) -> Iterator[Row]:
    """Yield the rows of all parts in order; what they left out, and those that are lost, go to the ledger."""
    for name, paths in plan:
        if name in lost:
            ledger.add(paths[0], 1, 1, lost[name], Path(paths[0]).name)
            continue
        library, notes = parts / f"{name}.templ", parts / f"{name}.csv"
        if library.exists():
            with open_library(library) as opened:
                for row in range(len(opened)):
                    stored = Row(*opened.row(row))
                    stored.values["group"] = groups.get(stored.values["id"], stored.values["group"])
                    yield stored
        if notes.exists():
            with notes.open(newline="", encoding="utf-8") as lines:
                for note in csv.DictReader(lines):
                    if note["kept"] == "no":  # what was done to the others, their rows say
                        where = note["file"], int(note["record"]), int(note["line"])
                        ledger.add(*where, note["reason"], note["id"])
