from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from templ.chemistry.molecules import parse_smiles
from templ.scoring.confidence import (
    CONFIDENCE,
    OTHER,
    OWN,
    PRIOR_CONFIDENCE,
    beyond_the_fit,
    confidence,
    evidence,
    log_odds,
    prior_confidence,
)
from templ.scoring.weights import fitted_weights
from templ.templates.mcs import Core
from templ.templates.screening import Template

GOOD = {"tanimoto": 0.9, "query_coverage": 1.0, "rotors": 3.0, "query_atoms": 25.0, "log_templates": 3.0}
POOR = GOOD | {"tanimoto": 0.2, "query_coverage": 0.3}
POSE = {"log_odds": 0.5, "consensus": 0.4, "network": 0.0, "tanimoto": 0.5}


def test_what_is_known_before_posing():
    mol = parse_smiles("c1ccccc1CCN")
    templates = [
        Template(0, "near", mol, 0.8, None),
        Template(1, "large core", mol, 0.3, Core({k: k for k in range(6)}, "c1ccccc1")),
    ]
    known = evidence(templates, parse_smiles("c1ccccc1CCN"))
    assert known == {
        "tanimoto": 0.8,
        "query_coverage": pytest.approx(6 / 9),
        "rotors": 2,
        "query_atoms": 9,
        "log_templates": pytest.approx(np.log(3)),
    }
    assert evidence([replace(templates[0], core=None)], mol)["query_coverage"] == 0


@pytest.mark.parametrize("own", [True, False])
def test_better_templates_promise_more(own):
    worse, better = (prior_confidence(known, own_receptor=own) for known in (POOR, GOOD))
    assert 0 < worse < better < 1


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("better", ["log_odds", "consensus", "network"])
def test_what_speaks_for_a_pose_raises_its_confidence(better, own):
    more = POSE | {better: POSE[better] + 0.5}
    assert 0 < confidence(POSE, own_receptor=own) < confidence(more, own_receptor=own) < 1


def test_no_sample_is_ever_sure():
    assert log_odds(0.0) == pytest.approx(-log_odds(1.0)) == pytest.approx(np.log(0.02 / 0.98))
    assert log_odds(0.5) == 0


@pytest.mark.parametrize(("own", "which"), [(True, OWN), (False, OTHER)])
def test_models_are_logistic_in_their_terms_and_one_for_each_kind_of_receptor(own, which):
    """By hand, from the weights as the file has them."""
    weights = fitted_weights()
    for model, names, terms, found in (
        (weights.confidence[which], CONFIDENCE, POSE, confidence(POSE, own_receptor=own)),
        (weights.prior_confidence[which], PRIOR_CONFIDENCE, POOR, prior_confidence(POOR, own_receptor=own)),
    ):
        logit = model["constant"] + sum(model[name] * terms[name] for name in names)
        assert found == pytest.approx(1 / (1 + np.exp(-logit)))


def test_what_no_fit_has_seen_is_said():
    assert list(beyond_the_fit(GOOD)) == []
    least, most = fitted_weights().seen["rotors"]
    [said] = beyond_the_fit(GOOD | {"rotors": most + 5})
    assert said.startswith(f"the confidence is a guess: rotors {most + 5:.3g} is outside")
    assert f"{least:.3g} to {most:.3g}" in said
    assert len(list(beyond_the_fit(GOOD | {"rotors": most + 5, "tanimoto": 0.0}))) == 2
    easy = {"rotors": least - 1, "tanimoto": 1.0}
    assert list(beyond_the_fit(GOOD | easy)) == []
