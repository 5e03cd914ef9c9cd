"""The query prepared for posing: conformers, rotatable bonds, symmetry; each made when first asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import rdDistGeom

from templ.chemistry.features import atom_features
from templ.chemistry.molecules import alike_bonds, quiet_rdkit
from templ.chemistry.rotors import Rotor, Torsions, rotors_of, without_amides
from templ.errors import Refusal

CLASH_DISTANCE = 3.0
"""Angstrom: two heavy atoms of one molecule, at least CLASH_BONDS bonds apart, clash when they are nearer."""
CLASH_BONDS = 4
LAST_TRY = 5
"""Conformers asked for once all else failed: the attempts at more take minutes where there are none."""
MOST_ATTEMPTS = 60_000_000
"""Attempts at conformers of one query, times the cube of its atoms, by which the time of one goes (0.2 to 0.3
microseconds): 2,222 attempts for 30 atoms, 277 for C60, 34 for 120 atoms."""
SEEDS = 2**31 - 1
"""RDKit multiplies the seed by the number of the conformer, modulo this: of 0 all would be one conformer;"""
OTHER_SEED = 2**30
"""so this is taken for it."""


class PreparedQuery:
    """The query prepared for posing: heavy atoms with stereochemistry, conformers, rotatable bonds."""

    def __init__(self, mol: Chem.Mol, conformers: int, seed: int) -> None:
        self.mol, self._wanted, self._seed = mol, conformers, seed

    def make_at_most(self, conformers: int) -> None:
        """Make no more conformers than this, once they are asked for."""
        self._wanted = min(self._wanted, conformers)

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
        # Work is bounded by attempts, never by time: time would make poses depend on the machine.
        most = left = max(1, MOST_ATTEMPTS // mol.GetNumAtoms() ** 3)
        few = min(self._wanted, LAST_TRY)
        for random_start, iterations, count in (
            (False, 5, self._wanted),
            (True, 20, self._wanted),
            (True, 200, few),
        ):
            how = _Embedding(self._seed, random_start, min(iterations, left))
            sure = min(count, left // how.iterations)
            found, attempts = how.conformers(mol, sure)
            # The first of more are the same again, so these tell how many of a large molecule to ask for.
            affordable = min(count, left * sure // max(attempts, 1))
            if affordable > sure:
                found, attempts = how.conformers(mol, affordable)
            if len(found):
                return found
            left -= attempts
            if left < 1:
                break
        raise Refusal(
            "no-conformer",
            f"no 3D conformer could be made with the stereochemistry of the query in {most - left} attempts; "
            f"at most {most} are made at {mol.GetNumAtoms()} heavy atoms",
        )

    @cached_property
    def rotors(self) -> tuple[Rotor, ...]:
        """Bonds that can turn, each moving the smaller side; a bond comes after those that it moves."""
        return rotors_of(self.mol)

    @cached_property
    def free_rotors(self) -> tuple[Rotor, ...]:
        """Those that are no amides: a template's amide may be copied, but nothing else turns one."""
        return without_amides(self.mol, self.rotors)

    @cached_property
    def torsions(self) -> Torsions:
        """The free rotors, to be turned together."""
        return Torsions(self.free_rotors, self.mol.GetNumAtoms())

    @cached_property
    def features(self) -> NDArray[np.float32]:
        """Pharmacophore features of each atom, shape (atoms, features)."""
        return atom_features(self.mol)

    @cached_property
    def ranks(self) -> tuple[int, ...]:
        """Symmetry class of each atom: equal for atoms that cannot be told apart."""
        return tuple(Chem.CanonicalRankAtoms(self.mol, breakTies=False))

    @cached_property
    def alike_bonds(self) -> int:
        """Pairs of bonds outside rings that look alike."""
        return alike_bonds(self.mol)

    @cached_property
    def bounds(self) -> NDArray[np.float64]:
        """Smallest (lower triangle) and largest (upper) distance each pair of atoms can have, Angstrom."""
        with quiet_rdkit():
            return np.asarray(rdDistGeom.GetMoleculeBoundsMatrix(self.mol))

    @cached_property
    def far_pairs(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Pairs of atoms that may clash with each other: first and second of each, shape (pairs,)."""
        first, second = np.triu_indices(self.mol.GetNumAtoms(), 1)
        far = self.may_clash[first, second] > 0
        return first[far], second[far]

    @cached_property
    def may_clash(self) -> NDArray[np.float32]:
        """1 for each two atoms that may clash with each other, else 0, shape (atoms, atoms)."""
        bonds: NDArray[np.float64] = Chem.GetDistanceMatrix(self.mol)
        return (bonds >= CLASH_BONDS).astype(np.float32)


@dataclass(frozen=True, slots=True)
class _Embedding:
    """How conformers are made: each from so many starts at most, until one is right."""

    seed: int
    random_start: bool
    iterations: int

    def conformers(self, mol: Chem.Mol, count: int) -> tuple[NDArray[np.float64], int]:
        """At most so many conformers, shape (conformers, atoms, 3), and the attempts that they took.

        Starts without coordinates are no attempts: they take no time.
        """
        parameters = rdDistGeom.ETKDGv3()
        parameters.randomSeed = self.seed % SEEDS or OTHER_SEED
        parameters.useRandomCoords = self.random_start
        parameters.maxIterations = self.iterations
        parameters.numThreads = 1
        parameters.trackFailures = True
        with quiet_rdkit():
            try:
                ids = list(rdDistGeom.EmbedMultipleConfs(mol, count, parameters))
            except RuntimeError:  # RDKit's optimiser gives up ("bad direction in linearSearch"): no conformer
                ids = []
        failures = list(parameters.GetFailureCounts())
        failures[rdDistGeom.EmbedFailureCauses.INITIAL_COORDS] = 0
        found = [mol.GetConformer(i).GetPositions() for i in ids]
        return np.array(found).reshape(-1, mol.GetNumAtoms(), 3), len(ids) + sum(failures)
