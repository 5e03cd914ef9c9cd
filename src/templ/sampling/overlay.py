"""Lays whole conformers of the query onto a template by shape and features, where there is no core to copy.

RDKit's port of PubChem's shape alignment (Grant, Gallardo, Pickup, J. Comput. Chem. 17 (1996) 1653).
"""

from __future__ import annotations

import numpy as np
from rdkit import Chem
from rdkit.Chem import rdShapeAlign

from templ.chemistry.conformers import PreparedQuery
from templ.chemistry.geometry import PrincipalAxes, distinct
from templ.chemistry.molecules import positions, with_coordinates
from templ.sampling.core_copying import SAME_POSE
from templ.sampling.placement import Placement, as_placed
from templ.templates.applicability import ELEMENTS
from templ.templates.screening import Template

COARSE = 0.2
"""Angstrom to which a template's coordinates are rounded before whole molecules are laid onto it."""


def overlay_whole(query: PreparedQuery, template: Template, most: int) -> Placement:
    """Lay whole conformers onto a template; of those that differ the best, at most `most`, are kept."""
    # RDKit's alignment may end elsewhere for a rounding error: fixed axes, coordinates without small digits.
    axes = PrincipalAxes.of(positions(template.mol))
    coarse = np.round(axes.inward(positions(template.mol)) / COARSE) * COARSE
    shown = with_coordinates(_metals_as_carbon(template.mol), coarse)
    scored = []
    for xyz in query.conformers:
        probe = with_coordinates(query.mol, xyz)
        shape, features = rdShapeAlign.AlignMol(shown, probe)
        scored.append((-(shape + features), axes.outward(positions(probe))))
    scored.sort(key=lambda pair: pair[0])
    xyz = np.array([pose for _, pose in scored])
    kept = xyz[distinct(xyz, SAME_POSE, most)]
    return as_placed(template, kept, "overlay")


def _metals_as_carbon(mol: Chem.Mol) -> Chem.Mol:
    """Copy in which metals have carbon's radius: RDKit's alignment has none for them and fails."""
    copy = Chem.Mol(mol)
    for atom in copy.GetAtoms():
        if atom.GetAtomicNum() not in ELEMENTS:
            atom.SetAtomicNum(6)
    return copy
