"""RMSD against an independent implementation, on crystal ligands, and where the two conventions part."""

from __future__ import annotations

import gzip
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem
from spyrmsd.rmsd import symmrmsd

from templ.chemistry.warheads import bonded_forms
from templ.errors import InputError
from templ.evaluation import rmsd
from templ.evaluation.bonded_form import in_form_of
from templ.evaluation.rmsd import symmetric_rmsd

POLARIS = Path(__file__).parents[3] / ".." / "shared" / "data" / "polaris"
needs_polaris = pytest.mark.skipif(not POLARIS.is_dir(), reason="the Polaris files of ../shared are absent")


def polaris(name, number=150):
    with gzip.open(POLARIS / name) as file:
        molecules = islice(Chem.ForwardSDMolSupplier(file, removeHs=False), number)
        return [mol for mol in molecules if mol is not None]


def embed(smiles, seed=1):
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    AllChem.EmbedMolecule(mol, randomSeed=seed)
    return mol


def spyrmsd(pose, truth):
    pose, truth = Chem.RemoveAllHs(pose), Chem.RemoveAllHs(truth)
    sides = [
        (mol.GetConformer().GetPositions(), np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()]))
        for mol in (truth, pose)
    ]
    (xyz, numbers), (other_xyz, other_numbers) = sides
    adjacency = [Chem.GetAdjacencyMatrix(mol) for mol in (truth, pose)]
    return symmrmsd(xyz, other_xyz, numbers, other_numbers, *adjacency, minimize=False)


def moved(mol, seed, scale=1.5):
    """The same molecule with its atoms in another order and each somewhere else."""
    random = np.random.default_rng(seed)
    copy = Chem.RenumberAtoms(mol, random.permutation(mol.GetNumAtoms()).tolist())
    conformer = copy.GetConformer()
    conformer.SetPositions(conformer.GetPositions() + random.normal(0, scale, (copy.GetNumAtoms(), 3)))
    return copy


def swap(mol, first, second):
    """The same molecule with two atoms in each other's place."""
    order = list(range(mol.GetNumAtoms()))
    order[first], order[second] = second, first
    pose = Chem.Mol(mol)
    pose.GetConformer().SetPositions(mol.GetConformer().GetPositions()[order])
    return pose


@needs_polaris
@pytest.mark.parametrize("name", ["train_sars.sdf.gz", "train_mers.sdf.gz", "test_dev.sdf.gz"])
def test_agrees_with_spyrmsd_on_real_ligands_moved_and_renumbered(name):
    for seed, truth in enumerate(polaris(name)):
        pose = moved(truth, seed)
        assert symmetric_rmsd(pose, truth) == pytest.approx(spyrmsd(pose, truth), abs=1e-4), Chem.MolToSmiles(
            truth
        )


@needs_polaris
def test_agrees_with_spyrmsd_between_crystal_poses_of_the_same_ligand():
    seen, pairs = {}, 0
    for truth in polaris("train_sars.sdf.gz", 770):
        pose = seen.setdefault(Chem.MolToSmiles(Chem.RemoveAllHs(truth)), truth)
        if pose is not truth:
            pairs += 1
            assert symmetric_rmsd(pose, truth) == pytest.approx(spyrmsd(pose, truth), abs=1e-4)
    assert pairs > 100


@needs_polaris
def test_a_phenyl_turned_over_is_the_same_pose():
    turned = 0
    phenyl = Chem.MolFromSmarts("*-!@c1[cH][cH][cH][cH][cH]1")
    for truth in map(Chem.RemoveAllHs, polaris("train_sars.sdf.gz", 770)):
        for _, _, ortho, meta, _, other_meta, other_ortho in truth.GetSubstructMatches(phenyl):
            pose = swap(swap(truth, ortho, other_ortho), meta, other_meta)
            shift = pose.GetConformer().GetPositions() - truth.GetConformer().GetPositions()
            assert symmetric_rmsd(pose, truth) == 0.0 < np.sqrt((shift**2).sum(axis=1).mean())
            turned += 1
    assert turned > 10


def test_nothing_is_aligned():
    truth = embed("CC(=O)Nc1ccccc1")
    pose = Chem.Mol(truth)
    pose.GetConformer().SetPositions(truth.GetConformer().GetPositions() + np.array([3.0, 4.0, 0.0]))
    assert symmetric_rmsd(pose, truth) == pytest.approx(5.0)


def test_neither_molecule_is_changed():
    truth, pose = embed("CC(=O)Nc1ccccc1C(=O)[O-]"), embed("CC(=O)Nc1ccccc1C(=O)O", seed=2)
    before = [mol.ToBinary() for mol in (pose, truth)]
    symmetric_rmsd(pose, truth)
    assert [mol.ToBinary() for mol in (pose, truth)] == before


def test_hydrogens_do_not_count():
    truth = embed("OCC1CC1")
    assert symmetric_rmsd(Chem.RemoveHs(truth), truth) == 0.0
    heavy_water = embed("[2H]OCC1CC1")
    assert symmetric_rmsd(heavy_water, heavy_water) == 0.0


