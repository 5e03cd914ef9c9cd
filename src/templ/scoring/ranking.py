"""Ranking: how well a pose agrees with all templates at once, and with the pocket.

A pose that lies well on its own template may contradict the others; the consensus over the best templates,
weighted by how much of the query each explains, finds the place that most crystals agree on. Weights were
chosen on leave-one-out over training sets only (see docs/method.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from templ.scoring.overlay import Cloud, overlay
from templ.scoring.pocket import clash

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from templ.posing.place import Placed
    from templ.query import PreparedQuery
    from templ.selection.screen import TemplateHit

    Floats = NDArray[np.float32]

COVER_POWER = 4
"""A template's weight in the consensus: the share of the query in its core to this power,"""
TANIMOTO_WEIGHT = 4
"""times e to this times its fingerprint similarity."""
COVER_FLOOR = 0.1
"""Share of the query that a template without a core counts as."""
WEIGHTS = {"consensus": 1.0, "cover": 0.2, "clash": -0.5, "bump": -1.2, "core_rmsd": -0.05}
"""Score per unit of each term: overlays are 0 to 1, overlaps Angstrom^2 an atom, RMSD Angstrom."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """Poses of all templates together, with their terms.

    Attributes
    ----------
    xyz : array, shape (poses, atoms, 3)
        Angstrom.
    score : array, shape (poses,)
        Higher is better.
    terms : dict of str to array, shape (poses,)
        What the score is made of.
    origin : array, shape (poses,)
        Index into the list of placements.
    within : array, shape (poses,)
        Index of the pose within its placement.
    """

    xyz: NDArray[np.float64]
    score: Floats
    terms: dict[str, Floats]
    origin: NDArray[np.intp]
    within: NDArray[np.intp]


def rank(
    query: PreparedQuery,
    placements: list[Placed],
    consensus: list[TemplateHit],
    receptor: NDArray[np.float32] | None,
) -> Ranked:
    """Score all poses.

    Parameters
    ----------
    placements : list of Placed
        At least one, each with at least one pose.
    consensus : list of TemplateHit
        Templates that every pose is overlaid with.
    receptor : array, shape (atoms, 3), or None
        Angstrom; without it the clash term is zero.
    """
    xyz = np.concatenate([placed.xyz for placed in placements])
    sizes = [len(placed.xyz) for placed in placements]
    size = query.mol.GetNumAtoms()
    cover = np.array([len(hit.core or ()) / size for hit in consensus])
    tanimoto = np.array([hit.tanimoto for hit in consensus])
    weight = np.maximum(cover, COVER_FLOOR) ** COVER_POWER * np.exp(TANIMOTO_WEIGHT * tanimoto)
    weight = weight * np.array([hit.relatedness for hit in consensus])
    overlays = overlay(xyz, query.features, [Cloud.of(hit.mol) for hit in consensus])
    terms = {
        "consensus": (weight[:, None] * overlays).sum(axis=0) / weight.sum(),
        "cover": np.repeat([placed.core_atoms / size for placed in placements], sizes),
        "clash": np.zeros(len(xyz)) if receptor is None else clash(xyz, receptor),
        "bump": query.bumps(xyz) / size,
        "core_rmsd": np.concatenate([placed.core_rmsd for placed in placements]),
    }
    terms = {name: values.astype(np.float32) for name, values in terms.items()}
    score = sum((WEIGHTS[name] * values for name, values in terms.items()), np.zeros(len(xyz), np.float32))
    return Ranked(
        xyz,
        score.astype(np.float32),
        terms,
        np.repeat(np.arange(len(placements)), sizes),
        np.concatenate([np.arange(count) for count in sizes]),
    )
