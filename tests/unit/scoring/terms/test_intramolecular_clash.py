from __future__ import annotations

import numpy as np
import pytest
from crowded import MOLECULES, prepared, squeezed
from rdkit import Chem

from templ.chemistry.conformers import CLASH_BONDS, PreparedQuery
from templ.chemistry.molecules import parse_smiles
from templ.scoring.score_term import PosesToScore
from templ.scoring.terms.intramolecular_clash import TERM, clash_energy, squared_overlap


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
def test_the_energy_is_the_sum_over_pairs(smiles):
    query = prepared(smiles)
    poses = squeezed(query)
    energy, _ = clash_energy(query, poses)
    assert energy.min() > 0.1
    assert energy == pytest.approx([one_by_one(query, pose) for pose in poses], rel=1e-5)


@pytest.mark.parametrize("smiles", MOLECULES)
def test_the_gradient_is_that_of_the_energy(smiles):
    query, step = prepared(smiles), 1e-5
    pose = squeezed(query)[0]
    size = pose.size
    moves = step * np.eye(size).reshape(size, *pose.shape)
    above, below = clash_energy(query, pose + moves)[0], clash_energy(query, pose - moves)[0]
    gradient = clash_energy(query, pose[None])[1][0]
    assert np.abs(gradient).max() > 0.1
    assert gradient.ravel() == pytest.approx((above - below) / (2 * step), abs=1e-5)


@pytest.mark.parametrize("smiles", ["C", "CCCC", "c1ccccc1", "CC(C)(C)C"])
def test_atoms_fewer_than_four_bonds_apart_do_not_repel(smiles):
    query = prepared(smiles)
    energy, gradient = clash_energy(query, squeezed(query, 0.1))
    assert not energy.any()
    assert not gradient.any()


def test_atoms_four_bonds_apart_do():
    query = prepared("CCCCC")
    assert clash_energy(query, squeezed(query, 0.5))[0].min() > 0


def test_a_conformer_at_ease_has_next_to_none():
    query = prepared("CCCCCCO")
    stretched = np.arange(7)[:, None] * np.array([[1.3, 0.8, 0]])
    energy, gradient = clash_energy(query, stretched[None].astype(np.float32))
    assert energy == pytest.approx([0])
    assert gradient == pytest.approx(np.zeros((1, 7, 3)))


def test_the_squared_overlap_is_that_of_distant_atoms():
    query = PreparedQuery(parse_smiles("CCCCCC"), 1, 1)
    apart = np.arange(6)[:, None] * np.array([[4.0, 0, 0]])
    assert squared_overlap(query, apart[None])[0] == 0
    close = apart.copy()
    close[5] = close[0] + [0, 0, 2.0]
    distances = Chem.GetDistanceMatrix(query.mol)
    expected = sum(
        max(0.0, 3.0 - float(np.linalg.norm(close[i] - close[j]))) ** 2
        for i in range(6)
        for j in range(i)
        if distances[i, j] >= CLASH_BONDS
    )
    assert expected == 1
    assert squared_overlap(query, close[None])[0] == pytest.approx(expected)


def test_it_does_not_depend_on_how_many_poses_come_together():
    query = PreparedQuery(parse_smiles("CCCCCCCCCO"), 100, 1)
    poses = query.conformers * 0.5
    together = squared_overlap(query, poses)
    assert together.max() > 0
    assert together == pytest.approx([squared_overlap(query, pose[None])[0] for pose in poses])
    assert squared_overlap(query, poses[:0]).shape == (0,)


@pytest.mark.parametrize("smiles", MOLECULES)
def test_the_term_is_the_energy_an_atom(smiles):
    query = prepared(smiles)
    poses = squeezed(query)
    found = TERM.function(PosesToScore(query, poses, np.zeros(len(poses)), None))
    expected = [one_by_one(query, pose) / query.mol.GetNumAtoms() for pose in poses]
    assert found == pytest.approx(expected, rel=1e-9)
