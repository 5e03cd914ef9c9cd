"""Ranking: how well a pose agrees with all templates at once, and with the pocket.

A pose that lies well on its own template may contradict the others; the consensus over the best templates,
weighted by how much of the query each explains, finds the place that most crystals agree on. Weights of the
terms are fitted on training sets only (`templ.scoring.weights`).
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
from templ.scoring.weights import fitted_weights

if TYPE_CHECKING:
    from collections.abc import Mapping

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
TERMS = ("consensus", "cover", "clash", "bump", "core_rmsd", "contact", "hold", "strain")
"""What a pose is scored by: overlay with the templates (0 to 1), share of the query copied, overlaps with the
receptor and within the pose (Angstrom^2 an atom), RMSD of the copied atoms (Angstrom), and, once relaxed, its
energies (kcal/mol an atom): contacts with the receptor, hold of the copied atoms, overlaps within."""
ENERGIES = TERMS[5:]
"""Those that only a relaxed pose has; 0 before."""
DISTINCT_STARTS = 0.5
"""Angstrom RMSD between poses that are relaxed."""
OWN_CONTACT, OTHER_CONTACT = 1.0, 0.3
"""What contacts are worth in the query's own receptor, and in another crystal's, whose side chains lie
otherwise."""


WORST_CONTACT = 0.5
"""kcal/mol an atom: worse contacts than this, up to a thousand in a wall, say nothing more of a pose."""


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
    terms = {"cover": cover, "core_rmsd": core_rmsd} | dict.fromkeys(ENERGIES, np.zeros(len(xyz)))
    share, clouds = _weights(query, consensus), [Cloud.of(hit.mol) for hit in consensus]
    return _ranked(query, xyz, origin, within, terms, share, clouds, receptor, fitted_weights().placed)


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
    share, clouds = _weights(query, consensus), [Cloud.of(hit.mol) for hit in consensus]
    # The templates' frame, not the poses': one pose more or less must not turn the grid for all others.
    frame = Frame.of(np.concatenate([cloud.xyz for cloud in clouds]).astype(np.float64))
    poses = frame.inward(ranked.xyz[chosen])
    atoms = None if receptor is None else receptor.atoms
    field = Field(
        query,
        poses,
        [Cloud(frame.inward(cloud.xyz).astype(np.float32), cloud.features) for cloud in clouds],
        share,
        None if atoms is None else replace(atoms, xyz=frame.inward(atoms.xyz).astype(np.float32)),
        OWN_CONTACT if own else OTHER_CONTACT,
    )
    sites = [replace(placed, onto=frame.inward(placed.onto)) for placed in placements]
    anchor = Anchor(
        query,
        [sites[place] for place in origin],
        np.array([sources[place].tanimoto for place in origin]),
    )
    inside = relax(query, poses, field, anchor)
    still = inside.astype(np.float32)
    xyz = frame.outward(inside)
    core_rmsd = [placements[place].rmsd_of(pose) for place, pose in zip(origin.tolist(), xyz, strict=True)]
    size = query.mol.GetNumAtoms()
    terms = {
        "cover": ranked.terms["cover"][chosen],
        "core_rmsd": np.array(core_rmsd),
        "contact": np.minimum(field.contacts(still) / size, WORST_CONTACT),
        "hold": anchor(still)[0] / size,
        "strain": query.strain(still)[0] / size,
    }
    walls = None if atoms is None else atoms.xyz
    return _ranked(query, xyz, origin, within, terms, share, clouds, walls, fitted_weights().relaxed)


def _ranked(
    query: PreparedQuery,
    xyz: NDArray[np.float64],
    origin: NDArray[np.intp],
    within: NDArray[np.intp],
    terms: Mapping[str, NDArray[np.floating]],
    share: NDArray[np.float64],
    clouds: list[Cloud],
    receptor: NDArray[np.float32] | None,
    weights: Mapping[str, float],
) -> Ranked:
    """Add what depends on the coordinates alone to the terms, and sum them up."""
    overlays = overlay(xyz, query.features, clouds)
    found = {
        **terms,
        "consensus": (share[:, None] * overlays).sum(axis=0) / share.sum(),
        "clash": np.zeros(len(xyz)) if receptor is None else clash(xyz, receptor),
        "bump": query.bumps(xyz) / query.mol.GetNumAtoms(),
    }
    ordered = {name: np.asarray(found[name], np.float32) for name in TERMS}
    score = sum((weight * ordered[name] for name, weight in weights.items()), np.zeros(len(xyz)))
    return Ranked(xyz, np.asarray(score, np.float32), ordered, origin, within)


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
