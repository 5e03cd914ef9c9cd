"""Groups of a ligand that bond to a residue of the protein: what each becomes, and how its bond lies.

A table of chemistry, nothing fitted. The reactions leave the residue out: the bonded atom, mapped as 1, has a
hydrogen in its place. Groups and residues: J. Singh et al., Nat. Rev. Drug Discov. 10 (2011) 307; F. Sutanto
et al., RSC Med. Chem. 11 (2020) 876; for each the paper that `Warhead.source` names.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from rdkit import Chem
from rdkit.Chem import rdChemReactions

from templ.chemistry.molecules import quiet_rdkit

LENGTHS = {
    (6, 16): 1.81, (6, 8): 1.43, (6, 7): 1.47, (5, 8): 1.48, (5, 16): 1.93, (16, 16): 2.03, (16, 8): 1.60,
    (16, 7): 1.63,
}  # fmt: skip
"""Angstrom, by the elements of the ligand's atom and the residue's: means of the Cambridge database (F. Allen
et al., J. Chem. Soc. Perkin Trans. 2 (1987) S1)."""
FLAT_LENGTHS = {(6, 16): 1.76, (6, 8): 1.34}
"""The same where the ligand's atom is flat: thioesters, thioimidates, vinyl sulfides; esters, imidates."""
AT_RESIDUE = {16: 102.0, 8: 115.0, 7: 113.0}
"""Degrees at the residue's sulphur, oxygen or nitrogen (from the same)."""
AT_LIGAND = {Chem.HybridizationType.SP2: 120.0, Chem.HybridizationType.SP: 180.0}
"""Degrees at the ligand's atom; 109.5 at any other."""
TETRAHEDRAL = 109.5
BONDED = "bonded to the protein"
"""Property of the atom of an adduct that the bond was made to: the name of the warhead."""


def bond_length(atom: Chem.Atom, element: int) -> float:
    """Length of the bond of a ligand's atom, once bonded, to one of a residue: Angstrom."""
    pair = (atom.GetAtomicNum(), element)
    flat = atom.GetHybridization() == Chem.HybridizationType.SP2 and atom.GetDegree() < 3
    return FLAT_LENGTHS[pair] if flat and pair in FLAT_LENGTHS else LENGTHS[pair]


@dataclass(frozen=True)
class Warhead:
    """A group that bonds to a residue.

    Attributes
    ----------
    name : str
    reaction : str
        SMARTS of the free group, ``>>``, and what it becomes; the atom that bonds is mapped as 1.
    adduct : str
        SMARTS of what it became, as narrow as can be: by this the group is known in a ligand that is given as
        it is once bonded. The bonded atom is mapped as 1. Empty where nothing tells it from other groups.
    residues : tuple of str
        Three letters of those that it takes.
    source : str
        Where it is described.
    reactive : bool
        A free group near such a residue is taken to bond; others (nitriles, alkynes) mostly do not.
    ordinary : bool
        What it becomes is a group that many ligands have which never bonded (an acetamide).
    seldom : tuple of str
        Those of the residues that it takes where they are named alone.
    """

    name: str
    reaction: str
    adduct: str
    residues: tuple[str, ...]
    source: str
    reactive: bool = True
    ordinary: bool = False
    seldom: tuple[str, ...] = ()

    @cached_property
    def _free(self) -> Chem.Mol:
        return Chem.MolFromSmarts(self.reaction.split(">>")[0])

    @cached_property
    def _adduct(self) -> Chem.Mol:
        return Chem.MolFromSmarts(self.adduct)

    @cached_property
    def _bonded(self) -> int:
        """The atom of the adduct's pattern that bonds."""
        return [atom.GetAtomMapNum() for atom in self._adduct.GetAtoms()].index(1)

    @cached_property
    def _reaction(self) -> rdChemReactions.ChemicalReaction:
        return rdChemReactions.ReactionFromSmarts(self.reaction)

    def is_free_in(self, mol: Chem.Mol) -> bool:
        """Whether a molecule has the group as it is before it bonds."""
        return bool(mol.HasSubstructMatch(self._free))

    def bonded_atoms(self, mol: Chem.Mol) -> list[int]:
        """Atoms of a molecule that may be the bonded one of what the group becomes."""
        if not self.adduct:
            return []
        return sorted({match[self._bonded] for match in mol.GetSubstructMatches(self._adduct)})

    def adducts(self, mol: Chem.Mol) -> Iterator[Chem.Mol]:
        """Yield what a molecule becomes, for each such group in it; the atom that bonds has `BONDED`.

        Charges and stereocentres elsewhere stay; a centre that the bond makes is left open.
        """
        seen: set[str] = set()
        for (product,) in self._reaction.RunReactants((_without_written_hydrogens(mol),)):
            if Chem.SanitizeMol(product, catchErrors=True) != Chem.SanitizeFlags.SANITIZE_NONE:
                continue
            bonded = next(
                atom
                for atom in product.GetAtoms()
                if atom.HasProp("old_mapno") and atom.GetIntProp("old_mapno") == 1
            )
            bonded.SetChiralTag(Chem.ChiralType.CHI_UNSPECIFIED)  # the residue comes from another side
            for atom in product.GetAtoms():
                for name in ("old_mapno", "react_atom_idx", "_ReactionDegreeChanged"):
                    atom.ClearProp(name)
            bonded.SetProp(BONDED, self.name)
            Chem.AssignStereochemistry(product, cleanIt=True, force=True)
            key = Chem.MolToSmiles(product, rootedAtAtom=bonded.GetIdx())
            if key not in seen:
                seen.add(key)
                yield product


