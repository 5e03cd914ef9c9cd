"""Places the query where a template has the shared core: copies its torsions and its position.

Conformers with a core pinned by distance geometry (RDKit's SetCoordMap) were tried first: four cores of ten
gave no conformer at all and some ran for minutes. Here free conformers keep their bond lengths, angles and
stereochemistry, and only turn about single bonds: see docs/decisions/0001-copy-torsions.md.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from templ.chemistry.conformers import PreparedQuery
from templ.chemistry.geometry import dihedral, distinct, rotate_about_bond, superpose
from templ.chemistry.molecules import positions
from templ.sampling.placement import Method, Placement
from templ.scoring.terms.intramolecular_clash import squared_overlap
from templ.templates.mcs import MIN_CORE, Core
from templ.templates.screening import Template

LOOSE_ATOM = 1.0
"""Angstrom: a core atom that no conformer brings nearer to the template is dropped from the core (another
ring pucker or stereocentre than the template's)."""
SAME_POSE = 0.3
"""Angstrom: poses nearer than this are one."""
CLASH_WEIGHT = 0.1
"""Angstrom of core RMSD for which one Angstrom^2 of self-overlap counts when conformers are chosen."""


def copy_core(query: PreparedQuery, template: Template, core: Core, most: int) -> Placement:
    """Copy the core's torsions and position; atoms that cannot follow are dropped once (a partial core).

    At most `most` poses are kept: those with the best core and fewest overlaps, near-duplicates left out.
    """
    onto = positions(template.mol)
    pairs = dict(core.pairs)
    method: Method = "core"
    xyz, rmsd = _copy(query, onto, pairs)
    best = xyz[np.argmin(rmsd)]
    gaps = {a: float(np.linalg.norm(best[a] - onto[t])) for a, t in pairs.items()}
    near = {a: t for a, t in pairs.items() if gaps[a] <= LOOSE_ATOM}
    if MIN_CORE <= len(near) < len(pairs):
        pairs, method = near, "partial-core"
        xyz, rmsd = _copy(query, onto, pairs)
    order = np.argsort(rmsd + CLASH_WEIGHT * squared_overlap(query, xyz), kind="stable")
    kept = order[distinct(xyz[order], SAME_POSE, most)]
    return Placement(template, xyz[kept], rmsd[kept], method, core.smarts, pairs, onto[list(pairs.values())])


def _copy(
    query: PreparedQuery, onto: NDArray[np.float64], pairs: dict[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Turn each bond of the core as the template has it, then superpose the core."""
    xyz = query.conformers.copy()
    for rotor in query.rotors:
        ends = copied_torsion(query.mol, rotor.b, rotor.c, pairs)
        if ends is None:
            continue
        a, d = ends
        wanted = dihedral(onto[None], pairs[a], pairs[rotor.b], pairs[rotor.c], pairs[d])
        rotate_about_bond(xyz, rotor.b, rotor.c, rotor.moving, wanted - dihedral(xyz, a, rotor.b, rotor.c, d))
    atoms = list(pairs)
    return superpose(xyz, atoms, onto[[pairs[a] for a in atoms]])


def copied_torsion(mol: Chem.Mol, b: int, c: int, pairs: Mapping[int, int]) -> tuple[int, int] | None:
    """Neighbours a of b and d of c that the template has too, so that a-b-c-d can be copied."""
    if b not in pairs or c not in pairs:
        return None
    before = [n.GetIdx() for n in mol.GetAtomWithIdx(b).GetNeighbors() if n.GetIdx() != c]
    after = [n.GetIdx() for n in mol.GetAtomWithIdx(c).GetNeighbors() if n.GetIdx() != b]
    a = next((i for i in before if i in pairs), None)
    d = next((i for i in after if i in pairs), None)
    return None if a is None or d is None else (a, d)
