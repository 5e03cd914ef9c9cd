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
"""Ways to bond that a note names."""


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
    others : str
        How else it could bond, as a note; empty where nothing is as likely.
    """

    warhead: str
    residue: str
    made: tuple[Chem.Mol, ...]
    others: str

    def note(self, residue: str) -> str:
        """Say what is posed, bonded to a residue: that of another receptor may have another name."""
        smiles = " or ".join(dict.fromkeys(map(to_smiles, self.made)))
        return f"posed as {self.warhead} bonded to {residue}, without the residue: {smiles}"


def react(mol: Chem.Mol, receptor: Receptor, templates: Sequence[Template], wanted: str) -> Reaction | None:
    """Let the likeliest warhead of a query bond to the residue that it takes; None where there is no pair.

    Raises
    ------
    Refusal
        When the residue that is named is not in the receptor.
    """
    residues = find_residues(receptor, templates, wanted)
    found = find_reactions(free_warheads(mol, wanted), residues, wanted)
    if not found:
        return None
    warhead, residue = found[0]
    made = [isomer for adduct in warhead.adducts(mol) for isomer in stereoisomers(adduct)[0]]
    made = made[: most_isomers(mol)]
    return Reaction(warhead.name, residue.label, tuple(made), other_reactions(found)) if made else None


def free_warheads(mol: Chem.Mol, wanted: str) -> list[Warhead]:
    """Groups of a query that bond: where no residue is named, not those that mostly do not."""
    able = (warhead for warhead in WARHEADS if warhead.reactive or wanted != AUTO)
    return [warhead for warhead in able if warhead.is_free_in(mol)] if wanted != NONE else []


def find_reactions(
    warheads: Sequence[Warhead], residues: Iterable[ReactiveResidue], wanted: str
) -> list[tuple[Warhead, ReactiveResidue]]:
    """Each residue that one of the warheads takes, and which; the first is that which is posed.

    Activated residues come first; where none is named, an alcohol that is not activated does not bond.
    """
    found = [
        (warhead, residue)
        for residue in residues
        for warhead in warheads
        if residue.kind in warhead.residues and (wanted != AUTO or _takes_unasked(warhead, residue))
    ]
    return sorted(found, key=lambda pair: not pair[1].activated)


def _takes_unasked(warhead: Warhead, residue: ReactiveResidue) -> bool:
    """Whether a warhead takes a residue that nobody named."""
    return residue.kind not in warhead.seldom and (residue.kind not in ALCOHOLS or residue.activated)


def other_reactions(reactions: Sequence[tuple[Warhead, ReactiveResidue]]) -> str:
    """Say which of several reactions, as likely as the first, are not posed; empty where there is none."""
    likely = reactions[0][1].activated
    others = [
        f"{warhead.name} to {residue.label}"
        for warhead, residue in reactions[1:]
        if residue.activated == likely
    ]
    if not others:
        return ""
    more = f" and {len(others) - FEW_NAMED} more" if len(others) > FEW_NAMED else ""
    return (
        f"it could also bond by its {', '.join(others[:FEW_NAMED])}{more}: --covalent names a residue, and a "
        "query that is given as it is once bonded the group"
    )
