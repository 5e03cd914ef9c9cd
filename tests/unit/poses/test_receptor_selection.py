"""Poses in several receptors: what another crystal seconds goes before what none does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from templ.chemistry.molecules import heavy, positions, with_coordinates
from templ.pipeline import predict
from templ.poses.receptor_selection import SECONDED, select_receptor
from templ.settings import PredictionSettings

FAST = PredictionSettings(conformers=5, minimised=10, rounds=0, starts=0, top=1)


@pytest.fixture(scope="module")
def receptor(kinase_library):
    return kinase_library.receptor(0)


@pytest.fixture(scope="module")
def pose(kinase_library, receptor):
    query = kinase_library.entry(0).smiles
    (pose,) = predict(query, kinase_library, FAST, receptor=receptor).poses
    return replace(pose, mol=heavy(pose.mol))


def moved(pose, shift, confidence, rank=1):
    """The same pose a few Angstrom aside."""
    aside = with_coordinates(pose.mol, positions(pose.mol) + np.array([shift, 0, 0]))
    return replace(pose, mol=aside, confidence=confidence, rank=rank)


def in_another_frame(receptor, poses):
    """A receptor and its poses as another crystal has them: turned and shifted as a whole."""
    turn, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
    turn *= np.sign(np.linalg.det(turn))

    def carry(xyz):
        return xyz @ turn + np.array([40.0, -25.0, 7.0])

    atoms = replace(receptor.atoms, xyz=carry(receptor.atoms.xyz).astype(np.float32))
    residues = replace(receptor.residues, ca=carry(receptor.residues.ca).astype(np.float32))
    there = [replace(pose, mol=with_coordinates(pose.mol, carry(positions(pose.mol)))) for pose in poses]
    return there, replace(receptor, atoms=atoms, residues=residues)


def test_of_one_receptor_poses_stay_as_they_are(pose, receptor):
    poses = [moved(pose, 0, 0.3), moved(pose, 3, 0.6, 2)]
    assert select_receptor([(poses, receptor)], one_frame=False) == (0, tuple(poses))


@pytest.mark.parametrize("one_frame", [True, False])
def test_a_pose_that_another_receptor_seconds_goes_first(pose, receptor, one_frame):
    here = [moved(pose, 0, 0.6), moved(pose, 3, 0.5, 2)]
    there = [moved(pose, -4, 0.45), moved(pose, 3.5, 0.4, 2)]
    others, other = (there, receptor) if one_frame else in_another_frame(receptor, there)
    number, poses = select_receptor([(here, receptor), (others, other)], one_frame=one_frame)
    assert number == 0
    assert [(each.rank, each.confidence) for each in poses] == [(1, 0.5), (2, 0.6)]
    assert 0.5 + SECONDED * 0.4 > 0.6  # which is why


def test_without_agreement_the_surest_is_chosen(pose, receptor):
    here, there = [moved(pose, 0, 0.6)], [moved(pose, 4, 0.7)]
    for order in ([here, there], [there, here]):
        number, poses = select_receptor([(poses, receptor) for poses in order], one_frame=True)
        assert (order[number], poses) == (there, tuple(there))


def test_receptors_that_cannot_be_superposed_do_not_second(pose, receptor):
    anywhere = np.random.default_rng(0).normal(scale=30, size=receptor.residues.ca.shape)
    residues = replace(receptor.residues, ca=anywhere.astype(np.float32))
    stranger = replace(receptor, residues=residues)
    here = [moved(pose, 0, 0.6), moved(pose, 3, 0.5, 2)]
    number, poses = select_receptor([(here, receptor), ([moved(pose, 3, 0.4)], stranger)], one_frame=False)
    assert (number, [each.confidence for each in poses]) == (0, [0.6, 0.5])
