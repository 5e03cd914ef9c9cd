"""How likely a pose is right: within 2 Angstrom of the crystal's.

Logistic models (D. R. Cox, J. R. Stat. Soc. B 20 (1958) 215-242); docs/method.md says how well the
probabilities hold on proteins that they were not fitted on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from templ.scoring.weights import CONSTANT, fitted_weights
from templ.templates.screening import Template

LEAST_PROBABILITY = 0.02
"""Probabilities below this, or that near to 1, count as this: no sample is ever that sure."""


def evidence(templates: Sequence[Template], query_atoms: int) -> dict[str, float]:
    """What the templates alone tell: similarity of the most similar, largest share of the query in a core."""
    return {
        "tanimoto": max(template.tanimoto for template in templates),
        "query_coverage": max(template.core_size for template in templates) / query_atoms,
    }


def prior_confidence(evidence: Mapping[str, float]) -> float:
    """Probability, before posing, that the first pose will be right."""
    return _logistic(evidence, fitted_weights().prior_confidence)


def confidence(cluster_probability: float, consensus: float) -> float:
    """Probability that a pose is right, 0 to 1.

    By the posterior probability of the poses within 2 Angstrom of the centre of its cluster, and by the
    similarity of that centre with the templates in place, both 0 to 1.
    """
    terms = {"log_odds": log_odds(cluster_probability), "consensus": consensus}
    return _logistic(terms, fitted_weights().confidence)


def log_odds(probability: float) -> float:
    """Logarithm of the odds of a probability, kept away from certainty."""
    share = min(max(probability, LEAST_PROBABILITY), 1 - LEAST_PROBABILITY)
    return math.log(share / (1 - share))


def _logistic(terms: Mapping[str, float], weights: Mapping[str, float]) -> float:
    total = sum(weight * (1.0 if name == CONSTANT else terms[name]) for name, weight in weights.items())
    return 1 / (1 + math.exp(-total))
