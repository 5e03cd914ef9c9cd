from __future__ import annotations

import numpy as np
import pytest

from templ.molecules import parse_smiles, positions
from templ.posing.geometry import rmsd
from templ.posing.settle import settle
from templ.query import PreparedQuery
from templ.receptor import read_receptor
from templ.scoring.answers import Answers
from templ.scoring.choice import Choice
from templ.scoring.ranking import Ranked
from templ.sources.demo import demo_files


@pytest.fixture(scope="module")
def receptor():
    return read_receptor(demo_files().receptor)


@pytest.fixture
def stand_in(receptor):
    """Which of some poses, shape (poses, atoms, 3), stands in for the first, by their scores; and where."""

    def stand_in(mol, poses, score):
        ranked = Ranked(poses, np.array(score), {}, *np.zeros((3, len(poses)), np.intp))
        answer = Answers(PreparedQuery(mol, 1, 1), ranked, receptor.atoms).at(Choice(0, 1, 1), [])
        return answer and (answer.index, answer.xyz)

    return stand_in


def test_a_pose_that_need_not_go_far_stands_in_for_one_in_a_wall(demo_library, receptor, stand_in):
    mol = demo_library["Mpro-x10201"]  # runs into the receptor, which is another crystal's
    clear = settle(PreparedQuery(mol, 1, 1), positions(mol)[None], receptor.atoms)[0]
    poses = np.stack([positions(mol), clear])
    way = rmsd(clear, poses[0])
    index, xyz = stand_in(mol, poses, [0.0, -0.9 * way])
    assert index == 1
    assert xyz == pytest.approx(clear, abs=0.02)
    index, xyz = stand_in(mol, poses, [0.0, -1.1 * way])
    assert index == 0
    assert xyz == pytest.approx(clear, abs=0.02)


def test_only_poses_with_the_stereochemistry_of_the_query_stand_in(stand_in):
    query = PreparedQuery(parse_smiles("C[C@H](O)F"), 1, 1)
    right = query.conformers[0]
    middle = right.mean(axis=0)
    flat = np.linalg.svd(right - middle)[2][2]
    mirrored = right - 2 * np.outer((right - middle) @ flat, flat)
    assert rmsd(mirrored, right) < 1
    assert stand_in(query.mol, np.stack([mirrored, right]), [0.5, 0.0])[0] == 1
    assert stand_in(query.mol, mirrored[None], [0.0]) is None
