"""How likely a pose is right: within 2 Angstrom of the crystal's.

Logistic models (D. R. Cox, J. R. Stat. Soc. B 20 (1958) 215-242); docs/method.md says how well the
probabilities hold on proteins that they were not fitted on.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from templ.scoring.weights import CONSTANT, fitted_weights

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from templ.selection.screen import TemplateHit

LEAST_MASS = 0.02
"""Shares of the probability below this, or that much below 1, count as this: no sample is ever that sure."""


def evidence(hits: Sequence[TemplateHit], query_atoms: int) -> dict[str, float]:
    """What the templates alone tell: similarity of the most similar, largest share of the query in a core."""
    return {
        "tanimoto": max(hit.tanimoto for hit in hits),
        "cover": max(len(hit.core or ()) for hit in hits) / query_atoms,
    }


def prospect(evidence: Mapping[str, float]) -> float:
    """Probability, before posing, that the first pose will be right."""
    return _logistic(evidence, fitted_weights().prospect)


def confidence(mass: float, consensus: float) -> float:
    """Probability that a pose is right.

    Parameters
    ----------
    mass : float
        Probability among the sampled poses that lies within 2 Angstrom of it.
    consensus : float
        Its overlay with the templates, 0 to 1.
    """
    return _logistic({"log_odds": log_odds(mass), "consensus": consensus}, fitted_weights().confidence)


def log_odds(mass: float) -> float:
    """Logarithm of the odds of a probability, kept away from certainty."""
    share = min(max(mass, LEAST_MASS), 1 - LEAST_MASS)
    return math.log(share / (1 - share))


def _logistic(terms: Mapping[str, float], weights: Mapping[str, float]) -> float:
    total = sum(weight * (1.0 if name == CONSTANT else terms[name]) for name, weight in weights.items())
    return 1 / (1 + math.exp(-total))
