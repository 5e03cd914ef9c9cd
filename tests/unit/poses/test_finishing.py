"""Poses say where they lie."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from templ.chemistry.molecules import heavy, positions
from templ.pipeline import predict
from templ.poses.finishing import in_other_pockets
from templ.poses.pose_file import pose_properties
from templ.settings import PredictionSettings

FAST = PredictionSettings(conformers=5, minimised=10, rounds=0, starts=0, top=2)


@pytest.fixture(scope="module")
def poses(kinase_library):
    query, receptor = kinase_library.entry(0).smiles, kinase_library.receptor(0)
    return predict(query, kinase_library, FAST, receptor=receptor).poses


def test_a_pose_names_the_residues_around_it(poses, kinase_library):
    """CDK2: the hinge is LEU 83; by the atoms themselves."""
    receptor = kinase_library.receptor(0)
    near = np.linalg.norm(receptor.atoms.xyz[:, None] - positions(heavy(poses[0].mol)), axis=-1) <= 4.5
    touched = sorted(set(receptor.atoms.residues[near.any(axis=1)].tolist()) - {-1})
    numbers = [int(name.partition(":")[2][3:]) for name in poses[0].pocket]
    assert numbers == receptor.residues.numbers[touched].tolist()
    assert any(name.endswith(":LEU83") for name in poses[0].pocket)
    assert pose_properties(poses[0])["pocket"] == " ".join(poses[0].pocket)


def test_what_the_first_pose_clashes_with_is_said(kinase_library):
    """In a pocket drawn together no pose is clear."""
    receptor, entry = kinase_library.receptor(0), kinase_library.entry(0)
    middle = positions(heavy(kinase_library[entry.id])).mean(axis=0)
    narrow = (middle + 0.6 * (receptor.atoms.xyz - middle)).astype(np.float32)
    outcome = predict(
        entry.smiles,
        kinase_library,
        FAST,
        receptor=replace(receptor, atoms=replace(receptor.atoms, xyz=narrow)),
    )
    [note] = [note for note in outcome.notes if "clashes" in note]
    named, _, rest = note.removeprefix("the first pose clashes with ").partition(", ")
    assert set(named.split()) <= set(outcome.poses[0].pocket)
    assert rest == "which would have to move for it"
    fits = predict(entry.smiles, kinase_library, FAST, receptor=receptor)
    assert not any("clashes" in note for note in fits.notes)


def test_without_a_receptor_there_is_no_pocket(kinase_library):
    settings = FAST.model_copy(update={"use_receptor": False})
    outcome = predict(kinase_library.entry(0).smiles, kinase_library, settings)
    assert [pose.pocket for pose in outcome.poses] == [()] * len(outcome.poses)
    assert in_other_pockets(outcome.poses) == ""
    assert "pocket" not in pose_properties(outcome.poses[0])


def test_poses_in_other_pockets_are_said(poses):
    first, *_ = poses
    assert in_other_pockets(poses) == ""
    here = replace(first, pocket=("A:LEU83", "A:GLU81"))
    near = replace(first, rank=2, pocket=("A:GLU81", "A:PHE80"))
    away = replace(first, rank=3, pocket=("B:VAL1", "B:VAL2", "B:VAL3", "B:VAL4", "B:VAL5"))
    assert in_other_pockets([here, near]) == ""
    assert in_other_pockets([here, near, away]) == (
        "in another pocket than the first pose, which is at A:LEU83 A:GLU81: "
        "pose 3 at B:VAL1 B:VAL2 B:VAL3 B:VAL4"
    )
