"""A pose in another copy of the pocket counts as one in the crystal's own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from templ.chemistry.molecules import positions, with_coordinates
from templ.chemistry.receptor import Residues
from templ.chemistry.receptor_file import read_receptor
from templ.evaluation.equivalent_copies import copy_rmsd, motions_between_copies
from templ.evaluation.rmsd import symmetric_rmsd
from templ.sources.demo import demo_files

TURN = np.diag([-1.0, -1.0, 1.0])
SHIFT = np.array([0.0, 0.0, 75.0])


def joined(residues, *copies, names="ABCD"):
    """Several chains of one receptor: sequence and C-alpha atoms of each."""
    count = len(residues)
    return Residues(
        tuple(names[: len(copies)]),
        np.cumsum([len(sequence) for sequence, _ in copies], dtype=np.int32),
        "".join(sequence for sequence, _ in copies),
        np.tile(residues.numbers, len(copies))[: count * len(copies)],
        residues.insertions * len(copies),
        np.concatenate([ca for _, ca in copies]).astype(np.float32),
    )


@pytest.fixture(scope="module")
def mpro():
    return read_receptor(demo_files().receptor)


@pytest.fixture
def dimer(mpro):
    own = mpro.residues
    other = own.ca @ TURN + SHIFT
    other[:30] += 5  # a loop that lies otherwise
    return replace(mpro, residues=joined(own, (own.sequence, own.ca), (own.sequence, other)))


@pytest.fixture
def truth(demo_library):
    return demo_library.ligand(0)


def compared(pose, truth, receptor):
    return copy_rmsd(pose, truth, symmetric_rmsd(pose, truth), motions_between_copies(receptor))


def test_a_pose_in_the_second_copy_is_as_near_as_it_is_there(dimer, truth):
    pose = with_coordinates(truth, (positions(truth) + [0.5, 0, 0]) @ TURN + SHIFT)
    assert symmetric_rmsd(pose, truth) > 10
    assert compared(pose, truth, dimer) == pytest.approx(0.5, abs=0.01)


def test_a_pose_in_the_crystals_own_copy_keeps_its_rmsd(dimer, truth):
    pose = with_coordinates(truth, positions(truth) + [1.5, 0, 0])
    assert compared(pose, truth, dimer) == pytest.approx(1.5, abs=1e-3)


def test_a_pose_elsewhere_stays_wrong(dimer, truth):
    pose = with_coordinates(truth, positions(truth) + [0, 30, 0])
    assert compared(pose, truth, dimer) > 10


def test_one_chain_or_another_protein_has_no_copies(mpro, truth):
    own = mpro.residues
    assert compared(truth, truth, mpro) is None
    assert compared(truth, truth, None) is None
    hetero = joined(own, (own.sequence, own.ca), (own.sequence[::-1], own.ca @ TURN + SHIFT))
    assert compared(truth, truth, replace(mpro, residues=hetero)) is None
