"""Docking: poses from random starts all over the pocket, where templates say too little.

Many conformers, positions and orientations, minimised side by side on the energy grid that is there anyway;
the best that differ go on as poses of any other source do.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from templ.chemistry.conformers import PreparedQuery
from templ.chemistry.geometry import distinct
from templ.sampling.minimise import Energy, minimise

BATCH = 150
"""Starts minimised side by side."""
SHORT = 25
"""Steps of their first, coarse minimisation."""
SPREAD = 2.0
"""Angstrom, standard deviation of the middle of a start about an atom of the templates."""
TURNED = 0.5
"""Share of the bonds of a start that are turned to any angle."""
APART = 1.0
"""Angstrom RMSD between poses that are kept."""


def dock(
    query: PreparedQuery,
    start: Callable[[int, np.random.Generator], NDArray[np.float64]],
    energies: tuple[Energy, ...],
    *,
    starts: int,
    kept: int,
    seed: int,
) -> NDArray[np.float64]:
    """Minimise random starts in a pocket and keep the best that differ.

    Parameters
    ----------
    query : PreparedQuery
    start : callable
        Makes so many starts, shape (starts, atoms, 3), Angstrom: `random_starts`, or those of a bond.
    energies : tuple of Energy
        As `minimise` takes them.
    starts, kept : int
        How many are made, and at most kept.
    seed : int
        Of the random numbers.

    Returns
    -------
    array, shape (poses, atoms, 3)
        Lowest energy first.
    """
    random = np.random.default_rng((seed, starts))
    poses, values = [], []
    for begin in range(0, starts, BATCH):
        placed = start(min(BATCH, starts - begin), random)
        poses.append(minimise(query, placed, *energies, steps=SHORT))
        values.append(sum(energy(poses[-1].astype(np.float32))[0] for energy in energies))
    xyz, value = np.concatenate(poses), np.concatenate(values)
    order = np.argsort(value, kind="stable")
    return np.asarray(xyz[order[distinct(xyz[order], APART, kept)]])


def random_conformers(query: PreparedQuery, count: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Conformers of which half of the bonds are turned to any angle, shape (count, atoms, 3), Angstrom."""
    conformers = query.conformers
    xyz = conformers[random.integers(len(conformers), size=count)].copy()
    bonds = (count, len(query.torsions))
    query.torsions.turn(xyz, random.uniform(-np.pi, np.pi, bonds) * (random.uniform(size=bonds) < TURNED))
    return xyz


def random_starts(
    query: PreparedQuery, site: NDArray[np.float64], count: int, random: np.random.Generator
) -> NDArray[np.float64]:
    """Conformers with random torsions, turned at random, about random points of a site, shape (points, 3)."""
    xyz = random_conformers(query, count, random)
    turns = np.linalg.qr(random.normal(size=(count, 3, 3)))[0]
    turns *= np.sign(np.linalg.det(turns))[:, None, None]
    middles = site[random.integers(len(site), size=count)] + random.normal(scale=SPREAD, size=(count, 3))
    return np.asarray((xyz - xyz.mean(axis=1, keepdims=True)) @ turns + middles[:, None])
