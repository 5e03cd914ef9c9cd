"""Builds a library in one streaming pass, under a temporary name until it is whole."""

from __future__ import annotations

import datetime
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import rdkit
from numpy.typing import NDArray
from rdkit import Chem

from templ import __version__
from templ.chemistry.covalent import covalent_bond
from templ.chemistry.mol_file import as_template
from templ.chemistry.molecules import has_3d, inchikey, positions
from templ.chemistry.receptor import Receptor
from templ.disk import locked, storage_errors, sync_folder
from templ.errors import EmptyLibraryError, InputError, LibraryError, TemplError
from templ.library.codec import decode, encode
from templ.library.combining import check_added, check_groups, check_same_kind
from templ.library.embeddings import write_embeddings
from templ.library.fingerprints import PARAMETERS, fingerprint
from templ.library.format import (
    DATA_FILES,
    EMBEDDINGS,
    FORMAT_NAME,
    FORMAT_VERSION,
    LIGANDS,
    RECEPTOR_FILES,
    REFERENCES,
    ROWS_PER_BATCH,
    SCHEMA,
    Counts,
    FileRecord,
    Manifest,
    describe_file,
    write_manifest,
)
from templ.library.ligands import LigandWriter
from templ.library.mapped import MappedTable
from templ.library.receptors import ReceptorWriter
from templ.library.store import Library, open_library
from templ.library.stored_receptors import copy_receptors, write_receptors
from templ.records import Entry
from templ.sources.ledger import Ledger
from templ.sources.sdf import MoleculeReference

LOCK_NAME = "build.lock"
_MOST_ATOMS = 65_535  # what the column of heavy atoms can count


@dataclass(frozen=True, slots=True)
class Row:
    """An entry as a library stores it: `values` of all columns, and a fingerprint of shape (32,)."""

    values: dict[str, Any]
    fingerprint: NDArray[np.uint64]
    receptor: Receptor | None
    reference: MoleculeReference | None = None


def build_library(
    out: str | Path,
    entries: Iterable[Entry | Row],
    *,
    ledger: Ledger | None = None,
    sources: Sequence[str] = (),
    receptors: Mapping[str, str | Path] | None = None,
    complexes: bool = False,
    embeddings: str | Path | None = None,
    before: Sequence[Library] = (),
    on_progress: Callable[[int], None] | None = None,
    held: Path | None = None,
) -> Manifest:
    """Build a library.

    Memory is bounded by one batch of ligands plus 16 bytes an id. Whatever ends the build early,
    nothing is left under the name `out`.

    Parameters
    ----------
    out : str or Path
        The folder to make; must not exist.
    entries : iterable of Entry or Row
        Read once. Of every entry the largest fragment is kept, without hydrogens; a row is what was kept.
    ledger : Ledger, optional
        Takes the entries that were left out, with the reason; without it they are only counted.
    sources : sequence of str
        Names of the files the entries come from, for the manifest.
    receptors : mapping of str to str or Path, optional
        PDB file, plain or gzipped, of each group; the group "" is the receptor of all others.
    complexes : bool
        Every entry comes with its own receptor, which is stored beside it.
    embeddings : str or Path, optional
        Embeddings of the receptors by id: an ``.npz`` (`templ.library.embeddings.write_embeddings`).
    before : sequence of Library
        Open libraries whose rows come first, copied as they are stored, with their receptors and embeddings.
    on_progress : callable, optional
        Called after each entry with the number of entries read so far.
    held : Path, optional
        What `building_folder` gave for `out`, if the caller has it already.

    Returns
    -------
    Manifest
        Of the finished library.

    Raises
    ------
    LibraryError
        When `out` exists or is being built, the libraries before cannot be in one with each other or with
        the entries, or (EmptyLibraryError) no entry could be kept.
    InputError
        When a receptor, or the file of embeddings, cannot be read.
    StorageError
        When the disk refuses a write.
    """
    out, ledger = Path(out), Ledger() if ledger is None else ledger
    with nullcontext(held) if held else building_folder(out) as folder:
        if before:
            check_same_kind(before)
            if entries != ():
                check_added(before[0], complexes=complexes, embeddings=embeddings is not None)
        stored = copy_receptors(folder, before) + write_receptors(folder, receptors or {})
        for library in before:
            check_groups(library, stored)
        files = [*DATA_FILES, *dict.fromkeys(stored), *(RECEPTOR_FILES if complexes else ())]
        written = _write_rows(folder, entries, before, ledger, on_progress, complexes=complexes)
        if written.ligands == written.copied and not (before and entries == ()):
            raise EmptyLibraryError(f"{out} was not built: {_why_empty(written.read, ledger)}")
        if written.source_paths:
            files.append(REFERENCES)
        of_before = [library.embeddings for library in before if library.has_embeddings]
        embedded = 0
        if embeddings is not None or of_before:
            table = MappedTable(folder, LIGANDS, None, SCHEMA, ROWS_PER_BATCH)
            ids = (id.as_py() for chunk in table.chunks("id") for id in chunk)
            embedded = write_embeddings(
                embeddings, folder, islice(ids, written.copied, None), of_before
            ).found
            files.append(EMBEDDINGS)
        with storage_errors(out):
            described = {name: describe_file(folder / name) for name in files}
            earlier = [library.manifest for library in before]
            manifest = _manifest(written, described, embedded, sources, earlier)
            write_manifest(folder, manifest)
            # In a way that a power cut cannot undo halfway.
            sync_folder(folder)
            folder.rename(out)
            sync_folder(out.parent)
    return manifest


