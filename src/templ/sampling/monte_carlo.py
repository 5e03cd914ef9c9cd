"""Monte Carlo with minimisation: while it is open which pose is right, the best are moved anew.

Basin hopping (D. J. Wales, J. P. K. Doye, J. Phys. Chem. A 101 (1997) 5111-5116) of many poses side by side,
among templates and receptor. Where templates leave no doubt it ends before it begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from templ.chemistry.conformers import PreparedQuery
from templ.chemistry.geometry import distinct
from templ.sampling.bonded_starts import bonded_starts
from templ.sampling.docking import dock, random_starts
from templ.sampling.minimise import Energy, minimise
from templ.sampling.moves import random_move
from templ.sampling.placement import Placement, as_placed
from templ.scoring.bond_restraint import BondRestraint
from templ.scoring.energy_grid import EnergyGrid
from templ.scoring.pocket import Pocket
from templ.scoring.posterior import clusters
from templ.scoring.ranking import ScoredPoses, rank
from templ.scoring.restraint import Restraint
from templ.scoring.score_term import PosesToScore
from templ.scoring.shape import Shape
from templ.scoring.terms.intramolecular_clash import clash_energy
from templ.settings import PredictionSettings

DISTINCT_STARTS = 0.5
"""Angstrom RMSD between poses that are minimised."""
MOVED = 60
"""Poses moved in a round."""
PER_BOND_ENERGY, WORST_BOND = 0.5, 40.0
"""What a kcal/mol in the bond to the protein takes off a score, and the kcal/mol that count at most."""
SURE = 0.97
"""Probability of the first cluster from which on sampling is over."""


def rank_placements(query: PreparedQuery, placements: Sequence[Placement], pocket: Pocket) -> ScoredPoses:
    """Score poses as they were placed; at least one placement, each with at least one pose."""
    sizes = [len(placement.xyz) for placement in placements]
    xyz = np.concatenate([placement.xyz for placement in placements])
    core_rmsd = np.concatenate([placement.core_rmsd for placement in placements])
    return rank(
        PosesToScore(query, xyz, core_rmsd, pocket),
        np.repeat(np.arange(len(placements)), sizes),
        np.concatenate([np.arange(size) for size in sizes]),
    )


class Sampler:
    """Minimises poses in the pocket and moves the best of them, all in the pocket's own axes.

    Poses come from placements: the more a template is like the query, the more its core is restrained. With
    `search` random starts all over the pocket join in, where there is a receptor and it is open which pose is
    right; they are added to the placements. With `bond` every pose is bonded to the receptor, and the random
    starts hang on the bond. How many are minimised, how many starts and rounds there are at
    most, and the seed of the moves are settings.
    """

    def __init__(
        self,
        query: PreparedQuery,
        placements: list[Placement],
        pocket: Pocket,
        settings: PredictionSettings,
        *,
        search: bool = False,
        bond: BondRestraint | None = None,
    ) -> None:
        self._query, self._placements, self._pocket, self._settings = query, placements, pocket, settings
        self._search = search and settings.starts > 0 and pocket.atoms is not None
        inward = pocket.axes.inward
        self._bond = None if bond is None else bond.moved(inward)
        self._copied = [(tuple(placement.pairs), inward(placement.onto)) for placement in placements]
        self._similarity = np.array([placement.template.tanimoto for placement in placements])
        self.grid: EnergyGrid | None = None

    def sample(self, placed: ScoredPoses) -> ScoredPoses:
        """Minimise the best placed poses that differ, then move and minimise while it is open which is right.

        Returns
        -------
        ScoredPoses
            All minimised poses, in the order in which they were found.
        """
        chosen = _best(placed, self._settings.minimised)
        # Overlays copy nothing and so rank low; how good they are shows once they are minimised.
        whole = np.flatnonzero([not self._placements[index].pairs for index in placed.placement])
        if len(whole) < len(placed.xyz):
            chosen = np.concatenate([chosen, np.setdiff1d(whole, chosen)])
        self.grid = self._grid_around(placed.xyz[chosen])
        found = self._minimise(placed.xyz[chosen], placed.placement[chosen], placed.member[chosen])
        if self._search and (self._bond is not None or not _is_sure(found)):
            found = found.joined(self._docked())
        for number in range(self._settings.rounds):
            if _is_sure(found):
                break
            best = _best(found, MOVED)
            placement, member = found.placement[best], found.member[best]
            # Random numbers by what a pose comes from, not by its rank, which a rounding error may change.
            moved = [
                random_move(self._query, pose, np.random.default_rng((self._settings.seed, number, *origin)))
                for pose, *origin in zip(found.xyz[best], placement.tolist(), member.tolist(), strict=True)
            ]
            found = found.joined(self._minimise(np.array(moved), placement, member, moved=True))
        return found

    def _docked(self) -> ScoredPoses:
        """Minimised poses from random starts all over the pocket; they become a placement of their own."""
        assert self.grid is not None
        axes, query, bond = self._pocket.axes, self._query, self._bond
        site = axes.inward(self._site)
        xyz = dock(
            query,
            (lambda count, random: random_starts(query, site, count, random))
            if bond is None
            else (lambda count, random: bonded_starts(query, bond, count, random)),
            self._energies(),
            starts=self._settings.starts,
            kept=self._settings.docked,
            seed=self._settings.seed,
        )
        number, size = len(self._placements), len(xyz)
        docked = as_placed(self._placements[0].template, axes.outward(xyz), "docking")
        self._placements.append(docked)
        self._copied.append(((), np.empty((0, 3))))
        self._similarity = np.append(self._similarity, 0.0)
        return self._minimise(docked.xyz, np.full(size, number), np.arange(size))

    @property
    def _site(self) -> NDArray[np.float64]:
        """Where templates have atoms, shape (points, 3), Angstrom."""
        return np.concatenate([shape.xyz for shape in self._pocket.shapes]).astype(np.float64)

    def core_rmsd(self, xyz: NDArray[np.float64], placement: NDArray[np.intp]) -> NDArray[np.float64]:
        """RMSD of the copied atoms of poses from where their template has them, Angstrom, shape (poses,)."""
        own = [self._placements[index] for index in placement]
        return np.array([copied.rmsd_of(pose) for copied, pose in zip(own, xyz, strict=True)])

    def _grid_around(self, poses: NDArray[np.float64]) -> EnergyGrid:
        """Energy grid, in the pocket's axes, that spans these poses."""
        pocket, inward = self._pocket, self._pocket.axes.inward
        atoms = pocket.atoms
        spanned = inward(poses)
        if self._search:
            spanned = np.concatenate([spanned.reshape(-1, 3), inward(self._site)])[None]
        return EnergyGrid(
            self._query,
            spanned,
            [Shape(inward(shape.xyz).astype(np.float32), shape.features) for shape in pocket.shapes],
            pocket.template_weights,
            None if atoms is None else replace(atoms, xyz=inward(atoms.xyz).astype(np.float32)),
            pocket.atom_weights,
        )

    def _minimise(
        self,
        poses: NDArray[np.float64],
        placement: NDArray[np.intp],
        member: NDArray[np.intp],
        *,
        moved: bool = False,
    ) -> ScoredPoses:
        assert self.grid is not None
        copied = [self._copied[index] for index in placement]
        restraint = Restraint(poses.shape[1], copied, self._similarity[placement])
        axes = self._pocket.axes
        inside = minimise(self._query, axes.inward(poses), *self._energies(), restraint)
        xyz = axes.outward(inside)
        scored = PosesToScore(self._query, xyz, self.core_rmsd(xyz, placement), self._pocket, self.grid)
        ranked = rank(scored, placement, member, moved=moved)
        if self._bond is None:
            return ranked
        energy = np.minimum(self._bond(inside.astype(np.float32))[0], WORST_BOND)
        return replace(ranked, score=np.asarray(ranked.score - PER_BOND_ENERGY * energy, np.float32))

    def _energies(self) -> tuple[Energy, ...]:
        """What every pose is minimised by, in the pocket's axes."""
        assert self.grid is not None
        own = (lambda xyz: clash_energy(self._query, xyz), self.grid)
        return own if self._bond is None else (*own, self._bond)


def _is_sure(poses: ScoredPoses) -> bool:
    """Whether it is no more open which pose is right."""
    return next(clusters(poses.xyz, poses.score)).probability >= SURE


def _best(poses: ScoredPoses, most: int) -> NDArray[np.intp]:
    """The best poses that differ."""
    order = np.argsort(-poses.score, kind="stable")
    return order[distinct(poses.xyz[order], DISTINCT_STARTS, most)]
