"""What TEMPL declines to predict: refusals with a reason, decided from the query alone."""

from __future__ import annotations

from rdkit import Chem

from templ.errors import Refusal
from templ.settings import PredictionSettings

ELEMENTS = frozenset({1, 5, 6, 7, 8, 9, 14, 15, 16, 17, 33, 34, 35, 53})
"""H B C N O F Si P S Cl As Se Br I: what ETKDG and UFF have sound parameters for in organic molecules."""
RESIDUE = Chem.MolFromSmarts("[NX3;!$(N-[#7,#8])][CX4][CX3](=O)[NX3,OX2,OX1]")
"""One amino acid in a chain or at its end."""
MIN_SUGAR_SUBSTITUENTS = 3
"""Carbons of a sugar's ring with O, N or CH2O outside it: ribose has four, its deoxy form three."""
MIN_HEAVY_ATOMS = 3
"""Fewer have no orientation to predict."""


def refuse_unfit(query: Chem.Mol, settings: PredictionSettings) -> None:
    """Refuse a query, one fragment of heavy atoms only, outside the method's reach.

    Raises
    ------
    Refusal
        ``too-small``, ``too-many-atoms``, ``unsupported-element``, ``peptide`` or ``saccharide``.
    """
    size = query.GetNumAtoms()
    if size < MIN_HEAVY_ATOMS:
        raise Refusal("too-small", f"{size} heavy atoms; at least {MIN_HEAVY_ATOMS} are needed")
    if size > settings.max_heavy_atoms:
        raise Refusal("too-many-atoms", f"{size} heavy atoms; at most {settings.max_heavy_atoms} are tried")
    strange = sorted({a.GetSymbol() for a in query.GetAtoms() if a.GetAtomicNum() not in ELEMENTS})
    if strange:
        raise Refusal("unsupported-element", f"contains {', '.join(strange)}")
    residues = len({match[1] for match in query.GetSubstructMatches(RESIDUE, maxMatches=1000)})
    if residues > settings.max_residues:
        raise Refusal(
            "peptide", f"a peptide of {residues} residues; at most {settings.max_residues} are tried"
        )
    rings = sugar_rings(query)
    if rings > settings.max_sugar_rings:
        raise Refusal(
            "saccharide", f"a saccharide of {rings} rings; at most {settings.max_sugar_rings} are tried"
        )


def sugar_rings(mol: Chem.Mol) -> int:
    """Count the furanose and pyranose rings: saturated, one oxygen, most carbons with O, N or CH2O outside.

    Examples
    --------
    >>> sugar_rings(Chem.MolFromSmiles("OCC1OC(OC2C(O)C(O)C(O)OC2CO)C(O)C(O)C1O"))
    2
    >>> sugar_rings(Chem.MolFromSmiles("C1CCOCC1"))
    0
    """
    count = 0
    for ring in mol.GetRingInfo().AtomRings():
        atoms = [mol.GetAtomWithIdx(index) for index in ring]
        oxygens = [atom for atom in atoms if atom.GetAtomicNum() == 8]
        saturated = all(atom.GetHybridization() == Chem.HybridizationType.SP3 for atom in atoms)
        if len(ring) not in (5, 6) or len(oxygens) != 1 or not saturated:
            continue
        bearing = [
            atom
            for atom in atoms
            if atom.GetAtomicNum() == 6
            and any(_is_sugar_like(near) for near in atom.GetNeighbors() if near.GetIdx() not in ring)
        ]
        count += len(bearing) >= MIN_SUGAR_SUBSTITUENTS
    return count


def _is_sugar_like(atom: Chem.Atom) -> bool:
    """Tell whether a substituent is O, N, or a carbon with oxygen, as in hydroxymethyl and uronic acids."""
    return atom.GetAtomicNum() in (7, 8) or (
        atom.GetAtomicNum() == 6 and any(near.GetAtomicNum() == 8 for near in atom.GetNeighbors())
    )
