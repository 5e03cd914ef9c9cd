from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from templ.chemistry.features import atom_features
from templ.chemistry.molecules import parse_smiles, positions
from templ.scoring.shape import WIDTH, Shape, shape_similarity

IDS = ["Mpro-x0072", "Mpro-x10019", "Mpro-x10201"]


def by_loops(one, one_features, other, other_features):
    """The definition, atom by atom."""

    def volume(a, fa, b, fb):
        shape = alike = 0.0
        for i in range(len(a)):
            for j in range(len(b)):
                gaussian = np.exp(-WIDTH * ((a[i] - b[j]) ** 2).sum())
                shape += gaussian
                alike += gaussian * (fa[i] * fb[j]).sum()
        return np.array([shape, alike])

    both = volume(one, one_features, other, other_features)
    own, its = (
        volume(one, one_features, one, one_features),
        volume(other, other_features, other, other_features),
    )
    return float((both / (own + its - both)).mean())


@pytest.mark.parametrize("id", IDS)
def test_a_molecule_is_wholly_like_itself(demo_library, id):
    shape = Shape.of(demo_library[id])
    assert shape_similarity(shape.xyz[None], shape.features, [shape])[0, 0] == pytest.approx(1, abs=1e-4)


def test_it_is_its_definition(demo_library):
    shapes = [Shape.of(demo_library[id]) for id in IDS]
    query = shapes[0]
    poses = np.stack([query.xyz, query.xyz + [1.0, -0.5, 0.3]])
    scores = shape_similarity(poses, query.features, shapes)
    assert scores.shape == (3, 2)
    for row, shape in enumerate(shapes):
        for column, pose in enumerate(poses):
            expected = by_loops(pose, query.features, shape.xyz, shape.features)
            assert scores[row, column] == pytest.approx(expected, abs=1e-4)


def test_it_falls_with_distance(demo_library):
    shape = Shape.of(demo_library[IDS[1]])
    poses = np.stack([shape.xyz + [shift, 0, 0] for shift in (0, 0.5, 1, 2, 4, 40)])
    scores = shape_similarity(poses, shape.features, [shape])[0]
    assert (np.diff(scores) < 0).all()
    assert scores[-1] == pytest.approx(0, abs=1e-6)


def test_it_does_not_depend_on_the_frame(demo_library):
    one, other = (Shape.of(demo_library[id]) for id in IDS[:2])
    turn = Rotation.from_euler("xyz", [20, 50, -70], degrees=True)
    here = shape_similarity(one.xyz[None], one.features, [other])
    moved = Shape((turn.apply(other.xyz) + 60).astype(np.float32), other.features)
    there = shape_similarity(turn.apply(one.xyz)[None] + 60, one.features, [moved])
    assert there == pytest.approx(here, abs=1e-3)


def test_features_tell_shapes_apart():
    acid, ester = parse_smiles("CC(=O)O"), parse_smiles("CC(=O)C")
    flat = np.array([[0, 0, 0], [1.5, 0, 0], [2.1, 1.1, 0], [2.1, -1.1, 0]], np.float32)
    same = shape_similarity(flat[None], atom_features(acid), [Shape(flat, atom_features(acid))])
    other = shape_similarity(flat[None], atom_features(acid), [Shape(flat, atom_features(ester))])
    assert same[0, 0] == pytest.approx(1)
    assert 0.5 < other[0, 0] < 0.9


def test_positions_are_those_of_the_conformer(demo_library):
    mol = demo_library[IDS[0]]
    assert Shape.of(mol).xyz == pytest.approx(positions(mol), abs=1e-4)
