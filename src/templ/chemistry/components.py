"""Bond orders of small molecules by residue and atom name: of the wwPDB's component dictionary, or of a file.

The dictionary has 40,000 components; biotite carries it. Read whole it takes some 410 MB, so it is written
once, heavy atoms only, to arrays that many processes map (20 MB).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from templ.disk import make_folder, storage_errors
from templ.errors import InputError

ORDERS = {
    **{"sing": 1, "single": 1, "doub": 2, "double": 2, "trip": 3, "triple": 3, "quad": 4},
    **{"arom": 12, "aromatic": 12},
}
"""Orders as mmCIF and files of restraints write them, and RDKit's number of each; others are none."""
ATOMS, BONDS, INDEX = "atoms.npy", "bonds.npy", "index.npy"
_ATOM = np.dtype([("name", "S4"), ("other", "S4"), ("charge", "i1"), ("leaving", "?")])
_BOND = np.dtype([("first", "u2"), ("second", "u2"), ("order", "u1")])
_INDEX = np.dtype([("name", "S5"), ("atoms", "i4"), ("bonds", "i4")])
_HYDROGENS = ("H", "D")


class ComponentAtom(NamedTuple):
    """A heavy atom: name, name before 2007 (or the same), charge, and whether it leaves when it is bonded."""

    name: str
    other: str
    charge: int
    leaving: bool


@dataclass(frozen=True, slots=True)
class Component:
    """Heavy atoms and bonds of a small molecule.

    Attributes
    ----------
    name : str
        Of the residue.
    atoms : tuple of ComponentAtom
        Those that leave may be absent where the molecule is bonded to something else.
    bonds : tuple of (int, int, int)
        Indices of two atoms, and RDKit's number of the bond's order.
    """

    name: str
    atoms: tuple[ComponentAtom, ...]
    bonds: tuple[tuple[int, int, int], ...]


def component_of_bonds(
    name: str,
    bonds: Iterable[tuple[str, str, str]],
    atoms: Mapping[str, tuple[str, str]],
) -> Component | None:
    """Make a component of what an mmCIF file says; None where an order is none (delocalised).

    Parameters
    ----------
    bonds : iterable of (str, str, str)
        Names of two atoms, and the order.
    atoms : Mapping of str to (str, str)
        Element and charge by name; may be empty, then names that begin with H or D are hydrogens.
    """

    def is_heavy(atom: str) -> bool:
        symbol = atoms[atom][0] if atom in atoms else atom.lstrip("0123456789'\"")[:1]
        return symbol.upper() not in _HYDROGENS

    heavy = [(one, other, order.lower()) for one, other, order in bonds if is_heavy(one) and is_heavy(other)]
    if any(order not in ORDERS for *_, order in heavy):
        return None
    names = dict.fromkeys(atom for *ends, _ in heavy for atom in ends)
    names.update(dict.fromkeys(filter(is_heavy, atoms)))
    index = {atom: number for number, atom in enumerate(names)}
    return Component(
        name,
        tuple(ComponentAtom(atom, atom, _integer(atoms.get(atom, ("", ""))[1]), False) for atom in names),
        tuple((index[one], index[other], ORDERS[order]) for one, other, order in heavy),
    )


