"""Bond orders by atom name, on ligands of the PDB."""

from __future__ import annotations

import numpy as np
import pytest
from rdkit import Chem

from templ.chemistry.components import Dictionary, component_of_bonds, molecule_of
from templ.errors import InputError

KNOWN = {
    "STU": "CN[C@@H]1C[C@H]2O[C@@](C)([C@@H]1OC)n1c3ccccc3c3c4c(c5c6ccccc6n2c5c31)C(=O)NC4",
    "ATP": "Nc1ncnc2c1ncn2[C@@H]1O[C@H](CO[P@](=O)(O)O[P@](=O)(O)OP(=O)(O)O)[C@@H](O)[C@H]1O",
    "NAD": "NC(=O)c1ccc[n+]([C@@H]2O[C@H](CO[P](=O)([O-])OP(=O)(O)OC[C@H]3O[C@@H](n4cnc5c(N)ncnc54)[C@H](O)"
    "[C@@H]3O)[C@@H](O)[C@H]2O)c1",
}


@pytest.fixture(scope="module")
def dictionary(components):
    return Dictionary(components)


def flat(mol):
    mol = Chem.Mol(mol)
    Chem.SanitizeMol(mol)
    return Chem.MolToSmiles(mol, isomericSmiles=False)


def molecule(component, names=None):
    names = [atom.name for atom in component.atoms] if names is None else names
    elements = [8 if name.startswith("O") else 15 if name.startswith("P") else 6 for name in names]
    elements = [7 if name.startswith("N") else element for name, element in zip(names, elements, strict=True)]
    return molecule_of(component, names, elements, np.zeros((len(names), 3)))


def test_it_has_the_dictionary(dictionary):
    assert len(dictionary) > 40_000
    assert dictionary.get("no such") is None


@pytest.mark.parametrize("name", KNOWN)
def test_orders_and_charges_are_the_dictionarys(dictionary, name):
    mol, absent = molecule(dictionary.get(name))
    assert not absent
    assert flat(mol) == flat(Chem.MolFromSmiles(KNOWN[name]))


def test_names_of_before_2007_are_known(dictionary):
    component = dictionary.get("ATP")
    names = [atom.other for atom in component.atoms]
    assert names != [atom.name for atom in component.atoms]
    assert flat(molecule(component, names)[0]) == flat(Chem.MolFromSmiles(KNOWN["ATP"]))


def test_atoms_of_another_molecule_are_refused(dictionary):
    with pytest.raises(InputError, match="not those of the component LIG: C99, C98"):
        molecule(dictionary.get("LIG"), ["C99", "C98"])


def test_what_the_crystal_has_not_is_told_with_what_it_hung_on(dictionary):
    component = dictionary.get("ATP")
    names = [atom.name for atom in component.atoms if atom.name not in ("PG", "O1G", "O2G", "O3G")]
    _, absent = molecule(component, names)
    assert absent.keys() == {"PG", "O1G", "O2G", "O3G"}
    assert {names[row] for ends in absent.values() for row in ends} <= {"O3B"}


def test_a_file_says_its_own_bonds():
    bonds = [("C1", "O1", "DOUB"), ("C1", "N1", "sing"), ("C1", "H1", "SING")]
    component = component_of_bonds("X", bonds, {})
    assert [atom.name for atom in component.atoms] == ["C1", "O1", "N1"]
    assert component.bonds == ((0, 1, 2), (0, 2, 1))


def test_charges_and_lone_atoms_come_from_the_list_of_atoms():
    atoms = {"N1": ("N", "1"), "C1": ("C", "?"), "CL1": ("CL", "0"), "H1": ("H", "0")}
    component = component_of_bonds("X", [("N1", "C1", "SING")], atoms)
    assert [(atom.name, atom.charge) for atom in component.atoms] == [("N1", 1), ("C1", 0), ("CL1", 0)]


def test_delocalised_orders_are_none():
    assert component_of_bonds("X", [("C1", "O1", "deloc")], {}) is None


def test_aromatic_orders_make_aromatic_atoms():
    names = [f"C{number}" for number in range(6)]
    ring = [(names[number], names[(number + 1) % 6], "arom") for number in range(6)]
    assert flat(molecule(component_of_bonds("X", ring, {}))[0]) == "c1ccccc1"
