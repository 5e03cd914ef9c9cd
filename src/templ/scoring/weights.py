"""The fitted numbers of ranking and confidence, read from the file that ships with the package.

``weights.json`` says where each came from; ``python benchmarks/weights.py`` makes it anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.resources import files

FILE = "weights.json"
CONSTANT = "constant"
"""Name of the term of a logistic model that is always 1."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Weight of each term, by its name.

    Attributes
    ----------
    placed, minimised : Mapping[str, float]
        Of a pose's terms before it is minimised, and after: their sum is the logarithm of how likely the pose
        is the right one, up to a constant of the query.
    selected : Mapping[str, Mapping[str, float]]
        Of the terms of poses that may be handed out, beyond those: in the ``own`` receptor, in an ``other``.
    confidence : Mapping[str, Mapping[str, float]]
        Logistic models of whether a pose lies within 2 Angstrom: in the ``own`` receptor, in an ``other``.
    prior_confidence : Mapping[str, Mapping[str, float]]
        The same before posing.
    seen : Mapping[str, tuple of (float, float)]
        What of the evidence they were fitted on: least and most.
    """

    placed: Mapping[str, float]
    minimised: Mapping[str, float]
    selected: Mapping[str, Mapping[str, float]]
    confidence: Mapping[str, Mapping[str, float]]
    prior_confidence: Mapping[str, Mapping[str, float]]
    seen: Mapping[str, tuple[float, float]]


def weights_digest() -> str:
    """SHA-256 of the weights in use, in hexadecimal: poses of other weights are not of the same run."""
    return hashlib.sha256(json.dumps(asdict(fitted_weights()), sort_keys=True).encode()).hexdigest()


@lru_cache(maxsize=1)
def fitted_weights() -> Weights:
    """Read the weights that ship with the package; once a process."""
    content = json.loads(files("templ.scoring").joinpath(FILE).read_text("utf-8"))
    return Weights(**{name: content[name] for name in Weights.__slots__})
