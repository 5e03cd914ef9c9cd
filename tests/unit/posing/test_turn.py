from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from templ.posing.geometry import turn

SHAPE = (3, 7, 3)


def poses(seed=0):
    return np.random.default_rng(seed).normal(size=SHAPE) * 4 + [10, -20, 30]


@given(st.lists(st.floats(-4, 4), min_size=9, max_size=9))
def test_it_is_a_rotation_vector_about_the_middle(numbers):
    xyz, about = poses(), np.array(numbers).reshape(3, 3)
    middle = xyz.mean(axis=1, keepdims=True)
    arms = zip(about, xyz - middle, strict=True)
    wanted = middle + np.stack([Rotation.from_rotvec(vector).apply(arm) for vector, arm in arms])
    assert turn(xyz, about) == pytest.approx(wanted, abs=1e-6)


def test_no_turn_changes_nothing():
    xyz = poses().astype(np.float32)
    assert turn(xyz, np.zeros((3, 3), np.float32)) == pytest.approx(xyz, abs=1e-5)


def test_each_pose_turns_by_its_own_vector():
    xyz = poses()
    moved = turn(xyz, np.array([[0, 0, 0], [0, 0, np.pi], [0, 0, 0]]))
    assert moved[[0, 2]] == pytest.approx(xyz[[0, 2]])
    around = 2 * xyz[1].mean(axis=0) - xyz[1]
    assert moved[1, :, :2] == pytest.approx(around[:, :2])
    assert moved[1, :, 2] == pytest.approx(xyz[1, :, 2])


def test_single_precision_stays_single_and_nothing_given_is_changed():
    xyz, about = poses().astype(np.float32), np.ones((3, 3), np.float32)
    kept = xyz.copy()
    assert turn(xyz, about).dtype == np.float32
    assert np.array_equal(xyz, kept)


def test_one_atom_stays_where_it_is():
    xyz = np.array([[[1, 2, 3]]], np.float32)
    assert np.array_equal(turn(xyz, np.ones((1, 3), np.float32)), xyz)
