"""Ranking: how well a pose agrees with all templates at once, and with the pocket.

A pose that lies well on its own template may contradict the others: the consensus asks how far it fills the
space that the best templates fill, weighted by how much of the query each explains, and the precedent where
they have atoms like its own. Weights of the terms are fitted on training sets only (`templ.scoring.weights`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from templ.scoring.overlay import overlay
from templ.scoring.pocket import clash
from templ.scoring.weights import fitted_weights

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from templ.posing.place import Placed
    from templ.query import PreparedQuery
    from templ.scoring.pocket import Pocket

    Floats = NDArray[np.float32]

TERMS = ("consensus", "precedent", "clash", "bump", "core_rmsd", "contact", "strain")
"""What a pose is scored by: overlay with the templates, and their votes for the places of its atoms (0 to 1);
overlaps with the receptor and within the pose (Angstrom^2 an atom); RMSD of the copied atoms (Angstrom); and,
once relaxed, its energies (kcal/mol an atom): contacts with the receptor, overlaps within."""
ENERGIES = TERMS[5:]
"""Those that only a relaxed pose has; 0 before."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """Poses of all templates together, with their terms.

    Attributes
    ----------
    xyz : array, shape (poses, atoms, 3)
        Angstrom.
    score : array, shape (poses,)
        Logarithm of how likely each pose is the right one, up to a constant of the query.
    terms : dict of str to array, shape (poses,)
        What the score is made of.
    origin : array, shape (poses,)
        Index into the list of placements.
    within : array, shape (poses,)
        Index of the pose within its placement.
    shaken : array, shape (poses,)
        Whether it was shaken since.
    """

    xyz: NDArray[np.float64]
    score: Floats
    terms: dict[str, Floats]
    origin: NDArray[np.intp]
    within: NDArray[np.intp]
    shaken: NDArray[np.bool_]

    def joined(self, other: Ranked) -> Ranked:
        """These poses, then those of another ranking of the same query."""
        terms = {name: np.concatenate([own, other.terms[name]]) for name, own in self.terms.items()}
        return Ranked(
            np.concatenate([self.xyz, other.xyz]),
            np.concatenate([self.score, other.score]),
            terms,
            np.concatenate([self.origin, other.origin]),
            np.concatenate([self.within, other.within]),
            np.concatenate([self.shaken, other.shaken]),
        )


def rank(
    query: PreparedQuery,
    placements: list[Placed],
    pocket: Pocket,
) -> Ranked:
    """Score all poses.

    Parameters
    ----------
    placements : list of Placed
        At least one, each with at least one pose.
    pocket : Pocket
        What they are judged by.
    """
    sizes = [len(placed.xyz) for placed in placements]
    core_rmsd = np.concatenate([placed.core_rmsd for placed in placements])
    xyz = np.concatenate([placed.xyz for placed in placements])
    origin = np.repeat(np.arange(len(placements)), sizes)
    within = np.concatenate([np.arange(count) for count in sizes])
    terms = {"core_rmsd": core_rmsd} | dict.fromkeys(ENERGIES, np.zeros(len(xyz)))
    return judge(query, xyz, origin, within, terms, pocket, fitted_weights().placed)


def judge(
    query: PreparedQuery,
    xyz: NDArray[np.float64],
    origin: NDArray[np.intp],
    within: NDArray[np.intp],
    terms: Mapping[str, NDArray[np.floating]],
    pocket: Pocket,
    weights: Mapping[str, float],
) -> Ranked:
    """Score poses, shape (poses, atoms, 3): add what depends on coordinates alone to the terms, and sum up.

    Parameters
    ----------
    origin, within : array, shape (poses,)
        Where they come from.
    terms : Mapping[str, array], shape (poses,)
        What else is known of them.
    pocket : Pocket
        What they are judged by.
    weights : Mapping[str, float]
        Of the terms.
    """
    overlays = overlay(xyz, query.features, pocket.clouds)
    found = {
        **terms,
        "consensus": (pocket.shares[:, None] * overlays).sum(axis=0),
        "precedent": pocket.precedent(xyz),
        "clash": np.zeros(len(xyz)) if pocket.walls is None else clash(xyz, pocket.walls),
        "bump": query.bumps(xyz) / query.mol.GetNumAtoms(),
    }
    ordered = {name: np.asarray(found[name], np.float32) for name in TERMS}
    score = sum((weight * ordered[name] for name, weight in weights.items()), np.zeros(len(xyz)))
    shaken = np.zeros(len(xyz), np.bool_)
    return Ranked(xyz, np.asarray(score, np.float32), ordered, origin, within, shaken)
