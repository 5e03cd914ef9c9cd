"""A crystal's ligand, spoilt in one way at a time, and what PoseBusters says as its authors run it."""

from __future__ import annotations

import gzip
import logging
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import rdkit
from rdkit import Chem
from rdkit.Chem import rdMolTransforms

from templ.chemistry.molecules import parse_smiles, positions
from templ.chemistry.receptor import Atoms
from templ.chemistry.receptor_file import read_receptor
from templ.errors import InputError
from templ.evaluation import validity
from templ.evaluation.validity import (
    FEW_CONFORMERS,
    _energy_ratio,
    failed_checks,
    require_posebusters,
)
from templ.pipeline import predict
from templ.settings import PredictionSettings

posebusters = pytest.importorskip("posebusters", reason="the extra 'validity' is not installed")

SOUND, CHIRAL = "Mpro-x11426", "Mpro-x10395"
NO_VALIDITY = {"rmsd_≤_2å", "mol_pred_loaded", "mol_true_loaded", "mol_cond_loaded"}


@pytest.fixture(scope="module")
def receptor(demo_library):
    return read_receptor(demo_library.receptor_path())


@pytest.fixture(scope="module")
def crystal(demo_library):
    """In the pocket of the receptor, with hydrogens."""
    return Chem.AddHs(demo_library[SOUND], addCoords=True)


def at(mol, xyz):
    copy = Chem.Mol(mol)
    copy.GetConformer().SetPositions(np.asarray(xyz, np.float64))
    return copy


def toward_protein(mol, receptor, distance):
    """The molecule moved so that its nearest contact with the receptor is shorter by `distance`."""
    xyz = positions(mol)
    gaps = receptor.atoms.xyz[:, None, :] - xyz[None, : mol.GetNumHeavyAtoms()]
    lengths = np.linalg.norm(gaps, axis=-1)
    atom, own = np.unravel_index(lengths.argmin(), lengths.shape)
    return at(mol, xyz + distance * gaps[atom, own] / lengths[atom, own])


def test_a_crystal_is_sound(crystal, receptor):
    before = crystal.ToBinary()
    assert failed_checks(crystal, truth=crystal, receptor=receptor) == []
    assert crystal.ToBinary() == before


def test_a_clash_with_the_protein(crystal, receptor):
    pose = toward_protein(crystal, receptor, 1.5)
    assert "minimum_distance_to_protein" in failed_checks(pose, truth=crystal, receptor=receptor)
    assert failed_checks(pose) == []


def test_a_ligand_that_floats_far_from_any_atom(crystal, receptor):
    pose = at(crystal, positions(crystal) + 60)
    assert failed_checks(pose, receptor=receptor) == ["protein-ligand_maximum_distance"]


def test_what_is_in_no_chain_is_a_cofactor(crystal, receptor):
    """A zinc on top of the ligand; the protein is where it was."""
    atoms = receptor.atoms
    zinc = Atoms(
        positions(crystal)[:1].astype(np.float32) + 0.5,
        np.array([30], np.uint8),
        np.array([-1], np.int32),
        np.array(["ZN"]),
        np.array(["ZN"]),
        np.array([20], np.float32),
    )
    both = (np.concatenate([getattr(part, name) for part in (atoms, zinc)]) for name in Atoms.__slots__)
    failed = failed_checks(crystal, receptor=replace(receptor, atoms=Atoms(*both)))
    assert failed == ["minimum_distance_to_inorganic_cofactors"]


def test_the_other_hand_is_another_molecule(demo_library):
    truth = demo_library[CHIRAL]
    mirrored = at(truth, positions(truth) * [-1, 1, 1])
    assert failed_checks(mirrored, truth=truth) == ["tetrahedral_chirality"]
    assert failed_checks(mirrored) == []


def test_a_long_bond(crystal):
    pose = Chem.Mol(crystal)
    chlorine = next(atom for atom in pose.GetAtoms() if atom.GetSymbol() == "Cl")
    (carbon,) = chlorine.GetNeighbors()
    rdMolTransforms.SetBondLength(pose.GetConformer(), carbon.GetIdx(), chlorine.GetIdx(), 2.4)
    assert failed_checks(pose) == ["bond_lengths"]


