from __future__ import annotations

import numpy as np
import pytest
from crowded import MOLECULES, prepared, squeezed
from hypothesis import given
from hypothesis import strategies as st
from rdkit import Chem
from rdkit.Chem import rdMolTransforms
from scipy.spatial.transform import Rotation

from templ.chemistry.conformers import CLASH_DISTANCE, PreparedQuery
from templ.chemistry.geometry import (
    PrincipalAxes,
    dihedral,
    distinct,
    kabsch,
    nearest_squared_distances,
    rmsd,
    rotate_about_bond,
    self_overlap,
    skew,
    squared_distances,
    superpose,
    torque,
    turn,
)
from templ.chemistry.molecules import positions, with_coordinates


def points(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape) * 4


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_squared_distances_are_those_by_subtraction(dtype):
    one, other = points(1, 3, 5, 3).astype(dtype), points(2, 3, 7, 3).astype(dtype)
    expected = ((one[:, :, None] - other[:, None]) ** 2).sum(axis=-1)
    found = squared_distances(one, other)
    assert found.dtype == dtype
    assert found == pytest.approx(expected, abs=1e-4)
    shared = squared_distances(one, other[0])
    assert shared == pytest.approx(((one[:, :, None] - other[0]) ** 2).sum(axis=-1), abs=1e-4)
    assert nearest_squared_distances(one, other[0]) == pytest.approx(shared.min(axis=-1), abs=1e-4)


def test_rounding_makes_no_squared_distance_negative():
    same = points(3, 400, 3).astype(np.float32) + 30
    assert squared_distances(same, same).min() == 0
    assert nearest_squared_distances(same, same).min() == 0


def test_rmsd_is_the_root_of_the_mean_square_over_atoms():
    pose = points(4, 6, 3)
    moved = pose + np.array([[[0.0, 0, 0]], [[3, 4, 0]]])
    assert rmsd(moved, pose) == pytest.approx([0, 5])
    one = pose.copy()
    one[2] += [0, 0, 6]
    assert rmsd(one, pose) == pytest.approx(6 / np.sqrt(6))


@given(st.integers(0, 10**6), st.integers(3, 12))
def test_superpose_finds_any_rigid_motion(seed, size):
    random = np.random.default_rng(seed)
    goal = random.normal(size=(size, 3)) * 5
    rotation, shift = Rotation.random(rng=random), random.normal(size=3) * 20
    poses = np.stack([goal, rotation.apply(goal) + shift])
    moved, error = superpose(poses, range(size), goal)
    assert np.allclose(moved, goal, atol=1e-6)
    assert np.allclose(error, 0, atol=1e-6)


def test_superpose_never_reflects():
    goal = np.random.default_rng(1).normal(size=(6, 3))
    moved, error = superpose((goal * [1, 1, -1])[None], range(6), goal)
    assert error[0] > 0.1
    volume = [np.linalg.det(p[1:4] - p[0]) for p in (moved[0], goal)]
    assert np.sign(volume[0]) == -np.sign(volume[1])


def test_superpose_moves_the_whole_by_the_chosen_part():
    goal = np.random.default_rng(2).normal(size=(8, 3))
    moved, error = superpose(goal[None] + 7, [1, 4, 6], goal[[1, 4, 6]])
    assert np.allclose(moved[0], goal)
    assert error[0] == pytest.approx(0, abs=1e-9)


@given(st.integers(0, 10_000), st.integers(3, 20))
def test_kabsch_finds_the_best_motion(seed, size):
    """No small turn or shift does better, and the result is scipy's."""
    random = np.random.default_rng(seed)
    start, goal, weight = (
        random.normal(0, 5, (size, 3)),
        random.normal(0, 5, (size, 3)),
        random.uniform(0.1, 1, size),
    )
    rotation, shift = kabsch(start, goal, weight)
    share = weight / weight.sum()
    expected, _ = Rotation.align_vectors(goal - share @ goal, start - share @ start, weight)
    cost = (weight * ((start @ rotation + shift - goal) ** 2).sum(axis=1)).sum()
    best = (weight * ((expected.apply(start - share @ start) + share @ goal - goal) ** 2).sum(axis=1)).sum()
    assert np.linalg.det(rotation) == pytest.approx(1)
    assert cost == pytest.approx(best, rel=1e-6)


