"""The crystal pose of a target in the frame of the receptor that it was posed in.

Where that is another crystal's, the target's own receptor is superposed onto it around the pocket, never on
the ligand, as templates are brought to a query.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from templ.chemistry.geometry import kabsch
from templ.chemistry.molecules import positions, with_coordinates
from templ.chemistry.receptor import Receptor, Residues
from templ.library.store import Library
from templ.templates.sequence import Aligner
from templ.templates.superposition import MIN_PAIRS, superpose


def crystal_poses(
    targets: Library, id: str, templates: Library, receptor: Receptor | None, name: str = ""
) -> list[Chem.Mol]:
    """Crystal pose of a target in the frame of a receptor, once for each copy of its pocket there.

    Parameters
    ----------
    targets : Library
        That has the target.
    id : str
        Of the target.
    templates : Library
    receptor : Receptor or None
        That the target was posed in.
    name : str
        Of `receptor`, as a record has it: the crystal pose is in the frame of its own already, and where all
        templates share one. Where it is a crystal of `templates`, the copy nearest to that crystal's ligand
        comes first, else the one that fits best.

    Returns
    -------
    list of rdkit.Chem.Mol
        Empty where the two receptors cannot be superposed.
    """
    row = targets.row_of(id)
    truth = targets.ligand(row)
    if receptor is None or not templates.has_receptors or name in ("", id):
        return [truth]
    near = positions(templates[name]).mean(axis=0) if name in templates else None
    own, pocket = targets.residues(row)
    return carry(truth, own, pocket, receptor.residues, near)


def carry(
    truth: Chem.Mol,
    own: Residues,
    pocket: NDArray[np.int32],
    other: Residues,
    near: NDArray[np.float64] | None = None,
) -> list[Chem.Mol]:
    """Move a crystal pose into the frame of another receptor, once for each copy of its pocket there.

    Parameters
    ----------
    truth : rdkit.Chem.Mol
        In the frame of `own`.
    own, other : Residues
        Of the target's own receptor, and of the other one.
    pocket : array, shape (pocket residues,)
        Of `own`, by index: the residues around the crystal pose.
    near : array, shape (3,), optional
        Angstrom: the copy nearest to this comes first; by default the one that fits best.

    Returns
    -------
    list of rdkit.Chem.Mol
        Empty where the two receptors cannot be superposed.
    """
    aligner = Aligner()
    xyz = positions(truth)
    moved = [fit.move(xyz) for fit in superpose(other, own, pocket, aligner)]
    if not moved:
        moved = _by_whole_chain(xyz, own, pocket, other, aligner)
    if near is not None:
        moved.sort(key=lambda copy: float(np.linalg.norm(copy.mean(axis=0) - near)))
    return [with_coordinates(truth, copy) for copy in moved]


def _by_whole_chain(
    xyz: NDArray[np.float64], own: Residues, pocket: NDArray[np.int32], other: Residues, aligner: Aligner
) -> list[NDArray[np.float64]]:
    """Superpose the pocket's whole chain where the pocket itself is too different."""
    part, found = own.main_chain(pocket), []
    for copy in other.slices():
        pairs = aligner.align(other.sequence[copy], own.sequence[part])
        if len(pairs[0]) < MIN_PAIRS:
            continue
        start, goal = own.ca[part][pairs[1]].astype(np.float64), other.ca[copy][pairs[0]].astype(np.float64)
        rotation, shift = kabsch(start, goal)
        gap = float(np.median(np.linalg.norm(start @ rotation + shift - goal, axis=1)))
        found.append((gap, copy.start, xyz @ rotation + shift))
    return [moved for *_, moved in sorted(found, key=lambda one: one[:2])[:1]]
