"""Put the query where a template shows it: copy torsions and position of the shared core.

Conformers with a core pinned by distance geometry (RDKit's SetCoordMap) were tried first: four cores of ten
gave no conformer at all and some ran for minutes. Here free conformers keep their bond lengths, angles and
stereochemistry, and only turn about single bonds: see docs/decisions/0001-copy-torsions.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from rdkit import Chem
from rdkit.Chem import rdShapeAlign
from rdkit.Geometry import Point3D

from templ.molecules import positions
from templ.posing.geometry import Frame, dihedral, distinct, rotate_about_bond, superpose
from templ.selection.cores import MIN_CORE
from templ.selection.policy import ELEMENTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from templ.query import PreparedQuery
    from templ.selection.cores import Core

LOOSE_ATOM = 1.0
"""Angstrom: a core atom that no conformer brings nearer to the template is let go (another ring pucker or
stereocentre than the template's)."""
SAME_POSE = 0.3
"""Angstrom: poses nearer than this are one."""
BUMP_WEIGHT = 0.1
"""Angstrom of core RMSD that one Angstrom^2 of self-overlap is worth when conformers are chosen."""
COARSE = 0.2
"""Angstrom to which a template's coordinates are rounded before whole molecules are laid onto it."""


@dataclass(frozen=True, slots=True)
class Placed:
    """Poses copied from one template by one mapping.

    Attributes
    ----------
    xyz : array, shape (poses, atoms, 3)
        Angstrom.
    core_rmsd : array, shape (poses,)
        Of the copied atoms from the template's, Angstrom; zeros for an overlay.
    way : {"core", "partial-core", "overlay"}
        How they were placed.
    core_atoms : int
        Number of atoms copied.
    smarts : str
        The shared substructure; empty for an overlay.
    atoms : tuple of int
        The atoms copied.
    onto : array, shape (copied atoms, 3)
        Where the template has them, Angstrom.
    """

    xyz: NDArray[np.float64]
    core_rmsd: NDArray[np.float64]
    way: str
    core_atoms: int
    smarts: str
    atoms: tuple[int, ...]
    onto: NDArray[np.float64]

    def rmsd_of(self, pose: NDArray[np.float64]) -> float:
        """RMSD of the copied atoms of a pose, shape (atoms, 3), from the template's; 0 for an overlay."""
        if not self.atoms:
            return 0.0
        return float(np.sqrt(((pose[list(self.atoms)] - self.onto) ** 2).sum(axis=-1).mean()))


def copy_core(query: PreparedQuery, template: Chem.Mol, core: Core, most: int) -> Placed:
    """Copy the core's torsions and place; atoms that cannot follow are let go once (a partial core).

    Parameters
    ----------
    most : int
        Poses kept: those with the best core and fewest overlaps, near-duplicates left out.
    """
    onto = positions(template)
    pairs = dict(core.pairs)
    xyz, rmsd = _copy(query, onto, pairs)
    best = xyz[np.argmin(rmsd)]
    gaps = {a: float(np.linalg.norm(best[a] - onto[t])) for a, t in pairs.items()}
    firm = {a: t for a, t in pairs.items() if gaps[a] <= LOOSE_ATOM}
    way = "core"
    if MIN_CORE <= len(firm) < len(pairs):
        pairs, way = firm, "partial-core"
        xyz, rmsd = _copy(query, onto, pairs)
    order = np.argsort(rmsd + BUMP_WEIGHT * query.bumps(xyz), kind="stable")
    kept = order[distinct(xyz[order], SAME_POSE, most)]
    goal = onto[list(pairs.values())]
    return Placed(xyz[kept], rmsd[kept], way, len(pairs), core.smarts, tuple(pairs), goal)


def overlay_whole(query: PreparedQuery, template: Chem.Mol, most: int) -> Placed:
    """Lay whole conformers onto a template by shape and pharmacophore, when there is no core to copy.

    Uses RDKit's port of PubChem's shape alignment (Grant, Gallardo, Pickup, J. Comput. Chem. 17 (1996) 1653).
    """
    # RDKit's alignment may end elsewhere for a rounding error: one frame, coordinates without small digits.
    frame = Frame.of(positions(template))
    coarse = np.round(frame.inward(positions(template)) / COARSE) * COARSE
    shown = with_coordinates(_metals_as_carbon(template), coarse)
    scored = []
    for xyz in query.conformers:
        probe = with_coordinates(query.mol, xyz)
        shape, colour = rdShapeAlign.AlignMol(shown, probe)
        scored.append((-(shape + colour), frame.outward(positions(probe))))
    scored.sort(key=lambda pair: pair[0])
    xyz = np.array([pose for _, pose in scored])
    kept = xyz[distinct(xyz, SAME_POSE, most)]
    return Placed(kept, np.zeros(len(kept)), "overlay", 0, "", (), np.empty((0, 3)))


def _metals_as_carbon(mol: Chem.Mol) -> Chem.Mol:
    """Copy in which metals have carbon's radius: RDKit's alignment has none for them and fails."""
    copy = Chem.Mol(mol)
    for atom in copy.GetAtoms():
        if atom.GetAtomicNum() not in ELEMENTS:
            atom.SetAtomicNum(6)
    return copy


def with_coordinates(mol: Chem.Mol, xyz: NDArray[np.float64]) -> Chem.Mol:
    """Copy of a molecule with one conformer, coordinates of shape (atoms, 3) in Angstrom."""
    copy = Chem.Mol(mol)
    copy.RemoveAllConformers()
    conformer = Chem.Conformer(mol.GetNumAtoms())
    conformer.Set3D(True)
    for index, (x, y, z) in enumerate(xyz):
        conformer.SetAtomPosition(index, Point3D(float(x), float(y), float(z)))
    copy.AddConformer(conformer)
    return copy


def _copy(
    query: PreparedQuery, onto: NDArray[np.float64], pairs: dict[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Turn each bond of the core as the template has it, then superpose the core."""
    xyz = query.conformers.copy()
    for rotor in query.rotors:
        ends = _copied_torsion(query.mol, rotor.b, rotor.c, pairs)
        if ends is None:
            continue
        a, d = ends
        wanted = dihedral(onto[None], pairs[a], pairs[rotor.b], pairs[rotor.c], pairs[d])
        rotate_about_bond(xyz, rotor.b, rotor.c, rotor.moving, wanted - dihedral(xyz, a, rotor.b, rotor.c, d))
    atoms = list(pairs)
    return superpose(xyz, atoms, onto[[pairs[a] for a in atoms]])


def _copied_torsion(mol: Chem.Mol, b: int, c: int, pairs: dict[int, int]) -> tuple[int, int] | None:
    """Neighbours a of b and d of c that the template has too, so that a-b-c-d can be copied."""
    if b not in pairs or c not in pairs:
        return None
    before = [n.GetIdx() for n in mol.GetAtomWithIdx(b).GetNeighbors() if n.GetIdx() != c]
    after = [n.GetIdx() for n in mol.GetAtomWithIdx(c).GetNeighbors() if n.GetIdx() != b]
    a = next((i for i in before if i in pairs), None)
    d = next((i for i in after if i in pairs), None)
    return None if a is None or d is None else (a, d)
