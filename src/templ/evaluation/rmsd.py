"""How far a pose is from the crystal: symmetry-aware RMSD where the molecules are, nothing is aligned."""

from __future__ import annotations

from rdkit import Chem
from rdkit.Chem import rdMolAlign

from templ.chemistry.molecules import has_3d, quiet_rdkit, skeleton
from templ.chemistry.warheads import bonded_forms
from templ.errors import InputError

MAX_MATCHES = 100_000
"""Symmetric atom assignments tried, about half a second. A molecule with more (ten tert-butyl groups) gets
the best of these, which is an upper bound."""


def symmetric_rmsd(pose: Chem.Mol, truth: Chem.Mol) -> float:
    """RMSD over heavy atoms between a pose and the crystal, in place, the best over symmetric assignments.

    Terminal groups that resonance makes equal (carboxylate, nitro, sulfonate, amidinium) count as symmetric.
    Where the two differ in bond orders or charges (another protonation or tautomer of the same skeleton),
    atoms are assigned by element and connectivity alone. Where one is what the other becomes once bonded to
    a protein, without its leaving group or with its ring opened, the atoms that both have are compared.

    Parameters
    ----------
    pose, truth : rdkit.Chem.Mol
        The same molecule, free or bonded, each with one 3D conformer, in one frame; atom order and hydrogens
        are free.
        Neither is changed.

    Returns
    -------
    float
        Angstrom.

    Raises
    ------
    InputError
        When they are not the same molecule, or one has no 3D coordinates.

    Examples
    --------
    >>> pose = Chem.MolFromSmiles("Oc1ccccc1 |(0,0,1;1,0,0;2,1,0;3,1,0;4,0,0;3,-1,0;2,-1,0)|")
    >>> flipped = Chem.RenumberAtoms(pose, [0, 1, 6, 5, 4, 3, 2])
    >>> symmetric_rmsd(flipped, pose)
    0.0
    """
    with quiet_rdkit():
        pose, truth = _heavy_with_coordinates(pose, "pose"), _heavy_with_coordinates(truth, "truth")
        rmsd = _best_rms(pose, truth)
        if rmsd is None:
            rmsd = _best_rms(skeleton(pose), skeleton(truth))
        if rmsd is None:
            rmsd = _rms_of_bonded_forms(pose, truth)
        if rmsd is None:
            shown = f"{Chem.MolToSmiles(pose)} against {Chem.MolToSmiles(truth)}"
            raise InputError(f"pose and truth are not the same molecule ({shown})")
        return rmsd


def _rms_of_bonded_forms(pose: Chem.Mol, truth: Chem.Mol) -> float | None:
    """Return the RMSD where one is what becomes of the other by a warhead, None where neither is."""
    pairs = [(form, truth) for form in bonded_forms(pose)] + [(pose, form) for form in bonded_forms(truth)]
    found = [_best_rms(skeleton(first), skeleton(second)) for first, second in pairs]
    return min((rmsd for rmsd in found if rmsd is not None), default=None)


def _heavy_with_coordinates(mol: Chem.Mol, name: str) -> Chem.Mol:
    """Copy without any hydrogen, also those that `heavy` keeps for their meaning (deuterium)."""
    copy = Chem.RemoveAllHs(mol, sanitize=False)
    if not has_3d(copy):
        raise InputError(f"the {name} ({Chem.MolToSmiles(copy)}) has no 3D coordinates to compare")
    return copy


def _best_rms(pose: Chem.Mol, truth: Chem.Mol) -> float | None:
    """Return the RMSD of the best assignment, None when the molecules do not match."""
    # RDKit is content when the pose is a part of the truth.
    if (pose.GetNumAtoms(), pose.GetNumBonds()) != (truth.GetNumAtoms(), truth.GetNumBonds()):
        return None
    try:
        return float(
            rdMolAlign.CalcRMS(pose, truth, maxMatches=MAX_MATCHES, symmetrizeConjugatedTerminalGroups=True)
        )
    except RuntimeError:  # "No sub-structure match found"
        return None
