"""The pocket that poses are judged in: what the templates show of it, and the receptor's atoms around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from templ.molecules import positions
from templ.scoring.overlay import Cloud
from templ.scoring.precedent import Precedent

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from templ.query import PreparedQuery
    from templ.receptor import Atoms
    from templ.selection.screen import TemplateHit

COVER_POWER = 4
"""A template's weight in the consensus: the share of the query in its core to this power,"""
TANIMOTO_WEIGHT = 4
"""times e to this times its fingerprint similarity."""
COVER_FLOOR = 0.1
"""Share of the query that a template without a core counts as."""
RELATED_FLOOR = 1e-3
"""Relatedness that a template counts as when no residue of its pocket is the query's: all may be such."""
VOTERS = 24
"""Templates, those most alike, that have a vote in the precedent."""
OTHER_CONTACT = 0.4
"""What contacts with another crystal's receptor are worth: its side chains lie a bit otherwise, and in full
they push poses off the templates (of 120 large SARS training ligands 68 are within 1 Angstrom, not 72)."""
OVERLAP = 2.9
"""Angstrom: a template's atom nearer than this to one of the receptor shows that the latter gives way."""
GIVES = 0.1
"""Share of the templates overlapping with an atom of another crystal's receptor from which on it counts for
nothing."""
AROUND = 6.0
"""Angstrom from an atom of the receptor within which a template has something to say of it."""

CONTACT = 3.2
"""Angstrom: heavy atoms nearer than this overlap; a hydrogen bond, a little shorter, costs little."""
REACH = 8.0
"""Angstrom around the poses within which receptor atoms matter."""
CHUNK = 64
"""Poses compared at a time, which bounds memory to a few MB."""


@dataclass(frozen=True, slots=True)
class Pocket:
    """What all poses of one query are judged by.

    Attributes
    ----------
    clouds : list of Cloud
        The templates of the consensus.
    shares : array, shape (clouds,)
        How much each counts; they sum to 1.
    precedent : Precedent
    atoms : Atoms or None
        The receptor's.
    worth : array, shape (receptor atoms,)
        What contacts with each are worth, 0 to 1.
    """

    clouds: list[Cloud]
    shares: NDArray[np.float64]
    precedent: Precedent
    atoms: Atoms | None
    worth: NDArray[np.float32]

    @classmethod
    def of(
        cls, query: PreparedQuery, hits: list[TemplateHit], consensus: int, atoms: Atoms | None, *, own: bool
    ) -> Pocket:
        """Take what templates and receptor show.

        Parameters
        ----------
        hits : list of TemplateHit
            Best first.
        consensus : int
            How many of them every pose is overlaid with.
        atoms : Atoms or None
            The receptor's.
        own : bool
            The receptor is the query's own, not that of another crystal.
        """
        likeness = np.array([_likeness(hit) for hit in hits])
        size = query.mol.GetNumAtoms()
        cover = np.array([len(hit.core or ()) / size for hit in hits[:consensus]])
        shares = np.maximum(cover, COVER_FLOOR) ** COVER_POWER * likeness[:consensus]
        voters = np.argsort(-likeness, kind="stable")[:VOTERS]
        worth = np.zeros(0, np.float32)
        if atoms is not None:
            worth = np.ones(len(atoms), np.float32)
            if not own:
                worth *= OTHER_CONTACT * firmness(atoms.xyz, [positions(hit.mol) for hit in hits], likeness)
        return cls(
            [Cloud.of(hit.mol) for hit in hits[:consensus]],
            shares / shares.sum(),
            Precedent(query, [hits[voter] for voter in voters], likeness[voters]),
            atoms,
            worth,
        )

    @property
    def walls(self) -> NDArray[np.float32] | None:
        """Receptor atoms that poses must not overlap with, shape (atoms, 3); None without a receptor."""
        return None if self.atoms is None else self.atoms.xyz[self.worth > 0]


def _likeness(hit: TemplateHit) -> float:
    """How much a template has to say, as far as it is like the query and its receptor like the query's."""
    return float(np.exp(TANIMOTO_WEIGHT * hit.tanimoto)) * max(hit.relatedness, RELATED_FLOOR)


def firmness(
    receptor: NDArray[np.float32], templates: list[NDArray[np.float64]], weights: NDArray[np.float64]
) -> NDArray[np.float32]:
    """How sure it is that each atom of another crystal's receptor stands where it does, shape (atoms,).

    1 where no template comes too near, 0 where a tenth of those around it do: their crystals show that it
    gives way.

    Parameters
    ----------
    receptor : array, shape (receptor atoms, 3)
        Angstrom.
    templates : list of array, shape (atoms, 3)
        In the same frame.
    weights : array, shape (templates,)
    """
    around, over = np.zeros((2, len(receptor)))
    middle = np.concatenate(templates).mean(axis=0)
    fixed = (receptor - middle).astype(np.float32)
    for xyz, weight in zip(templates, weights, strict=True):
        moved = (xyz - middle).astype(np.float32)
        squares = (fixed**2).sum(axis=1) + ((moved**2).sum(axis=1)[:, None] - 2 * moved @ fixed.T).min(axis=0)
        around += weight * (squares < AROUND**2)
        over += weight * (squares < OVERLAP**2)
    share = over / np.maximum(around, 1e-9)
    return np.clip(1 - share / GIVES, 0, 1).astype(np.float32)


def clash(poses: NDArray[np.float64], receptor: NDArray[np.float32]) -> NDArray[np.float32]:
    """Overlap with the receptor per atom of the pose: mean of (CONTACT - nearest distance)^2 where positive.

    Parameters
    ----------
    poses : array, shape (poses, atoms, 3)
        Angstrom.
    receptor : array, shape (receptor atoms, 3)
        Angstrom.

    Returns
    -------
    array, shape (poses,)
        Angstrom^2; 0 for a pose that touches nothing.
    """
    low, high = poses.min(axis=(0, 1)) - REACH, poses.max(axis=(0, 1)) + REACH
    near = receptor[((receptor >= low) & (receptor <= high)).all(axis=1)]
    if not len(near):
        return np.zeros(len(poses), np.float32)
    centre = near.mean(axis=0)
    fixed = near - centre
    weight = (fixed**2).sum(axis=-1)
    overlaps = []
    for start in range(0, len(poses), CHUNK):
        moved = poses[start : start + CHUNK].astype(np.float32) - centre
        # The nearest atom by a matrix product; adding |pose atom|^2 after the minimum saves a large array.
        nearest = (weight - 2 * (moved @ fixed.T)).min(axis=-1) + (moved**2).sum(axis=-1)
        gap = CONTACT - np.sqrt(np.maximum(nearest, 0))
        overlaps.append((np.clip(gap, 0, None) ** 2).mean(axis=-1))
    return np.concatenate(overlaps)