@dataclass(frozen=True, slots=True)
class _Written:
    """What was put into the table of ligands: rows in all, those `copied` before, and entries `read`."""

    ligands: int
    copied: int
    read: int
    groups: set[str]
    source_paths: tuple[str, ...]


def _write_rows(
    folder: Path,
    entries: Iterable[Entry | Row],
    before: Sequence[Library],
    ledger: Ledger,
    on_progress: Callable[[int], None] | None,
    *,
    complexes: bool,
) -> _Written:
    """Write the rows of the libraries before, then those of the entries that can be kept."""
    groups = {group for library in before for group in library.manifest.groups}
    read = 0
    with LigandWriter(folder) as writer, ExitStack() as more:
        bound = more.enter_context(ReceptorWriter(folder)) if complexes else None
        for library in before:
            library.copy_to(writer, bound)
        copied = len(writer)
        for read, entry in enumerate(entries, 1):
            try:
                row = entry if isinstance(entry, Row) else prepare(entry)
                _add(writer, bound, row)
                groups.add(row.values["group"])
                if row.values["note"]:
                    id, source = _origin(row)
                    ledger.note(*source, 0, row.values["note"], id)
            except (InputError, Chem.MolSanitizeException) as error:
                id, source = _origin(entry)
                ledger.add(*source, 0, str(error), id)
            if on_progress is not None:
                on_progress(read)
    return _Written(len(writer), copied, read, groups, tuple(writer.source_paths))


def _why_empty(read: int, ledger: Ledger) -> str:
    """Why there is nothing to keep: the first reason, and where the others are."""
    what = f"none of the {read} molecules read could be kept" if read else "nothing could be read"
    first = f"; the first: {ledger.first[0]}" if ledger.first else ""
    rest = f"; {ledger.path} has the reason for each" if ledger.path and ledger.total > 1 else ""
    return f"{what}{first}{rest}"


def _manifest(
    written: _Written,
    files: dict[str, FileRecord],
    embedded: int,
    sources: Sequence[str],
    earlier: Sequence[Manifest],
) -> Manifest:
    """Manifest of a library that begins with the rows of `earlier` ones."""
    made_by = [*(each.rdkit for each in earlier), *([rdkit.__version__] if written.read else [])]
    left_out = written.read + written.copied - written.ligands
    return Manifest(
        format=FORMAT_NAME,
        version=FORMAT_VERSION,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        built_by=__version__,
        rdkit=", ".join(dict.fromkeys(made_by)),
        fingerprint=PARAMETERS,
        counts=Counts(
            ligands=written.ligands,
            left_out=left_out + sum(each.counts.left_out for each in earlier),
            embeddings=embedded + sum(each.counts.embeddings for each in earlier),
        ),
        groups=tuple(sorted(written.groups)),
        sources=tuple(dict.fromkeys([*(name for each in earlier for name in each.sources), *sources])),
        source_paths=written.source_paths,
        files=files,
    )


