"""The receptor as posing sees it: heavy atoms near the templates, and how far poses run into them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gemmi
import numpy as np

from templ.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

CONTACT = 3.2
"""Angstrom: heavy atoms nearer than this overlap; a hydrogen bond, a little shorter, costs little."""
REACH = 8.0
"""Angstrom around the poses within which receptor atoms matter."""
CHUNK = 64
"""Poses compared at a time, which bounds memory to a few MB."""


def read_receptor(path: Path) -> NDArray[np.float32]:
    """Heavy-atom coordinates of a receptor's first model without waters, shape (atoms, 3), Angstrom.

    Reads PDB and mmCIF, also gzipped. Of alternate locations the first is taken.

    Raises
    ------
    InputError
        When the file is missing, is not a structure, or has no heavy atom.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such receptor file; expected a PDB or mmCIF file")
    try:
        structure = gemmi.read_structure(str(path))
    except (RuntimeError, ValueError, OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} is not a receptor that can be read ({error}); expected PDB or mmCIF"
        ) from None
    if len(structure) == 0:
        raise InputError(f"{path} holds no atoms; expected a PDB or mmCIF file of a receptor")
    structure.remove_alternative_conformations()
    structure.remove_hydrogens()
    structure.remove_waters()
    xyz = [atom.pos.tolist() for chain in structure[0] for residue in chain for atom in residue]
    if not xyz:
        raise InputError(f"{path} holds no heavy atoms besides water; expected a receptor")
    return np.array(xyz, np.float32)


def clash(poses: NDArray[np.float64], receptor: NDArray[np.float32]) -> NDArray[np.float32]:
    """Overlap with the receptor per atom of the pose: mean of (CONTACT - nearest distance)^2 where positive.

    Parameters
    ----------
    poses : array, shape (poses, atoms, 3)
        Angstrom.
    receptor : array, shape (receptor atoms, 3)
        Angstrom.

    Returns
    -------
    array, shape (poses,)
        Angstrom^2; 0 for a pose that touches nothing.
    """
    low, high = poses.min(axis=(0, 1)) - REACH, poses.max(axis=(0, 1)) + REACH
    near = receptor[((receptor >= low) & (receptor <= high)).all(axis=1)]
    if not len(near):
        return np.zeros(len(poses), np.float32)
    centre = near.mean(axis=0)
    fixed = near - centre
    weight = (fixed**2).sum(axis=-1)
    overlaps = []
    for start in range(0, len(poses), CHUNK):
        moved = poses[start : start + CHUNK].astype(np.float32) - centre
        # The nearest atom by a matrix product; adding |pose atom|^2 after the minimum saves a large array.
        nearest = (weight - 2 * (moved @ fixed.T)).min(axis=-1) + (moved**2).sum(axis=-1)
        gap = CONTACT - np.sqrt(np.maximum(nearest, 0))
        overlaps.append((np.clip(gap, 0, None) ** 2).mean(axis=-1))
    return np.concatenate(overlaps)
