"""A crystal's ligand as it is once bonded, where its file has it as it was before; or the other way about."""

from __future__ import annotations

from rdkit import Chem

from templ.chemistry.molecules import heavy, ligand_key
from templ.chemistry.warheads import bonded_forms


def in_form_of(truth: Chem.Mol, pose: Chem.Mol) -> Chem.Mol:
    """The truth as it is once bonded, where the pose is that and the truth is not; else as it is.

    Parameters
    ----------
    truth, pose : rdkit.Chem.Mol
        Each with one 3D conformer; not changed.
    """
    wanted = ligand_key(pose)
    if ligand_key(truth) == wanted:
        return truth
    found = next((form for form in bonded_forms(heavy(truth)) if ligand_key(form) == wanted), None)
    if found is None:
        return truth
    Chem.AssignStereochemistryFrom3D(found)
    return found
