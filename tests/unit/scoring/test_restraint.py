from __future__ import annotations

import numpy as np
import pytest

from templ.scoring.restraint import Restraint

ATOMS = 11
COPIED = (2, 3, 4, 5, 6)
XYZ = np.random.default_rng(1).normal(size=(ATOMS, 3)) * 4 + [10, -20, 30]
CORE = (COPIED, XYZ[list(COPIED)])
"""Atoms 2 to 6 copied from where the template has them."""
OVERLAY = ((), np.empty((0, 3)))


def single(poses):
    return poses.astype(np.float32)


def test_copied_atoms_are_restrained_as_their_template_is_like_the_query():
    xyz = np.repeat(XYZ[None], 2, axis=0)
    energy, gradient = Restraint(ATOMS, [CORE, CORE], np.array([1.0, 0.4]))(single(xyz))
    assert energy == pytest.approx([-5, -2])
    assert gradient == pytest.approx(np.zeros_like(xyz), abs=1e-5)


def test_half_of_it_is_left_at_an_angstrom_and_none_far_off():
    there = np.stack([XYZ + [0, 1, 0], XYZ + [0, 0, 100]])
    energy, gradient = Restraint(ATOMS, [CORE, CORE], np.ones(2))(single(there))
    assert energy == pytest.approx([-2.5, 0], abs=1e-3)
    assert gradient[0, 2] == pytest.approx([0, 0.5, 0], abs=1e-4)
    assert np.abs(gradient[1]).max() < 1e-4


def test_atoms_that_were_not_copied_are_free():
    xyz = np.repeat(XYZ[None] + 0.5, 2, axis=0)
    energy, gradient = Restraint(ATOMS, [CORE, OVERLAY], np.ones(2))(single(xyz))
    assert (energy[0] < -1, energy[1]) == (True, 0)
    assert np.flatnonzero(gradient[0].any(axis=-1)).tolist() == [2, 3, 4, 5, 6]
    assert not gradient[1].any()


def test_the_gradient_is_that_of_the_energy():
    pose, step = XYZ + [0.3, -0.6, 0.4], 1e-3
    moves = step * np.eye(pose.size).reshape(pose.size, *pose.shape)
    restraint = Restraint(ATOMS, [CORE] * pose.size, np.full(pose.size, 0.7))
    slope = (restraint(pose + moves)[0] - restraint(pose - moves)[0]) / (2 * step)
    gradient = Restraint(ATOMS, [CORE], np.array([0.7]))(pose[None])[1][0]
    assert np.abs(gradient).max() > 0.1
    assert gradient.ravel() == pytest.approx(slope, abs=1e-4)


def test_it_stays_in_single_precision():
    energy, gradient = Restraint(ATOMS, [CORE], np.ones(1))(single(XYZ[None]))
    assert energy.dtype == gradient.dtype == np.float32
