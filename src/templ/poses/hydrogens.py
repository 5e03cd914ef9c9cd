"""Adds hydrogens to the few poses that are handed out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import rdForceFieldHelpers

from templ.chemistry.molecules import quiet_rdkit, with_coordinates

HYDROGEN_STEPS = 50
"""Of minimisation; a few suffice, and their number, not time, bounds the work."""


def add_hydrogens(mol: Chem.Mol, xyz: NDArray[np.float64]) -> Chem.Mol:
    """Molecule with heavy atoms at `xyz`, shape (atoms, 3) in Angstrom, and hydrogens where they belong.

    Hydrogens are placed by standard geometry, each blind to all but its own neighbour, and are then
    minimised: MMFF94 (T. A. Halgren, J. Comput. Chem. 17 (1996) 490), heavy atoms fixed, or UFF where MMFF
    knows an atom not.
    """
    full = Chem.AddHs(with_coordinates(mol, xyz), addCoords=True)
    with quiet_rdkit():
        properties = rdForceFieldHelpers.MMFFGetMoleculeProperties(full)
        if properties is not None:
            forces = rdForceFieldHelpers.MMFFGetMoleculeForceField(full, properties)
        elif rdForceFieldHelpers.UFFHasAllMoleculeParams(full):
            forces = rdForceFieldHelpers.UFFGetMoleculeForceField(full)
        else:
            return full
    standard = Chem.Mol(full)
    forces.Initialize()
    for atom in range(mol.GetNumAtoms()):
        forces.AddFixedPoint(atom)
    try:
        forces.Minimize(maxIts=HYDROGEN_STEPS)
    except RuntimeError:  # RDKit's optimiser gives up ("bad direction in linearSearch")
        return standard
    return full
