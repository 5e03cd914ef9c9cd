"""Poses by another program: taken atom by atom, minimised and judged with all others."""

from __future__ import annotations

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from templ.chemistry.conformers import PreparedQuery
from templ.chemistry.molecules import heavy, parse_smiles, positions
from templ.chemistry.warheads import bonded_forms
from templ.evaluation.rmsd import symmetric_rmsd
from templ.jobs.target import target_of
from templ.pipeline import predict
from templ.poses.hydrogens import add_hydrogens
from templ.sampling.pose_sources import extra_poses
from templ.settings import PredictionSettings
from templ.templates.rule import TemplateRule

FAST = PredictionSettings(conformers=5, minimised=10, rounds=0, starts=0)


def shuffled(mol, seed=0):
    """The same pose with its atoms in another order."""
    order = np.random.default_rng(seed).permutation(mol.GetNumAtoms()).tolist()
    return Chem.RenumberAtoms(mol, order)


@pytest.mark.parametrize("seed", range(5))
def test_atoms_are_found_whatever_their_order_and_hydrogens(kinase_library, seed):
    crystal = kinase_library.ligand(seed)
    query = PreparedQuery(parse_smiles(kinase_library.entry(seed).smiles), 1, 1)
    pose = shuffled(add_hydrogens(crystal, positions(crystal)), seed)
    xyz, left_out = extra_poses(query, [pose])
    assert left_out == 0
    [found] = xyz
    for atom, place in zip(query.mol.GetAtoms(), found, strict=True):
        nearest = np.linalg.norm(positions(crystal) - place, axis=1)
        assert nearest.min() < 1e-3
        assert crystal.GetAtomWithIdx(int(nearest.argmin())).GetSymbol() == atom.GetSymbol()
    bonds = np.array([(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in query.mol.GetBonds()])
    assert np.linalg.norm(found[bonds[:, 0]] - found[bonds[:, 1]], axis=1).max() < 2.2


def test_another_protonation_is_the_same_molecule_and_another_molecule_is_not(kinase_library):
    query = PreparedQuery(parse_smiles("NCCCC(=O)O"), 1, 1)
    ion = PreparedQuery(parse_smiles("[NH3+]CCCC(=O)[O-]"), 1, 1)
    pose = Chem.Mol(ion.mol)
    pose.AddConformer(Chem.Conformer(pose.GetNumAtoms()))
    xyz, left_out = extra_poses(query, [pose, kinase_library.ligand(0)])
    assert (xyz.shape, left_out) == ((1, 7, 3), 1)


def test_a_pose_that_is_right_is_found_where_templates_say_little(kinase_library):
    """Its method names its source, and what is of another molecule is said."""
    methods, near = set(), []
    for row in range(len(kinase_library)):
        crystal, receptor = kinase_library.ligand(row), kinase_library.receptor(row)
        target, rule = target_of(kinase_library.entry(row)), TemplateRule(exclude_same_ligand=True)
        stranger = kinase_library.ligand((row + 1) % len(kinase_library))
        given = {"rule": rule, "receptor": receptor, "own_receptor": True}
        outcome = predict(target, kinase_library, FAST, extra_poses=[shuffled(crystal), stranger], **given)
        near.append(min(symmetric_rmsd(heavy(pose.mol), crystal) for pose in outcome.poses))
        methods |= {pose.method for pose in outcome.poses}
        assert "1 of 2 extra poses left out: of another molecule than the query" in outcome.notes
    assert "extra" in methods
    assert np.median(near) < 1.5


def test_a_free_molecules_pose_is_one_of_what_it_becomes():
    """A docking program places the chloroacetamide; posed is the acetamide that it leaves."""
    free = Chem.AddHs(parse_smiles("ClCC(=O)Nc1ccccc1"))
    AllChem.EmbedMolecule(free, randomSeed=1)
    [adduct] = bonded_forms(heavy(free))
    xyz, left_out = extra_poses(PreparedQuery(adduct, 1, 1), [free])
    assert (len(xyz), left_out) == (1, 0)
    np.testing.assert_allclose(xyz[0], positions(adduct), atol=1e-6)
    acetamide = PreparedQuery(parse_smiles("CC(=O)Nc1ccccc1"), 1, 1)
    assert extra_poses(acetamide, [free])[1] == 1, "of a query that nothing bonded it is another molecule"
