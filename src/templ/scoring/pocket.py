"""The pocket that poses are judged in: what the templates show of it, and the receptor's atoms around it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rdkit.Chem import Mol

from templ.chemistry.geometry import PrincipalAxes, nearest_squared_distances, squared_distances
from templ.chemistry.molecules import positions
from templ.chemistry.receptor import Atoms
from templ.scoring.shape import Shape
from templ.scoring.terms.atom_density import AtomDensity
from templ.templates.frame import Frame
from templ.templates.screening import Template

COVERAGE_POWER = 4
"""A template's weight in the consensus: the share of the query in its core to this power,"""
TANIMOTO_WEIGHT = 4
"""times e to this times its fingerprint similarity."""
LEAST_COVERAGE = 0.1
"""Share of the query that a template without a core counts as."""
LEAST_POCKET_SIMILARITY = 1e-3
"""What a template counts as when no residue of its pocket is the query's: all may be such."""
IN_DENSITY = 24
"""Templates, those of most weight, that count in the atom-environment density."""
OTHER_CRYSTAL = 0.4
"""Weight of contacts with another crystal's receptor: its side chains lie a bit otherwise, and in full they
push poses off the templates (of 120 large SARS training ligands 68 are within 1 Angstrom, not 72)."""
MOVING, FIRM = 0.2, 0.7
"""The same where other crystals of the protein tell: of atoms that lie elsewhere in each, or here in all."""
MOVED = 1.2
"""Angstrom by which an atom has moved to count a third."""
OVERLAP = 2.9
"""Angstrom: a template's atom nearer than this to one of the receptor shows that the latter moves."""
UNRELIABLE = 0.1
"""Share of the templates overlapping with an atom of another crystal's receptor from which on it counts for
nothing."""
NEAR_LIGANDS = 8.0
"""Angstrom from an atom of a template within which atoms are compared between crystals."""
AROUND = 6.0
"""Angstrom from an atom of the receptor within which a template has something to say of it."""


@dataclass(frozen=True, slots=True)
class Pocket:
    """What all poses of one query are judged by.

    Attributes
    ----------
    shapes : list of Shape
        The templates of the consensus.
    template_weights : array, shape (shapes,)
        How much each counts; they sum to 1.
    atom_density : AtomDensity
        Where templates have atoms like the query's.
    atoms : Atoms or None
        The receptor's.
    atom_weights : array, shape (receptor atoms,)
        How much contacts with each count, 0 to 1.
    axes : PrincipalAxes
        Of the templates: the axes that poses are minimised in, so that one pose more or less does not turn
        the energy grid for all others.
    """

    shapes: list[Shape]
    template_weights: NDArray[np.float64]
    atom_density: AtomDensity
    atoms: Atoms | None
    atom_weights: NDArray[np.float32]
    axes: PrincipalAxes

    @classmethod
    def of(
        cls,
        query: Mol,
        templates: list[Template],
        consensus: int,
        frame: Frame,
        others: Iterable[Atoms] = (),
        left_out: Sequence[int] = (),
    ) -> Pocket:
        """Take what templates and receptor show to a query of heavy atoms.

        Templates come best first; every pose is compared with as many of them as `consensus` says. `others`
        are other crystals of the receptor's protein (`templ.templates.other_crystals`); contacts with the
        receptor atoms `left_out` count for nothing.
        """
        weights = np.array([_weight(template) for template in templates])
        size = query.GetNumAtoms()
        coverage = np.array([template.core_size / size for template in templates[:consensus]])
        shares = np.maximum(coverage, LEAST_COVERAGE) ** COVERAGE_POWER * weights[:consensus]
        dense = np.argsort(-weights, kind="stable")[:IN_DENSITY]
        shapes = [Shape.of(template.mol) for template in templates[:consensus]]
        atoms = frame.atoms
        atom_weights = np.ones(0 if atoms is None else len(atoms), np.float32)
        if atoms is not None and not frame.own_receptor:
            ligands = [positions(template.mol) for template in templates]
            atom_weights *= reliability(atoms.xyz, ligands, weights) * _weight_of_other(
                atoms, ligands, others
            )
        atom_weights[list(left_out)] = 0
        return cls(
            shapes,
            shares / shares.sum(),
            AtomDensity(query, [templates[index] for index in dense], weights[dense]),
            atoms,
            atom_weights,
            PrincipalAxes.of(np.concatenate([shape.xyz for shape in shapes]).astype(np.float64)),
        )

    @property
    def excluded_volume(self) -> NDArray[np.float32]:
        """Receptor atoms that poses must not overlap with, shape (atoms, 3); none without a receptor."""
        if self.atoms is None:
            return np.empty((0, 3), np.float32)
        return self.atoms.xyz[self.atom_weights > 0]