@pytest.mark.parametrize(
    ("smiles", "pair"),
    [
        ("c1ccccc1C(=O)[O-]", (7, 8)),
        ("c1ccccc1[N+](=O)[O-]", (7, 8)),
        ("CC(=O)O", (2, 3)),
        ("CS(=O)(=O)[O-]", (2, 4)),
    ],
)
def test_terminal_atoms_that_resonance_makes_equal_may_swap(smiles, pair):
    truth = embed(smiles)
    assert symmetric_rmsd(swap(truth, *pair), truth) == 0.0


def test_an_alkene_and_a_methyl_may_not_swap_although_spyrmsd_lets_them():
    truth = Chem.RemoveHs(embed("C=C(C)c1ccccc1"))
    pose = swap(truth, 0, 2)
    assert spyrmsd(pose, truth) == pytest.approx(0.0, abs=1e-6)
    assert symmetric_rmsd(pose, truth) > 0.5


@pytest.mark.parametrize(
    ("pose", "truth"),
    [
        ("NCc1ccccc1", "[NH3+]Cc1ccccc1"),
        ("[NH3+]Cc1ccccc1", "NCc1ccccc1"),
        ("CC(=O)[O-]", "CC(=O)O"),
        ("Oc1ccccn1", "O=c1cccc[nH]1"),
        ("c1ccccc1", "C1CCCCC1"),
    ],
)
def test_protonation_and_tautomers_compare_by_skeleton(pose, truth):
    pose, truth = embed(pose), embed(truth, seed=2)
    assert symmetric_rmsd(pose, truth) == pytest.approx(spyrmsd(pose, truth), abs=1e-4)


@pytest.mark.parametrize(
    ("pose", "truth"),
    [("CCO", "CCN"), ("CCO", "CCCO"), ("CCCO", "CCO"), ("CC(C)C", "CCCC"), ("CCCCC", "C1CCCC1")],
)
def test_another_molecule_is_refused(pose, truth):
    with pytest.raises(InputError, match=r"pose and truth are not the same molecule \(.* against .*\)"):
        symmetric_rmsd(embed(pose), embed(truth))


def test_a_molecule_without_coordinates_is_refused():
    crystal, drawn = embed("CCO"), Chem.MolFromSmiles("CCO")
    with pytest.raises(InputError, match=r"the pose \(CCO\) has no 3D coordinates"):
        symmetric_rmsd(drawn, crystal)
    with pytest.raises(InputError, match=r"the truth \(CCO\) has no 3D coordinates"):
        symmetric_rmsd(crystal, drawn)


def test_coordinates_that_are_no_numbers_are_refused():
    pose, truth = embed("CCO"), embed("CCO")
    pose.GetConformer().SetPositions(np.full((pose.GetNumAtoms(), 3), np.nan))
    with pytest.raises(InputError, match="no 3D coordinates"):
        symmetric_rmsd(pose, truth)


def test_countless_symmetries_are_bounded_by_what_is_tried(monkeypatch):
    truth = Chem.MolFromSmiles("CC(C)(C)c1cc(C(C)(C)C)c(B)c(C(C)(C)C)c1")
    AllChem.EmbedMolecule(truth, randomSeed=1, useRandomCoords=True)
    pose = moved(truth, 1, scale=0.1)
    best = symmetric_rmsd(pose, truth)
    assert best == pytest.approx(spyrmsd(pose, truth), abs=1e-4)
    monkeypatch.setattr(rmsd, "MAX_MATCHES", 3)
    assert symmetric_rmsd(pose, truth) > best


@pytest.mark.parametrize(
    ("free", "bonded"),
    [
        ("ClCC(=O)Nc1ccccc1", "CC(=O)Nc1ccccc1"),
        ("O=S(=O)(F)c1ccccc1", "O=[SH](=O)c1ccccc1"),
        ("c1ccccc1OCC1CO1", "OCCCOc1ccccc1"),
        ("O=C1CCN1c1ccccc1", "O=CCCNc1ccccc1"),
        ("C=CC(=O)Nc1ccccc1", "CCC(=O)Nc1ccccc1"),
        ("CC(=O)C(=O)NCc1ccccc1", "CC(O)C(=O)NCc1ccccc1"),
    ],
)
def test_a_free_molecule_is_compared_with_what_it_becomes_by_the_atoms_that_both_have(free, bonded):
    crystal = embed(free)
    pose = next(
        form
        for form in bonded_forms(Chem.RemoveHs(crystal))
        if Chem.MolToSmiles(form) == Chem.CanonSmiles(bonded)
    )
    pose.GetConformer().SetPositions(pose.GetConformer().GetPositions() + [0, 0, 1.5])
    assert symmetric_rmsd(pose, crystal) == pytest.approx(1.5, abs=1e-6)
    assert symmetric_rmsd(crystal, pose) == pytest.approx(1.5, abs=1e-6)
    assert Chem.MolToSmiles(in_form_of(crystal, pose), isomericSmiles=False) == Chem.CanonSmiles(
        bonded, useChiral=0
    )


def test_another_molecule_is_still_another():
    with pytest.raises(InputError, match="not the same molecule"):
        symmetric_rmsd(embed("CC(=O)Nc1ccccc1"), embed("BrCCC(=O)Nc1ccccc1"))
