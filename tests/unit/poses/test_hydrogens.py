from __future__ import annotations

import numpy as np
import pytest
from rdkit import Chem

from templ.chemistry.conformers import PreparedQuery
from templ.chemistry.geometry import rotate_about_bond
from templ.chemistry.molecules import parse_smiles, positions, to_smiles, with_coordinates
from templ.poses.hydrogens import add_hydrogens


def nearest_hydrogens(mol):
    """Least distance, Angstrom, between hydrogens of different atoms more than three bonds apart."""
    hydrogens = [atom.GetIdx() for atom in mol.GetAtoms() if atom.GetAtomicNum() == 1]
    far = Chem.GetDistanceMatrix(mol)[np.ix_(hydrogens, hydrogens)] > 3
    xyz = positions(mol)[hydrogens]
    return np.linalg.norm(xyz[:, None] - xyz, axis=-1)[far].min()


def crowded():
    """Two ortho groups turned to each other, as copied torsions may leave them."""
    query = PreparedQuery(parse_smiles("CC(C)c1ccccc1C(C)C"), 1, 1)
    best = None
    for angle in np.arange(0, 360, 20):
        poses = query.conformers.copy()
        for rotor in query.rotors:
            rotate_about_bond(poses, rotor.b, rotor.c, rotor.moving, np.radians([angle]))
        standard = Chem.AddHs(with_coordinates(query.mol, poses[0]), addCoords=True)
        best = min(best or (9.0, poses[0]), (nearest_hydrogens(standard), poses[0]), key=lambda pair: pair[0])
    return query.mol, *best


def test_hydrogens_are_moved_apart_and_heavy_atoms_stay():
    mol, before, xyz = crowded()
    full = add_hydrogens(mol, xyz)
    assert nearest_hydrogens(full) > before + 0.2
    assert np.array_equal(positions(full)[: mol.GetNumAtoms()], xyz)


@pytest.mark.parametrize("smiles", ["OB(O)c1ccccc1", "C[Si](C)(C)C", "[Na+].[O-]C=O", "O", "[Fe]", "C[Se]C"])
def test_every_molecule_gets_its_hydrogens(smiles):
    """Also those that one force field does not know, or none."""
    mol = parse_smiles(smiles)
    xyz = np.random.default_rng(1).normal(size=(mol.GetNumAtoms(), 3)) * 3
    full = add_hydrogens(mol, xyz)
    assert all(atom.GetNumImplicitHs() == 0 for atom in full.GetAtoms())
    assert np.array_equal(positions(full)[: mol.GetNumAtoms()], xyz)
    assert np.isfinite(positions(full)).all()


def test_hydrogens_are_complete_and_leave_the_heavy_atoms():
    query = PreparedQuery(parse_smiles("CC(=O)Nc1ccccc1"), 1, 1)
    mol = add_hydrogens(query.mol, query.conformers[0])
    assert mol.GetNumAtoms() == 19
    assert np.allclose(positions(mol)[: query.mol.GetNumAtoms()], query.conformers[0])


@pytest.mark.parametrize("smiles", ["NC(=N)c1ccc(CB(O)O)cc1", "C[C@H](C=N)NC(C)=O"])
def test_a_bond_to_the_protein_adds_no_stereochemistry_of_hydrogens(smiles):
    """An amidine's double bond stays as it was given, and its hydrogen is none of the molecule's atoms."""
    query = PreparedQuery(parse_smiles(smiles), 1, 1)
    [boron_or_imine] = query.mol.GetSubstructMatch(Chem.MolFromSmarts("[$(B),$([CH]=N)]"))
    xyz = query.conformers[0]
    mol = add_hydrogens(query.mol, xyz, (boron_or_imine, xyz[boron_or_imine] + [0, 0, 1.5]))
    assert to_smiles(mol) == to_smiles(query.mol)
    assert "[H]" not in to_smiles(mol)
