"""The bond between a ligand and its protein."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from templ.chemistry.covalent import covalent_bond
from templ.chemistry.receptor import Atoms, Receptor, Residues
from templ.chemistry.structure_header import AtomName


@pytest.fixture
def receptor():
    """A cysteine, and a zinc that is in no chain."""
    atoms = Atoms(
        np.array([[0, 0, 0], [1.5, 0, 0], [0, 0, 9]], np.float32),
        np.array([6, 16, 30], np.uint8),
        np.array([0, 0, -1], np.int32),
        np.array(["CB", "SG", "ZN"]),
        np.array(["CYS", "CYS", "ZN"]),
        np.zeros(3, np.float32),
    )
    residues = Residues(
        ("A",), np.array([1], np.int32), "C", np.array([145], np.int32), " ", np.zeros((1, 3))
    )
    return Receptor(residues, atoms, np.array([0], np.int32))


def test_a_bond_is_described(receptor):
    bond = covalent_bond(np.array([[5.0, 0, 0], [3.31, 0, 0]]), [6, 6], receptor)
    assert (bond.residue, bond.chain, bond.number, bond.atom, bond.ligand_atom) == ("CYS", "A", 145, "SG", 1)
    assert bond.length == pytest.approx(1.81, abs=0.001)
    assert str(bond) == "SG of CYS A145, 1.81 A"


@pytest.mark.parametrize("place", [[3.7, 0, 0], [0, 0, 7.0]])
def test_contacts_and_metals_are_no_bonds(receptor, place):
    assert covalent_bond(np.array([place]), [6], receptor) is None


def test_a_long_bond_needs_to_be_named(receptor):
    xyz, name = np.array([[3.8, 0, 0]]), AtomName("A", 145, " ", "SG")
    assert covalent_bond(xyz, [6], receptor) is None
    assert covalent_bond(xyz, [6], receptor, {name}).atom == "SG"


def test_a_bond_to_a_side_chain_goes_before_one_to_the_rest_of_a_peptide(receptor):
    """As in 2cnk: the inhibitor's first residues are a chain, its warhead a ligand that hangs on them."""
    atoms = receptor.atoms
    peptide = replace(
        receptor,
        atoms=replace(
            atoms,
            xyz=np.concatenate([atoms.xyz, np.array([[9.4, 0, 0]], np.float32)]),
            elements=np.append(atoms.elements, np.uint8(6)),
            residues=np.append(atoms.residues, np.int32(0)),
            names=np.append(atoms.names, "C"),
            residue_names=np.append(atoms.residue_names, "VAL"),
            b_factors=np.append(atoms.b_factors, np.float32(0)),
        ),
    )
    bond = covalent_bond(np.array([[3.31, 0, 0], [8.1, 0, 0]]), [6, 7], peptide)
    assert (bond.atom, bond.ligand_atom) == ("SG", 0)
    assert covalent_bond(np.array([[8.1, 0, 0]]), [7], peptide).atom == "C"