def test_kabsch_takes_many_sets_of_points_and_counts_all_alike_by_default():
    start, goal = points(5, 4, 6, 3), points(6, 6, 3)
    rotation, shift = kabsch(start, goal)
    for row in range(4):
        one, same = kabsch(start[row], goal), kabsch(start[row], goal, np.full(6, 0.3))
        assert rotation[row] == pytest.approx(one[0])
        assert shift[row] == pytest.approx(one[1])
        assert same[0] == pytest.approx(one[0])


def test_dihedral_and_rotation_agree_with_rdkit(demo_library):
    mol = demo_library["Mpro-x0072"]
    xyz = positions(mol)
    query = PreparedQuery(mol, 1, 1)
    assert query.rotors
    for rotor in query.rotors:
        a = next(n.GetIdx() for n in mol.GetAtomWithIdx(rotor.b).GetNeighbors() if n.GetIdx() != rotor.c)
        d = next(n.GetIdx() for n in mol.GetAtomWithIdx(rotor.c).GetNeighbors() if n.GetIdx() != rotor.b)
        torsion = (a, rotor.b, rotor.c, d)
        before = rdMolTransforms.GetDihedralRad(mol.GetConformer(), *torsion)
        assert dihedral(xyz[None], *torsion)[0] == pytest.approx(before, abs=1e-9)
        turned = xyz[None].copy()
        rotate_about_bond(turned, rotor.b, rotor.c, rotor.moving, np.array([1.0]))
        after = rdMolTransforms.GetDihedralRad(with_coordinates(mol, turned[0]).GetConformer(), *torsion)
        assert np.exp(1j * (after - before)) == pytest.approx(np.exp(1j), abs=1e-9)
        for bond in mol.GetBonds():
            ends = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
            lengths = [np.linalg.norm(p[ends[0]] - p[ends[1]]) for p in (xyz, turned[0])]
            assert lengths[0] == pytest.approx(lengths[1], abs=1e-9)
        rest = [i for i in range(len(xyz)) if i not in rotor.moving]
        assert np.array_equal(turned[0][rest], xyz[rest])


def test_distinct_keeps_the_first_of_each_kind():
    poses = np.zeros((4, 2, 3))
    poses[1] += 0.1
    poses[2] += 1
    poses[3] += 2
    assert distinct(poses, 0.5, 10) == [0, 2, 3]
    assert distinct(poses, 0.5, 2) == [0, 2]
    assert distinct(poses[:0], 0.5, 2) == []


def test_distinct_poses_differ_from_every_one_picked():
    poses = np.zeros((4, 2, 3)) + np.array([0.0, 5, 5.1, 0.1])[:, None, None]
    assert distinct(poses, 0.5, 10) == [0, 1]
    assert distinct(poses[:2], 5 * np.sqrt(3), 10) == [0, 1]  # exactly so far apart is far enough


def test_atoms_at_one_point_have_some_finite_torsion():
    atoms = np.array([[[0.0, 1, 0], [0, 0, 0], [0, 0, 0], [1, 1, 1]]])
    assert np.isfinite(dihedral(atoms, 0, 1, 2, 3)).all()


def test_cross_products_by_matrices():
    random = np.random.default_rng(5)
    arms, forces = random.normal(size=(2, 4, 7, 3))
    assert np.allclose(torque(arms, forces), np.cross(arms, forces).sum(axis=1))
    assert np.allclose(skew(arms) @ forces[..., None], np.cross(arms, forces)[..., None])


SHAPE = (3, 7, 3)


def far_poses(seed=0):
    return np.random.default_rng(seed).normal(size=SHAPE) * 4 + [10, -20, 30]


@given(st.lists(st.floats(-4, 4), min_size=9, max_size=9))
def test_turn_takes_a_rotation_vector_about_the_middle(numbers):
    xyz, about = far_poses(), np.array(numbers).reshape(3, 3)
    middle = xyz.mean(axis=1, keepdims=True)
    arms = zip(about, xyz - middle, strict=True)
    wanted = middle + np.stack([Rotation.from_rotvec(vector).apply(arm) for vector, arm in arms])
    assert turn(xyz, about) == pytest.approx(wanted, abs=1e-6)


