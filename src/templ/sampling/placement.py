"""A placement: poses of the query laid onto one template by one mapping of atoms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from templ.chemistry.geometry import rmsd
from templ.templates.screening import Template

Method = Literal["core", "partial-core", "overlay", "docking", "extra", "monte-carlo"]
"""How a pose was placed: the whole shared core copied, part of it, the whole molecule overlaid, docked, or by
another program; or a pose of any of these that a Monte Carlo move took elsewhere."""


NEAR = 1.0
"""Angstrom within which an atom lies where a template has it."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Poses copied from one template by one mapping of atoms.

    Attributes
    ----------
    template : Template
        Whose coordinates were copied.
    xyz : array, shape (poses, atoms, 3)
        Angstrom.
    core_rmsd : array, shape (poses,)
        Of the copied atoms from the template's, Angstrom; zeros for an overlay.
    method : {"core", "partial-core", "overlay", "docking", "extra"}
        How they were placed.
    smarts : str
        The shared substructure; empty for an overlay.
    pairs : Mapping of int to int
        Copied atoms: of the query, and of the template; empty for an overlay.
    onto : array, shape (copied atoms, 3)
        Where the template has them, Angstrom.
    """

    template: Template
    xyz: NDArray[np.float64]
    core_rmsd: NDArray[np.float64]
    method: Method
    smarts: str
    pairs: Mapping[int, int]
    onto: NDArray[np.float64]

    def atoms_near(self, pose: NDArray[np.float64]) -> int:
        """Count the shared atoms of a pose, shape (atoms, 3), that lie where the template has them."""
        if not self.pairs:
            return 0
        return int((np.linalg.norm(pose[list(self.pairs)] - self.onto, axis=1) < NEAR).sum())

    def rmsd_of(self, pose: NDArray[np.float64]) -> float:
        """RMSD of the copied atoms of a pose, shape (atoms, 3), from the template's; 0 for an overlay."""
        if not self.pairs:
            return 0.0
        return float(rmsd(pose[list(self.pairs)], self.onto))


def as_placed(template: Template, xyz: NDArray[np.float64], method: Method) -> Placement:
    """Poses, shape (poses, atoms, 3), of which nothing is copied; `template` is the one named with them."""
    return Placement(template, xyz, np.zeros(len(xyz)), method, "", {}, np.empty((0, 3)))
