from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from templ.chemistry.molecules import parse_smiles, with_coordinates
from templ.scoring.confidence import (
    CONFIDENCE,
    OTHER,
    OWN,
    PRIOR_CONFIDENCE,
    TYPICAL_ENCLOSURE,
    beyond_the_fit,
    confidence,
    evidence,
    log_odds,
    prior_confidence,
)
from templ.scoring.weights import fitted_weights
from templ.templates.mcs import Core
from templ.templates.screening import Template

GOOD = {
    "tanimoto": 0.9,
    "shared": 1.0,
    "open_rotors": 0.0,
    "enclosure": 28.0,
    "rotors": 3.0,
    "query_atoms": 25.0,
}
POOR = GOOD | {"tanimoto": 0.2, "shared": 0.3, "open_rotors": 4.0, "enclosure": 20.0}
POSE = {"log_odds": 0.5, "consensus": 0.4, "network": 0.0, "tanimoto": 0.5}


def test_what_is_known_before_posing():
    mol = with_coordinates(parse_smiles("c1ccccc1CCN"), np.arange(27.0).reshape(9, 3))
    templates = [
        Template(0, "large core", mol, 0.3, Core({k: k for k in range(6)}, "c1ccccc1")),
        Template(1, "small core", mol, 0.2, Core({7: 7, 8: 8}, "CN")),
        Template(2, "near", mol, 0.8, None),
    ]
    known = evidence(templates, mol)
    assert known == {
        "tanimoto": 0.8,
        "shared": pytest.approx(8 / 9),
        "open_rotors": 2,  # both bonds of the chain: neither lies in the ring
        "enclosure": TYPICAL_ENCLOSURE,
        "rotors": 2,
        "query_atoms": 9,
    }
    whole = replace(templates[0], core=Core({k: k for k in range(9)}, "c1ccccc1CCN"))
    assert evidence([whole], mol)["open_rotors"] == 0
    none = evidence([templates[2]], mol)
    assert (none["shared"], none["open_rotors"]) == (0, 2)


def test_a_template_is_enclosed_by_what_is_near_it():
    mol = with_coordinates(parse_smiles("CC"), np.array([[0.0, 0, 0], [1.5, 0, 0]]))
    receptor = np.array([[-5.0, 0, 0], [-4.0, 0, 0], [7.0, 0, 0]], np.float32)
    known = evidence([Template(0, "near", mol, 0.8, None)], mol, receptor)
    assert known["enclosure"] == pytest.approx(
        (2 + 2) / 2
    )  # the first two are near one atom, the last two near the other


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
    assert said == f"the confidence is a guess: rotatable bonds {most + 5:.3g}, fitted on 0 to {most:.3g}"
    assert f"{least:.3g} to {most:.3g}" in said
    assert len(list(beyond_the_fit(GOOD | {"rotors": most + 5, "tanimoto": 0.0}))) == 2
    easy = {"rotors": least - 1, "tanimoto": 1.0}
    assert list(beyond_the_fit(GOOD | easy)) == []
