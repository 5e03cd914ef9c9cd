"""Overlay of poses with a template where they lie: Gaussian shape and features, all poses at once.

First-order Gaussian volumes (Grant, Gallardo, Pickup, J. Comput. Chem. 17 (1996) 1653) with one radius for
all heavy atoms; features are compared by the same Gaussian where two atoms share them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from templ.features import atom_features
from templ.molecules import positions

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rdkit.Chem import Mol

    Floats = NDArray[np.float32]

RADIUS = 1.7
"""Angstrom, of every heavy atom: carbon's van der Waals radius (Bondi 1964)."""
WIDTH = 2.41798793102 / RADIUS**2 / 2
"""Exponent of the overlap of two atoms, 1/Angstrom^2; 2.418 makes a Gaussian with height 2.7 hold the
volume of the sphere (Grant, Gallardo, Pickup 1996)."""


@dataclass(frozen=True, slots=True)
class Cloud:
    """A molecule as an overlay sees it.

    Attributes
    ----------
    xyz : array, shape (atoms, 3)
        Angstrom.
    features : array, shape (atoms, features)
        0 or 1.
    """

    xyz: Floats
    features: Floats

    @classmethod
    def of(cls, mol: Mol) -> Cloud:
        """Take coordinates and features from a molecule with one conformer."""
        return cls(positions(mol).astype(np.float32), atom_features(mol))


def overlay(poses: NDArray[np.float64], features: Floats, templates: list[Cloud]) -> Floats:
    """Overlap of each pose with each template in place: mean of shape and feature Tanimoto.

    Parameters
    ----------
    poses : array, shape (poses, atoms, 3)
        Angstrom, in the frame of the templates.
    features : array, shape (atoms, features)
        Of the query.
    templates : list of Cloud

    Returns
    -------
    array, shape (templates, poses)
        0 (nothing shared) to 1 (the same molecule in the same place).
    """
    xyz = poses.astype(np.float32)
    shape_self, colour_self = _self_overlap(xyz, features)
    scores = np.empty((len(templates), len(poses)), np.float32)
    for row, template in enumerate(templates):
        gaussian = _gaussian(xyz, template.xyz)
        shape = gaussian.sum(axis=(1, 2))
        colour = (gaussian * (features @ template.features.T)).sum(axis=(1, 2))
        shape_own, colour_own = _self_overlap(template.xyz[None], template.features)
        scores[row] = (
            _tanimoto(shape, shape_self, shape_own) + _tanimoto(colour, colour_self, colour_own)
        ) / 2
    return scores


def _self_overlap(xyz: Floats, features: Floats) -> tuple[Floats, Floats]:
    gaussian = np.exp(-WIDTH * ((xyz[:, :, None] - xyz[:, None]) ** 2).sum(axis=-1))
    return gaussian.sum(axis=(1, 2)), (gaussian * (features @ features.T)).sum(axis=(1, 2))


def _gaussian(poses: Floats, template: Floats) -> Floats:
    """Overlap of every pose atom with every template atom, shape (poses, atoms, template atoms)."""
    # |a-b|^2 by a matrix product: a third of the time of subtracting, and no (..., 3) array is made.
    centre = template.mean(axis=0)
    moved, fixed = poses - centre, template - centre
    squared = (moved**2).sum(axis=-1)[..., None] + (fixed**2).sum(axis=-1) - 2 * (moved @ fixed.T)
    return np.asarray(np.exp(-WIDTH * np.maximum(squared, 0)))


def _tanimoto(both: Floats, one: Floats, other: Floats) -> Floats:
    return np.asarray(both / np.maximum(one + other - both, 1e-6))
