"""Writes a run for another program: its table, and the poses, receptors and crystals that the table names."""

from __future__ import annotations

import gzip
import io
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from rdkit import Chem

from templ.disk import make_folder, replacing, storage_errors
from templ.errors import InputError, RunError
from templ.export.formats import FORMATS, Format, Item
from templ.export.receptors import to_pdb
from templ.runlog.journal import JOURNAL_NAME, read_records
from templ.runlog.libraries import open_targets, open_templates
from templ.runlog.manifest import read_manifest
from templ.runlog.poses import PoseAddress, read_poses
from templ.sources.sdf import parse_record, split_records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from templ.library.store import Library

POSES, RECEPTORS, TRUTH = "poses", "receptors", "truth"
ROWS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    Attributes
    ----------
    table : Path
        The table.
    targets, poses, unposed : int
        Targets and poses of the run that were exported, and how many of the targets have no pose.
    planned : int
        Targets of the run; more than `targets` where it is not finished.
    """

    table: Path
    targets: int
    poses: int
    unposed: int
    planned: int


def export_run(run: Path, out: Path, format: str, *, libraries: Sequence[Path] = ()) -> Exported:
    """Write what a run has predicted so far as another program wants it.

    One target is held at a time. The table is written last: without it the export is not whole.

    Parameters
    ----------
    run : Path
        A run folder.
    out : Path
        Folder to make; it must be absent or empty.
    format : str
        One of `FORMATS`.
    libraries : sequence of Path
        Where the libraries of the run are, should they have been moved.

    Raises
    ------
    InputError
        When there is no such format, or `out` is in use; when the format needs a receptor and there is none.
    RunError
        When `run` is no run, its results or poses are damaged, or its libraries are gone.
    StorageError
        When the disk refuses.
    """
    if format not in FORMATS:
        raise InputError(f"'{format}' is no format; expected {', '.join(FORMATS)}")
    if run.is_file():
        raise InputError(f"{run} is a file; expected a run folder (`templ predict` writes a table itself)")
    form, manifest = FORMATS[format], read_manifest(run)
    if out.resolve().is_relative_to(run.resolve()):
        raise InputError(f"{out} is in the run itself; choose another folder")
    if out.is_dir() and any(out.iterdir()):
        raise InputError(f"{out} is not empty; choose another folder")
    with ExitStack() as stack:
        templates = targets = None
        if form.receptor or form.truth:
            templates = stack.enter_context(open_templates(run, manifest, libraries))
            targets = stack.enter_context(open_targets(run, manifest, libraries))
        make_folder(out)
        files = _Files(out, templates, targets)
        counts = {"targets": 0, "poses": 0, "unposed": 0}
        add = stack.enter_context(_table(out / form.table, form.schema))
        for record in read_records(run / JOURNAL_NAME):
            try:
                items = list(_items(run, record, form, files))
                add([form.row(item) for item in items])
            except KeyError as error:
                raise RunError(
                    f"the record of {record['id']!r} has no {error}: it is not of this version"
                ) from error
            posed = sum(item.place is not None for item in items)
            counts["targets"] += 1
            counts["poses"] += posed
            counts["unposed"] += not posed
    return Exported(out / form.table, planned=manifest.targets, **counts)


def _items(run: Path, record: Mapping[str, Any], form: Format, files: _Files) -> Iterator[Item]:
    """Write the files of a target, and yield what becomes its rows."""
    id, address = record["id"], PoseAddress.of(record)
    if address is None:
        if form.unposed:
            yield Item(record, None, None, {}, None, None, None)
        return
    poses = list(split_records(io.BytesIO(read_poses(run, address).encode())))
    if form.first_only:
        del poses[1:]
    texts = [b"".join(pose.lines) + b"$$$$\n" for pose in poses]
    if form.single_poses:
        ligand_files = [files.poses(f"{_name(id)}/{rank}.sdf", text) for rank, text in enumerate(texts, 1)]
    else:
        ligand_files = [files.poses(f"{_name(id)}.sdf", b"".join(texts))] * len(texts)
    receptor = files.receptor(id, record["group"]) if form.receptor else None
    truth = files.truth(id) if form.truth else None
    for place, (raw, ligand_file) in enumerate(zip(poses, ligand_files, strict=True)):
        try:
            pose = parse_record(raw)
        except InputError as error:
            raise RunError(
                f"{run / address.shard}: pose {place + 1} of {id!r} is damaged ({error})"
            ) from error
        yield Item(record, place, pose.mol, pose.properties, ligand_file, receptor, truth)


class _Files:
    """Writes files into the folder of an export; each method returns the path relative to it."""

    def __init__(self, out: Path, templates: Library | None, targets: Library | None) -> None:
        self._out = out
        self._templates = templates
        self._targets = targets
        self._of_group: dict[str, str] = {}

    def poses(self, name: str, sdf: bytes) -> str:
        """Write poses."""
        return self._write(f"{POSES}/{name}", sdf)

    def truth(self, id: str) -> str:
        """Write the crystal pose of a target."""
        assert self._targets is not None
        mol = self._targets[id]
        return self._write(f"{TRUTH}/{_name(id)}.sdf", (Chem.MolToMolBlock(mol) + "$$$$\n").encode())

    def receptor(self, id: str, group: str) -> str:
        """Write the receptor of a target, once where a whole group has the same."""
        assert self._templates is not None and self._targets is not None
        if self._templates.has_receptors:
            pdb = to_pdb(self._targets.receptor(self._targets.row_of(id)))
            return self._write(f"{RECEPTORS}/{_name(id)}.pdb", pdb.encode())
        if group not in self._of_group:
            path = self._templates.receptor_path(group)
            if path is None:
                raise InputError(
                    f"{self._templates.path} has no receptor for {id!r}; use --format csv or polaris"
                )
            name = f"{RECEPTORS}/{path.name.removesuffix('.gz')}"
            self._of_group[group] = self._write(name, gzip.decompress(path.read_bytes()))
        return self._of_group[group]

    def _write(self, name: str, content: bytes) -> str:
        path = self._out / name
        make_folder(path.parent)
        with storage_errors(path):
            path.write_bytes(content)
        return name


@contextmanager
def _table(path: Path, schema: pa.Schema) -> Iterator[Callable[[Iterable[Mapping[str, Any]]], None]]:
    """Write a table, Parquet or CSV by its name; yield what adds rows to it."""
    waiting: list[Mapping[str, Any]] = []
    open_table = pa.parquet.ParquetWriter if path.suffix == ".parquet" else pa.csv.CSVWriter
    with replacing(path) as file, open_table(file, schema) as table:

        def flush() -> None:
            table.write_batch(pa.RecordBatch.from_pylist(waiting, schema))
            waiting.clear()

        def add(rows: Iterable[Mapping[str, Any]]) -> None:
            waiting.extend(rows)
            if len(waiting) >= ROWS_AT_ONCE:
                flush()

        yield add
        flush()


def _name(id: str) -> str:
    """Name of a file for an id, another for every id, whatever characters are in it.

    Examples
    --------
    >>> _name("Mpro-x10178"), _name("../a b"), _name("..")
    ('Mpro-x10178', '%2E.%2Fa%20b', '%2E.')
    """
    name = quote(id, safe="")
    return "%2E" + name[1:] if name.startswith(".") else name
