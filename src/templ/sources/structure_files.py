"""Complexes out of structure files as the PDB gives them: PDB or mmCIF with the ligands inside.

Bond orders come from a table of SMILES, from bonds that the file lists, or from the component dictionary, in
this order. A ligand whose bond orders are unknown goes to the ledger; the others go on.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rdkit import Chem
from rdkit.Chem import AllChem

from templ.chemistry.components import Component, Dictionary, bare_molecule, molecule_of
from templ.chemistry.mol_file import MENDED, as_molecule
from templ.chemistry.molecules import parse_smiles, positions, quiet_rdkit, with_coordinates
from templ.chemistry.receptor import Receptor, around, check_protein
from templ.chemistry.receptor_file import Structure, as_receptor, small_molecules, understand
from templ.chemistry.structure_file import STRUCTURE_ENDINGS, read_structure_with_text
from templ.chemistry.structure_header import StructureHeader, read_header
from templ.chemistry.structure_ligands import (
    LONGEST_BOND,
    FoundLigand,
    find_ligands,
)
from templ.errors import InputError
from templ.records import Entry
from templ.sources.annotations import Annotation
from templ.sources.files import delimiter_of, file_stem, read_text
from templ.sources.ledger import Ledger
from templ.sources.queries import SMILES_COLUMNS, find_column
from templ.sources.table_rows import TableRow, read_rows

WWPDB_NAME = re.compile(r"pdb([0-9][a-z0-9]{3})", re.IGNORECASE)
"""Of a file in the archive of the wwPDB: ``pdb1abc.ent.gz``."""
STRUCTURE_COLUMNS = ("id", "structure", "pdb", "pdb_id")
RESIDUE_COLUMNS = ("residue", "ligand", "ccd", "component", "resname")


@dataclass(frozen=True, slots=True)
class BondOrders:
    """Where the bond orders of ligands come from, besides the structure file itself.

    Attributes
    ----------
    smiles : Mapping of (str, str) to str
        SMILES by id of the structure in lower case and residue name, each of them empty where the table has
        none (`read_ligand_table`).
    dictionary : Dictionary or None
        The component dictionary.
    """

    smiles: Mapping[tuple[str, str], str] = field(default_factory=dict)
    dictionary: Dictionary | None = None

    def smiles_of(self, id: str, residue: str) -> str | None:
        """SMILES of a ligand, if the table has it."""
        keys = ((id.lower(), residue), (id.lower(), ""), ("", residue))
        return next((self.smiles[key] for key in keys if key in self.smiles), None)

    def residues_of(self, id: str) -> set[str]:
        """Names of the residues that the table says are ligands of a structure."""
        return {residue for structure, residue in self.smiles if structure in ("", id.lower()) and residue}


def find_structures(paths: Iterable[str | Path]) -> Iterator[Path]:
    """Yield structure files: those given, and those in the folders given at any depth, by path.

    Raises
    ------
    InputError
        When a path does not exist, cannot be read, or is no structure by its name.
    """
    for path in map(Path, paths):
        if path.is_dir():
            yield from _inside(path)
        elif not path.exists():
            raise InputError(f"{path} does not exist; check the path")
        elif not path.name.lower().endswith(STRUCTURE_ENDINGS):
            raise InputError(
                f"{path} is no structure by its name; expected one of {', '.join(STRUCTURE_ENDINGS)}"
            )
        else:
            yield path


def _inside(folder: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise InputError(f"{error.filename} cannot be read ({error.strerror}); expected structure files")

    for folder_name, folders, names in os.walk(folder, onerror=refuse):
        folders.sort()
        yield from (
            Path(folder_name, name) for name in sorted(names) if name.lower().endswith(STRUCTURE_ENDINGS)
        )


def structure_id(path: Path) -> str:
    """Name of a structure: that of its file, without what the archive of the wwPDB puts before it.

    Examples
    --------
    >>> [structure_id(Path(name)) for name in ("5r7y.cif.gz", "pdb1abc.ent.gz", "mpro_x0104.pdb")]
    ['5r7y', '1abc', 'mpro_x0104']
    """
    stem = file_stem(path)
    found = WWPDB_NAME.fullmatch(stem)
    return found[1] if found else stem


def read_ligand_table(path: str | Path) -> dict[tuple[str, str], str]:
    """Read a table of SMILES by structure, by residue name, or by both (`BondOrders.smiles`).

    Parameters
    ----------
    path : str or Path
        CSV or TSV with a column ``smiles`` and at least one of ``id`` (the structure) and ``residue``.

    Raises
    ------
    InputError
        When it cannot be read, a SMILES cannot, or a ligand comes twice with different ones.
    """
    path = Path(path)
    text = read_text(path, "a table of ligands")
    rows = read_rows(io.StringIO(text), delimiter_of(text.partition("\n")[0]))
    header = [name.strip() for name in next(rows, TableRow(1, [])).cells]
    smiles_at = find_column(path, header, None, SMILES_COLUMNS, "smiles")
    id_at = find_column(path, header, None, STRUCTURE_COLUMNS, "id")
    residue_at = find_column(path, header, None, RESIDUE_COLUMNS, "residue")
    if smiles_at is None or (id_at is None and residue_at is None):
        raise InputError(
            f"{path}: columns {', '.join(header)}; expected smiles, and at least one of id and residue"
        )
    found: dict[tuple[str, str], str] = {}
    for line, cells, fault in rows:
        if fault:
            raise InputError(f"{path}, line {line}: {fault}")
        if not any(cells):
            continue
        cells += [""] * (len(header) - len(cells))
        key = (
            "" if id_at is None else cells[id_at].strip().lower(),
            "" if residue_at is None else cells[residue_at].strip(),
        )
        smiles = cells[smiles_at].strip()
        try:
            parse_smiles(smiles)
        except InputError as error:
            raise InputError(f"{path}, line {line}: {error}") from None
        if key == ("", ""):
            raise InputError(f"{path}, line {line}: neither id nor residue")
        if found.setdefault(key, smiles) != smiles:
            raise InputError(f"{path}, line {line}: another SMILES for {' '.join(key).strip()}")
    return found


def read_structure(
    path: Path,
    orders: BondOrders,
    ledger: Ledger,
    annotations: Mapping[str, Annotation] | None = None,
    all_copies: bool = False,
) -> Iterator[Entry]:
    """Read the complexes of a structure file: one for each ligand, with what surrounds it.

    Of several copies the one is taken that lacks fewest atoms, then of higher occupancy, then of lower B
    factors; the others are named in its note.

    Parameters
    ----------
    path : Path
        PDB or mmCIF, perhaps gzipped.
    orders : BondOrders
        Of the ligands.
    ledger : Ledger
        Gets a row for a structure that cannot be read or has no ligand, and for each ligand that cannot be
        used.
    annotations : Mapping of str to Annotation, optional
        Date and group by id of the structure; dates come before that of the header.
    all_copies : bool
        Take all copies; their chains and numbers are part of their ids then.
    """
    id = structure_id(path)
    try:
        whole = _read(path, id, orders)
    except InputError as error:
        ledger.add(str(path), 1, 1, str(error), id)
        return
    known = (annotations or {}).get(id.lower())
    date, group = (known.date, known.group) if known is not None else (None, "")
    copies: dict[str, list[FoundLigand]] = {}
    for ligand in whole.ligands:
        copies.setdefault(ligand.name, []).append(ligand)
    for name, same in copies.items():
        usable, faults = [], []
        for ligand in same:
            try:
                usable.append(_bound(whole, ligand, id, orders))
            except InputError as error:
                faults.append(f"unusable ligand: {name} {ligand.location}: {error}")
        if not usable or all_copies:
            for fault in faults:
                ledger.add(str(path), 1, 1, fault, f"{id}-{name}")
        usable.sort(key=_Bound.rank)
        for copy in usable if all_copies else usable[:1]:
            own_id = f"{id}-{name}-{copy.ligand.location}" if all_copies and len(same) > 1 else f"{id}-{name}"
            others = [other.location for other in same if other is not copy.ligand and not all_copies]
            left_out = f"copy {copy.ligand.location} taken, left out: {', '.join(others)}" if others else ""
            mended = copy.mol.GetProp(MENDED) if copy.mol.HasProp(MENDED) else ""
            copy.mol.SetProp(MENDED, "; ".join(filter(None, (mended, copy.note, left_out))))
            yield Entry(
                own_id,
                copy.mol,
                f"{path.name}#1",
                id,
                date or whole.header.date,
                group,
                copy.receptor,
                resolution=whole.header.resolution,
                links=frozenset(atom for _, atom in copy.ligand.links),
            )


@dataclass(frozen=True, slots=True)
class _Whole:
    """A structure file as it was read."""

    structure: Structure
    header: StructureHeader
    receptor: Receptor
    ligands: list[FoundLigand]


@dataclass(frozen=True, slots=True)
class _Bound:
    """A ligand with its molecule, what happened to it, and what surrounds it."""

    ligand: FoundLigand
    mol: Chem.Mol
    note: str
    receptor: Receptor

    def rank(self) -> tuple[bool, float, float]:
        """Sort key: what the crystal shows best comes first."""
        return (bool(self.note), -round(self.ligand.occupancy, 2), self.ligand.b_factor)


def _read(path: Path, id: str, orders: BondOrders) -> _Whole:
    try:
        table, models, text = read_structure_with_text(path)
    except InputError as error:
        raise InputError(f"unreadable structure: {error}") from None
    if not len(table):
        raise InputError("unreadable structure: it holds no atoms; expected a PDB or mmCIF file")
    structure, header = understand(table, models), read_header(text)
    receptor = as_receptor(structure)
    check_protein(receptor, path.name)
    ligands = find_ligands(structure, header.links, orders.residues_of(id))
    if not ligands:
        raise InputError(f"no ligand: small molecules in it: {small_molecules(structure.residues)}")
    return _Whole(structure, header, receptor, ligands)


def _bound(whole: _Whole, ligand: FoundLigand, id: str, orders: BondOrders) -> _Bound:
    mol, note = _molecule(whole.structure, ligand, id, whole.header, orders)
    return _Bound(ligand, mol, note, around(whole.receptor, positions(mol)))


def _molecule(
    structure: Structure, ligand: FoundLigand, id: str, header: StructureHeader, orders: BondOrders
) -> tuple[Chem.Mol, str]:
    """Make the molecule of a ligand; the note says which atoms are absent because others took their place.

    Raises
    ------
    InputError
        When its bond orders are unknown, or atoms are missing.
    """
    smiles = orders.smiles_of(id, ligand.name)
    if smiles is not None:
        return _molecule_of_smiles(structure, ligand, smiles), ""
    made, absent, offset = Chem.RWMol(), dict[str, set[int]](), 0
    for residue in ligand.residues:
        rows = [row for row in ligand.rows if row in set(residue.atoms)]
        part, lacking = _part(structure, residue.name, rows, header, orders)
        made.InsertMol(part)
        absent |= {name: {offset + row for row in rows_of} for name, rows_of in lacking.items()}
        offset += len(rows)
    for first, second in ligand.bonds:
        made.AddBond(first, second, Chem.BondType.SINGLE)
    whole = with_coordinates(made, structure.table.xyz[list(ligand.rows)])
    bonded = {row for row, _ in ligand.links} | {row for pair in ligand.bonds for row in pair}
    lost = [name for name, ends in absent.items() if not (ends <= bonded and bonded)]
    if lost:
        expected = len(ligand.rows) + len(absent)
        raise InputError(
            f"{len(lost)} of {expected} heavy atoms are not in the crystal: {', '.join(lost[:5])}"
        )
    note = f"left when the bond was made: {', '.join(absent)}" if absent else ""
    return as_molecule(whole), note


def _part(
    structure: Structure, name: str, rows: list[int], header: StructureHeader, orders: BondOrders
) -> tuple[Chem.RWMol, dict[str, set[int]]]:
    """Give one residue of a ligand its bonds: of the file itself, else of the dictionary."""
    table = structure.table
    candidates: list[Component | None] = [header.components.get(name)]
    if orders.dictionary is not None:
        candidates.append(orders.dictionary.get(name))
    fault = InputError(
        f"the bond orders of {name} are unknown; give its SMILES by --ligands-csv (columns residue, smiles)"
    )
    for component in candidates:
        if component is None or not component.atoms:
            continue
        try:
            names = [str(table.names[row]) for row in rows]
            return molecule_of(component, names, structure.elements[rows].tolist(), table.xyz[rows])
        except InputError as error:
            fault = InputError(f"{error}; give its SMILES by --ligands-csv (columns residue, smiles)")
    raise fault


def _molecule_of_smiles(structure: Structure, ligand: FoundLigand, smiles: str) -> Chem.Mol:
    """Bond atoms by their distances, and take the orders of these bonds from a SMILES."""
    rows = list(ligand.rows)
    elements, xyz = structure.elements[rows].tolist(), structure.table.xyz[rows]
    mol = bare_molecule(elements, xyz)
    radii = np.array([Chem.GetPeriodicTable().GetRcovalent(element) for element in elements])
    gaps = np.linalg.norm(xyz[:, None] - xyz[None], axis=-1)
    for first, second in np.argwhere(
        np.triu(gaps < LONGEST_BOND * (radii[:, None] + radii[None]), 1)
    ).tolist():
        mol.AddBond(first, second, Chem.BondType.SINGLE)
    template = Chem.RemoveAllHs(parse_smiles(smiles))
    if template.GetNumAtoms() != len(rows):
        raise InputError(
            f"{len(rows)} heavy atoms are in the crystal, and {template.GetNumAtoms()} in its SMILES {smiles}"
        )
    mol.UpdatePropertyCache(strict=False)
    try:
        with quiet_rdkit():
            ordered = AllChem.AssignBondOrdersFromTemplate(template, mol.GetMol())
    except ValueError:
        raise InputError(f"its atoms are not bonded as its SMILES says: {smiles}") from None
    return as_molecule(ordered)
