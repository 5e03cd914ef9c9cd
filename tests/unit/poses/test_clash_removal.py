from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rdkit import Chem

from templ.chemistry.conformers import PreparedQuery
from templ.chemistry.geometry import rmsd
from templ.chemistry.molecules import parse_smiles, positions
from templ.chemistry.receptor_file import read_receptor
from templ.poses.clash_removal import clashes, remove_clashes
from templ.scoring.terms.intramolecular_clash import squared_overlap
from templ.sources.demo import demo_files

LIMIT = 0.75
"""Of PoseBusters."""


@pytest.fixture(scope="module")
def receptor():
    return read_receptor(demo_files().receptor).atoms


@pytest.fixture(scope="module")
def ligand(demo_library):
    """A crystal's ligand, which runs into the side chains of another crystal's receptor."""
    mol = demo_library["Mpro-x10201"]
    return PreparedQuery(mol, 1, 1), positions(mol)


def nearest(query, xyz, receptor):
    """Least distance to the receptor as a share of the sum of the van der Waals radii."""
    table = Chem.GetPeriodicTable()
    mine = [table.GetRvdw(atom.GetAtomicNum()) for atom in query.mol.GetAtoms()]
    its = [table.GetRvdw(int(element)) for element in receptor.elements]
    return (np.linalg.norm(xyz[:, None] - receptor.xyz, axis=-1) / np.add.outer(mine, its)).min()


def test_poses_come_out_of_the_receptor_and_stay_near(ligand, receptor):
    query, crystal = ligand
    poses = crystal + np.array([[[0.0, 0, 0]], [[0.6, 0, 0]], [[0, -0.6, 0.4]]])
    before = [nearest(query, pose, receptor) for pose in poses]
    clear, _ = remove_clashes(query, poses, receptor)
    assert min(before) < LIMIT
    assert min(nearest(query, pose, receptor) for pose in clear) >= LIMIT
    assert rmsd(clear, poses).max() < 0.6


def test_poses_move_no_farther_than_they_must(ligand, receptor):
    """Nothing nearer is found by trying: shifts by half as much, every torsion left alone."""
    query, crystal = ligand
    path = rmsd(remove_clashes(query, crystal[None], receptor)[0][0], crystal)
    generator = np.random.default_rng(1)
    shifts = generator.normal(size=(300, 3))
    shifts *= path / 2 / np.linalg.norm(shifts, axis=1, keepdims=True)
    assert max(nearest(query, crystal + shift, receptor) for shift in shifts) < LIMIT


def test_atoms_of_a_pose_are_not_pushed_into_each_other(receptor):
    query = PreparedQuery(parse_smiles("COCC(=O)NCCc1ccccc1CCCC(=O)OCC"), 12, 1)
    poses = query.conformers + (receptor.xyz.mean(axis=0) - query.conformers.mean(axis=(0, 1)))
    clear, _ = remove_clashes(query, poses, receptor)
    assert rmsd(clear, poses).max() > 1
    assert (
        squared_overlap(query, clear) < squared_overlap(query, poses) + 2
    ).all()  # else up to 14: there is no room inside


def test_a_pose_that_touches_nothing_stays_and_nothing_given_is_changed(ligand, receptor):
    query, crystal = ligand
    poses = np.stack([crystal, crystal + 30])
    kept = poses.copy()
    clear, _ = remove_clashes(query, poses, receptor)
    assert clear[1] == pytest.approx(poses[1], abs=1e-9)
    assert np.abs(clear[0] - poses[0]).max() > 0.01
    assert np.array_equal(poses, kept)


def test_each_pose_is_moved_by_itself(ligand, receptor):
    query, crystal = ligand
    poses = crystal + np.array([[[0.0, 0, 0]], [[0.6, 0, 0]]])
    together, _ = remove_clashes(query, poses, receptor)
    for row in range(2):
        assert remove_clashes(query, poses[[row]], receptor)[0][0] == pytest.approx(together[row], abs=1e-6)


def test_lengths_stay_and_amides_stay_flat(receptor):
    query = PreparedQuery(parse_smiles("CC(=O)Nc1ccccc1CC(=O)OC"), 1, 1)
    poses = query.conformers + (receptor.xyz.mean(axis=0) - query.conformers.mean(axis=(0, 1)))
    clear, _ = remove_clashes(query, poses, receptor)
    assert np.abs(clear - poses).max() > 0.1
    flat = [query.mol.GetSubstructMatch(Chem.MolFromSmarts(s)) for s in ("CC(=O)Nc", "CC(=O)OC")]
    for atoms in flat:
        shapes = [np.linalg.norm(p[0, atoms][:, None] - p[0, atoms], axis=-1) for p in (poses, clear)]
        assert shapes[1] == pytest.approx(shapes[0], abs=1e-3)


def test_without_anything_near_nothing_happens(ligand, receptor):
    query, crystal = ligand
    far = receptor.only(np.zeros(len(receptor), np.bool_))
    assert remove_clashes(query, crystal[None], far)[0][0] == pytest.approx(crystal, abs=1e-9)


@pytest.fixture
def caged(receptor):
    """Methane's carbon with some room between carbons of the receptor, a cube of so many Angstrom."""

    def caged(edge):
        corners = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)]) * edge
        carbons = receptor.only(np.flatnonzero(receptor.elements == 6)[:8])
        return replace(carbons, xyz=corners.astype(np.float32))

    return caged


def test_what_nothing_near_could_clear_is_said_to_clash(caged):
    """Two carbons may be 2.55 Angstrom apart; the middle of a cube is 0.87 of its edge from the corners."""
    query = PreparedQuery(parse_smiles("C"), 1, 1)
    pose = np.array([[[0.1, 0.2, 0.0]]])
    free, tight = caged(3.2), caged(2.7)
    moved, clear = remove_clashes(query, pose, free)
    assert clear.tolist() == [True]
    assert nearest(query, moved[0], free) >= LIMIT
    assert not clashes(query.mol, moved[0], free).any()
    moved, clear = remove_clashes(query, pose, tight)
    assert clear.tolist() == [False]
    assert clashes(query.mol, moved[0], tight).all()


@pytest.mark.parametrize("id", ["Mpro-x10678", "Mpro-x3298", "Mpro-7jyc"])
def test_a_pose_in_a_narrow_place_is_pushed_harder(id, demo_library, receptor):
    """Ligands that a soft push leaves a little too near to a receptor that is another crystal's."""
    mol = demo_library[id]
    query = PreparedQuery(mol, 1, 1)
    moved, clear = remove_clashes(query, positions(mol)[None], receptor)
    assert clear.tolist() == [True]
    assert nearest(query, moved[0], receptor) >= LIMIT