def molecule_of(
    component: Component, names: Sequence[str], elements: Sequence[int], xyz: NDArray[np.float64]
) -> tuple[Chem.RWMol, dict[str, set[int]]]:
    """Give the atoms of a crystal the bonds of their component.

    Parameters
    ----------
    names, elements : sequence of str, of int
        Of the heavy atoms in the crystal; elements as atomic numbers.
    xyz : array, shape (atoms, 3)
        Angstrom.

    Returns
    -------
    mol : rdkit.Chem.RWMol
        Atoms in the order given, not sanitised, with a conformer.
    absent : dict of str to set of int
        Atoms of the component that the crystal has not, and for each the atoms of the crystal that it, with
        other absent ones, is bonded to; empty for atoms that leave where the molecule is bonded.

    Raises
    ------
    InputError
        When the crystal has atoms that the component has not.
    """
    for by in ("name", "other"):
        index = {getattr(atom, by): number for number, atom in enumerate(component.atoms)}
        strangers = [name for name in names if name not in index]
        if not strangers:
            break
    else:
        raise InputError(
            f"its atoms are not those of the component {component.name}: {', '.join(strangers[:5])}"
        )
    mol = bare_molecule(elements, xyz)
    row_of = {index[name]: row for row, name in enumerate(names)}
    for number, row in row_of.items():
        atom = mol.GetAtomWithIdx(row)
        atom.SetFormalCharge(component.atoms[number].charge)
    for first, second, order in component.bonds:
        if first in row_of and second in row_of:
            mol.AddBond(row_of[first], row_of[second], Chem.BondType.values[order])
            if order == Chem.BondType.AROMATIC:
                for end in (first, second):
                    mol.GetAtomWithIdx(row_of[end]).SetIsAromatic(True)
    return mol, _absent(component, row_of)


def _absent(component: Component, row_of: Mapping[int, int]) -> dict[str, set[int]]:
    partners: dict[int, set[int]] = {number: set() for number in range(len(component.atoms))}
    for first, second, _ in component.bonds:
        partners[first].add(second)
        partners[second].add(first)
    found: dict[str, set[int]] = {}
    for number, atom in enumerate(component.atoms):
        if number in row_of:
            continue
        seen, pending, ends = {number}, [number], set[int]()
        while pending:
            for partner in partners[pending.pop()] - seen:
                if partner in row_of:
                    ends.add(row_of[partner])
                else:
                    seen.add(partner)
                    pending.append(partner)
        found[atom.name] = set() if atom.leaving else ends
    return found


def bare_molecule(elements: Sequence[int], xyz: NDArray[np.float64]) -> Chem.RWMol:
    """Make a molecule of atoms at xyz, shape (atoms, 3), without bonds."""
    mol = Chem.RWMol()
    for element in elements:
        mol.AddAtom(Chem.Atom(int(element)))
    conformer = Chem.Conformer(len(elements))
    conformer.Set3D(True)
    conformer.SetPositions(np.ascontiguousarray(xyz, np.float64))
    mol.AddConformer(conformer)
    return mol


class Dictionary:
    """The component dictionary that `write_dictionary` wrote, mapped; a component is read when asked for.

    Parameters
    ----------
    folder : Path
        Where it is.
    """

    def __init__(self, folder: Path) -> None:
        index: NDArray[Any] = np.load(folder / INDEX)
        self._rows = {name.decode(): row for row, name in enumerate(index["name"].tolist()) if name}
        self._ends = index
        self._atoms = np.load(folder / ATOMS, mmap_mode="r")
        self._bonds = np.load(folder / BONDS, mmap_mode="r")

    def __len__(self) -> int:
        """Components."""
        return len(self._rows)

    def get(self, name: str) -> Component | None:
        """Return the component of a name, or None."""
        row = self._rows.get(name)
        if row is None:
            return None
        start, end = self._ends[row], self._ends[row + 1]
        atoms = self._atoms[start["atoms"] : end["atoms"]].tolist()
        bonds = self._bonds[start["bonds"] : end["bonds"]].tolist()
        return Component(
            name,
            tuple(
                ComponentAtom(own.decode(), other.decode(), charge, leaving)
                for own, other, charge, leaving in atoms
            ),
            tuple(bonds),
        )


