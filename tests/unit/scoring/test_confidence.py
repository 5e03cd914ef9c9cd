from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from templ.molecules import parse_smiles
from templ.scoring.confidence import confidence, evidence, log_odds, prospect
from templ.scoring.ranking import TERMS
from templ.scoring.weights import CONSTANT, Weights, fitted_weights
from templ.selection.screen import TemplateHit

GOOD = {"tanimoto": 0.9, "cover": 1.0}
POOR = {"tanimoto": 0.2, "cover": 0.3}


def test_the_templates_alone_tell_something():
    mol = parse_smiles("c1ccccc1CN")
    hits = [
        TemplateHit(0, "near", mol, 0.8, None),
        TemplateHit(1, "large core", mol, 0.3, tuple((k, k) for k in range(6))),
    ]
    known = evidence(hits, 8)
    assert known == {"tanimoto": 0.8, "cover": 0.75}
    assert evidence([replace(hits[0], core=None)], 8)["cover"] == 0


def test_better_templates_promise_more():
    assert 0 < prospect(POOR) < prospect(GOOD) < 1


@pytest.mark.parametrize("better", ["mass", "consensus"])
def test_what_speaks_for_a_pose_raises_its_confidence(better):
    plain = {"mass": 0.3, "consensus": 0.4}
    more = plain | {better: 0.9}
    assert 0 < confidence(**plain) < confidence(**more) < 1


def test_no_sample_is_ever_sure():
    assert log_odds(0.0) == pytest.approx(-log_odds(1.0)) == pytest.approx(np.log(0.02 / 0.98))
    assert log_odds(0.5) == 0
    assert 0 < confidence(0.0, 0.0) < confidence(1.0, 1.0) < 1


def test_the_file_of_weights_speaks_of_terms_that_exist():
    weights = fitted_weights()
    assert set(weights.placed) <= set(TERMS)
    assert set(weights.relaxed) <= set(TERMS)
    assert CONSTANT in weights.confidence
    assert CONSTANT in weights.prospect
    assert all(
        np.isfinite(value) for field in fields(Weights) for value in getattr(weights, field.name).values()
    )


def test_terms_count_in_the_direction_that_makes_sense():
    """More agreement is better; overlaps, and energies, are worse the larger they are."""
    for weights in (fitted_weights().placed, fitted_weights().relaxed):
        assert all((weight > 0) == (name in ("consensus", "precedent")) for name, weight in weights.items())
