"""Whether a pose has the query's stereochemistry."""

from __future__ import annotations

from itertools import count

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from templ.chemistry.geometry import dihedral
from templ.chemistry.molecules import positions

TETRAHEDRAL = (Chem.ChiralType.CHI_TETRAHEDRAL_CCW, Chem.ChiralType.CHI_TETRAHEDRAL_CW)
CIS_OR_TRANS = (
    Chem.BondStereo.STEREOZ,
    Chem.BondStereo.STEREOE,
    Chem.BondStereo.STEREOCIS,
    Chem.BondStereo.STEREOTRANS,
)

MOST_MAPPINGS = 10_000
"""Ways to exchange like atoms that are looked at; twenty pairs of methyls have a million."""


class _TooSymmetric(Exception):
    pass


def keeps_stereo(pose: Chem.Mol, query: Chem.Mol) -> bool:
    """Tell whether the stereocentres and double bonds seen in the pose's coordinates are the query's.

    What the query leaves open may come out either way. A pose that is right by none of the first
    `MOST_MAPPINGS` ways to exchange like atoms counts as wrong.

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
    numbers = count(1)

    def go_on(_pose: Chem.Mol, _atoms: object) -> bool:
        if next(numbers) > MOST_MAPPINGS:
            raise _TooSymmetric
        return True

    parameters = Chem.SubstructMatchParameters()
    parameters.useChirality = True
    parameters.maxMatches = 1
    parameters.setExtraFinalCheck(go_on)  # called before RDKit compares the stereochemistry
    try:
        return bool(seen.HasSubstructMatch(query, parameters))
    except _TooSymmetric:
        return False


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
