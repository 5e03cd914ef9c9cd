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

CHUNK = 64
"""Poses compared at a time: a few MB, however many poses there are."""


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
    own = [
        _volumes(template.xyz[None], template.xyz, template.features, template.features)
        for template in templates
    ]
    scores = np.empty((len(templates), len(poses)), np.float32)
    for start in range(0, len(poses), CHUNK):
        chunk = slice(start, start + CHUNK)
        xyz = poses[chunk].astype(np.float32)
        selves = _volumes(xyz, xyz, features, features)
        for row, template in enumerate(templates):
            both = _volumes(xyz, template.xyz, features, template.features)
            shares = (_tanimoto(b, s, o) for b, s, o in zip(both, selves, own[row], strict=True))
            scores[row, chunk] = sum(shares) / 2
    return scores


def _volumes(poses: Floats, other: Floats, mine: Floats, its: Floats) -> tuple[Floats, Floats]:
    """Overlap in shape and in features, shape (poses,) each; `other` is one molecule, or one a pose."""
    # |a-b|^2 by a matrix product: a third of the time of subtracting, and no (..., 3) array is made.
    centre = poses.mean(axis=(0, 1))
    moved, fixed = poses - centre, other - centre
    squared = (moved**2).sum(axis=-1)[..., None] + (fixed**2).sum(axis=-1)[..., None, :]
    squared -= 2 * (moved @ np.swapaxes(fixed, -1, -2))
    gaussian = np.exp(-WIDTH * np.maximum(squared, 0)).reshape(len(poses), -1)
    return gaussian.sum(axis=1), gaussian @ (mine @ its.T).ravel()


def _tanimoto(both: Floats, one: Floats, other: Floats) -> Floats:
    return np.asarray(both / np.maximum(one + other - both, 1e-6))
