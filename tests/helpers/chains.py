"""Proteins of which only chains and C-alpha atoms are looked at."""

from __future__ import annotations

import numpy as np

from templ.chemistry.receptor import Residues


def residues_of(*chains):
    """Residues from (sequence, C-alpha atoms) of each chain."""
    sequence = "".join(letters for letters, _ in chains)
    return Residues(
        tuple("ABCDEFG"[: len(chains)]),
        np.cumsum([len(letters) for letters, _ in chains]).astype(np.int32),
        sequence,
        np.arange(len(sequence), dtype=np.int32),
        " " * len(sequence),
        np.concatenate([xyz for _, xyz in chains]).astype(np.float32),
    )