def _weight(template: Template) -> float:
    """How much a template counts: by its similarity to the query, and that of its pocket."""
    pocket = max(template.pocket_similarity, LEAST_POCKET_SIMILARITY)
    return float(np.exp(TANIMOTO_WEIGHT * template.tanimoto)) * pocket


def _weight_of_other(
    atoms: Atoms, ligands: list[NDArray[np.float64]], others: Iterable[Atoms]
) -> NDArray[np.float32]:
    """How much contacts with each atom of another crystal's receptor count, by still other crystals."""
    same = [stays(atoms, ligands, other) for other in others]
    if not same:
        return np.full(len(atoms), OTHER_CRYSTAL, np.float32)
    return np.asarray(MOVING + (FIRM - MOVING) * np.mean(same, axis=0), np.float32)


def stays(atoms: Atoms, ligands: list[NDArray[np.float64]], other: Atoms) -> NDArray[np.float32]:
    """How near each atom of a receptor lies to where another crystal has it, 0 to 1, shape (atoms,).

    By the distance to the nearest atom of its name in a residue of its kind; 1 for atoms far from the
    ligands.
    """
    points = np.concatenate(ligands)
    middle = points.mean(axis=0)
    around = nearest_squared_distances(
        (atoms.xyz - middle).astype(np.float32), (points - middle).astype(np.float32)
    )
    near = around < NEAR_LIGANDS**2
    theirs = _by_name(other)
    mine = atoms.only(near)
    same = np.zeros(len(mine), np.float32)
    for key, own in _by_name(mine).items():
        if key in theirs:
            gaps = squared_distances(mine.xyz[own] - middle, other.xyz[theirs[key]] - middle)
            same[own] = np.exp(-gaps.min(axis=1) / MOVED**2)
    found = np.ones(len(atoms), np.float32)
    found[near] = same
    return found


def _by_name(atoms: Atoms) -> dict[tuple[str, str], list[int]]:
    """Indices of atoms by the name of their residue and their own."""
    found: dict[tuple[str, str], list[int]] = {}
    for index, key in enumerate(zip(atoms.residue_names.tolist(), atoms.names.tolist(), strict=True)):
        found.setdefault(key, []).append(index)
    return found


def reliability(
    receptor: NDArray[np.float32], ligands: list[NDArray[np.float64]], weights: NDArray[np.float64]
) -> NDArray[np.float32]:
    """How sure it is that each atom of another crystal's receptor is where it is, 0 to 1, shape (atoms,).

    1 where no template comes too near, 0 where a tenth of those around it do: their crystals show that the
    residue is flexible.

    Parameters
    ----------
    receptor : array, shape (receptor atoms, 3)
        Angstrom.
    ligands : list of array, shape (atoms, 3)
        Of the templates, in the same frame.
    weights : array, shape (ligands,)
    """
    around, over = np.zeros((2, len(receptor)))
    middle = np.concatenate(ligands).mean(axis=0)
    fixed = (receptor - middle).astype(np.float32)
    for xyz, weight in zip(ligands, weights, strict=True):
        squares = nearest_squared_distances(fixed, (xyz - middle).astype(np.float32))
        around += weight * (squares < AROUND**2)
        over += weight * (squares < OVERLAP**2)
    share = over / np.maximum(around, 1e-9)
    return np.clip(1 - share / UNRELIABLE, 0, 1).astype(np.float32)
