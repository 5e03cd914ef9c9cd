"""How likely a pose is right: within 2 Angstrom of the crystal's.

Logistic models (D. R. Cox, J. R. Stat. Soc. B 20 (1958) 215-242), one for poses in the query's own receptor,
one for all others; docs/method.md says how well they hold on proteins that they were not fitted on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from rdkit.Chem import Mol
from rdkit.Chem.rdMolDescriptors import CalcNumRotatableBonds

from templ.scoring.weights import CONSTANT, fitted_weights
from templ.templates.screening import Template

OWN, OTHER = "own", "other"
"""The models: for the receptor of the query's own crystal, which has its shape already; for any other."""
LEAST_PROBABILITY = 0.02
"""Probabilities below this, or that near to 1, count as this: no sample is ever that sure."""
SAME_POCKET = 0.5
"""Pocket similarity from which a template counts as one of the same pocket."""
PRIOR_CONFIDENCE = ("tanimoto", "query_coverage", "rotors", "log_templates")
"""Terms of the model before posing;"""
CONFIDENCE = ("log_odds", "consensus", "network", "tanimoto")
"""and after."""


def evidence(templates: Sequence[Template], query: Mol) -> dict[str, float]:
    """What is known before posing.

    Returns
    -------
    dict
        ``tanimoto`` of the most similar template; ``query_coverage``, the largest share of the query in a
        core; ``rotors`` and ``query_atoms`` of the query; ``log_templates``, the logarithm of how many
        templates are of the same pocket, and one more.
    """
    atoms = query.GetNumAtoms()
    same = sum(template.pocket_similarity >= SAME_POCKET for template in templates)
    return {
        "tanimoto": max(template.tanimoto for template in templates),
        "query_coverage": max(template.core_size for template in templates) / atoms,
        "rotors": float(CalcNumRotatableBonds(query)),
        "query_atoms": float(atoms),
        "log_templates": math.log(1 + same),
    }


def prior_confidence(evidence: Mapping[str, float], *, own_receptor: bool = False) -> float:
    """Probability, before posing, that the first pose will be right."""
    return _logistic(evidence, fitted_weights().prior_confidence[OWN if own_receptor else OTHER])


def confidence(terms: Mapping[str, float], *, own_receptor: bool = False) -> float:
    """Probability that a pose is right, 0 to 1.

    Parameters
    ----------
    terms : Mapping[str, float]
        ``log_odds`` of the posterior probability of the poses within 2 Angstrom of the centre of its cluster;
        ``consensus`` of that centre; the term ``network`` of the pose; ``tanimoto`` of the nearest template.
    """
    return _logistic(terms, fitted_weights().confidence[OWN if own_receptor else OTHER])


def beyond_the_fit(evidence: Mapping[str, float]) -> Iterator[str]:
    """Say in what a query lies outside all that the confidence was fitted on."""
    for name, (least, most) in fitted_weights().seen.items():
        less, more = evidence[name] < least, evidence[name] > most
        if (less and name != "rotors") or (
            more and name != "tanimoto"
        ):  # what is easier is no reason to doubt
            what = name.replace("_", " ")
            yield (
                f"the confidence is a guess: {what} {evidence[name]:.3g} is outside what it was fitted on, "
                f"{least:.3g} to {most:.3g}"
            )


def log_odds(probability: float) -> float:
    """Logarithm of the odds of a probability, kept away from certainty."""
    share = min(max(probability, LEAST_PROBABILITY), 1 - LEAST_PROBABILITY)
    return math.log(share / (1 - share))


def _logistic(terms: Mapping[str, float], weights: Mapping[str, float]) -> float:
    total = sum(weight * (1.0 if name == CONSTANT else terms[name]) for name, weight in weights.items())
    return 1 / (1 + math.exp(-total))
