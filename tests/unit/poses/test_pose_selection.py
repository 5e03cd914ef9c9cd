from __future__ import annotations

import numpy as np
import pytest

from templ.chemistry.conformers import PreparedQuery
from templ.chemistry.geometry import rmsd
from templ.chemistry.molecules import parse_smiles, positions
from templ.chemistry.receptor_file import read_receptor
from templ.poses.clash_removal import remove_clashes
from templ.poses.pose_selection import DISTINCT_POSES, PoseSelector
from templ.scoring.posterior import Cluster
from templ.scoring.ranking import ScoredPoses
from templ.sources.demo import demo_files


@pytest.fixture(scope="module")
def receptor():
    return read_receptor(demo_files().receptor)


def scored(poses, score):
    return ScoredPoses(poses, np.array(score), {}, *np.zeros((3, len(poses)), np.intp))


@pytest.fixture
def representative(receptor):
    """Which of some poses, shape (poses, atoms, 3), represents the first, by their scores; and where."""

    def representative(mol, poses, score):
        selector = PoseSelector(PreparedQuery(mol, 1, 1), scored(poses, score), receptor.atoms)
        selected = selector.representative(Cluster(0, 1, 1), [])
        return selected and (selected.index, selected.xyz)

    return representative


def test_a_pose_that_need_not_go_far_represents_one_that_clashes(demo_library, receptor, representative):
    mol = demo_library["Mpro-x10201"]  # runs into the receptor, which is another crystal's
    clear = remove_clashes(PreparedQuery(mol, 1, 1), positions(mol)[None], receptor.atoms)[0][0]
    poses = np.stack([positions(mol), clear])
    path = rmsd(clear, poses[0])
    index, xyz = representative(mol, poses, [0.0, -0.9 * path])
    assert index == 1
    assert xyz == pytest.approx(clear, abs=0.02)
    index, xyz = representative(mol, poses, [0.0, -1.1 * path])
    assert index == 0
    assert xyz == pytest.approx(clear, abs=0.02)


def test_only_poses_with_the_stereochemistry_of_the_query_represent_a_cluster(representative):
    query = PreparedQuery(parse_smiles("C[C@H](O)F"), 1, 1)
    right = query.conformers[0]
    middle = right.mean(axis=0)
    flat = np.linalg.svd(right - middle)[2][2]
    mirrored = right - 2 * np.outer((right - middle) @ flat, flat)
    assert rmsd(mirrored, right) < 1
    assert representative(query.mol, np.stack([mirrored, right]), [0.5, 0.0])[0] == 1
    assert representative(query.mol, mirrored[None], [0.0]) is None


@pytest.fixture
def chain():
    """A query without stereochemistry, and its poses so far along x."""
    query = PreparedQuery(parse_smiles("CCCCCCCO"), 1, 1)
    return query, lambda *points: np.stack([query.conformers[0] + [point, 0, 0] for point in points])


def test_the_likeliest_clusters_come_first(chain):
    query, poses_at = chain
    selector = PoseSelector(query, scored(poses_at(0, 20, 40, 60), [0.0, 2.0, 1.0, -3.0]), None)
    best = selector.best(3)
    assert [selected.index for selected in best] == [1, 2, 0]
    scores = [selected.cluster.score for selected in best]
    assert scores == sorted(scores, reverse=True)
    assert selector.without_stereo == 0
    assert len(selector.best(10)) == 4


def test_a_pose_like_one_that_was_selected_is_left_out(chain):
    query, poses_at = chain
    poses = poses_at(0, 0.4, 0.6, 20)
    selector = PoseSelector(query, scored(poses, [3.0, 2.9, 2.8, 0.0]), None)
    best = selector.best(4)
    assert len(best) < 4
    gaps = [rmsd(a.xyz, b.xyz) for number, a in enumerate(best) for b in best[:number]]
    assert min(gaps) >= DISTINCT_POSES == 0.5


def test_poses_without_the_stereochemistry_are_counted():
    query = PreparedQuery(parse_smiles("C[C@H](O)F"), 1, 1)
    mirrored = query.conformers[0] * [1, 1, -1]
    selector = PoseSelector(query, scored(np.stack([mirrored, mirrored + 20]), [0.0, 1.0]), None)
    assert selector.best(5) == []
    assert selector.without_stereo == 2


def test_terms_of_selected_poses_share_the_probability_anew(chain):
    """As much in all as before; the pose that the term favours gains what the others lose."""
    query, poses_at = chain
    poses = scored(poses_at(0, 20, 40), [1.0, 0.5, 0.0])
    shown = []

    def judge(xyz):
        shown.append(xyz)
        return {"network": np.where(xyz[:, 0, 0] > 15, 2.0, 0.0)}

    plain = PoseSelector(query, poses, None).best(3)
    [*judged] = PoseSelector(query, poses, None, judge, {"network": 1.5}).best(3)
    assert [selected.index for selected in plain] == [0, 1, 2]
    assert [selected.index for selected in judged] == [1, 2, 0]
    assert [selected.terms["network"] for selected in judged] == [2, 2, 0]
    assert sum(selected.cluster.score for selected in judged) == pytest.approx(
        sum(selected.cluster.score for selected in plain)
    )
    odds = {selected.index: selected.cluster.score for selected in plain}
    assert judged[0].cluster.score / judged[2].cluster.score == pytest.approx(
        odds[1] / odds[0] * np.exp(3), rel=1e-3
    )
    assert [len(xyz) for xyz in shown] == [3]


def test_more_clusters_are_judged_than_are_handed_out_unless_they_are_unlikely(chain):
    query, poses_at = chain
    far = [0.0, 20, 40, 60, 80, 100]
    poses = scored(poses_at(*far), [0.0, 0.0, 0.0, 0.0, 0.0, -9.0])
    counted = []

    def judge(xyz):
        counted.append(len(xyz))
        return {"network": xyz[:, 0, 0]}

    first = PoseSelector(query, poses, None, judge, {"network": 1.0}).best(2)
    assert counted == [5]
    assert first[0].index == 4


def test_a_cluster_that_clashes_counts_for_less(demo_library, receptor):
    """A pose in the middle of the protein, where nothing is free, yields to one a little less likely."""
    mol = demo_library["Mpro-x10201"]
    query = PreparedQuery(mol, 1, 1)
    buried = positions(mol) + (receptor.atoms.xyz.mean(axis=0) - positions(mol).mean(axis=0))
    outside = positions(mol) + 60
    first, second = PoseSelector(query, scored(np.stack([buried, outside]), [0.5, 0.0]), receptor.atoms).best(
        2
    )
    assert (first.index, first.clear) == (1, True)
    assert (second.index, second.clear) == (0, False)
    likelier = scored(np.stack([buried, outside]), [1.5, 0.0])
    assert PoseSelector(query, likelier, receptor.atoms).best(2)[0].index == 0
