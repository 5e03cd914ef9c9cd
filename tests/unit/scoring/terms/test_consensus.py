from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from templ.chemistry.conformers import PreparedQuery
from templ.scoring.score_term import PosesToScore
from templ.scoring.shape import Shape, shape_similarity
from templ.scoring.terms.consensus import consensus


def test_it_is_the_mean_of_similarities_by_the_weights_of_templates(demo_library):
    query = PreparedQuery(demo_library["Mpro-x10019"], 1, 1)
    shapes = [Shape.of(demo_library[id]) for id in ("Mpro-x10019", "Mpro-x0434")]
    poses = np.stack([shapes[0].xyz + [shift, 0, 0] for shift in (0.0, 1.0, 2.0)]).astype(np.float64)
    similarity = shape_similarity(poses, query.features, shapes)
    for weights in (np.array([1.0, 0.0]), np.array([0.3, 0.7])):
        pocket = SimpleNamespace(shapes=shapes, template_weights=weights)
        found = consensus(PosesToScore(query, poses, np.zeros(3), pocket))
        assert found == pytest.approx(weights @ similarity)
    assert np.ptp(similarity) > 0.1
