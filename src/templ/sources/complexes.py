"""Complexes in the layout of PDBbind: ``<id>/<id>_protein.*`` and ``<id>/<id>_ligand.*``, sets nested.

The case of names does not matter (a folder ``1ABC`` has ``1abc_*``); ``<id>_protein_processed.*`` will do.

A complex that lacks a file or cannot be read goes to the ledger with its reason; the others go on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from rdkit.Chem import Mol

from templ.chemistry.mol_file import as_template, parse_mol2_block
from templ.chemistry.molecules import positions
from templ.chemistry.receptor import around, check_protein
from templ.chemistry.receptor_file import read_receptor
from templ.chemistry.structure_file import STRUCTURE_ENDINGS
from templ.errors import InputError
from templ.records import Entry
from templ.sources.annotations import Annotation
from templ.sources.files import DAMAGED, check_input, open_input
from templ.sources.ledger import Ledger
from templ.sources.sdf import parse_record, split_records

PROTEIN, LIGAND, POCKET = "_protein", "_ligand", "_pocket"
PROTEINS = (PROTEIN, f"{PROTEIN}_processed")
LIGAND_ENDINGS = (".sdf", ".sdf.gz", ".mol2", ".mol2.gz")
"""The first that can be read is taken: RDKit refuses the chemistry of MOL2 more often."""
MOL2_RECORD = "@<TRIPOS>MOLECULE"
LARGEST_MOL2 = 5_000_000
"""Characters; a larger file is no ligand."""


@dataclass(frozen=True, slots=True)
class ComplexFiles:
    """Where the files of one complex are.

    Attributes
    ----------
    id : str
        Name of the folder.
    folder : Path
        The folder.
    protein : Path or None
        Its structure, if there is one.
    ligands : tuple of Path
        Files of its ligand, best first.
    """

    id: str
    folder: Path
    protein: Path | None
    ligands: tuple[Path, ...]


def find_complexes(folder: str | Path) -> Iterator[ComplexFiles]:
    """Walk a folder and yield its complexes, by path.

    Raises
    ------
    InputError
        When the folder cannot be read.
    """
    folder = Path(folder)
    found = complex_in(folder)
    if found is not None:
        yield found
    for entry in _listed(folder):
        upwards = entry.is_symlink() and folder.resolve().is_relative_to(Path(entry.path).resolve())
        if entry.is_dir() and not upwards:  # a link to a folder above would be followed for ever
            yield from find_complexes(folder / entry.name)


def complex_in(folder: Path) -> ComplexFiles | None:
    """Return the complex that is in a folder itself: one with files ``<its name>_protein.*`` and so on.

    Raises
    ------
    InputError
        When the folder cannot be read.
    """
    files = [entry.name for entry in _listed(folder) if entry.is_file()]
    id = Path(os.path.abspath(folder)).name  # noqa: PTH100  of a link its own name, not what it points to
    names: dict[str, Path] = {}
    for name in sorted(files, key=lambda name: not name.startswith(id)):  # of two, the one in its case
        names.setdefault(name.lower(), folder / name)
    start = id.lower()
    if not any(
        name.startswith((f"{start}{PROTEIN}", f"{start}{LIGAND}", f"{start}{POCKET}")) for name in names
    ):
        return None
    protein = [f"{start}{kind}{ending}" for kind in PROTEINS for ending in STRUCTURE_ENDINGS]
    ligands = [f"{start}{LIGAND}{ending}" for ending in LIGAND_ENDINGS]
    return ComplexFiles(
        id,
        folder,
        next((names[name] for name in protein if name in names), None),
        tuple(names[name] for name in ligands if name in names),
    )


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(
            f"{folder} cannot be read ({error.strerror}); expected a folder of complexes"
        ) from None


def read_complex(files: ComplexFiles, annotation: Annotation | None = None) -> Entry:
    """Read one complex: its ligand, and of its receptor what surrounds the ligand.

    Raises
    ------
    InputError
        ``class: detail`` of why it cannot be used.
    """
    if files.protein is None:
        raise InputError(f"no protein file: expected {files.id}{PROTEIN}.pdb, .pdb.gz or .cif")
    if not files.ligands:
        raise InputError(f"no ligand file: expected {files.id}{LIGAND}.sdf or .mol2")
    source, mol = _first_readable(files.ligands)
    ligand = positions(as_template(mol)[0])
    protein = read_receptor(files.protein)
    check_protein(protein, files.protein.name)
    receptor = around(protein, ligand)
    date, group = (annotation.date, annotation.group) if annotation is not None else (None, "")
    return Entry(files.id, mol, f"{source.name}#1", files.id, date, group, receptor)


def read_complexes(
    folder: str | Path, ledger: Ledger | None = None, annotations: Mapping[str, Annotation] | None = None
) -> Iterator[Entry]:
    """Stream the complexes of a folder; those that cannot be used go to the ledger.

    Parameters
    ----------
    folder : str or Path
        Holds the complexes, at any depth.
    ledger : Ledger, optional
        Gets a row for each complex that is left out.
    annotations : Mapping of str to Annotation, optional
        Date and group by id (`templ.sources.annotations.read_annotations`).

    Raises
    ------
    InputError
        At once, when the folder cannot be read.
    """
    found = find_complexes(folder)
    first = next(found, None)
    if first is None:
        raise InputError(
            f"{folder} holds no complex; expected folders <id> with <id>{PROTEIN}.pdb and <id>{LIGAND}.sdf "
            "(structure files with the ligands inside are for --structures)"
        )

    noted = Ledger() if ledger is None else ledger
    return chain.from_iterable(
        read_or_note(files, noted, annotations or {}) for files in chain([first], found)
    )


def read_or_note(
    files: ComplexFiles, ledger: Ledger, annotations: Mapping[str, Annotation]
) -> Iterator[Entry]:
    """Yield a complex, or note in the ledger why it cannot be used."""
    try:
        yield read_complex(files, annotations.get(files.id.lower()))
    except InputError as error:
        ledger.add(str(files.folder), 1, 1, str(error), files.id)


def read_found(folder: Path, ledger: Ledger, annotations: Mapping[str, Annotation]) -> Iterator[Entry]:
    """Yield the complex of a folder that had one; what is gone since then is noted in the ledger."""
    files, reason = None, "gone: it was a complex when the build began"
    try:
        files = complex_in(folder)
    except InputError as error:
        reason = str(error)
    if files is None:
        ledger.add(str(folder), 1, 1, reason, folder.name)
    else:
        yield from read_or_note(files, ledger, annotations)


def _first_readable(paths: tuple[Path, ...]) -> tuple[Path, Mol]:
    """Read the ligand from the first file that gives one; the error has the reason for each file."""
    reasons = []
    for path in paths:
        try:
            return path, _read_ligand(path)
        except InputError as error:
            reasons.append(str(error))
    raise InputError(f"unreadable ligand: {'; '.join(reasons)}")


def _read_ligand(path: Path) -> Mol:
    if path.name.removesuffix(".gz").endswith(".mol2"):
        return _read_mol2(path)
    check_input(path, "an SDF file")
    with open_input(path) as stream:
        records = split_records(stream)
        mol = parse_record(next(records)).mol
        if next(records, None) is not None:
            raise InputError(f"{path.name} holds several molecules, expected one ligand")
    return mol


def _read_mol2(path: Path) -> Mol:
    check_input(path, "a MOL2 file")
    with open_input(path) as stream:
        try:
            text = stream.read(LARGEST_MOL2).decode(errors="replace")
        except DAMAGED as error:
            raise InputError(f"{path.name} is damaged ({error})") from None
    if text.count(MOL2_RECORD) != 1:
        raise InputError(f"{path.name} holds {text.count(MOL2_RECORD)} molecules, expected one ligand")
    try:
        mol = parse_mol2_block(text)
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from None
    # RDKit adds no hydrogens to a MOL2: where all are missing it reads ions and radicals.
    bare = mol.GetNumAtoms() == mol.GetNumHeavyAtoms()
    if bare and any(atom.GetNumRadicalElectrons() for atom in mol.GetAtoms()):
        raise InputError(
            f"{path.name} has no hydrogens; expected a MOL2 file with all of them, or an SDF file"
        )
    return mol
