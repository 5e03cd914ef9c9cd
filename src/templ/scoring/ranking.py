"""Ranking: how well a pose agrees with all templates at once, and with the pocket.

A pose that lies well on its own template may contradict the others; the consensus over the best templates,
weighted by how much of the query each explains, finds the place that most crystals agree on. Weights were
chosen on leave-one-out over training sets only (see docs/method.md).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from templ.posing.geometry import Frame, distinct
from templ.posing.relax import relax
from templ.scoring.field import Anchor, Field
from templ.scoring.overlay import Cloud, overlay
from templ.scoring.pocket import clash

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from templ.posing.place import Placed
    from templ.query import PreparedQuery
    from templ.receptor import Receptor
    from templ.selection.screen import TemplateHit

    Floats = NDArray[np.float32]

COVER_POWER = 4
"""A template's weight in the consensus: the share of the query in its core to this power,"""
TANIMOTO_WEIGHT = 4
"""times e to this times its fingerprint similarity."""
COVER_FLOOR = 0.1
"""Share of the query that a template without a core counts as."""
RELATED_FLOOR = 1e-3
"""Relatedness that a template counts as when no residue of its pocket is the query's: all may be such."""
WEIGHTS = {"consensus": 1.0, "cover": 0.2, "clash": -0.5, "bump": -1.2, "core_rmsd": -0.05, "field": 2.0}
"""Score per unit of each term: overlays are 0 to 1, overlaps Angstrom^2 an atom, RMSD Angstrom, the field
kcal/mol an atom (0 before poses are relaxed)."""
DISTINCT_STARTS = 0.5
"""Angstrom RMSD between poses that are relaxed."""
OWN_CONTACT, OTHER_CONTACT = 1.0, 0.3
"""What contacts are worth in the query's own receptor, and in another crystal's, whose side chains lie
otherwise."""


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
    sizes = [len(placed.xyz) for placed in placements]
    size = query.mol.GetNumAtoms()
    cover = np.repeat([placed.core_atoms / size for placed in placements], sizes)
    core_rmsd = np.concatenate([placed.core_rmsd for placed in placements])
    xyz = np.concatenate([placed.xyz for placed in placements])
    origin = np.repeat(np.arange(len(placements)), sizes)
    within = np.concatenate([np.arange(count) for count in sizes])
    field = np.zeros(len(xyz))
    return _ranked(query, xyz, origin, within, cover, core_rmsd, field, consensus, receptor)


def relax_best(
    query: PreparedQuery,
    ranked: Ranked,
    placements: list[Placed],
    sources: list[TemplateHit],
    consensus: list[TemplateHit],
    receptor: Receptor | None,
    *,
    most: int,
    own: bool,
) -> Ranked:
    """Relax the best poses that differ between the pull of the templates and the receptor; score anew.

    Parameters
    ----------
    sources : list of TemplateHit
        The template of each placement: the more it is like the query, the more its core is held.
    most : int
        Poses relaxed.
    own : bool
        The receptor is the query's own, not that of another crystal.
    """
    order = np.argsort(-ranked.score, kind="stable")
    chosen = order[distinct(ranked.xyz[order], DISTINCT_STARTS, most)]
    # Overlays copy nothing and so rank low; what they are worth shows once they are relaxed.
    whole = np.array([not placements[place].atoms for place in ranked.origin[order]])
    if not whole.all():
        chosen = np.concatenate([chosen, np.setdiff1d(order[whole], chosen)])
    origin, within = ranked.origin[chosen], ranked.within[chosen]
    frame = Frame.of(ranked.xyz[chosen].reshape(-1, 3))
    poses = frame.inward(ranked.xyz[chosen])
    clouds = [Cloud.of(hit.mol) for hit in consensus]
    atoms = None if receptor is None else receptor.atoms
    field = Field(
        query,
        poses,
        [Cloud(frame.inward(cloud.xyz).astype(np.float32), cloud.features) for cloud in clouds],
        _weights(query, consensus),
        None if atoms is None else replace(atoms, xyz=frame.inward(atoms.xyz).astype(np.float32)),
        OWN_CONTACT if own else OTHER_CONTACT,
    )
    sites = [replace(placed, onto=frame.inward(placed.onto)) for placed in placements]
    anchor = Anchor(
        query,
        [sites[place] for place in origin],
        np.array([sources[place].tanimoto for place in origin]),
    )
    xyz, energies = relax(query, poses, field, anchor)
    xyz = frame.outward(xyz)
    core_rmsd = [placements[place].rmsd_of(pose) for place, pose in zip(origin.tolist(), xyz, strict=True)]
    return _ranked(
        query,
        xyz,
        origin,
        within,
        ranked.terms["cover"][chosen],
        np.array(core_rmsd),
        -energies / query.mol.GetNumAtoms(),
        consensus,
        None if atoms is None else atoms.xyz,
    )


def _ranked(
    query: PreparedQuery,
    xyz: NDArray[np.float64],
    origin: NDArray[np.intp],
    within: NDArray[np.intp],
    cover: NDArray[np.floating],
    core_rmsd: NDArray[np.floating],
    field: NDArray[np.floating],
    consensus: list[TemplateHit],
    receptor: NDArray[np.float32] | None,
) -> Ranked:
    weight = _weights(query, consensus)
    overlays = overlay(xyz, query.features, [Cloud.of(hit.mol) for hit in consensus])
    terms = {
        "consensus": (weight[:, None] * overlays).sum(axis=0) / weight.sum(),
        "cover": cover,
        "clash": np.zeros(len(xyz)) if receptor is None else clash(xyz, receptor),
        "bump": query.bumps(xyz) / query.mol.GetNumAtoms(),
        "core_rmsd": core_rmsd,
        "field": field,
    }
    terms = {name: np.asarray(values, np.float32) for name, values in terms.items()}
    score = sum((WEIGHTS[name] * values for name, values in terms.items()), np.zeros(len(xyz), np.float32))
    return Ranked(xyz, score.astype(np.float32), terms, origin, within)


def _weights(query: PreparedQuery, consensus: list[TemplateHit]) -> NDArray[np.float64]:
    """How much each template counts, shape (templates,)."""
    size = query.mol.GetNumAtoms()
    cover = np.array([len(hit.core or ()) / size for hit in consensus])
    tanimoto = np.array([hit.tanimoto for hit in consensus])
    relatedness = np.array([hit.relatedness for hit in consensus])
    weights: NDArray[np.float64] = (
        np.maximum(cover, COVER_FLOOR) ** COVER_POWER
        * np.exp(TANIMOTO_WEIGHT * tanimoto)
        * np.maximum(relatedness, RELATED_FLOOR)
    )
    return weights
