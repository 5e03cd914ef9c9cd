from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rdkit.Chem import rdMolTransforms
from scipy.spatial.transform import Rotation

from templ.molecules import positions
from templ.posing.geometry import dihedral, distinct, rotate_about_bond, skew, superpose, torque, turn
from templ.posing.place import with_coordinates


@given(st.integers(0, 10**6), st.integers(3, 12))
def test_superpose_finds_any_rigid_motion(seed, size):
    random = np.random.default_rng(seed)
    points = random.normal(size=(size, 3)) * 5
    turn, shift = Rotation.random(rng=random), random.normal(size=3) * 20
    poses = np.stack([points, turn.apply(points) + shift])
    moved, rmsd = superpose(poses, range(size), points)
    assert np.allclose(moved, points, atol=1e-6)
    assert np.allclose(rmsd, 0, atol=1e-6)


def test_superpose_never_reflects():
    points = np.random.default_rng(1).normal(size=(6, 3))
    moved, rmsd = superpose((points * [1, 1, -1])[None], range(6), points)
    assert rmsd[0] > 0.1
    volume = [np.linalg.det(p[1:4] - p[0]) for p in (moved[0], points)]
    assert np.sign(volume[0]) == -np.sign(volume[1])


def test_superpose_moves_the_whole_by_the_chosen_part():
    points = np.random.default_rng(2).normal(size=(8, 3))
    moved, rmsd = superpose(points[None] + 7, [1, 4, 6], points[[1, 4, 6]])
    assert np.allclose(moved[0], points)
    assert rmsd[0] == pytest.approx(0, abs=1e-9)


def test_dihedral_and_rotation_agree_with_rdkit(demo_library):
    mol = demo_library["Mpro-x0072"]
    xyz = positions(mol)
    from templ.query import PreparedQuery

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


def test_atoms_in_one_place_have_some_finite_torsion():
    points = np.array([[[0.0, 1, 0], [0, 0, 0], [0, 0, 0], [1, 1, 1]]])
    assert np.isfinite(dihedral(points, 0, 1, 2, 3)).all()


def test_cross_products_by_matrices():
    random = np.random.default_rng(5)
    arms, forces = random.normal(size=(2, 4, 7, 3))
    assert np.allclose(torque(arms, forces), np.cross(arms, forces).sum(axis=1))
    assert np.allclose(skew(arms) @ forces[..., None], np.cross(arms, forces)[..., None])


def test_turn_is_a_rotation_about_the_middle():
    random = np.random.default_rng(6)
    poses, about = random.normal(size=(4, 7, 3)) + 30, random.normal(size=(4, 3))
    for pose, turned, vector in zip(poses, turn(poses, about), about, strict=True):
        middle = pose.mean(axis=0)
        assert np.allclose(turned, Rotation.from_rotvec(vector).apply(pose - middle) + middle)