def _without_written_hydrogens(mol: Chem.Mol) -> Chem.Mol:
    """Copy whose atoms have the hydrogens that their valence asks for, however they were written.

    An atom in brackets (``[CH2]=C``, ``[CH2:1]``) keeps its number of hydrogens through a reaction, as if the
    one that it gains were a radical.
    """
    plain = Chem.Mol(mol)
    for atom in plain.GetAtoms():
        if not atom.GetNoImplicit() or atom.GetNumRadicalElectrons() or atom.GetIsAromatic():
            continue
        written, before = atom.GetNumExplicitHs(), atom.GetTotalNumHs()
        atom.SetNoImplicit(False)
        atom.SetNumExplicitHs(0)
        atom.UpdatePropertyCache(strict=False)
        if atom.GetTotalNumHs() != before:
            atom.SetNumExplicitHs(written)
            atom.SetNoImplicit(True)
            atom.UpdatePropertyCache(strict=False)
    return plain


def is_made_by_bonding(mol: Chem.Mol) -> bool:
    """Whether a molecule is what a reaction of the table made."""
    return any(atom.HasProp(BONDED) for atom in mol.GetAtoms())


_CYS = ("CYS",)
ALCOHOLS = ("SER", "THR")
"""Residues that bond to little unless something takes their proton."""

