from __future__ import annotations

import numpy as np
import pytest
from rdkit import Chem

from templ.molecules import parse_smiles
from templ.query import PreparedQuery

MOLECULES = ["CCCCCCO", "O=C(Nc1ccccc1)Nc1cccnc1", "CN(C)c1ccc(N(Cc2ccsc2)C(=O)Cn2nnc3ccccc32)cc1"]


def prepared(smiles):
    return PreparedQuery(parse_smiles(smiles), 4, 1)


def squeezed(query, share=0.55):
    """Conformers pressed together until their atoms run into each other."""
    middle = query.conformers.mean(axis=1, keepdims=True)
    return middle + (query.conformers - middle) * share


def one_by_one(query, pose):
    """2 kcal/mol/A^2 of the overlap below 3 A, over pairs four bonds apart or more."""
    bonds = Chem.GetDistanceMatrix(query.mol)
    return sum(
        2.0 * max(0.0, 3.0 - float(np.linalg.norm(pose[i] - pose[j]))) ** 2
        for i in range(len(pose))
        for j in range(i)
        if bonds[i, j] >= 4
    )


@pytest.mark.parametrize("smiles", MOLECULES)
def test_it_is_the_sum_over_pairs(smiles):
    query = prepared(smiles)
    poses = squeezed(query)
    energy, _ = query.strain(poses)
    assert energy.min() > 0.1
    assert energy == pytest.approx([one_by_one(query, pose) for pose in poses], rel=1e-5)


@pytest.mark.parametrize("smiles", MOLECULES)
def test_the_gradient_is_that_of_the_energy(smiles):
    query, step = prepared(smiles), 1e-5
    pose = squeezed(query)[0]
    size = pose.size
    moves = step * np.eye(size).reshape(size, *pose.shape)
    above, below = query.strain(pose + moves)[0], query.strain(pose - moves)[0]
    gradient = query.strain(pose[None])[1][0]
    assert np.abs(gradient).max() > 0.1
    assert gradient.ravel() == pytest.approx((above - below) / (2 * step), abs=1e-5)


@pytest.mark.parametrize("smiles", ["C", "CCCC", "c1ccccc1", "CC(C)(C)C"])
def test_atoms_fewer_than_four_bonds_apart_do_not_repel(smiles):
    query = prepared(smiles)
    energy, gradient = query.strain(squeezed(query, 0.1))
    assert not energy.any()
    assert not gradient.any()


def test_atoms_four_bonds_apart_do():
    query = prepared("CCCCC")
    assert query.strain(squeezed(query, 0.5))[0].min() > 0


def test_a_conformer_at_ease_has_next_to_none():
    query = prepared("CCCCCCO")
    stretched = np.arange(7)[:, None] * np.array([[1.3, 0.8, 0]])
    energy, gradient = query.strain(stretched[None].astype(np.float32))
    assert energy == pytest.approx([0])
    assert gradient == pytest.approx(np.zeros((1, 7, 3)))


@pytest.mark.parametrize("smiles", MOLECULES)
def test_where_the_molecule_is_does_not_matter(smiles):
    """In single precision, as poses are relaxed."""
    query = prepared(smiles)
    here = squeezed(query).astype(np.float32)
    far = here + np.float32(300)
    for near, away in zip(query.strain(here), query.strain(far), strict=True):
        assert away == pytest.approx(near, abs=5e-3)
    assert np.abs(query.strain(far)[1].sum(axis=1)).max() < 1e-3  # nothing pulls the whole


def test_two_atoms_in_one_place_give_numbers():
    query = prepared("CCCCCO")
    energy, gradient = query.strain(np.zeros((1, 6, 3), np.float32))
    assert np.isfinite(energy).all()
    assert np.isfinite(gradient).all()
