"""The last step for the few poses kept: hydrogens, and the check that stereochemistry is the query's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from rdkit import Chem

from templ.molecules import positions
from templ.posing.geometry import dihedral
from templ.posing.place import with_coordinates

if TYPE_CHECKING:
    from numpy.typing import NDArray

HANDEDNESS = {Chem.ChiralType.CHI_TETRAHEDRAL_CCW: 1, Chem.ChiralType.CHI_TETRAHEDRAL_CW: -1}
"""Sign of the volume that the first three neighbours of a stereocentre span."""
SAME_SIDE = {
    Chem.BondStereo.STEREOZ: True,
    Chem.BondStereo.STEREOCIS: True,
    Chem.BondStereo.STEREOE: False,
    Chem.BondStereo.STEREOTRANS: False,
}
"""Whether the two atoms that a double bond's label is about lie on one side of it."""


def add_hydrogens(mol: Chem.Mol, xyz: NDArray[np.float64]) -> Chem.Mol:
    """Molecule with heavy atoms at `xyz`, shape (atoms, 3) in Angstrom, and hydrogens where they belong."""
    return Chem.AddHs(with_coordinates(mol, xyz), addCoords=True)


def keeps_stereo(pose: Chem.Mol, query: Chem.Mol) -> bool:
    """Tell whether the stereocentres and double bonds seen in the pose's coordinates are the query's.

    What the query leaves open may come out either way. Each label is looked at by itself: RDKit's perception
    from 3D is blind to nitrogens, and so would find every pose of quinine wrong.

    Parameters
    ----------
    pose : rdkit.Chem.Mol
        One conformer; its first atoms are those of the query, in the same order.
    query : rdkit.Chem.Mol
        Stereochemistry assigned.
    """
    xyz = positions(pose)
    return all(_turns_as_labelled(atom, xyz) for atom in query.GetAtoms()) and all(
        _sides_as_labelled(bond, xyz) for bond in query.GetBonds()
    )


def _turns_as_labelled(atom: Chem.Atom, xyz: NDArray[np.float64]) -> bool:
    """Tell whether the neighbours go round the atom as its tag says; true without a tag.

    The first three, in the order of bonds, are a right-handed triple where the tag is counterclockwise,
    whether the fourth is an atom, an implicit hydrogen or a lone pair.
    """
    tag = atom.GetChiralTag()
    if tag not in HANDEDNESS:
        return True
    ends = [bond.GetOtherAtomIdx(atom.GetIdx()) for bond in atom.GetBonds()][:3]
    return bool(np.linalg.det(xyz[ends] - xyz[atom.GetIdx()]) * HANDEDNESS[tag] > 0)


def _sides_as_labelled(bond: Chem.Bond, xyz: NDArray[np.float64]) -> bool:
    """Tell whether the ends of a double bond lie on the sides its label says; true without a label."""
    stereo = bond.GetStereo()
    if stereo not in SAME_SIDE:
        return True
    a, d = bond.GetStereoAtoms()
    angle = dihedral(xyz[None], a, bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), d)[0]
    return bool(np.cos(angle) > 0) is SAME_SIDE[stereo]
