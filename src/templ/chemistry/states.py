"""Tautomers and protonation states of a molecule at the pH of blood, and charges that are unlikely there."""

from __future__ import annotations

from collections.abc import Iterator

from rdkit import Chem
from rdkit.Chem.MolStandardize import rdMolStandardize

from templ.chemistry.molecules import quiet_rdkit
from templ.errors import InputError

PH_RANGE = (6.4, 8.4)
PRECISION = 1.0
"""How many standard deviations of a group's pKa, on each side, count as near. Both are the defaults of
Dimorphite-DL (P. J. Ropp et al., J. Cheminform. 11 (2019) 14)."""
MOST_VARIANTS = 64
"""States that Dimorphite-DL writes of one tautomer before any is chosen."""
MOST_TAUTOMERS = 4
"""The best by RDKit's score of tautomers, those as good as the one that was given, or better."""
_ENUMERATED = 200
UNLIKELY: tuple[tuple[str, str], ...] = (
    ("an alcohol without its proton", "[O-;X1][CX4]"),
    ("a carbanion", "[C-;!$([C-]#*)]"),
    (
        "an amine without its proton",
        "[N-;X2;$([N-][CX4]);!$([N-]S(=O)=O);!$([N-]C=[O,S,N]);!$([N-]=*);!$([N-]N);!$([N-]C#N)]",
    ),
    ("an amide without its proton", "[N-;X2;$([N-]C=O);!$([N-](C=O)C=O);!$([N-]S(=O)=O)]"),
    ("an aniline with a proton more", "[N+;H1,H2,H3;X4]-c"),
    ("an amide with a proton more", "[N+;X4;!H0]C=O"),
    ("a protonated carbonyl", "[O+;H1]=[#6]"),
    ("an ether or alcohol with a proton more", "[O+;!H0;X3]"),
)
"""Charges that hardly any molecule has in water of pH 7: pKa beyond 4 to 10 (D. R. Lide, CRC Handbook)."""
_PATTERNS = [(name, Chem.MolFromSmarts(smarts)) for name, smarts in UNLIKELY]


def states(mol: Chem.Mol, most: int) -> tuple[list[Chem.Mol], str]:
    """Return the tautomers and protonation states that a molecule may have near pH 7.4.

    Parameters
    ----------
    mol : rdkit.Chem.Mol
        Without hydrogens.
    most : int
        States returned, at most.

    Returns
    -------
    states : list of rdkit.Chem.Mol
        The one that was given first, then by tautomer; at least one.
    note : str
        How many there are; empty where it is one.

    Raises
    ------
    InputError
        When the package dimorphite_dl is missing.
    """
    try:
        from dimorphite_dl import protonate_smiles
        from loguru import logger
    except ImportError:
        raise InputError("states need Dimorphite-DL: pip install 'templ-pose[states]'") from None
    logger.disable("dimorphite_dl")
    given = Chem.MolToSmiles(mol)
    found = {given: mol}
    with quiet_rdkit():
        for tautomer in _tautomers(mol):
            for smiles in protonate_smiles(
                Chem.MolToSmiles(tautomer),
                ph_min=PH_RANGE[0],
                ph_max=PH_RANGE[1],
                precision=PRECISION,
                max_variants=MOST_VARIANTS,
                validate_output=False,
            ):
                state = Chem.MolFromSmiles(smiles)
                if state is not None and state.GetNumAtoms() == mol.GetNumAtoms():
                    found.setdefault(Chem.MolToSmiles(state), state)
    chosen = list(found.values())[:most]
    if len(found) == 1:
        return chosen, ""
    of = "each" if len(chosen) == len(found) else f"{len(chosen)}"
    return chosen, f"tautomers and protonation: {of} of {len(found)} states is posed"


def unlikely_charges(mol: Chem.Mol) -> Iterator[str]:
    """Name charges of a molecule that it hardly has at pH 7; those that a neighbour balances are no such."""
    for name, pattern in _PATTERNS:
        if mol.HasSubstructMatch(pattern):
            yield f"{name}: a charge that is unlikely at pH 7"


def _tautomers(mol: Chem.Mol) -> list[Chem.Mol]:
    """The likeliest tautomers, the one that was given first; their stereocentres stay."""
    enumerator = rdMolStandardize.TautomerEnumerator()
    enumerator.SetMaxTautomers(_ENUMERATED)
    enumerator.SetRemoveSp3Stereo(False)
    enumerator.SetRemoveBondStereo(False)
    least = enumerator.ScoreTautomer(mol)
    others = {
        smiles: (-enumerator.ScoreTautomer(tautomer), smiles, tautomer)
        for smiles, tautomer in _distinct(enumerator.Enumerate(mol))
    }
    others.pop(Chem.MolToSmiles(mol), None)
    better = sorted(other for other in others.values() if -other[0] >= least)
    return [mol, *(tautomer for *_, tautomer in better[: MOST_TAUTOMERS - 1])]


def _distinct(tautomers: rdMolStandardize.TautomerEnumeratorResult) -> Iterator[tuple[str, Chem.Mol]]:
    for tautomer in tautomers:
        yield Chem.MolToSmiles(tautomer), tautomer
