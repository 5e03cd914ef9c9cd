"""The stereoisomers that a molecule may be where it does not say which."""

from __future__ import annotations

from rdkit import Chem
from rdkit.Chem.EnumerateStereoisomers import (
    EnumerateStereoisomers,
    GetStereoisomerCount,
    StereoEnumerationOptions,
)

MOST_ISOMERS = 16
LARGE = 120
"""Heavy atoms: the square of this, divided by that of a molecule's, bounds the number of its isomers, for the
work of posing one grows so. Four at 60 atoms, and two at least."""


def most_isomers(mol: Chem.Mol) -> int:
    """How many forms of a molecule are posed, at most: fewer above 30 heavy atoms (`LARGE`)."""
    atoms: int = mol.GetNumHeavyAtoms()
    return max(2, min(MOST_ISOMERS, LARGE**2 // max(atoms, 1) ** 2))


def stereoisomers(mol: Chem.Mol) -> tuple[list[Chem.Mol], str]:
    """Return a molecule in each configuration of the centres and double bonds that it leaves open.

    Centres that a CXSMILES extension groups as a racemate (``&``) or as one of two (``o``) are open too.

    Returns
    -------
    isomers : list of rdkit.Chem.Mol
        Atoms in the order of `mol`; the molecule itself where nothing is open; at most `most_isomers`.
    note : str
        What was open, and how many isomers there are; empty where nothing was.

    Examples
    --------
    >>> isomers, note = stereoisomers(Chem.MolFromSmiles("C[C@H](N)C(O)F"))
    >>> [Chem.MolToSmiles(isomer) for isomer in isomers], note
    (['C[C@H](N)[C@H](O)F', 'C[C@H](N)[C@@H](O)F'], 'stereochemistry left open: each of 2 isomers is posed')
    """
    most = most_isomers(mol)
    options = StereoEnumerationOptions(onlyUnassigned=True, unique=True, maxIsomers=most)
    there_are = GetStereoisomerCount(mol, options)
    if there_are < 2:
        return [mol], ""
    isomers = []
    for isomer in EnumerateStereoisomers(mol, options):
        for name in isomer.GetPropNames(includePrivate=True):  # what RDKit notes while it enumerates
            if not mol.HasProp(name):
                isomer.ClearProp(name)
        Chem.AssignStereochemistry(isomer, cleanIt=True, force=True)
        isomers.append(isomer)
    if len(isomers) < 2:  # it was open for mirror images of one molecule only
        return isomers or [mol], ""
    if there_are > most:
        said = f"{len(isomers)} of up to {there_are:,} isomers are posed; give the SMILES of the one you mean"
    else:
        said = f"each of {len(isomers)} isomers is posed"
    return isomers, f"stereochemistry left open: {said}"
