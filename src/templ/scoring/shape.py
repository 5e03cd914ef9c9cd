"""Similarity of poses and templates in place: Gaussian shape and features, all poses at once.

First-order Gaussian volumes (Grant, Gallardo, Pickup, J. Comput. Chem. 17 (1996) 1653) with one radius for
all heavy atoms; features are compared by the same Gaussian where two atoms share them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rdkit.Chem import Mol

from templ.chemistry.features import atom_features
from templ.chemistry.geometry import CHUNK, squared_distances
from templ.chemistry.molecules import positions

Floats = NDArray[np.float32]

RADIUS = 1.7
"""Angstrom, of every heavy atom: carbon's van der Waals radius (Bondi 1964)."""
WIDTH = 2.41798793102 / RADIUS**2 / 2
"""Exponent of the overlap of two atoms, 1/Angstrom^2; 2.418 makes a Gaussian with height 2.7 hold the
volume of the sphere (Grant, Gallardo, Pickup 1996)."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Coordinates, shape (atoms, 3), Angstrom, and features of each atom, shape (atoms, features), 0 or 1."""

    xyz: Floats
    features: Floats

    @classmethod
    def of(cls, mol: Mol) -> Shape:
        """Take coordinates and features from a molecule with one conformer."""
        return cls(positions(mol).astype(np.float32), atom_features(mol))


def shape_similarity(poses: NDArray[np.float64], features: Floats, templates: list[Shape]) -> Floats:
    """Mean of shape and feature Tanimoto of each pose with each template, where they lie.

    Parameters
    ----------
    poses : array, shape (poses, atoms, 3)
        Angstrom, in the frame of the templates.
    features : array, shape (atoms, features)
        Of the query.

    Returns
    -------
    array, shape (templates, poses)
        0 (nothing shared) to 1 (the same molecule in the same place).
    """
    own = [_volumes(part.xyz[None], part.xyz, part.features, part.features) for part in templates]
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
    centre = poses.mean(axis=(0, 1))
    gaussian = np.exp(-WIDTH * squared_distances(poses - centre, other - centre)).reshape(len(poses), -1)
    return gaussian.sum(axis=1), gaussian @ (mine @ its.T).ravel()


def _tanimoto(both: Floats, one: Floats, other: Floats) -> Floats:
    return np.asarray(both / np.maximum(one + other - both, 1e-6))
