"""Other crystals of the receptor's protein, in its frame: they show which of its atoms move."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from templ.chemistry.molecules import positions
from templ.chemistry.receptor import Atoms
from templ.library.store import Library
from templ.templates.frame import Frame
from templ.templates.screening import Template
from templ.templates.sequence import SAME_PROTEIN

MOST = 8
"""Crystals looked at: those of the best templates."""
REACH = 12.0
"""Angstrom from the ligand of a crystal: farther atoms are of no pocket."""


def other_crystals(templates: Sequence[Template], library: Library, frame: Frame) -> Iterator[Atoms]:
    """Receptors of templates of the same protein, around their ligands, moved into the frame.

    None where the receptor is the query's own, which needs no witness, or where there is none.

    Parameters
    ----------
    templates : sequence of Template
        Best first, in the frame.
    """
    if frame.atoms is None or frame.own_receptor:
        return
    seen = {frame.row}
    for template in templates:
        if template.fit is None or template.fit.identity < SAME_PROTEIN or template.row in seen:
            continue
        seen.add(template.row)
        atoms = library.receptor(template.row).atoms
        own = positions(library.ligand(template.row))
        low, high = own.min(axis=0) - REACH, own.max(axis=0) + REACH
        near = atoms.only(((atoms.xyz >= low) & (atoms.xyz <= high)).all(axis=1))
        yield Atoms(
            template.fit.move(near.xyz).astype(np.float32),
            *(getattr(near, name) for name in Atoms.__slots__[1:]),
        )
        if len(seen) > MOST:
            return
