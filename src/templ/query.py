"""The query prepared for posing: conformers, bonds that turn, symmetry; each made when first asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from rdkit import Chem
from rdkit.Chem import rdDistGeom

from templ.errors import Refusal
from templ.features import atom_features
from templ.molecules import quiet_rdkit

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROTOR = Chem.MolFromSmarts("[!$([D1])]-&!@[!$([D1])]")
"""A single bond outside rings with something to turn at both ends."""

AMIDE = Chem.MolFromSmarts("[CX3](=[O,S,N])-[NX3,O;!$([N,O]=*)]")
"""Amides, esters and their kin: flat about the bond of the first and the third atom."""

BUMP_DISTANCE = 3.0
"""Angstrom: two heavy atoms of one molecule, at least BUMP_BONDS bonds apart, are not nearer than this."""
BUMP_BONDS = 4
STRAIN_DISTANCE, STRAIN = 3.0, 2.0
"""While poses are relaxed: Angstrom below which such atoms repel each other, and kcal/mol per Angstrom^2."""
LAST_TRY = 5
"""Conformers asked for once all else failed: the tries for more take minutes where there are none (C60)."""
SEEDS = 2**31 - 1
"""RDKit multiplies the seed by the number of the conformer, modulo this: of 0 all would be one conformer;"""
OTHER_SEED = 2**30
"""so this stands in for it."""
CHUNK = 64
"""Poses looked at together, which bounds memory to a few MB."""


@dataclass(frozen=True, slots=True)
class Rotor:
    """A bond b-c that can turn, and the atoms that turn with c."""

    b: int
    c: int
    moving: tuple[int, ...]


class PreparedQuery:
    """The query prepared for posing: heavy atoms, conformers, rotors; each made when first asked for.

    Parameters
    ----------
    mol : rdkit.Chem.Mol
        Heavy atoms only, stereochemistry assigned.
    conformers : int
        How many free conformers.
    seed : int
        Of their generation.
    """

    def __init__(self, mol: Chem.Mol, conformers: int, seed: int) -> None:
        self.mol = mol
        self._wanted = conformers
        self._seed = seed

    @cached_property
    def conformers(self) -> NDArray[np.float64]:
        """Free conformers, shape (conformers, atoms, 3), Angstrom, with the query's stereochemistry.

        ETKDGv3 on heavy atoms (Wang, Witek, Landrum, Riniker, J. Chem. Inf. Model. 60 (2020) 2044), about
        2 ms each. Hydrogens would cost seven times that and are added to the few poses kept.

        Raises
        ------
        Refusal
            When no conformer can be made: overcrowded or contradictory stereochemistry.
        """
        mol = Chem.Mol(self.mol)
        # Work is bounded by iterations, never by time: time would make poses depend on the machine.
        few = min(self._wanted, LAST_TRY)
        for random_start, iterations, count in (
            (False, 5, self._wanted),
            (True, 20, self._wanted),
            (True, 200, few),
        ):
            found = _embed(mol, count, self._seed, random_start=random_start, iterations=iterations)
            if len(found):
                return found
        raise Refusal("no-conformer", "no 3D conformer could be made with the stereochemistry of the query")

    @cached_property
    def rotors(self) -> tuple[Rotor, ...]:
        """Bonds that can turn, each moving the smaller side."""
        rotors = []
        for b, c in self.mol.GetSubstructMatches(ROTOR, maxMatches=10_000):
            moving = _side(self.mol, b, c)
            if 2 * len(moving) > self.mol.GetNumAtoms():
                b, c, moving = c, b, _side(self.mol, c, b)
            rotors.append(Rotor(b, c, moving))
        return tuple(rotors)

    @cached_property
    def free_rotors(self) -> tuple[Rotor, ...]:
        """Those that are no amides: a template's amide may be copied, but nothing else turns one."""
        flat = {frozenset((c, n)) for c, _, n in self.mol.GetSubstructMatches(AMIDE, maxMatches=10_000)}
        return tuple(rotor for rotor in self.rotors if frozenset((rotor.b, rotor.c)) not in flat)

    @cached_property
    def features(self) -> NDArray[np.float32]:
        """Pharmacophore features of each atom, shape (atoms, features)."""
        return atom_features(self.mol)

    @cached_property
    def ranks(self) -> tuple[int, ...]:
        """Symmetry class of each atom: equal for atoms that cannot be told apart."""
        return tuple(Chem.CanonicalRankAtoms(self.mol, breakTies=False))

    @cached_property
    def bounds(self) -> NDArray[np.float64]:
        """Smallest (lower triangle) and largest (upper) distance each pair of atoms can have, Angstrom."""
        with quiet_rdkit():
            return np.asarray(rdDistGeom.GetMoleculeBoundsMatrix(self.mol))

    @cached_property
    def far_pairs(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Pairs of atoms that may bump into each other: first and second of each, shape (pairs,)."""
        first, second = np.triu_indices(self.mol.GetNumAtoms(), 1)
        far = Chem.GetDistanceMatrix(self.mol)[first, second] >= BUMP_BONDS
        return first[far], second[far]

    @cached_property
    def _far(self) -> NDArray[np.float32]:
        """1 for each two atoms that may bump into each other, else 0, shape (atoms, atoms)."""
        bonds: NDArray[np.float64] = Chem.GetDistanceMatrix(self.mol)
        return (bonds >= BUMP_BONDS).astype(np.float32)

    def strain(self, poses: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Energy of overlaps within each pose, shape (poses,), kcal/mol, and its gradient by coordinates."""
        xyz = poses - poses.mean(axis=1, keepdims=True)  # near the origin, where float32 is exact enough
        square = (xyz**2).sum(axis=-1)
        squares = square[:, :, None] + square[:, None, :] - 2 * (xyz @ xyz.transpose(0, 2, 1))
        distance = np.sqrt(np.maximum(squares, 1e-6))
        overlap = np.clip(STRAIN_DISTANCE - distance, 0, None) * self._far
        pull = -2 * STRAIN * overlap / distance
        gradient = pull.sum(axis=-1)[..., None] * xyz - pull @ xyz
        return STRAIN * (overlap**2).sum(axis=(1, 2)) / 2, gradient

    def bumps(self, poses: NDArray[np.float64]) -> NDArray[np.float64]:
        """How badly each pose runs into itself: sum of squared overlaps, Angstrom^2, shape (poses,)."""
        first, second = self.far_pairs
        bumps = np.empty(len(poses))
        for start in range(0, len(poses), CHUNK):
            xyz = poses[start : start + CHUNK]
            distance = np.linalg.norm(xyz[:, first] - xyz[:, second], axis=-1)
            bumps[start : start + CHUNK] = (np.clip(BUMP_DISTANCE - distance, 0, None) ** 2).sum(axis=1)
        return bumps


def _embed(
    mol: Chem.Mol, count: int, seed: int, *, random_start: bool, iterations: int
) -> NDArray[np.float64]:
    parameters = rdDistGeom.ETKDGv3()
    parameters.randomSeed = seed % SEEDS or OTHER_SEED
    parameters.useRandomCoords = random_start
    parameters.maxIterations = iterations
    parameters.numThreads = 1
    with quiet_rdkit():
        try:
            ids = list(rdDistGeom.EmbedMultipleConfs(mol, count, parameters))
        except RuntimeError:  # RDKit's optimiser gives up ("bad direction in linearSearch"): no conformer
            ids = []
    found = [mol.GetConformer(i).GetPositions() for i in ids]
    return np.array(found).reshape(-1, mol.GetNumAtoms(), 3)


def _side(mol: Chem.Mol, b: int, c: int) -> tuple[int, ...]:
    """Atoms on the side of c when the bond b-c is cut."""
    seen, front = {b, c}, [c]
    while front:
        for neighbour in mol.GetAtomWithIdx(front.pop()).GetNeighbors():
            if neighbour.GetIdx() not in seen:
                seen.add(neighbour.GetIdx())
                front.append(neighbour.GetIdx())
    return tuple(sorted(seen - {b}))
