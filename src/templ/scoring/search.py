"""The search: poses slide downhill; while it is open which is right, the best are shaken and slide anew.

Basin hopping (D. J. Wales, J. P. K. Doye, J. Phys. Chem. A 101 (1997) 5111-5116) of many poses side by side,
among templates and receptor. Where templates leave no doubt it ends before it begins.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from templ.posing.geometry import Frame, distinct
from templ.posing.relax import relax
from templ.posing.shake import shake
from templ.scoring.choice import choose
from templ.scoring.field import Anchor, Field
from templ.scoring.overlay import Cloud
from templ.scoring.ranking import Ranked, judge
from templ.scoring.weights import fitted_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from templ.posing.place import Placed
    from templ.query import PreparedQuery
    from templ.scoring.pocket import Pocket
    from templ.selection.screen import TemplateHit

DISTINCT_STARTS = 0.5
"""Angstrom RMSD between poses that are relaxed."""
SHAKEN = 60
"""Poses shaken in a round."""
SURE = 0.97
"""Probability near the first answer from which on the search is over."""
WORST_CONTACT = 0.5
"""kcal/mol an atom: worse contacts than this, up to a thousand in a wall, say nothing more of a pose."""


def search(
    query: PreparedQuery,
    ranked: Ranked,
    placements: list[Placed],
    sources: list[TemplateHit],
    pocket: Pocket,
    *,
    most: int,
    rounds: int,
    seed: int,
) -> Ranked:
    """Relax the best poses that differ between the pull of the templates and the receptor; score anew.

    Parameters
    ----------
    ranked : Ranked
        Poses as they were placed.
    placements : list of Placed
        Where they come from.
    sources : list of TemplateHit
        The template of each placement: the more it is like the query, the more its core is held.
    pocket : Pocket
        What they are judged by, and moved in.
    most : int
        Poses relaxed at first.
    rounds : int
        How often, at most, the best are shaken and relaxed anew.
    seed : int
        Of the shaking.

    Returns
    -------
    Ranked
        All poses that came to rest, in the order in which they were found.
    """
    chosen = _starts(ranked, most)
    # Overlays copy nothing and so rank low; what they are worth shows once they are relaxed.
    whole = np.flatnonzero([not placements[place].atoms for place in ranked.origin])
    if len(whole) < len(ranked.xyz):
        chosen = np.concatenate([chosen, np.setdiff1d(whole, chosen)])
    descent = _Descent(query, placements, sources, pocket, ranked.xyz[chosen])
    found = descent(ranked.xyz[chosen], ranked.origin[chosen], ranked.within[chosen])
    for number in range(rounds):
        if next(choose(found.xyz, found.score)).mass >= SURE:
            break
        best = _starts(found, SHAKEN)
        origin, within = found.origin[best], found.within[best]
        # Random numbers by what a pose comes from, not by its rank, which a rounding error may change.
        thrown = [
            shake(query, pose, np.random.default_rng((seed, number, *which)))
            for pose, *which in zip(found.xyz[best], origin.tolist(), within.tolist(), strict=True)
        ]
        anew = descent(np.array(thrown), origin, within)
        found = found.joined(replace(anew, shaken=np.ones(len(best), np.bool_)))
    return found


def _starts(ranked: Ranked, most: int) -> NDArray[np.intp]:
    """The best poses that differ."""
    order = np.argsort(-ranked.score, kind="stable")
    return order[distinct(ranked.xyz[order], DISTINCT_STARTS, most)]


class _Descent:
    """Relaxes poses in the pocket, and judges them where they come to rest.

    Everything is done in the templates' frame, not the poses': one pose more or less must not turn the grid
    for all others.
    """

    def __init__(
        self,
        query: PreparedQuery,
        placements: list[Placed],
        sources: list[TemplateHit],
        pocket: Pocket,
        poses: NDArray[np.float64],
    ) -> None:
        self._query, self._placements, self._pocket = query, placements, pocket
        self._frame = Frame.of(np.concatenate([cloud.xyz for cloud in pocket.clouds]).astype(np.float64))
        atoms, inward = pocket.atoms, self._frame.inward
        self._field = Field(
            query,
            inward(poses),
            [Cloud(inward(cloud.xyz).astype(np.float32), cloud.features) for cloud in pocket.clouds],
            pocket.shares,
            None if atoms is None else replace(atoms, xyz=inward(atoms.xyz).astype(np.float32)),
            pocket.worth,
        )
        self._sites = [replace(placed, onto=inward(placed.onto)) for placed in placements]
        self._similarity = np.array([hit.tanimoto for hit in sources])

    def __call__(
        self, poses: NDArray[np.float64], origin: NDArray[np.intp], within: NDArray[np.intp]
    ) -> Ranked:
        """Relax poses, shape (poses, atoms, 3), of the given placements."""
        anchor = Anchor(self._query, [self._sites[place] for place in origin], self._similarity[origin])
        inside = relax(self._query, self._frame.inward(poses), self._field, anchor)
        still, xyz = inside.astype(np.float32), self._frame.outward(inside)
        own = [self._placements[place] for place in origin]
        size = self._query.mol.GetNumAtoms()
        terms = {
            "core_rmsd": np.array([placed.rmsd_of(pose) for placed, pose in zip(own, xyz, strict=True)]),
            "contact": np.minimum(self._field.contacts(still) / size, WORST_CONTACT),
            "strain": self._query.strain(still)[0] / size,
        }
        return judge(self._query, xyz, origin, within, terms, self._pocket, fitted_weights().relaxed)
