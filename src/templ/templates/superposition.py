"""Carries a template into the query's frame: which residues correspond, and the rigid motion between them.

Correspondence comes from an alignment of the sequences alone, never from the order of residues in the files.
The motion is fitted where it matters, around the template's ligand, and residues that moved otherwise (those
of another domain, of a flexible loop) are left out in rounds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from templ.chemistry.geometry import kabsch
from templ.templates.sequence import SAME_PROTEIN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from templ.chemistry.receptor import Residues
    from templ.templates.sequence import Aligner

SPREAD = 8.0
"""Angstrom from the nearest residue of the pocket at which a residue counts 0.6 of one in the pocket."""
OUTLIER = 2.5
"""A pair farther apart than this many times the median is left out of the next round."""
CLOSE, FAR = 2.0, 4.0
"""Angstrom: a pair nearer than the first is never left out, one farther than the second always is."""
ROUNDS = 10
MIN_PAIRS = 8
"""Pairs of residues: fewer, of some hundred, say nothing about a frame."""
MIN_POCKET, MIN_POCKET_SAME = 0.5, 0.3
"""Share of the template's pocket that must be found in the query's receptor, and in that of the same
protein, whose pocket may have opened otherwise (KIF11: 0.38 to 0.58)."""
NEARLY_BEST = 0.9
"""Another copy of a chain fits as well as the best when this share of the best's pocket is found."""

SUPERPOSITION = ("identity", "pocket_identity", "pocket_rmsd", "pairs")
"""What is reported of a fit."""


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A rigid motion from a template's frame to the query's, and how good it is.

    Attributes
    ----------
    rotation : array, shape (3, 3)
        Applied from the right, before the shift.
    shift : array, shape (3,)
        Angstrom.
    pairs : int
        Residues that were superposed.
    pocket_rmsd : float
        C-alpha RMSD of the pocket's superposed residues, Angstrom.
    pocket_found : float
        Share of the template's pocket that was superposed, 0 to 1.
    identity : float
        Share of aligned residues that are the same, 0 to 1.
    pocket_identity : float
        Share of the template's pocket that is the same in the query, 0 to 1.
    chain : str
        Of the query, that the template's main chain was laid onto.
    """

    rotation: NDArray[np.float64]
    shift: NDArray[np.float64]
    pairs: int
    pocket_rmsd: float
    pocket_found: float
    identity: float
    pocket_identity: float
    chain: str = ""

    def numbers(self) -> dict[str, float]:
        """How good the fit is, by name; see `SUPERPOSITION`."""
        return {name: float(getattr(self, name)) for name in SUPERPOSITION}

    def move(self, xyz: NDArray[np.floating]) -> NDArray[np.float64]:
        """Carry points, shape (n, 3), Angstrom, from the template's frame to the query's."""
        return np.asarray(xyz, np.float64) @ self.rotation + self.shift


def superpose(query: Residues, template: Residues, pocket: NDArray[np.int32], aligner: Aligner) -> list[Fit]:
    """Lay a template's pocket into the query's receptor, once for each chain of the query that could hold it.

    Parameters
    ----------
    pocket : array, shape (pocket residues,)
        Of the template, by index.

    Returns
    -------
    list of Fit
        Those that fit about as well as the best; empty when none fits.
    """
    main = template.main_chain(pocket)
    fits = []
    for name, part in zip(query.chains, query.slices(), strict=True):
        pairs = _align_chains(query, part, template, main, aligner)
        fit = _fit(query, template, pocket, pairs)
        if fit is None:
            continue
        more = list(_other_chains(query, part, template, main, pocket, fit, aligner))
        if more:
            joined = np.concatenate([pairs, *more], axis=1)
            fit = _fit(query, template, pocket, joined) or fit
        fits.append(replace(fit, chain=name))
    fits.sort(key=lambda fit: (-fit.pocket_found, fit.pocket_rmsd))
    return [fit for fit in fits if fit.pocket_found >= NEARLY_BEST * fits[0].pocket_found]


def _align_chains(
    query: Residues, query_part: slice, template: Residues, template_part: slice, aligner: Aligner
) -> NDArray[np.intp]:
    """Corresponding residues of two chains, shape (2, pairs): indices in query and template."""
    own, other = aligner.align(query.sequence[query_part], template.sequence[template_part])
    return np.stack([own + query_part.start, other + template_part.start])


def _other_chains(
    query: Residues,
    query_main: slice,
    template: Residues,
    template_main: slice,
    pocket: NDArray[np.int32],
    fit: Fit,
    aligner: Aligner,
) -> Iterator[NDArray[np.intp]]:
    """Pair the further chains of the template's pocket with chains of the query that lie where they do."""
    free = [part for part in query.slices() if part != query_main]
    for part in template.slices():
        if part == template_main or not ((pocket >= part.start) & (pocket < part.stop)).any():
            continue
        found = []
        for part_of_query in free:
            pairs = _align_chains(query, part_of_query, template, part, aligner)
            if len(pairs[0]) >= MIN_PAIRS:
                gap = np.linalg.norm(query.ca[pairs[0]] - fit.move(template.ca[pairs[1]]), axis=1)
                found.append((float(np.median(gap)), part_of_query.start, part_of_query, pairs))
        if found and min(found)[0] <= FAR:
            _, _, taken, pairs = min(found)
            free.remove(taken)
            yield pairs


def _fit(
    query: Residues, template: Residues, pocket: NDArray[np.int32], pairs: NDArray[np.intp]
) -> Fit | None:
    """Fit the pairs around the pocket, leaving outliers out in rounds; None when too little fits."""
    if pairs.shape[1] < MIN_PAIRS:
        return None
    goal, start = query.ca[pairs[0]].astype(np.float64), template.ca[pairs[1]].astype(np.float64)
    around = np.linalg.norm(start[:, None] - template.ca[pocket][None], axis=-1).min(axis=1)
    weight = np.exp(-0.5 * (around / SPREAD) ** 2)
    kept = np.ones(len(weight), np.bool_)
    for _ in range(ROUNDS):
        rotation, shift = kabsch(start[kept], goal[kept], weight[kept])
        gap = np.linalg.norm(start @ rotation + shift - goal, axis=1)
        near = kept & (around <= 2 * SPREAD)
        middle = float(np.median(gap[near])) if near.any() else FAR
        now = gap <= np.clip(OUTLIER * middle, CLOSE, FAR)
        if now.sum() < MIN_PAIRS:
            return None
        if (now == kept).all():
            break
        kept = now
    of_pocket = kept & np.isin(pairs[1], pocket)
    found = of_pocket.sum() / max(len(pocket), 1)
    own = np.frombuffer(query.sequence.encode(), np.uint8)[pairs[0]]
    other = np.frombuffer(template.sequence.encode(), np.uint8)[pairs[1]]
    same = own == other
    if found < (MIN_POCKET_SAME if same.mean() >= SAME_PROTEIN else MIN_POCKET):
        return None
    return Fit(
        rotation=rotation,
        shift=shift,
        pairs=int(kept.sum()),
        pocket_rmsd=float(np.sqrt((gap[of_pocket] ** 2).mean())),
        pocket_found=float(found),
        identity=float(same.mean()),
        pocket_identity=float((same & np.isin(pairs[1], pocket)).sum() / max(len(pocket), 1)),
    )
