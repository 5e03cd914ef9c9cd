from __future__ import annotations

import numpy as np
import pytest
from rdkit import Chem

from templ.chemistry.conformers import PreparedQuery
from templ.chemistry.geometry import dihedral
from templ.chemistry.molecules import parse_smiles
from templ.poses.hydrogens import add_hydrogens
from templ.poses.stereo import keeps_stereo
from templ.sampling.moves import FLIPPED, TURNED, random_move

FLEXIBLE = "CN(C)c1ccc(N(Cc2ccsc2)C(=O)Cn2nnc3ccccc32)cc1"
CHIRAL = "C[C@@H]1CN(C(=O)[C@H](N)CO)C[C@H]1F"
RIGID = {
    "ring": "c1ccncc1",
    "amide": "CC(=O)NC",
    "line": "C#CC#N",
    "two atoms": "CO",
    "one atom": "O",
    "salt": "[Na+].[Cl-]",
}


def prepared(smiles):
    query = PreparedQuery(parse_smiles(smiles), 1, 1)
    return query, query.conformers[0] + [30, -20, 10]


def moved(query, pose, times=100):
    return np.stack([random_move(query, pose, np.random.default_rng(seed)) for seed in range(times)])


def inner_distances(query, poses, bonds=2):
    """Between atoms one or two bonds apart: lengths, and with them the angles."""
    first, second = np.nonzero(np.triu(Chem.GetDistanceMatrix(query.mol) <= bonds, 1))
    return np.linalg.norm(poses[..., first, :] - poses[..., second, :], axis=-1)


def torsions(query, poses):
    """Of each free rotor, shape (rotors, poses)."""
    found = []
    for rotor in query.free_rotors:
        ends = [
            next(n.GetIdx() for n in query.mol.GetAtomWithIdx(at).GetNeighbors() if n.GetIdx() != other)
            for at, other in ((rotor.b, rotor.c), (rotor.c, rotor.b))
        ]
        found.append(dihedral(poses, ends[0], rotor.b, rotor.c, ends[1]))
    return np.array(found)


@pytest.mark.parametrize("smiles", [FLEXIBLE, CHIRAL, "CCCCCCCO"])
def test_lengths_and_angles_stay(smiles):
    query, pose = prepared(smiles)
    poses = moved(query, pose)
    assert np.abs(poses - pose).max(axis=(1, 2)).min() > 0.05
    expected = np.tile(inner_distances(query, pose), (len(poses), 1))
    assert inner_distances(query, poses) == pytest.approx(expected, abs=1e-6)


def test_amides_are_not_turned():
    query, pose = prepared("CCC(=O)N(C)CCOC(=O)CC")
    poses = moved(query, pose)
    for smarts in ("[CH2]C(=O)N(C)C", "COC(=O)C"):
        atoms = list(query.mol.GetSubstructMatch(Chem.MolFromSmarts(smarts)))
        assert atoms
        shapes = [
            np.linalg.norm(p[..., atoms, None, :] - p[..., None, atoms, :], axis=-1) for p in (pose, poses)
        ]
        assert shapes[1] == pytest.approx(np.tile(shapes[0], (len(poses), 1, 1)), abs=1e-6)


def test_stereochemistry_is_kept():
    query, pose = prepared(CHIRAL)
    assert keeps_stereo(add_hydrogens(query.mol, pose), query.mol)
    assert all(keeps_stereo(add_hydrogens(query.mol, xyz), query.mol) for xyz in moved(query, pose, 30))


def test_two_bonds_are_turned_whichever_and_however_far():
    query, pose = prepared(FLEXIBLE)
    change = np.angle(np.exp(1j * (torsions(query, moved(query, pose, 200)) - torsions(query, pose[None]))))
    turned = np.abs(change) > 1e-6
    assert len(query.free_rotors) > TURNED
    assert (turned.sum(axis=0) == TURNED).all()
    assert turned.any(axis=1).all()
    far = change[turned]
    assert (far.min(), far.max()) == pytest.approx((-np.pi, np.pi), abs=0.2)
    assert np.abs(far).min() < 0.2


def test_a_molecule_with_a_single_rotor_turns_about_it():
    query, pose = prepared("c1ccccc1-c1ccncc1")
    assert len(query.free_rotors) == 1
    assert np.ptp(torsions(query, moved(query, pose))) > 1


@pytest.mark.parametrize("smiles", RIGID.values(), ids=RIGID)
def test_what_has_nothing_to_turn_stays_as_it_is(smiles):
    query, pose = prepared(smiles)
    poses = moved(query, pose, 20)
    assert np.isfinite(poses).all()
    expected = np.tile(inner_distances(query, pose, bonds=np.inf), (20, 1))
    assert inner_distances(query, poses, bonds=np.inf) == pytest.approx(expected, abs=1e-3)


def test_half_are_turned_over_about_their_middle_each_way():
    query, pose = prepared("Cc1ccncc1F")
    assert query.free_rotors == ()
    poses = moved(query, pose, 400)
    flipped = np.abs(poses - pose).max(axis=(1, 2)) > 0.1
    assert flipped.mean() == pytest.approx(FLIPPED, abs=0.08)
    assert poses[~flipped] == pytest.approx(np.tile(pose, ((~flipped).sum(), 1, 1)))
    assert poses.mean(axis=1) == pytest.approx(np.tile(pose.mean(axis=0), (400, 1)), abs=1e-6)
    kinds, counts = np.unique(np.round(poses[flipped][:, 0], 4), axis=0, return_counts=True)
    assert len(kinds) == 3
    assert counts.min() > 40
    # A half turn brings every atom back if done twice, and keeps the hand.
    arms = pose - pose.mean(axis=0)
    for number in range(len(kinds)):
        row = int(np.flatnonzero((np.round(poses[:, 0], 4) == kinds[number]).all(axis=1))[0])
        turn = np.linalg.lstsq(arms, poses[row] - pose.mean(axis=0))[0]
        assert arms @ turn @ turn == pytest.approx(arms, abs=1e-6)


def test_turning_over_does_not_mirror():
    """Chirality of a rigid cage, of which no bond turns."""
    query, pose = prepared("C[C@]12C[C@H](C(=O)C1)C=C2")
    assert query.free_rotors == ()
    volume = np.linalg.det(pose[1:4] - pose[0])
    for xyz in moved(query, pose, 20):
        assert np.linalg.det(xyz[1:4] - xyz[0]) == pytest.approx(volume, abs=1e-6)


def test_nothing_given_is_changed():
    query, pose = prepared(FLEXIBLE)
    kept = pose.copy()
    poses = moved(query, pose, 10)
    assert np.array_equal(pose, kept)
    assert poses.shape == (10, *pose.shape)
    for seed in range(10):
        assert not np.shares_memory(random_move(query, pose, np.random.default_rng(seed)), pose)


def test_the_state_of_the_generator_decides():
    query, pose = prepared(FLEXIBLE)
    one, same = np.random.default_rng(7), np.random.default_rng(7)
    first = random_move(query, pose, one)
    assert np.array_equal(first, random_move(query, pose, same))
    assert np.abs(first - random_move(query, pose, one)).max() > 0.1
    assert np.abs(first - random_move(query, pose, np.random.default_rng(8))).max() > 0.1