def test_no_turn_changes_nothing():
    xyz = far_poses().astype(np.float32)
    assert turn(xyz, np.zeros((3, 3), np.float32)) == pytest.approx(xyz, abs=1e-5)


def test_each_pose_turns_by_its_own_vector():
    xyz = far_poses()
    moved = turn(xyz, np.array([[0, 0, 0], [0, 0, np.pi], [0, 0, 0]]))
    assert moved[[0, 2]] == pytest.approx(xyz[[0, 2]])
    around = 2 * xyz[1].mean(axis=0) - xyz[1]
    assert moved[1, :, :2] == pytest.approx(around[:, :2])
    assert moved[1, :, 2] == pytest.approx(xyz[1, :, 2])


def test_turn_stays_in_single_precision_and_changes_nothing_given():
    xyz, about = far_poses().astype(np.float32), np.ones((3, 3), np.float32)
    kept = xyz.copy()
    assert turn(xyz, about).dtype == np.float32
    assert np.array_equal(xyz, kept)


def test_one_atom_stays_where_it_is():
    xyz = np.array([[[1, 2, 3]]], np.float32)
    assert np.array_equal(turn(xyz, np.ones((1, 3), np.float32)), xyz)


@given(st.integers(0, 1000))
def test_principal_axes_turn_with_the_points(seed):
    random = np.random.default_rng(seed)
    own = random.normal(size=(20, 3)) ** 3 * [5, 3, 1]
    rotation, shift = Rotation.random(rng=random), random.normal(size=3) * 20
    axes, turned = PrincipalAxes.of(own), PrincipalAxes.of(rotation.apply(own) + shift)
    assert turned.inward(rotation.apply(own) + shift) == pytest.approx(axes.inward(own), abs=1e-6)
    assert np.linalg.det(axes.axes) == pytest.approx(1)  # no mirror: poses would change their hand
    tails = (axes.inward(own) ** 3).sum(axis=0)
    assert (tails[:2] > 0).all()
    assert axes.outward(axes.inward(own)) == pytest.approx(own)


def overlap_of(query, poses):
    return self_overlap(poses, query.may_clash, CLASH_DISTANCE)


@pytest.mark.parametrize("smiles", MOLECULES)
def test_self_overlap_is_the_sum_over_pairs(smiles):
    """Of the square of what is missing to 3 A, over pairs four bonds apart or more."""
    query = prepared(smiles)
    poses, bonds = squeezed(query), Chem.GetDistanceMatrix(query.mol)
    overlap, _ = overlap_of(query, poses)
    expected = [
        sum(
            max(0.0, 3.0 - float(np.linalg.norm(pose[i] - pose[j]))) ** 2
            for i in range(len(pose))
            for j in range(i)
            if bonds[i, j] >= 4
        )
        for pose in poses
    ]
    assert overlap.min() > 0.05
    assert overlap == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("smiles", MOLECULES)
def test_the_gradient_is_that_of_the_overlap(smiles):
    query, step = prepared(smiles), 1e-5
    pose = squeezed(query)[0]
    size = pose.size
    moves = step * np.eye(size).reshape(size, *pose.shape)
    above, below = overlap_of(query, pose + moves)[0], overlap_of(query, pose - moves)[0]
    gradient = overlap_of(query, pose[None])[1][0]
    assert np.abs(gradient).max() > 0.05
    assert gradient.ravel() == pytest.approx((above - below) / (2 * step), abs=5e-6)


@pytest.mark.parametrize("smiles", MOLECULES)
def test_where_the_molecule_is_does_not_matter(smiles):
    """In single precision, as poses are minimised."""
    query = prepared(smiles)
    here = squeezed(query).astype(np.float32)
    far = here + np.float32(300)
    for near, away in zip(overlap_of(query, here), overlap_of(query, far), strict=True):
        assert away == pytest.approx(near, abs=2.5e-3)
    assert np.abs(overlap_of(query, far)[1].sum(axis=1)).max() < 5e-4  # no net force


def test_two_atoms_at_one_point_give_numbers():
    overlap, gradient = overlap_of(prepared("CCCCCO"), np.zeros((1, 6, 3), np.float32))
    assert np.isfinite(overlap).all()
    assert np.isfinite(gradient).all()
