"""Writes a run for another program: its table, and the poses, receptors and crystals that the table names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from rdkit import Chem

from templ.disk import make_folder, storage_errors
from templ.errors import InputError
from templ.evaluation.crystal_frame import crystal_poses
from templ.evaluation.run import Run, load_run
from templ.evaluation.run_table import table_writer
from templ.export.pdb import to_pdb
from templ.export.table_formats import FORMATS, Format, Item
from templ.library.store import Library
from templ.runs.pose_shards import read_poses
from templ.runs.record import Record
from templ.runs.run_libraries import find_receptors
from templ.sources.files import open_input
from templ.templates.target_receptor import TargetReceptors

POSES, RECEPTORS, TRUTH = "poses", "receptors", "truth"
LONGEST_NAME = 200
"""Characters of a file name without its suffix."""


@dataclass(frozen=True, slots=True)
class Exported:
    """The table that was written, and how many targets, poses, and targets without a pose.

    `planned` are the targets of the run: more than `targets` where it is not finished. `molecules` is what
    the run calls them: targets or queries.
    """

    table: Path
    targets: int
    poses: int
    unposed: int
    planned: int
    molecules: str


def export_run(
    run: str | Path, out: str | Path, format: str, *, libraries: Sequence[str | Path] = ()
) -> Exported:
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
    loaded, out, form = load_run(run), Path(out), FORMATS[format]
    run = loaded.path
    if out.resolve().is_relative_to(run.resolve()):
        raise InputError(f"{out} is in the run itself; choose another folder")
    if out.is_dir() and any(out.iterdir()):
        raise InputError(f"{out} is not empty; choose another folder")
    with ExitStack() as stack:
        templates = targets = None
        if form.receptor or form.truth:
            named = [Path(library) for library in libraries]
            templates = stack.enter_context(loaded.templates(named))
            targets = stack.enter_context(loaded.targets(named))
        make_folder(out)
        where = None if templates is None else templates.path
        receptors = find_receptors(run, loaded.manifest, where)
        files = _Files(out, templates, targets, receptors)
        counts = {"targets": 0, "poses": 0, "unposed": 0}
        add = stack.enter_context(table_writer(out / form.table, form.schema))
        for record in loaded:
            items = list(_items(loaded, record, form, files))
            add([form.row(item) for item in items])
            posed = sum(item.position is not None for item in items)
            counts["targets"] += 1
            counts["poses"] += posed
            counts["unposed"] += not posed
    manifest = loaded.manifest
    return Exported(out / form.table, **counts, planned=manifest.targets, molecules=manifest.molecules)


def _items(run: Run, record: Record, form: Format, files: _Files) -> Iterator[Item]:
    """Write the files of a molecule, and yield what becomes its rows."""
    id = record.id
    if record.address is None:
        if form.unposed:
            yield Item(record)
        return
    poses = run.poses(record)
    blocks = read_poses(run.path, record.address).split("$$$$\n")[: len(poses)]
    if form.first_only:
        del poses[1:], blocks[1:]
    texts = [f"{block}$$$$\n".encode() for block in blocks]
    if form.single_poses:
        ligand_files = [
            files.poses(f"{file_name(id)}/{rank}.sdf", text) for rank, text in enumerate(texts, 1)
        ]
    else:
        ligand_files = [files.poses(f"{file_name(id)}.sdf", b"".join(texts))] * len(texts)
    receptor = files.receptor(record) if form.receptor else None
    truth = files.truth(record) if form.truth else None
    for position, (mol, ligand_file) in enumerate(zip(poses, ligand_files, strict=True)):
        yield Item(record, position, mol, ligand_file, receptor, truth)


class _Files:
    """Writes files into the folder of an export; each method returns the path relative to it."""

    def __init__(
        self, out: Path, templates: Library | None, targets: Library | None, receptors: Sequence[Path]
    ) -> None:
        self._out = out
        self._templates, self._targets = templates, targets
        self._receptors: TargetReceptors | None = None
        if templates is not None and targets is not None:
            self._receptors = TargetReceptors(templates, targets, receptors)
        self._shared: dict[Path, str] = {}

    def poses(self, name: str, sdf: bytes) -> str:
        """Write poses."""
        return self._write(f"{POSES}/{name}", sdf)

    def truth(self, record: Record) -> str:
        """Write the crystal pose of a target, in the frame of its poses."""
        assert self._targets is not None and self._templates is not None and self._receptors is not None
        name, receptor = record.receptor, self._receptors.of(record.id, record.receptor)
        crystals = crystal_poses(self._targets, record.id, self._templates, receptor, name)
        if not crystals:
            raise InputError(f"{record.id!r}: its crystal pose cannot be brought into the receptor {name}")
        block = Chem.MolToMolBlock(crystals[0]) + "$$$$\n"
        return self._write(f"{TRUTH}/{file_name(record.id)}.sdf", block.encode())

    def receptor(self, record: Record) -> str:
        """Write the receptor of a target, once where a whole group has the same."""
        assert self._receptors is not None and self._templates is not None
        id = record.id
        path = self._receptors.file_of(id)
        if path is None:
            receptor = self._receptors.of(id, record.receptor)
            if receptor is None:
                raise InputError(
                    f"{self._templates.path} has no receptor for {id!r}; use --format csv or polaris"
                )
            return self._write(f"{RECEPTORS}/{file_name(id)}.pdb", to_pdb(receptor).encode())
        if path not in self._shared:
            name = f"{RECEPTORS}/{path.name.removesuffix('.gz')}"
            with open_input(path) as content:
                self._shared[path] = self._write(name, content.read())
        return self._shared[path]

    def _write(self, name: str, content: bytes) -> str:
        path = self._out / name
        make_folder(path.parent)
        with storage_errors(path):
            path.write_bytes(content)
        return name


def file_name(id: str) -> str:
    """Name of a file for an id, another for every id, whatever characters are in it.

    Examples
    --------
    >>> file_name("Mpro-x10178"), file_name("../a b"), file_name("..")
    ('Mpro-x10178', '%2E.%2Fa%20b', '%2E.')
    >>> file_name("a" * 300)[-16:], len(file_name("a" * 300))
    ('aaa-9835fa6bf4e2', 113)
    """
    name = quote(id, safe="")
    if len(name) > LONGEST_NAME:  # most file systems take 255 bytes; the table has the whole id
        name = f"{name[:100]}-{hashlib.sha256(id.encode()).hexdigest()[:12]}"
    return "%2E" + name[1:] if name.startswith(".") else name
