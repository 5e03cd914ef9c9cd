"""Atom-environment density: where templates have atoms in the same surroundings as the query's.

The consensus asks whether a pose fills the same space as a template; this asks it of each atom. A pyridine
that every template has in one corner of the pocket speaks for a pose that has its pyridine there, however
little else the molecules share. Surroundings are those of the Morgan fingerprint (D. Rogers, M. Hahn, J.
Chem. Inf. Model. 50 (2010) 742), radius 0 to 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from rdkit.Chem import Mol, rdFingerprintGenerator

from templ.chemistry.geometry import squared_distances
from templ.chemistry.molecules import positions
from templ.scoring.score_term import Term

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from templ.templates.screening import Template

RADIUS = 3
"""Bonds from an atom to which its surroundings are compared."""
FARTHER = 2.0
"""A template counts so many times more for each bond farther that the surroundings are the same."""
WIDTH = 1.6
"""Angstrom, standard deviation of the Gaussian at each template atom."""
CHUNK = 256
"""Poses compared at a time: a few MB, however many poses there are."""

_MORGAN = rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, includeRedundantEnvironments=True)


class AtomDensity:
    """What templates, by their weights, shape (templates,), say of the position of each atom of the query."""

    def __init__(self, query: Mol, templates: list[Template], weights: NDArray[np.float64]) -> None:
        mine = surroundings(query)
        points: list[list[NDArray[np.float64]]] = [[] for _ in mine]
        shares: list[list[float]] = [[] for _ in mine]
        for template, weight in zip(templates, weights.tolist(), strict=True):
            its, xyz = surroundings(template.mol), positions(template.mol)
            same = np.cumprod(mine[:, None] == its[None], axis=2).sum(axis=2)
            for atom, shared in enumerate(same):
                if most := int(shared.max(initial=0)):
                    points[atom].append(xyz[shared == most])
                    shares[atom].append(weight * FARTHER**most)
        self._densities = [
            (
                atom,
                np.concatenate(near),
                np.cumsum([0, *(len(part) for part in near[:-1])]),
                np.array(share, np.float32) / np.float32(sum(share)),
            )
            for atom, (near, share) in enumerate(zip(points, shares, strict=True))
            if near
        ]
        self._size = len(mine)

    def __call__(self, poses: NDArray[np.float64]) -> NDArray[np.float32]:
        """Mean density at the atoms of each pose, 0 to 1, shape (poses,).

        A template counts at the nearest of those of its atoms whose surroundings are the most alike; one that
        has no atom of the kind (element, charge, neighbours, in a ring or not) does not count.

        Parameters
        ----------
        poses : array, shape (poses, atoms, 3)
            Angstrom.
        """
        total = np.zeros(len(poses), np.float32)
        for start in range(0, len(poses), CHUNK):
            chunk = slice(start, start + CHUNK)
            for atom, points, starts, shares in self._densities:
                middle = points.mean(axis=0)
                mine = (poses[chunk, atom] - middle).astype(np.float32)
                its = (points - middle).astype(np.float32)
                nearest = np.minimum.reduceat(squared_distances(mine, its), starts, axis=1)
                total[chunk] += np.exp(nearest / (-2 * WIDTH**2)) @ shares
        return total / np.float32(self._size)

    def of_each_atom(self, pose: NDArray[np.float64]) -> NDArray[np.float32]:
        """Density at each atom of one pose, 0 to 1, shape (atoms,): what the mean of a pose is made of.

        0 where no template has an atom of the kind. The pose has shape (atoms, 3), Angstrom.
        """
        found = np.zeros(self._size, np.float32)
        for atom, points, starts, shares in self._densities:
            middle = points.mean(axis=0)
            mine, its = (pose[None, atom] - middle).astype(np.float32), (points - middle).astype(np.float32)
            nearest = np.minimum.reduceat(squared_distances(mine, its), starts, axis=1)
            found[atom] = (np.exp(nearest / (-2 * WIDTH**2)) @ shares)[0]
        return found


def surroundings(mol: Mol) -> NDArray[np.uint32]:
    """Hash of what lies within 0 to 3 bonds of each atom, shape (atoms, 4)."""
    output = rdFingerprintGenerator.AdditionalOutput()
    output.AllocateBitInfoMap()
    _MORGAN.GetSparseCountFingerprint(mol, additionalOutput=output)
    found = np.zeros((mol.GetNumAtoms(), RADIUS + 1), np.uint32)
    for bit, centres in output.GetBitInfoMap().items():
        for atom, radius in centres:
            found[atom, radius] = bit
    return found


TERM = Term(
    "atom_density",
    unit="",
    better="more",
    function=lambda poses: poses.pocket.atom_density(poses.xyz),
    source="docs/decisions/0009-atom-density-and-flexible-residues.md",
)
