"""What a free query becomes as one of its warheads bonds, and to which residue."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rdkit import Chem

from templ.chemistry.isomers import most_isomers, stereoisomers
from templ.chemistry.molecules import to_smiles
from templ.chemistry.reactive_residue import ReactiveResidue
from templ.chemistry.receptor import Receptor
from templ.chemistry.warheads import ALCOHOLS, WARHEADS, Warhead
from templ.templates.residue_choice import AUTO, NONE, find_residues
from templ.templates.screening import Template

FEW_NAMED = 4
"""Residues that a note names."""


@dataclass(frozen=True, slots=True)
class Reaction:
    """What a free query becomes as it bonds.

    Attributes
    ----------
    warhead : str
        Name of the group that bonds.
    residue : str
        To this, such as ``A:CYS145``.
    made : tuple of rdkit.Chem.Mol
        Isomers of what it becomes, at least one; in each the atom that bonds has the property `BONDED`.
    """

    warhead: str
    residue: str
    made: tuple[Chem.Mol, ...]

    def note(self, residue: str) -> str:
        """Say what is posed, bonded to a residue: that of another receptor may have another name."""
        smiles = " or ".join(dict.fromkeys(map(to_smiles, self.made)))
        return f"posed as {self.warhead} bonded to {residue}, without the residue: {smiles}"


def react(
    mol: Chem.Mol, receptor: Receptor, templates: Sequence[Template], wanted: str
) -> tuple[list[Reaction], str]:
    """Let the warheads of a query bond to the likeliest residue that one takes.

    Of several warheads each that is as reactive as the first takes part.

    Returns
    -------
    reactions : list of Reaction
        Empty where no warhead meets a residue that it takes.
    others : str
        To which residues it could bond as well, as a note; empty where none is as likely.

    Raises
    ------
    Refusal
        When the residue that is named is not in the receptor.
    """
    residues = find_residues(receptor, templates, wanted)
    found = find_reactions(free_warheads(mol, wanted), residues, wanted)
    if not found:
        return [], ""
    first, residue = found[0]
    reactions, left = list[Reaction](), most_isomers(mol)
    for warhead, near in found:
        if near is residue and warhead.reactive == first.reactive:
            made = [isomer for adduct in warhead.adducts(mol) for isomer in stereoisomers(adduct)[0]][:left]
            left -= len(made)
            reactions += [Reaction(warhead.name, residue.label, tuple(made))] if made else []
    return reactions, other_residues(found)


def free_warheads(mol: Chem.Mol, wanted: str) -> list[Warhead]:
    """Groups of a query that bond: where no residue is named, not those that mostly do not."""
    able = (warhead for warhead in WARHEADS if warhead.reactive or wanted != AUTO)
    return [warhead for warhead in able if warhead.is_free_in(mol)] if wanted != NONE else []


def find_reactions(
    warheads: Sequence[Warhead], residues: Iterable[ReactiveResidue], wanted: str
) -> list[tuple[Warhead, ReactiveResidue]]:
    """Each residue that one of the warheads takes, and which; the likeliest first.

    Activated residues and reactive warheads come first; where none is named, an alcohol that is not activated
    does not bond.
    """
    found = [
        (warhead, residue)
        for residue in residues
        for warhead in warheads
        if residue.kind in warhead.residues and (wanted != AUTO or _takes_unasked(warhead, residue))
    ]
    return sorted(found, key=lambda pair: (not pair[1].activated, not pair[0].reactive))


def _takes_unasked(warhead: Warhead, residue: ReactiveResidue) -> bool:
    """Whether a warhead takes a residue that nobody named."""
    return residue.kind not in warhead.seldom and (residue.kind not in ALCOHOLS or residue.activated)


def other_residues(reactions: Sequence[tuple[Warhead, ReactiveResidue]]) -> str:
    """Say which residues are as likely as that of the first reaction; empty where there is none."""
    _, first = reactions[0]
    likely = (near for _, near in reactions if near is not first and near.activated == first.activated)
    others = list(dict.fromkeys(near.label for near in likely))
    if not others:
        return ""
    more = f" and {len(others) - FEW_NAMED} more" if len(others) > FEW_NAMED else ""
    return f"it could bond to {', '.join(others[:FEW_NAMED])}{more} instead, which --covalent names"
