"""Intramolecular clash: overlaps of a pose with itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from templ.chemistry.conformers import CLASH_DISTANCE, PreparedQuery
from templ.chemistry.geometry import CHUNK, self_overlap
from templ.scoring.score_term import PosesToScore, Term

Floats = NDArray[np.float32]

STIFFNESS = 2.0
"""kcal/mol per Angstrom^2 of overlap."""


def clash_energy(query: PreparedQuery, poses: Floats) -> tuple[Floats, Floats]:
    """Energy of each pose, shape (poses,), kcal/mol, and its gradient, shape (poses, atoms, 3)."""
    overlap, gradient = self_overlap(poses, query.may_clash, CLASH_DISTANCE)
    return STIFFNESS * overlap, STIFFNESS * gradient


def squared_overlap(query: PreparedQuery, poses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum over pairs of atoms of the squared overlap, Angstrom^2, shape (poses,)."""
    pairs = query.may_clash.astype(np.float64)
    parts = [
        self_overlap(poses[start : start + CHUNK], pairs, CLASH_DISTANCE)[0]
        for start in range(0, len(poses), CHUNK)
    ]
    return np.concatenate([np.empty(0), *parts])


def intramolecular_clash(poses: PosesToScore) -> NDArray[np.float64]:
    """Energy an atom, kcal/mol, shape (poses,)."""
    energy = STIFFNESS * squared_overlap(poses.query, poses.xyz)
    return np.asarray(energy / poses.query.mol.GetNumAtoms())


TERM = Term(
    "intramolecular_clash",
    unit="kcal/mol an atom",
    better="less",
    function=intramolecular_clash,
    source="templ.chemistry.geometry.self_overlap",
)
