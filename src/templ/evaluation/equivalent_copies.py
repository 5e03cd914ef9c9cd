"""A pose in another copy of the pocket: homo-oligomers have several, and a pose in any of them is as right.

As PoseBusters and PLINDER count it: the pose is moved by the superposition of one chain onto another, then
compared with the crystal. Nothing is superposed on the ligand.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from templ.chemistry.geometry import kabsch
from templ.chemistry.molecules import positions, with_coordinates
from templ.chemistry.receptor import Receptor
from templ.evaluation.rmsd import symmetric_rmsd
from templ.templates.sequence import SAME_PROTEIN, Aligner, identity

SAME_POSE = 4.0
"""Angstrom RMSD: what is nearer to the crystal lies in its copy."""
LEAST_RESIDUES = 20
"""Of a chain: fewer are a peptide."""
ROUNDS, OUTLIER = 5, 2.0
"""Residues that are farther apart than this, Angstrom, are left out in rounds: loops that differ."""


Motion = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Rotation (applied from the right) and shift, Angstrom."""


def copy_rmsd(pose: Chem.Mol, truth: Chem.Mol, rmsd: float, motions: Sequence[Motion]) -> float | None:
    """RMSD of a pose from the crystal in the nearest equivalent copy of the pocket.

    Parameters
    ----------
    pose, truth : rdkit.Chem.Mol
        As `symmetric_rmsd` takes them.
    rmsd : float
        Of the pose from the crystal itself, Angstrom.
    motions : sequence of Motion
        Between the copies (`motions_between_copies`).

    Returns
    -------
    float or None
        Angstrom, at most `rmsd`; None where there are no copies.
    """
    if not motions:
        return None
    if rmsd <= SAME_POSE:
        return rmsd
    xyz = positions(pose)
    moved = (with_coordinates(pose, xyz @ rotation + shift) for rotation, shift in motions)
    return min(rmsd, *(symmetric_rmsd(mol, truth) for mol in moved))


def motions_between_copies(receptor: Receptor | None) -> list[Motion]:
    """Motion of each chain of a receptor onto each other chain of the same protein."""
    if receptor is None:
        return []
    residues, aligner, found = receptor.residues, Aligner(), list[Motion]()
    chains = [part for part in residues.slices() if part.stop - part.start >= LEAST_RESIDUES]
    for one in chains:
        for other in chains:
            first, second = residues.sequence[one], residues.sequence[other]
            if one == other or identity(first, second, aligner) < SAME_PROTEIN:
                continue
            pairs = aligner.align(first, second)
            start, goal = residues.ca[one][pairs[0]], residues.ca[other][pairs[1]]
            kept = np.ones(len(start), np.bool_)
            for _ in range(ROUNDS):
                rotation, shift = kabsch(start[kept].astype(np.float64), goal[kept].astype(np.float64))
                near = np.linalg.norm(start @ rotation + shift - goal, axis=1) <= OUTLIER
                if near.sum() < LEAST_RESIDUES or (near == kept).all():
                    break
                kept = near
            found.append((rotation, shift))
    return found
