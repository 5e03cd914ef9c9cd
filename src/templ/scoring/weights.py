"""The fitted numbers of ranking and confidence, read from the file that ships with the package.

``weights.json`` says where each came from; ``python benchmarks/weights.py`` makes it anew.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = "weights.json"
CONSTANT = "constant"
"""Name of the term of a logistic model that is always 1."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Weight of each term, by its name.

    Attributes
    ----------
    placed, relaxed : Mapping[str, float]
        Of a pose's terms before it is relaxed, and after: their sum is the logarithm of how likely the pose
        is the right one, up to a constant of the query.
    confidence : Mapping[str, float]
        Logistic model of whether a pose lies within 2 Angstrom.
    prospect : Mapping[str, float]
        The same from the templates alone, before posing.
    """

    placed: Mapping[str, float]
    relaxed: Mapping[str, float]
    confidence: Mapping[str, float]
    prospect: Mapping[str, float]


@lru_cache(maxsize=1)
def fitted_weights() -> Weights:
    """Read the weights that ship with the package; once a process."""
    content = json.loads(files("templ.scoring").joinpath(FILE).read_text("utf-8"))
    return Weights(**{name: content[name] for name in Weights.__slots__})
