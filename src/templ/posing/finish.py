"""The last step for the few poses kept: hydrogens, and the check that stereochemistry is the query's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rdkit import Chem

from templ.posing.place import with_coordinates

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def add_hydrogens(mol: Chem.Mol, xyz: NDArray[np.float64]) -> Chem.Mol:
    """Molecule with heavy atoms at `xyz`, shape (atoms, 3) in Angstrom, and hydrogens where they belong."""
    return Chem.AddHs(with_coordinates(mol, xyz), addCoords=True)


def keeps_stereo(pose: Chem.Mol, query: Chem.Mol) -> bool:
    """Tell whether the stereocentres and double bonds seen in the pose's coordinates are the query's.

    What the query leaves open may come out either way.
    """
    seen = Chem.Mol(pose)
    Chem.AssignStereochemistryFrom3D(seen)
    return bool(Chem.RemoveHs(seen).HasSubstructMatch(query, useChirality=True))
