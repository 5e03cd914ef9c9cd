"""The crystal pose is carried into the frame of the receptor that a target was posed in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from templ.chemistry.molecules import positions
from templ.chemistry.receptor import Residues
from templ.evaluation.crystal_frame import carry, crystal_poses
from templ.evaluation.rmsd import symmetric_rmsd

TURN = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
SHIFT = np.array([10.0, -20.0, 30.0])


def moved(residues):
    return replace(residues, ca=(residues.ca @ TURN + SHIFT).astype(np.float32))


def test_a_receptor_that_was_moved_as_a_whole_takes_the_ligand_along(kinase_library):
    own, pocket = kinase_library.residues(0)
    truth = kinase_library.ligand(0)
    [found] = carry(truth, own, pocket, moved(own))
    np.testing.assert_allclose(positions(found), positions(truth) @ TURN + SHIFT, atol=0.01)


def test_each_copy_of_the_pocket_has_the_ligand_and_the_nearest_comes_first(kinase_library):
    own, pocket = kinase_library.residues(0)
    size, other = len(own), moved(own)
    both = Residues(
        ("A", "B"),
        np.array([size, 2 * size], np.int32),
        own.sequence * 2,
        np.tile(own.numbers, 2),
        own.insertions * 2,
        np.concatenate([own.ca, other.ca]),
    )
    truth = kinase_library.ligand(0)
    goals = [positions(truth), positions(truth) @ TURN + SHIFT]
    for first in (0, 1):
        found = carry(truth, own, pocket, both, goals[first].mean(axis=0))
        for mol, goal in zip(found, (goals[first], goals[1 - first]), strict=True):
            np.testing.assert_allclose(positions(mol), goal, atol=0.01)


def test_a_pocket_that_is_too_different_goes_by_the_whole_chain(kinase_library):
    """All residues of the pocket have moved: the chain tells where it was."""
    own, pocket = kinase_library.residues(0)
    ca = own.ca.copy()
    ca[pocket] += np.float32(6.0)
    [found] = carry(kinase_library.ligand(0), own, pocket, replace(own, ca=ca))
    assert symmetric_rmsd(found, kinase_library.ligand(0)) < 3


def test_another_protein_has_no_such_pocket(kinase_library):
    own, pocket = kinase_library.residues(0)
    short = Residues(
        ("A",), np.array([5], np.int32), "GSGSG", own.numbers[:5], own.insertions[:5], own.ca[:5]
    )
    assert carry(kinase_library.ligand(0), own, pocket, short) == []


@pytest.mark.parametrize("row", range(3))
def test_crystals_of_one_protein_lie_in_each_others_pocket(kinase_library, row):
    ids = list(kinase_library)
    other = ids[row + 1]
    receptor = kinase_library.receptor_of(other)
    [found] = crystal_poses(kinase_library, ids[row], kinase_library, receptor, other)
    middle = positions(kinase_library[other]).mean(axis=0)
    assert np.linalg.norm(positions(found).mean(axis=0) - middle) < 5
    [own] = crystal_poses(kinase_library, ids[row], kinase_library, receptor, ids[row])
    np.testing.assert_array_equal(positions(own), positions(kinase_library[ids[row]]))
