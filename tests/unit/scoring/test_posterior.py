from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from templ.scoring.posterior import MOST_MEMBERS, clusters, members

ATOMS = np.random.default_rng(1).normal(size=(12, 3)) * 3


def poses_at(*points):
    """One pose at each point along x: their RMSD is their distance."""
    return np.stack([ATOMS + [point, 0, 0] for point in points])


def order(poses, score):
    return [cluster.centre for cluster in clusters(poses, np.array(score))]


def test_many_near_each_other_beat_a_single_best():
    poses = poses_at(0, 10, 10.8, 11.6)
    assert order(poses, [1.0, 0.5, 0.5, 0.5])[0] == 2
    # Unless it is much the likeliest.
    assert order(poses, [3.0, 0.5, 0.5, 0.5])[0] == 0


def test_a_pose_that_was_sampled_often_counts_once():
    poses = poses_at(0, *([10.0] * 8))
    assert order(poses, [1.0, *([0.5] * 8)])[0] == 0


def test_within_a_cluster_the_middle_comes_first():
    poses = poses_at(0, 1.5, 3.0)
    assert order(poses, [0.0, 0.0, 0.0])[0] == 1


def test_the_next_cluster_is_elsewhere():
    poses = poses_at(0, 0.6, 1.2, 20, 40)
    first, second, third = order(poses, [3.0, 3.0, 3.0, 1.0, 2.0])[:3]
    assert (first, second, third) == (1, 4, 3)


def test_shares_of_the_probability():
    near, far = clusters(poses_at(0, 30), np.log([0.75, 0.25]))
    assert (near.probability, far.probability) == pytest.approx((0.75, 0.25), abs=0.005)
    assert (near.score, far.score) == pytest.approx((0.75, 0.25), abs=0.005)
    # 1.2 Angstrom apart: within 2 wholly, within 0.5 not.
    one, _ = clusters(poses_at(0, 1.2), np.zeros(2))
    assert one.probability == pytest.approx(1, abs=0.01)
    assert one.score == pytest.approx(0.3 * 0.5 + 0.7, abs=0.01)


def test_a_constant_of_the_scores_does_not_matter():
    generator = np.random.default_rng(3)
    poses, score = poses_at(*generator.uniform(0, 12, 30)), generator.normal(size=30)
    assert order(poses, score) == order(poses, score + 700) == order(poses, score - 700)


def test_rounding_does_not_choose():
    """Coordinates that differ by what storage leaves of them give the same clusters in the same order."""
    generator = np.random.default_rng(4)
    poses, score = poses_at(*generator.uniform(0, 12, 30)), generator.normal(size=30)
    poses[1], score[1] = poses[0], score[0]
    wiggled = poses + generator.normal(size=poses.shape) * 1e-9
    assert order(poses, score) == order(wiggled, score)


@given(st.lists(st.tuples(st.floats(0, 50), st.floats(-30, 30)), min_size=1, max_size=25))
def test_every_pose_comes_once_and_shares_are_shares(sampled):
    points, scores = zip(*sampled, strict=True)
    found = list(clusters(poses_at(*points), np.array(scores)))
    assert sorted(cluster.centre for cluster in found) == list(range(len(points)))
    assert all(0 <= cluster.score <= cluster.probability + 1e-9 <= 1 + 1e-8 for cluster in found)
    assert found[0].score >= max(cluster.score for cluster in found) - 1e-5


def test_near_poses_may_represent_a_cluster():
    poses = poses_at(0, 0.9, -0.9, 1.1, 0.5)
    assert members(poses, np.array([1.0, 1.2, 1.5, 9.0, 0.8]), 0).tolist() == [2, 1, 4, 0]


def test_poses_much_worse_than_the_best_there_may_not_but_the_centre_may():
    assert members(poses_at(0, 0.2, 0.4, 0.6), np.array([0.0, 5.0, 4.5, 0.0]), 0).tolist() == [1, 2, 0]


def test_no_more_than_a_few_represent_a_cluster_and_the_centre_is_always_one():
    poses, score = poses_at(*(0.01 * number for number in range(20))), np.linspace(0, 0.5, 20)
    assert members(poses, score, 0).tolist() == [*range(19, 19 - MOST_MEMBERS + 1, -1), 0]
