"""Residues that a query may bond to: those near its templates, or the one that is named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from templ.chemistry.elements import standard_name
from templ.chemistry.molecules import positions
from templ.chemistry.reactive_residue import SIDE_CHAINS, ReactiveResidue, reactive_residues
from templ.chemistry.receptor import Receptor
from templ.errors import InputError, Refusal
from templ.templates.screening import Template

AUTO, NONE = "auto", "none"
"""What may be said instead of the name of a residue."""
REACH = 6.0
"""Angstrom from the templates' atoms within which a residue can be bonded to."""
MOST_NAMED = 12
"""Residues that a message names."""


def find_residues(receptor: Receptor, templates: Sequence[Template], wanted: str) -> list[ReactiveResidue]:
    """Residues that may be bonded to, nearest to the templates first: those in reach, or the one named.

    Raises
    ------
    Refusal
        When the residue that is named is not there, or of no kind that bonds.
    """
    site = np.concatenate([positions(template.mol) for template in templates])
    if wanted == AUTO:
        return [residue for residue in reactive_residues(receptor, site, REACH) if not residue.held_by]
    named = reactive_residues(receptor, site, called=wanted)
    if not named:
        near = " ".join(residue.label for residue in reactive_residues(receptor, site, REACH)) or "none"
        raise Refusal(
            "no-such-residue",
            f"--covalent {wanted}: the receptor has no such residue that can bond, with all its atoms; near "
            f"the templates there are: {near}",
        )
    return named[:1]


def check_residue(receptor: Receptor, wanted: str, path: Path) -> None:
    """Refuse a residue that the queries are to bond to and the receptor has not.

    Raises
    ------
    InputError
        When it has no such residue of a kind that bonds, with all its atoms.
    """
    if wanted in (AUTO, NONE):
        return
    anywhere = receptor.atoms.xyz[:1].astype(np.float64)
    if reactive_residues(receptor, anywhere, called=wanted):
        return
    found = sorted(reactive_residues(receptor, anywhere), key=lambda residue: int(residue.side_chain[0]))
    name = wanted.rpartition(":")[2]
    numbered = [residue.label for residue in found if residue.label.rpartition(":")[2][3:] == name[3:]]
    alike = [residue.label for residue in found if residue.kind == standard_name(name[:3])]
    alike = list(dict.fromkeys((*numbered, *alike)))
    kinds = ", ".join(SIDE_CHAINS)
    raise InputError(
        f"--covalent {wanted}: {path} has no such residue that can bond ({kinds}), with all its atoms; "
        f"it has {' '.join(alike[:MOST_NAMED]) or 'none of this kind'}"
    )
