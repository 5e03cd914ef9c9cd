from __future__ import annotations

from dataclasses import fields

import numpy as np

from templ.scoring.terms import TERMS
from templ.scoring.weights import CONSTANT, Weights, fitted_weights

BY_NAME = {term.name: term for term in TERMS}


def test_every_weight_of_a_score_names_a_term():
    weights = fitted_weights()
    assert weights.placed
    assert weights.minimised
    assert set(weights.placed) <= {name for name, term in BY_NAME.items() if not term.minimised}
    assert set(weights.minimised) <= set(BY_NAME)


def test_terms_count_in_the_direction_that_they_say():
    for weights in (fitted_weights().placed, fitted_weights().minimised):
        for name, weight in weights.items():
            assert (weight > 0) == (BY_NAME[name].better == "more"), name
            assert (weight < 0) == (BY_NAME[name].better == "less"), name


def test_models_of_confidence_have_a_constant_and_what_they_are_given():
    weights = fitted_weights()
    assert set(weights.confidence) == {CONSTANT, "log_odds", "consensus"}
    assert set(weights.prior_confidence) == {CONSTANT, "tanimoto", "query_coverage"}


def test_all_are_numbers():
    assert all(
        np.isfinite(value)
        for field in fields(Weights)
        for value in getattr(fitted_weights(), field.name).values()
    )
