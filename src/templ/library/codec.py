"""How one ligand is stored: a SMILES, and coordinates in the order of its atoms."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from templ.chemistry.molecules import positions, quiet_rdkit
from templ.errors import InputError

_AS_WRITTEN = Chem.SmilesParserParams()
_AS_WRITTEN.removeHs = False  # a hydrogen that was stored is an atom with coordinates


def encode(mol: Chem.Mol) -> tuple[str, NDArray[np.float32]]:
    """Write a molecule down.

    Parameters
    ----------
    mol : rdkit.Chem.Mol
        With one conformer.

    Returns
    -------
    smiles : str
        Canonical.
    xyz : numpy.ndarray, shape (3 * atoms,), float32
        Coordinates in Angstrom, atoms in the order of `smiles`.

    Raises
    ------
    InputError
        When the molecule that `decode` makes of it would be another one.
    """
    smiles = Chem.MolToSmiles(mol)
    order = list(mol.GetPropsAsDict(includePrivate=True, includeComputed=True)["_smilesAtomOutputOrder"])
    xyz = positions(mol)[order].astype(np.float32).ravel()
    restored = decode(smiles, xyz)
    elements = [mol.GetAtomWithIdx(index).GetAtomicNum() for index in order]
    if (
        restored is None
        or [atom.GetAtomicNum() for atom in restored.GetAtoms()] != elements
        or not (Chem.MolToSmiles(restored) == smiles or _same_stereo_graph(restored, mol))
    ):
        raise InputError(f"does not survive SMILES: '{smiles[:80]}' reads back as another molecule")
    return smiles, xyz


def _same_stereo_graph(one: Chem.Mol, other: Chem.Mol) -> bool:
    """Compare where canonical SMILES of one molecule may differ: adamantanes, symmetric metal clusters."""
    return bool(
        one.GetNumBonds() == other.GetNumBonds()
        and one.HasSubstructMatch(other, useChirality=True)
        and other.HasSubstructMatch(one, useChirality=True)
    )


def decode(smiles: str, xyz: NDArray[np.float32]) -> Chem.Mol | None:
    """Rebuild a molecule with its conformer.

    Returns
    -------
    rdkit.Chem.Mol or None
        None when the SMILES cannot be read or has another number of atoms than `xyz`.

    Examples
    --------
    >>> mol = decode("[C-]#[O+]", np.array([0, 0, 0, 0, 0, 1.128], dtype=np.float32))
    >>> round(mol.GetConformer().GetPositions()[1].tolist()[2], 3)
    1.128
    """
    with quiet_rdkit():
        mol = Chem.MolFromSmiles(smiles, _AS_WRITTEN)
    if mol is None or xyz.size != 3 * mol.GetNumAtoms():
        return None
    conformer = Chem.Conformer(mol.GetNumAtoms())
    conformer.SetPositions(xyz.reshape(-1, 3).astype(np.float64))
    mol.AddConformer(conformer)
    return mol
