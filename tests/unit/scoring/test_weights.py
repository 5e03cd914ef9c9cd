from __future__ import annotations

from dataclasses import fields

import numpy as np

from templ.scoring.confidence import CONFIDENCE, OTHER, OWN, PRIOR_CONFIDENCE
from templ.scoring.terms import TERMS
from templ.scoring.weights import CONSTANT, Weights, fitted_weights

BY_NAME = {term.name: term for term in TERMS}


def test_every_weight_of_a_score_names_a_term():
    weights = fitted_weights()
    assert weights.placed
    assert weights.minimised
    assert set(weights.placed) <= {name for name, term in BY_NAME.items() if not term.minimised}
    assert set(weights.minimised) <= {name for name, term in BY_NAME.items() if not term.selected}
    for own in weights.selected.values():
        assert set(own) == {name for name, term in BY_NAME.items() if term.selected}


def test_terms_count_in_the_direction_that_they_say():
    of = fitted_weights()
    for weights in (of.placed, of.minimised, *of.selected.values()):
        for name, weight in weights.items():
            assert (weight > 0) == (BY_NAME[name].better == "more"), name
            assert (weight < 0) == (BY_NAME[name].better == "less"), name


def test_models_of_confidence_have_a_constant_and_what_they_are_given():
    weights = fitted_weights()
    for models, names in ((weights.confidence, CONFIDENCE), (weights.prior_confidence, PRIOR_CONFIDENCE)):
        assert set(models) == {OWN, OTHER}
        assert all(set(model) == {CONSTANT, *names} for model in models.values())


def test_all_are_numbers():
    def numbers(value):
        if isinstance(value, dict | list):
            for inner in value.values() if isinstance(value, dict) else value:
                yield from numbers(inner)
        else:
            yield value

    found = [number for field in fields(Weights) for number in numbers(getattr(fitted_weights(), field.name))]
    assert len(found) > 20
    assert all(np.isfinite(found))
