"""Positional restraint: draws copied atoms to where their template has them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

DEPTH = 1.0
"""kcal/mol that a copied atom gains where its template has it, times the template's similarity to the query;
half of it at an Angstrom."""


class Restraint:
    """Restrains copied atoms; bounded, so that a pose may leave a wrong template.

    Parameters
    ----------
    copied : sequence of (sequence of int, array)
        Of each pose: its copied atoms, and where its template has them, shape (copied atoms, 3), Angstrom.
    similarity : array, shape (poses,)
        Of each pose's template to the query, 0 to 1.
    """

    def __init__(
        self,
        atoms: int,
        copied: Sequence[tuple[Sequence[int], NDArray[np.float64]]],
        similarity: NDArray[np.floating],
    ) -> None:
        size = (len(copied), atoms)
        self._depth, self._goal = np.zeros(size, np.float32), np.zeros((*size, 3), np.float32)
        for pose, (own, onto) in enumerate(copied):
            self._depth[pose, list(own)] = DEPTH * similarity[pose]
            self._goal[pose, list(own)] = onto

    def __call__(self, poses: Floats) -> tuple[Floats, Floats]:
        """Energy of each pose, shape (poses,), kcal/mol, and its gradient, shape (poses, atoms, 3)."""
        gap = poses - self._goal
        near = 1 / (1 + (gap**2).sum(axis=-1))
        slope = (2 * self._depth * near**2)[..., None] * gap
        return -(self._depth * near).sum(axis=1), slope
