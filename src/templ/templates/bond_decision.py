"""Whether the poses of a query are bonded to the receptor, by which bond, and what to tell of it."""

from __future__ import annotations

from collections.abc import Sequence

from rdkit.Chem import Mol

from templ.errors import Refusal
from templ.library.store import Library
from templ.templates.covalent_choice import ChosenBond, choose_bond, doubts
from templ.templates.covalent_reaction import Reaction
from templ.templates.frame import Frame
from templ.templates.residue_choice import AUTO, NONE, find_residues
from templ.templates.screening import Template


def decide_bond(
    mol: Mol,
    templates: Sequence[Template],
    library: Library,
    frame: Frame,
    wanted: str,
    reaction: Reaction | None,
) -> tuple[ChosenBond | None, list[str]]:
    """Choose the covalent bond that poses will have.

    Parameters
    ----------
    mol : rdkit.Chem.Mol
        What is posed.
    wanted : str
        A residue, ``auto`` or ``none`` (`PredictionSettings.covalent`).
    reaction : Reaction or None
        What made `mol` of a free warhead.

    Returns
    -------
    bond : ChosenBond or None
    notes : list of str
        What is doubtful of it, or why there is none where a residue was named.

    Raises
    ------
    Refusal
        When the residue that is named, or that the query was made to bond to, is not in the receptor.
    """
    named = wanted not in (AUTO, NONE)
    if frame.atoms is None or frame.receptor is None:
        lacking = f"--covalent {wanted}: there is no receptor to bond to: posed without a bond"
        return None, [lacking] if named else []
    meant = "" if reaction is None else reaction.residue
    bond = choose_bond(mol, templates, library, frame.receptor, wanted, meant)
    if bond is not None:
        made = [] if reaction is None else [reaction.note(bond.residue.label)]
        return bond, [*made, *doubts(bond, templates)]
    if reaction is not None:
        detail = f"posed as bonded to {meant}, and nothing it bonds to is near the templates here"
        raise Refusal("no-such-residue", detail)
    if not named:
        return None, []
    [residue] = find_residues(frame.receptor, templates, wanted)
    return None, [f"no group of the query is known to bond to {residue.label}: posed without a bond"]
