"""Precedent: where templates have atoms in the same surroundings as the query's.

The consensus asks whether a pose fills the same space as a template; precedent asks it of each atom. A
pyridine that every template has in one corner of the pocket speaks for a pose that has its pyridine there,
however little else the molecules share. Surroundings are those of the Morgan fingerprint (D. Rogers, M. Hahn,
J. Chem. Inf. Model. 50 (2010) 742), radius 0 to 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from rdkit.Chem import rdFingerprintGenerator

from templ.molecules import positions

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rdkit.Chem import Mol

    from templ.query import PreparedQuery
    from templ.selection.screen import TemplateHit

RADIUS = 3
"""Bonds from an atom to which its surroundings are compared."""
FARTHER = 2.0
"""A template's vote counts so many times more for each bond farther that the surroundings are the same."""
WIDTH = 1.6
"""Angstrom at which a vote falls off (standard deviation)."""
CHUNK = 256
"""Poses compared at a time: a few MB, however many poses there are."""

_MORGAN = rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, includeRedundantEnvironments=True)


class Precedent:
    """What templates say of the place of each atom of the query.

    Parameters
    ----------
    query : PreparedQuery
        Whose poses will be asked for.
    hits : list of TemplateHit
        Those that vote.
    weights : array, shape (hits,)
        How much each counts.
    """

    def __init__(self, query: PreparedQuery, hits: list[TemplateHit], weights: NDArray[np.float64]) -> None:
        mine = surroundings(query.mol)
        points: list[list[NDArray[np.float64]]] = [[] for _ in mine]
        votes: list[list[float]] = [[] for _ in mine]
        for hit, weight in zip(hits, weights.tolist(), strict=True):
            its, xyz = surroundings(hit.mol), positions(hit.mol)
            same = np.cumprod(mine[:, None] == its[None], axis=2).sum(axis=2)
            for atom, shared in enumerate(same):
                if most := int(shared.max(initial=0)):
                    points[atom].append(xyz[shared == most])
                    votes[atom].append(weight * FARTHER**most)
        self._voters = [
            (
                atom,
                np.concatenate(near),
                np.cumsum([0, *(len(part) for part in near[:-1])]),
                np.array(vote, np.float32) / np.float32(sum(vote)),
            )
            for atom, (near, vote) in enumerate(zip(points, votes, strict=True))
            if near
        ]
        self._size = len(mine)

    def __call__(self, poses: NDArray[np.float64]) -> NDArray[np.float32]:
        """Mean share of the votes for where a pose, shape (poses, atoms, 3), has its atoms: 0 to 1, (poses,).

        A template votes for the nearest of those of its atoms whose surroundings are the most alike; one
        that has no atom of the kind (element, charge, neighbours, in a ring or not) does not vote.
        """
        total = np.zeros(len(poses), np.float32)
        for start in range(0, len(poses), CHUNK):
            chunk = slice(start, start + CHUNK)
            for atom, points, starts, votes in self._voters:
                middle = points.mean(axis=0)
                mine = (poses[chunk, atom] - middle).astype(np.float32)
                its = (points - middle).astype(np.float32)
                squares = (mine**2).sum(axis=1)[:, None] + (its**2).sum(axis=1) - 2 * mine @ its.T
                nearest = np.minimum.reduceat(squares, starts, axis=1)
                total[chunk] += np.exp(nearest / (-2 * WIDTH**2)) @ votes
        return total / np.float32(self._size)


def surroundings(mol: Mol) -> NDArray[np.uint32]:
    """Hash of what lies within 0 to 3 bonds of each atom, shape (atoms, 4)."""
    output = rdFingerprintGenerator.AdditionalOutput()
    output.AllocateBitInfoMap()
    _MORGAN.GetSparseCountFingerprint(mol, additionalOutput=output)
    found = np.zeros((mol.GetNumAtoms(), RADIUS + 1), np.uint32)
    for bit, places in output.GetBitInfoMap().items():
        for atom, radius in places:
            found[atom, radius] = bit
    return found
