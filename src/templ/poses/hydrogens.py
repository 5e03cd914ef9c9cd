"""Adds hydrogens to the few poses that are handed out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import rdForceFieldHelpers
from rdkit.Geometry import Point3D

from templ.chemistry.molecules import quiet_rdkit, with_coordinates

HYDROGEN_STEPS = 50
"""Of minimisation; a few suffice, and their number, not time, bounds the work."""


CAPPED = 1.09
"""Angstrom from a bonded atom to the hydrogen in the place of the protein."""
STAND_IN = 17
"""Chlorine stands for the protein's atom while the other hydrogens are placed."""


def add_hydrogens(
    mol: Chem.Mol, xyz: NDArray[np.float64], bond: tuple[int, NDArray[np.float64]] | None = None
) -> Chem.Mol:
    """Molecule with heavy atoms at `xyz`, shape (atoms, 3) in Angstrom, and hydrogens where they belong.

    With `bond`, an atom and where the protein's atom that it is bonded to lies, shape (3,), one hydrogen of
    that atom points there and the others keep clear of it.

    Hydrogens are placed by standard geometry, each blind to all but its own neighbour, and are then
    minimised: MMFF94 (T. A. Halgren, J. Comput. Chem. 17 (1996) 490), heavy atoms fixed, or UFF where MMFF
    knows an atom not.
    """
    shown = with_coordinates(mol, xyz)
    if bond is not None and mol.GetAtomWithIdx(bond[0]).GetTotalNumHs():
        return _capped(_placed(_with_stand_in(shown, *bond)), mol.GetNumAtoms(), bond[0])
    return _placed(shown)


def _placed(mol: Chem.Mol) -> Chem.Mol:
    """Hydrogens added and minimised; `mol` has heavy atoms alone."""
    full = Chem.AddHs(mol, addCoords=True)
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


def _with_stand_in(mol: Chem.Mol, atom: int, position: NDArray[np.float64]) -> Chem.Mol:
    """Molecule with one atom more, where the protein's is, bonded to `atom`."""
    grown = Chem.RWMol(mol)
    added = grown.AddAtom(Chem.Atom(STAND_IN))
    grown.AddBond(atom, added, Chem.BondType.SINGLE)
    own = grown.GetAtomWithIdx(atom)
    own.SetNumExplicitHs(max(0, own.GetNumExplicitHs() - 1))
    grown.GetConformer().SetAtomPosition(added, Point3D(*position.tolist()))
    whole = grown.GetMol()
    Chem.SanitizeMol(whole)
    return whole


def _capped(mol: Chem.Mol, added: int, atom: int) -> Chem.Mol:
    """Molecule whose stand-in is a hydrogen; which way its centres turn is read off the coordinates."""
    conformer = mol.GetConformer()
    own = np.array(conformer.GetAtomPosition(atom))
    arm = np.array(conformer.GetAtomPosition(added)) - own
    conformer.SetAtomPosition(added, Point3D(*(own + CAPPED * arm / np.linalg.norm(arm)).tolist()))
    mol.GetAtomWithIdx(added).SetAtomicNum(1)
    Chem.SanitizeMol(mol)
    # Of double bonds (C=N of an amidine) nobody asked which way a hydrogen points.
    Chem.AssignAtomChiralTagsFromStructure(mol, replaceExistingTags=True)
    Chem.AssignStereochemistry(mol, cleanIt=True, force=True)
    return mol