WARHEADS: tuple[Warhead, ...] = (
    Warhead(
        "ketoamide",
        "[#6:3][CX3:1](=[OX1:2])[CX3:4](=[OX1:5])[NX3:6]>>[*:3][CH:1]([OH:2])[*:4](=[*:5])[*:6]",
        "[CX4;H1:1]([OX2H,OX1-])([#6])[CX3](=O)[NX3]",
        (*_CYS, *ALCOHOLS),
        "L. Zhang et al., Science 368 (2020) 409",
    ),
    Warhead(
        "activated ketone",
        "[#6;!$(C=O):3][CX3:1](=[OX1:2])[$(C(F)F),$(c(:n):[n,o,s]):4]>>[*:3][CH:1]([OH:2])[*:4]",
        "[CX4;H1:1]([OX2H,OX1-])([#6])[$(C(F)F),$(c(:n):[n,o,s])]",
        (*_CYS, *ALCOHOLS),
        "S. Konno et al., Bioorg. Med. Chem. 21 (2013) 412",
    ),
    Warhead(
        "hydroxymethyl ketone",
        "[#6;!$(C=O):3][CX3:1](=[OX1:2])[CH2:4][OX2:5]>>[*:3][CH:1]([OH:2])[*:4][*:5]",
        "[CX4;H1:1]([OX2H,OX1-])([#6])[CH2][OX2]",
        (*_CYS, *ALCOHOLS),
        "R. Hoffman et al., J. Med. Chem. 63 (2020) 12725",
        reactive=False,
    ),
    Warhead(
        "aldehyde",
        "[#6:3][CX3;H1:1]=[OX1:2]>>[*:3][CH2:1][OH:2]",
        "[CX4;H2:1]([OX2H,OX1-])[$([CX4;H1][NX3]),c]",
        (*_CYS, *ALCOHOLS, "LYS"),
        "W. Dai et al., Science 368 (2020) 1331",
    ),
    Warhead(
        "chloroacetamide",
        "[Cl,Br,I][CH2:1][CX3:2](=[OX1:3])[NX3:4]>>[CH3:1][*:2](=[*:3])[*:4]",
        "[CX4;H3:1][CX3](=O)[#7]",
        _CYS,
        "A. Douangamath et al., Nat. Commun. 11 (2020) 5047",
        ordinary=True,
    ),
    Warhead(
        "acrylamide",
        "[CX3;!R;!$(Cc);!$(C=[CX3;H0]):1]=[CX3;!R:2][CX3:3](=[OX1:4])[NX3;!$(NO):5]>>[C:1][C:2][*:3](=[*:4])[*:5]",
        "[CX4;H2,H3;!R:1][CX4;H2][CX3](=O)[#7]",
        (*_CYS, "LYS"),
        "P. Schwartz et al., PNAS 111 (2014) 173",
        ordinary=True,
        seldom=("LYS",),
    ),
    Warhead(
        "substituted acrylamide",
        "[CX3;!R;$(Cc),$(C=[CX3;H0]):1]=[CX3;!R:2][CX3:3](=[OX1:4])[NX3;!$(NO):5]>>[C:1][C:2][*:3](=[*:4])[*:5]",
        "",
        _CYS,
        "A. Birkholz et al., J. Med. Chem. 63 (2020) 11602",
        reactive=False,
    ),
    Warhead(
        "enone or acrylate",
        "[CX3;!R:1]=[CX3;!R:2][CX3:3](=[OX1:4])[OX2&H0,#6:5]>>[C:1][C:2][*:3](=[*:4])[*:5]",
        "[CX4;H2,H3;!R:1][CX4;H1,H2][CX3](=O)[OX2&H0,#6]",
        _CYS,
        "J. Powers et al., Chem. Rev. 102 (2002) 4639",
        ordinary=True,
    ),
    Warhead(
        "vinyl sulfone",
        "[CX3;!R:1]=[CX3;!R:2][SX4:3](=[OX1:4])=[OX1:5]>>[C:1][C:2][*:3](=[*:4])=[*:5]",
        "[CX4;H2,H3;!R:1][CX4;H2][SX4](=O)=O",
        _CYS,
        "J. Palmer et al., J. Med. Chem. 38 (1995) 3193",
        ordinary=True,
    ),
    Warhead(
        "propiolamide",
        "[CX2:1]#[CX2:2][CX3:3](=[OX1:4])[NX3:5]>>[CX3:1]=[CX3:2][*:3](=[*:4])[*:5]",
        "[CX3;H1,H2;!R:1]=[CX3;H1][CX3](=O)[NX3]",
        _CYS,
        "T. Barf et al., J. Pharmacol. Exp. Ther. 363 (2017) 240",
    ),
    Warhead(
        "alkyne",
        "[CX2;H1:2]#[CX2:1][#6:3]>>[CH2:2]=[CH:1][*:3]",
        "[CX3;H1:1]=[CX3;H2]",
        _CYS,
        "R. Ekkebus et al., J. Am. Chem. Soc. 135 (2013) 2867",
        reactive=False,
    ),
    Warhead(
        "cyanamide",
        "[NX3:3][CX2:1]#[NX1:2]>>[*:3][CH:1]=[NH:2]",
        "[CX3;H1:1](=[NX2;H1])[NX3]",
        _CYS,
        "J.-P. Falgueyret et al., J. Med. Chem. 44 (2001) 94",
    ),
    Warhead(
        "nitrile",
        "[$([CX4][NX3]),$([c]:n):3][CX2:1]#[NX1:2]>>[*:3][CH:1]=[NH:2]",
        "[CX3;H1:1](=[NX2;H1])[#6]",
        (*_CYS, *ALCOHOLS),
        "D. Owen et al., Science 374 (2021) 1586",
        reactive=False,
    ),
    Warhead(
        "boronic acid",
        "[BX3:1]([OX2,OX1:2])[OX2,OX1:3]>>[BH-:1]([*:2])[*:3]",
        "[BX4;H1:1]([OX2,OX1])[OX2,OX1]",
        (*ALCOHOLS, "CYS"),
        "A. Paramore, S. Frantz, Nat. Rev. Drug Discov. 2 (2003) 611",
    ),
    Warhead(
        "boronate",  # the acid with water: the residue takes its place
        "[#6:4][BX4-:1]([OX2,OX1:2])([OX2,OX1:3])[OX2H]>>[*:4][BH-:1]([*:2])[*:3]",
        "",
        (*ALCOHOLS, "CYS"),
        "A. Paramore, S. Frantz, Nat. Rev. Drug Discov. 2 (2003) 611",
    ),
    Warhead(
        "beta-lactam",
        "[OX1:2]=[CX3:1]1[C:3][C:4][NX3:5]1>>[*:2]=[CH:1][*:3][*:4][NH:5]",
        "[CX3;H1:1](=[OX1])[CX4][CX4][NX3;H1]",
        ("SER", "CYS"),
        "J. Fisher, S. Meroueh, S. Mobashery, Chem. Rev. 105 (2005) 395",
        reactive=False,
    ),
    Warhead(
        "epoxide",
        "[CX4:1]1[OX2:2][CX4:3]1>>[C:1][C:3][OH:2]",
        "",
        (*_CYS, *ALCOHOLS),
        "J. Powers et al., Chem. Rev. 102 (2002) 4639",
    ),
    Warhead(
        "aziridine",
        "[CX4:1]1[NX3:2][CX4:3]1>>[C:1][C:3][N:2]",
        "",
        _CYS,
        "T. Schirmeister, J. Med. Chem. 42 (1999) 560",
    ),
    Warhead(
        "sulfonyl fluoride",
        "[#6:2][SX4:1](=[OX1:3])(=[OX1:4])F>>[*:2][SH:1](=[*:3])=[*:4]",
        "[SX4;H1:1](=O)(=O)[#6]",
        ("SER", "TYR", "LYS", "THR"),
        "A. Narayanan, L. Jones, Chem. Sci. 6 (2015) 2650",
    ),
    Warhead(
        "disulfide",
        "[#6:2][SX2:1]!@[SX2][#6]>>[*:2][SH:1]",
        "[SX2;H1:1][#6]",
        _CYS,
        "D. Erlanson et al., PNAS 97 (2000) 9367",
    ),
)
"""Narrowest adduct first where several fit one atom."""


def bonded_forms(mol: Chem.Mol) -> Iterator[Chem.Mol]:
    """Yield what a molecule becomes by each warhead that it has, atoms where they were.

    What the reaction makes has no atom that was not there; a halogen or another leaving group is gone.
    """
    with quiet_rdkit():
        mol = Chem.Mol(mol)
        if Chem.SanitizeMol(mol, catchErrors=True) != Chem.SanitizeFlags.SANITIZE_NONE:
            return
        for warhead in WARHEADS:
            if warhead.is_free_in(mol):
                yield from warhead.adducts(mol)