def crowded(mol, gap):
    """The molecule with its first hydrogen `gap` Angstrom from the last, which is on another atom."""
    xyz = positions(mol)
    first, *_, last = (atom.GetIdx() for atom in mol.GetAtoms() if atom.GetAtomicNum() == 1)
    xyz[first] = xyz[last] + gap * (xyz[first] - xyz[last]) / np.linalg.norm(xyz[first] - xyz[last])
    return at(mol, xyz)


def test_hydrogens_on_top_of_each_other(crystal):
    assert failed_checks(crowded(crystal, 0.5)) == ["internal_energy"]


def test_an_energy_that_cannot_be_computed_is_not_passed():
    """UFF has no such sulfur."""
    sulfurane = Chem.AddHs(parse_smiles("CS(O)(O)C |(1.8,0,0;0,0,0;0,1.7,0.3;0,-1.7,0.3;-0.6,0,1.7)|"))
    assert failed_checks(sulfurane)[-1] == "internal_energy"


@pytest.mark.parametrize(("shift", "decides"), [(1.0, FEW_CONFORMERS), (5.0, 50), (10.0, FEW_CONFORMERS)])
def test_few_conformers_decide_only_far_from_the_limit(crystal, shift, decides):
    """The last hydrogen pulled out by so many Angstrom: ratios of about 8, 160 and 600."""
    xyz = positions(crystal)
    last = crystal.GetAtomWithIdx(crystal.GetNumAtoms() - 1)
    bond = xyz[last.GetIdx()] - xyz[last.GetNeighbors()[0].GetIdx()]
    xyz[last.GetIdx()] += shift * bond / np.linalg.norm(bond)
    pose = at(crystal, xyz)
    official = posebusters.check_energy_ratio(pose, 100.0, decides)["results"]
    assert _energy_ratio(pose, 100.0, 50) == official["energy_ratio"]


@pytest.mark.parametrize(
    ("nearer", "clash"), [(0.0, False), (0.6, True), (1.5, True), (-2.0, True), (-60.0, False)]
)
def test_a_receptor_cut_around_the_pose_changes_no_verdict(
    demo_library, crystal, receptor, nearer, clash, tmp_path
):
    """Against PoseBusters as its authors run it, on the whole file: sound, clashing, and far away."""
    pose = toward_protein(crystal, receptor, nearer)
    whole = tmp_path / "receptor.pdb"
    whole.write_bytes(gzip.decompress(demo_library.receptor_path().read_bytes()))
    table = posebusters.PoseBusters("redock").bust(pose, crystal, whole)
    official = {name for name, passed in table.iloc[0].items() if not passed} - NO_VALIDITY
    assert set(failed_checks(pose, truth=crystal, receptor=receptor)) == official
    assert ("minimum_distance_to_protein" in official) == clash


def test_nothing_is_printed_and_the_log_is_left_as_it_was(capfd, monkeypatch):
    logger = logging.getLogger("rdkit")
    monkeypatch.setattr(logger, "level", logging.ERROR)
    test_an_energy_that_cannot_be_computed_is_not_passed()
    assert capfd.readouterr() == ("", "")
    assert logger.level == logging.ERROR


def test_a_stream_that_rdkit_wrote_to_and_somebody_closed(crystal, tmp_path, monkeypatch):
    with (tmp_path / "log").open("w") as closed:
        pass
    monkeypatch.setattr(rdkit.log_handler, "stream", closed)
    assert failed_checks(crystal, truth=crystal) == []


def test_posebusters_is_loaded_only_where_it_is_used():
    """It brings pandas: 40 MB."""
    code = "import sys, templ.benchmark.runner, templ.jobs.target; sys.exit('posebusters' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_posebusters_the_mend_is_named(monkeypatch):
    require_posebusters()
    monkeypatch.setattr(validity, "PACKAGE", "no_such_package")
    with pytest.raises(InputError, match=r"pip install 'templ-pose\[validity\]'"):
        require_posebusters()


def test_a_bond_to_the_protein_is_no_clash(demo_library, receptor):
    aldehyde = "CC(C)C[C@H](NC(=O)OCc1ccccc1)C(=O)N[C@H](C=O)C[C@@H]1CCNC1=O"
    fast = PredictionSettings(conformers=8, minimised=20, rounds=0, top=1, starts=60, docked=15)
    [pose] = predict(aldehyde, demo_library, fast, receptor=receptor).poses
    assert pose.bond is not None
    assert "minimum_distance_to_protein" in failed_checks(pose.mol, receptor=receptor)
    assert failed_checks(pose.mol, receptor=receptor, bonded_to=pose.bond.residue) == []
