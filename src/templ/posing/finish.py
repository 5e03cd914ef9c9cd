"""The last step for the few poses kept: hydrogens, and the check that stereochemistry is the query's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from rdkit import Chem
from rdkit.Chem import rdForceFieldHelpers

from templ.molecules import positions, quiet_rdkit
from templ.posing.geometry import dihedral
from templ.posing.place import with_coordinates

if TYPE_CHECKING:
    from numpy.typing import NDArray

HYDROGEN_STEPS = 50
"""Of minimisation; a few suffice, and their number, not time, bounds the work."""
TETRAHEDRAL = (Chem.ChiralType.CHI_TETRAHEDRAL_CCW, Chem.ChiralType.CHI_TETRAHEDRAL_CW)
CIS_OR_TRANS = (
    Chem.BondStereo.STEREOZ,
    Chem.BondStereo.STEREOE,
    Chem.BondStereo.STEREOCIS,
    Chem.BondStereo.STEREOTRANS,
)


def add_hydrogens(mol: Chem.Mol, xyz: NDArray[np.float64]) -> Chem.Mol:
    """Molecule with heavy atoms at `xyz`, shape (atoms, 3) in Angstrom, and hydrogens where they belong.

    Hydrogens come off the shelf, blind to all but their own neighbour, and then give way to each other:
    MMFF94 (T. A. Halgren, J. Comput. Chem. 17 (1996) 490), heavy atoms fixed, or UFF where MMFF knows an atom
    not.
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
    shelf = Chem.Mol(full)
    forces.Initialize()
    for atom in range(mol.GetNumAtoms()):
        forces.AddFixedPoint(atom)
    try:
        forces.Minimize(maxIts=HYDROGEN_STEPS)
    except RuntimeError:  # RDKit's optimiser gives up ("bad direction in linearSearch")
        return shelf
    return full


def keeps_stereo(pose: Chem.Mol, query: Chem.Mol) -> bool:
    """Tell whether the stereocentres and double bonds seen in the pose's coordinates are the query's.

    What the query leaves open may come out either way.

    Parameters
    ----------
    pose : rdkit.Chem.Mol
        One conformer; its first atoms are those of the query, in the same order.
    query : rdkit.Chem.Mol
        Stereochemistry assigned.
    """
    # RDKit's own perception from 3D is blind to nitrogens, and would find every pose of quinine wrong.
    seen = _labelled_as_seen(query, positions(pose))
    # Not label by label: inverting both ends of a cis-1,4-cyclohexane or of meso-tartrate changes nothing.
    return bool(seen.HasSubstructMatch(query, useChirality=True))


def _labelled_as_seen(query: Chem.Mol, xyz: NDArray[np.float64]) -> Chem.Mol:
    """Copy of the query in which every stereochemical label it has says what the coordinates show."""
    seen = Chem.Mol(query)
    for atom in seen.GetAtoms():
        if atom.GetChiralTag() in TETRAHEDRAL:
            # The first three neighbours, in the order of bonds, are a right-handed triple where the tag is
            # counterclockwise, whether the fourth is an atom, an implicit hydrogen or a lone pair.
            ends = [bond.GetOtherAtomIdx(atom.GetIdx()) for bond in atom.GetBonds()][:3]
            volume = np.linalg.det(xyz[ends] - xyz[atom.GetIdx()])
            atom.SetChiralTag(TETRAHEDRAL[0] if volume > 0 else TETRAHEDRAL[1])
    for bond in seen.GetBonds():
        if bond.GetStereo() in CIS_OR_TRANS:
            a, d = bond.GetStereoAtoms()
            angle = dihedral(xyz[None], a, bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), d)[0]
            bond.SetStereo(CIS_OR_TRANS[2] if np.cos(angle) > 0 else CIS_OR_TRANS[3])
    return seen
