"""What a structure file says besides its atoms: date, resolution, links, and bonds of its components."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import gemmi

from templ.chemistry.components import Component, component_of_bonds
from templ.chemistry.structure_file import is_mmcif

_DATE = re.compile(r"(\d{2})-([A-Z]{3})-(\d{2})")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_FIRST_YEAR = 1970  # the PDB is of 1971; its dates have two digits
_RESOLUTION = re.compile(r"REMARK   2 RESOLUTION\. +([\d.]+) +ANGSTROMS")
_RESOLUTION_TAGS = (
    *("_refine.ls_d_res_high", "_em_3d_reconstruction.resolution", "_reflns.d_resolution_high"),
)


class AtomName(NamedTuple):
    """One atom of a structure, by its names."""

    chain: str
    number: int
    insertion: str
    atom: str


@dataclass(frozen=True, slots=True)
class StructureHeader:
    """What a structure file says about itself.

    Attributes
    ----------
    date : datetime.date or None
        Of deposition.
    resolution : float or None
        Angstrom.
    links : frozenset of pairs of AtomName
        Covalent bonds between residues, each pair sorted.
    components : Mapping of str to Component
        Small molecules whose bonds the file itself lists, by residue name.
    """

    date: datetime.date | None
    resolution: float | None
    links: frozenset[tuple[AtomName, AtomName]]
    components: Mapping[str, Component]


def read_header(text: bytes) -> StructureHeader:
    """Read it from the text of a PDB or mmCIF file (`read_structure_with_text`).

    What is missing, or is written in a way that nobody can read, counts as not said.
    """
    return _of_mmcif(text) if is_mmcif(text) else _of_pdb(text)


def _of_pdb(text: bytes) -> StructureHeader:
    date, resolution, links = None, None, set()
    for raw in text.split(b"\n"):
        if raw.startswith(b"HEADER"):
            date = date or _pdb_date(raw.decode(errors="replace")[50:59])
        elif raw.startswith(b"REMARK   2 RESOLUTION"):
            found = _RESOLUTION.match(raw.decode(errors="replace"))
            resolution = resolution or (_positive(found[1]) if found else None)
        elif raw.startswith(b"LINK  "):
            line = raw.decode(errors="replace").ljust(80)
            names = [_pdb_atom(line[start : start + 15]) for start in (12, 42)]
            links.add(_pair(*names))
    return StructureHeader(date, resolution, frozenset(links), {})


def _pdb_date(text: str) -> datetime.date | None:
    found = _DATE.fullmatch(text.strip().upper())
    if found is None or found[2] not in _MONTHS:
        return None
    year = 1900 + int(found[3])
    year += 100 if year < _FIRST_YEAR else 0
    return _date(f"{year}-{_MONTHS.index(found[2]) + 1:02}-{found[1]}")


def _pdb_atom(columns: str) -> AtomName:
    """Read name, alternate location, residue name, chain, number and insertion code of a LINK."""
    number = columns[10:14].strip()
    return AtomName(
        columns[9].strip(),
        int(number) if number.lstrip("-").isdecimal() else 0,
        columns[14].strip() or " ",
        columns[:4].strip(),
    )


def _of_mmcif(text: bytes) -> StructureHeader:
    document = gemmi.cif.read_string(text.decode(errors="replace"))
    block = next((block for block in document if block.find_values("_atom_site.Cartn_x")), document[0])

    def value(tag: str) -> str:
        found = block.find_value(tag)
        return gemmi.cif.as_string(found) if found else ""

    date = _date(value("_pdbx_database_status.recvd_initial_deposition_date"))
    resolution = next(filter(None, map(_positive, map(value, _RESOLUTION_TAGS))), None)
    links = set()
    tags = ["conn_type_id"]
    for end in ("ptnr1", "ptnr2"):
        tags += [
            f"{end}_auth_asym_id",
            f"{end}_auth_seq_id",
            f"?pdbx_{end}_PDB_ins_code",
            f"{end}_label_atom_id",
        ]
    for row in block.find("_struct_conn.", tags):
        cells = [gemmi.cif.as_string(row[index]) if row.has(index) else "" for index in range(len(tags))]
        if cells[0].lower().startswith("covale"):
            links.add(_pair(_mmcif_atom(cells[1:5]), _mmcif_atom(cells[5:9])))
    # A file of restraints has each component in a block of its own.
    components = {name: part for other in document for name, part in _components(other).items()}
    return StructureHeader(date, resolution, frozenset(links), components)


def _mmcif_atom(cells: list[str]) -> AtomName:
    chain, number, insertion, atom = cells
    return AtomName(
        chain, int(number) if number.lstrip("-").isdecimal() else 0, insertion.strip() or " ", atom
    )


def _components(block: gemmi.cif.Block) -> dict[str, Component]:
    """Components whose bonds a block lists, with their orders."""
    bonds: dict[str, list[tuple[str, str, str]]] = {}
    for order in ("value_order", "type"):
        for row in block.find("_chem_comp_bond.", ["comp_id", "atom_id_1", "atom_id_2", order]):
            name, *rest = (gemmi.cif.as_string(cell) for cell in row)
            bonds.setdefault(name, []).append((rest[0], rest[1], rest[2]))
        if bonds:
            break
    charges: dict[str, dict[str, tuple[str, str]]] = {}
    for row in block.find("_chem_comp_atom.", ["comp_id", "atom_id", "type_symbol", "?charge"]):
        name, atom, symbol = (gemmi.cif.as_string(row[index]) for index in range(3))
        charge = gemmi.cif.as_string(row[3]) if row.has(3) else ""
        charges.setdefault(name, {})[atom] = symbol, charge
    found = {name: component_of_bonds(name, listed, charges.get(name, {})) for name, listed in bonds.items()}
    return {name: component for name, component in found.items() if component is not None}


def _pair(one: AtomName, other: AtomName) -> tuple[AtomName, AtomName]:
    return (one, other) if one <= other else (other, one)


def _date(text: str) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        return None


def _positive(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 < number < math.inf else None
