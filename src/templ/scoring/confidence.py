"""How likely a pose is right: within 2 Angstrom of the crystal's.

Logistic models (D. R. Cox, J. R. Stat. Soc. B 20 (1958) 215-242), one for poses in the query's own receptor,
one for all others; docs/method.md says how well they hold on proteins that they were not fitted on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from rdkit.Chem import Mol
from rdkit.Chem.rdMolDescriptors import CalcNumRotatableBonds

from templ.chemistry.geometry import squared_distances
from templ.chemistry.molecules import positions
from templ.chemistry.rotors import rotors_of
from templ.scoring.weights import CONSTANT, fitted_weights
from templ.templates.screening import Template

OWN, OTHER = "own", "other"
"""The models: for the receptor of the query's own crystal, which has its shape already; for any other."""
LEAST_PROBABILITY = 0.02
"""Probabilities below this, or that near to 1, count as this: no sample is ever that sure."""
NEAR = 6.0
"""Angstrom from an atom of a template within which receptor atoms are counted that enclose it;"""
TYPICAL_ENCLOSURE = 24.0
"""and what is taken for their mean number where there is no receptor."""
PRIOR_CONFIDENCE = ("tanimoto", "shared", "open_rotors", "enclosure")
"""Terms of the model before posing;"""
CONFIDENCE = ("log_odds", "consensus", "network", "tanimoto")
"""and after."""


def evidence(
    templates: Sequence[Template], query: Mol, receptor: NDArray[np.float32] | None = None
) -> dict[str, float]:
    """What is known before posing.

    Parameters
    ----------
    templates : sequence of Template
        Largest core first.
    query : rdkit.Chem.Mol
        Heavy atoms.
    receptor : array, shape (receptor atoms, 3), optional
        Angstrom, in the templates' frame.

    Returns
    -------
    dict
        ``tanimoto`` of the most similar template; ``shared``, the share of the query's atoms that are in the
        core of any; ``open_rotors``, bonds that may turn and are not in the largest core; ``enclosure``, how
        many receptor atoms are near an atom of the template with that, in the mean; ``rotors`` and
        ``query_atoms`` of the query.
    """
    atoms = query.GetNumAtoms()
    cores = [set(template.core.pairs) for template in templates if template.core is not None]
    copied = set() if templates[0].core is None else set(templates[0].core.pairs)
    return {
        "tanimoto": max(template.tanimoto for template in templates),
        "shared": len(set().union(*cores)) / atoms,
        "open_rotors": float(sum(not {rotor.b, rotor.c} <= copied for rotor in rotors_of(query))),
        "enclosure": TYPICAL_ENCLOSURE if receptor is None else _enclosure(templates[0].mol, receptor),
        "rotors": float(CalcNumRotatableBonds(query)),
        "query_atoms": float(atoms),
    }


def _enclosure(template: Mol, receptor: NDArray[np.float32]) -> float:
    """Receptor atoms near an atom of a template, in the mean."""
    xyz = positions(template)
    middle = xyz.mean(axis=0)
    squares = squared_distances(xyz - middle, receptor.astype(np.float64) - middle)
    return float((squares < NEAR**2).sum(axis=1).mean())


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


MEASURES = {"tanimoto": "nearest Tanimoto", "query_atoms": "heavy atoms", "rotors": "rotatable bonds"}
"""What a person calls that by which a query is compared with what was fitted on."""


def beyond_the_fit(evidence: Mapping[str, float]) -> Iterator[str]:
    """Say in what a query lies outside all that the confidence was fitted on."""
    for name, (least, most) in fitted_weights().seen.items():
        less, more = evidence[name] < least, evidence[name] > most
        if (less and name != "rotors") or (
            more and name != "tanimoto"
        ):  # what is easier is no reason to doubt
            told = f"{evidence[name]:.3g}, fitted on {least:.3g} to {most:.3g}"
            yield f"the confidence is a guess: {MEASURES[name]} {told}"


def log_odds(probability: float) -> float:
    """Logarithm of the odds of a probability, kept away from certainty."""
    share = min(max(probability, LEAST_PROBABILITY), 1 - LEAST_PROBABILITY)
    return math.log(share / (1 - share))


def _logistic(terms: Mapping[str, float], weights: Mapping[str, float]) -> float:
    total = sum(weight * (1.0 if name == CONSTANT else terms[name]) for name, weight in weights.items())
    return 1 / (1 + math.exp(-total))