def merge_libraries(out: str | Path, libraries: Sequence[str | Path]) -> Manifest:
    """Put the rows of libraries one after the other, in the order given, as if all had been built in one go.

    No molecule is read: rows are copied as they are stored. Memory: one record batch, and 16 bytes an id.

    Parameters
    ----------
    out : str or Path
        The library to make; must not exist.
    libraries : sequence of str or Path
        At least one.

    Raises
    ------
    LibraryError
        When one cannot be opened or is damaged; when two are of different kinds, have an id in common, or
        different receptors for one group. It names both.
    StorageError
        When the disk refuses a write.
    """
    with ExitStack() as stack:
        opened = [stack.enter_context(open_library(path)) for path in libraries]
        if not opened:
            raise LibraryError(f"{out} was not built: there is no library to merge")
        return build_library(out, (), before=opened, complexes=opened[0].has_receptors)


def prepare(entry: Entry) -> Row:
    """Make of an entry what a library stores.

    Raises
    ------
    InputError
        With the reason why the entry cannot be a template.
    """
    if not has_3d(entry.mol):
        raise InputError("no 3D coordinates: a template needs them")
    mol, note = as_template(entry.mol)
    if not 0 < mol.GetNumHeavyAtoms() <= _MOST_ATOMS:
        raise InputError(f"no heavy atoms: expected 1 to {_MOST_ATOMS}, found {mol.GetNumHeavyAtoms()}")
    smiles, xyz = encode(mol)
    bond = None
    if entry.receptor is not None and (stored := decode(smiles, xyz)) is not None:
        elements = [atom.GetAtomicNum() for atom in stored.GetAtoms()]
        bond = covalent_bond(positions(stored), elements, entry.receptor, entry.links)
    values: dict[str, Any] = {
        "id": entry.id,
        "name": entry.name,
        "smiles": smiles,
        "xyz": xyz,
        "heavy_atoms": mol.GetNumHeavyAtoms(),
        "inchikey": inchikey(mol),
        "date": entry.date,
        "group": entry.group,
        "source": entry.source,
        "note": note,
        "resolution": entry.resolution,
        "covalent": None if bond is None else asdict(bond),
    }
    try:
        "".join(value for value in values.values() if isinstance(value, str)).encode()
    except UnicodeEncodeError:
        raise InputError("not UTF-8: its id, name or group holds half a character") from None
    return Row(values, fingerprint(mol), entry.receptor, entry.reference)


def _add(writer: LigandWriter, bound: ReceptorWriter | None, row: Row) -> None:
    """Hand a row to the writers, unless its id is taken, or it lacks the receptor that each must have."""
    if row.values["id"] in writer:
        raise InputError("duplicate id: an earlier entry has it")
    if bound is not None and row.receptor is None:
        raise InputError("no receptor: every entry of a library of complexes has its own")
    writer.add(row.values, row.fingerprint, row.reference)
    if bound is not None and row.receptor is not None:
        bound.add(row.receptor)


def _origin(entry: Entry | Row) -> tuple[str, tuple[str, int]]:
    """Id, and file and record number, of an entry; 0 when its source names no record."""
    if isinstance(entry, Row):
        id, source = entry.values["id"], entry.values["source"]
    else:
        id, source = entry.id, entry.source
    file, mark, record = source.rpartition("#")
    return id, (file, int(record)) if mark and record.isdecimal() else (source, 0)


@contextmanager
def building_folder(out: Path) -> Iterator[Path]:
    """Make a folder beside `out`, to be renamed to it once whole; one process at a time has it.

    It is gone afterwards unless it was renamed; one that a killed process left is emptied first.

    Raises
    ------
    LibraryError
        When `out` exists, or another process builds it.
    StorageError
        When the disk refuses.
    """
    _refuse_existing(out)
    outer = out.with_name(f".{out.name}.building")
    lock, folder = outer / LOCK_NAME, outer / out.name

    def refusal(holder: str) -> LibraryError:
        return LibraryError(f"{out} is being built by process {holder}; wait for it, or choose another name")

    try:  # around the making too: a signal may come right after it
        with storage_errors(out), suppress(FileExistsError):
            outer.mkdir()
        with locked(lock, refusal):
            try:
                _refuse_existing(out)  # another process may have built it just now
                shutil.rmtree(folder, ignore_errors=True)
                with storage_errors(out):
                    folder.mkdir()
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    finally:
        # Held once more: what a signal interrupted may have left the file, and of another process it is not.
        with suppress(OSError, TemplError):
            with locked(lock, refusal):
                lock.unlink()
            outer.rmdir()


def _refuse_existing(out: Path) -> None:
    if os.path.lexists(out):
        raise LibraryError(f"{out} exists already; delete it or choose another name")
