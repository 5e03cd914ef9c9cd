"""Bonds that turn: each by itself, and all at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from templ.chemistry.conformers import PreparedQuery
from templ.chemistry.geometry import rotate_about_bond
from templ.chemistry.molecules import parse_smiles
from templ.chemistry.rotors import rotors_of, saturated_rings

SMILES = (
    "CCOc1ccc(CC(=O)NCCc2ccncc2)cc1",
    "CC(C)CN(CCO)CC(C)(C)OCC",
    "O=C(CCCC1CCCCC1)Nc1ccc(CN2CCOCC2)cc1",
    "c1ccccc1",
)


def poses_of(smiles, count=4, dtype=np.float64):
    query = PreparedQuery(parse_smiles(smiles), count, 1)
    return query, query.conformers.astype(dtype)


@pytest.mark.parametrize("smiles", SMILES)
def test_a_bond_comes_after_those_that_it_moves(smiles):
    """So that none turns the axis of a later one: the sets that move lie within each other, or apart."""
    rotors = rotors_of(parse_smiles(smiles))
    for number, rotor in enumerate(rotors):
        assert rotor.c in rotor.moving
        assert rotor.b not in rotor.moving
        for later in rotors[number + 1 :]:
            both = set(rotor.moving) & set(later.moving)
            assert both in (set(), set(rotor.moving))
            assert {later.b, later.c}.isdisjoint(rotor.moving) or later.moving == rotor.moving


@settings(deadline=None, max_examples=20)
@given(st.sampled_from(SMILES), st.integers(0, 2**32 - 1))
def test_all_at_once_is_one_after_the_other(smiles, seed):
    query, poses = poses_of(smiles)
    angles = np.random.default_rng(seed).uniform(-4, 4, (len(poses), len(query.torsions)))
    together, apart = poses.copy(), poses.copy()
    query.torsions.turn(together, angles)
    for rotor, angle in zip(query.free_rotors, angles.T, strict=True):
        rotate_about_bond(apart, rotor.b, rotor.c, rotor.moving, angle)
    assert np.allclose(together, apart, atol=1e-9)


@pytest.mark.parametrize("smiles", SMILES)
def test_gradient_and_slopes_are_those_by_differences(smiles):
    query, poses = poses_of(smiles)
    torsions, step = query.torsions, 1e-5
    force = np.random.default_rng(0).normal(size=poses.shape)
    slopes, gradient = torsions.slopes(poses), torsions.gradient(poses, force)
    assert slopes.shape == (*poses.shape, len(torsions))
    for number in range(len(torsions)):
        angles = np.zeros((len(poses), len(torsions)))
        angles[:, number] = step
        ahead, behind = poses.copy(), poses.copy()
        torsions.turn(ahead, angles)
        torsions.turn(behind, -angles)
        moved = (ahead - behind) / (2 * step)
        assert np.allclose(slopes[..., number], moved, atol=1e-5)
        assert np.allclose(gradient[:, number], (moved * force).sum(axis=(1, 2)), atol=1e-4)


def test_single_precision_stays():
    query, poses = poses_of(SMILES[0], dtype=np.float32)
    query.torsions.turn(poses, np.ones((len(poses), len(query.torsions)), np.float32))
    assert poses.dtype == query.torsions.gradient(poses, poses).dtype == np.float32


@pytest.mark.parametrize(
    ("smiles", "count"),
    [("c1ccccc1", 0), ("C1CCCCC1", 1), ("C1CC1", 0), ("C1CCN(CC1)C1CCOCC1", 2), ("O=C1CCc2ccccc21", 1)],
)
def test_rings_that_may_pucker(smiles, count):
    assert saturated_rings(parse_smiles(smiles)) == count
