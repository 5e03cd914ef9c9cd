from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from templ.chemistry.molecules import parse_smiles
from templ.scoring.confidence import confidence, evidence, log_odds, prior_confidence
from templ.scoring.weights import fitted_weights
from templ.templates.mcs import Core
from templ.templates.screening import Template

GOOD = {"tanimoto": 0.9, "query_coverage": 1.0}
POOR = {"tanimoto": 0.2, "query_coverage": 0.3}


def test_the_templates_alone_tell_something():
    mol = parse_smiles("c1ccccc1CN")
    templates = [
        Template(0, "near", mol, 0.8, None),
        Template(1, "large core", mol, 0.3, Core({k: k for k in range(6)}, "c1ccccc1")),
    ]
    known = evidence(templates, 8)
    assert known == {"tanimoto": 0.8, "query_coverage": 0.75}
    assert evidence([replace(templates[0], core=None)], 8)["query_coverage"] == 0


def test_better_templates_promise_more():
    assert 0 < prior_confidence(POOR) < prior_confidence(GOOD) < 1


@pytest.mark.parametrize("better", ["cluster_probability", "consensus"])
def test_what_speaks_for_a_pose_raises_its_confidence(better):
    plain = {"cluster_probability": 0.3, "consensus": 0.4}
    more = plain | {better: 0.9}
    assert 0 < confidence(**plain) < confidence(**more) < 1


def test_no_sample_is_ever_sure():
    assert log_odds(0.0) == pytest.approx(-log_odds(1.0)) == pytest.approx(np.log(0.02 / 0.98))
    assert log_odds(0.5) == 0
    assert 0 < confidence(0.0, 0.0) < confidence(1.0, 1.0) < 1


def test_models_are_logistic_in_their_terms():
    """By hand, from the weights as the file has them."""
    weights = fitted_weights()
    own, prior = weights.confidence, weights.prior_confidence
    logit = own["constant"] + own["log_odds"] * np.log(0.7 / 0.3) + own["consensus"] * 0.4
    assert confidence(0.7, 0.4) == pytest.approx(1 / (1 + np.exp(-logit)))
    logit = prior["constant"] + prior["tanimoto"] * 0.9 + prior["query_coverage"]
    assert prior_confidence(GOOD) == pytest.approx(1 / (1 + np.exp(-logit)))