def write_dictionary(folder: Path) -> None:
    """Write the heavy atoms and bonds of biotite's copy of the component dictionary to a folder.

    Raises
    ------
    InputError
        When biotite is not installed.
    StorageError
        When the disk refuses.
    """
    try:
        from biotite.structure.info import get_ccd
    except ImportError:
        raise InputError(
            "bond orders by residue name need the component dictionary: pip install "
            "'templ-pose[structures]'; or give them with --ligands-csv"
        ) from None
    dictionary = get_ccd()
    get_ccd.cache_clear()  # whoever asks next gets one that is whole

    def column(table: str, name: str, kind: str) -> NDArray[Any]:
        values: NDArray[Any] = dictionary[table][name].as_array()
        del dictionary[table][name]  # it would keep what was decoded, 300 MB of all
        return values.astype(kind)

    owners, symbols = column("chem_comp_atom", "comp_id", "S5"), column("chem_comp_atom", "type_symbol", "S2")
    heavy = ~np.isin(np.char.upper(symbols), [symbol.encode() for symbol in _HYDROGENS])
    atoms = np.empty(int(heavy.sum()), _ATOM)
    atoms["name"] = column("chem_comp_atom", "atom_id", "S4")[heavy]
    atoms["other"] = column("chem_comp_atom", "alt_atom_id", "S4")[heavy]
    atoms["charge"] = column("chem_comp_atom", "charge", "i1")[heavy]
    atoms["leaving"] = column("chem_comp_atom", "pdbx_leaving_atom_flag", "S1")[heavy] == b"Y"
    owners = owners[heavy]
    starts = np.flatnonzero(np.concatenate([[True], owners[1:] != owners[:-1]]))
    names = owners[starts]
    if len(set(names.tolist())) != len(names):
        raise InputError("the component dictionary of biotite has another form: pip install biotite==1.6.0")

    bond_owners = column("chem_comp_bond", "comp_id", "S5")
    orders = np.char.lower(column("chem_comp_bond", "value_order", "S4"))
    numbers = np.zeros(len(orders), np.uint8)
    for word, number in ORDERS.items():
        numbers[orders == word.encode()] = number
    ends = [
        _positions(owners, atoms["name"], bond_owners, column("chem_comp_bond", f"atom_id_{end}", "S4"))
        for end in (1, 2)
    ]
    known = (numbers > 0) & (ends[0] >= 0) & (ends[1] >= 0)
    order_of = {name: row for row, name in enumerate(names.tolist())}
    component = np.array([order_of.get(name, -1) for name in bond_owners[known].tolist()], np.int64)
    sequence = np.argsort(component, kind="stable")
    bonds = np.empty(len(sequence), _BOND)
    first_atom = starts[component[sequence]]
    bonds["first"] = ends[0][known][sequence] - first_atom
    bonds["second"] = ends[1][known][sequence] - first_atom
    bonds["order"] = numbers[known][sequence]

    index = np.zeros(len(names) + 1, _INDEX)
    index["name"][:-1] = names
    index["atoms"] = [*starts.tolist(), len(atoms)]
    index["bonds"] = np.searchsorted(component[sequence], np.arange(len(names) + 1))
    make_folder(folder)
    for name, array in ((ATOMS, atoms), (BONDS, bonds), (INDEX, index)):
        with storage_errors(folder / name):
            np.save(folder / name, array, allow_pickle=False)


def _positions(
    owners: NDArray[np.bytes_],
    names: NDArray[np.bytes_],
    wanted_owners: NDArray[np.bytes_],
    wanted: NDArray[np.bytes_],
) -> NDArray[np.int64]:
    """Where the atoms with these owners and names are; -1 for those that are nowhere (hydrogens)."""
    keys, searched = np.char.add(_padded(owners, 5), names), np.char.add(_padded(wanted_owners, 5), wanted)
    order = np.argsort(keys, kind="stable")
    at = np.searchsorted(keys, searched, sorter=order).clip(max=len(keys) - 1)
    return np.where(keys[order[at]] == searched, order[at], -1)


def _padded(texts: NDArray[np.bytes_], width: int) -> NDArray[np.bytes_]:
    padded: NDArray[np.bytes_] = np.char.ljust(texts, width)
    return padded


def _integer(text: str) -> int:
    try:
        return int(float(text))
    except ValueError:
        return 0
