"""Receptors made for tests."""

from __future__ import annotations

import numpy as np

from templ.chemistry.receptor import Atoms, Receptor, Residues


def of_sequence(sequence):
    """A receptor without atoms, for tests that look at its sequence only."""
    nothing = np.empty(0, np.str_)
    return Receptor(
        Residues(
            ("A",),
            np.array([len(sequence)], np.int32),
            sequence,
            np.arange(len(sequence), dtype=np.int32),
            " " * len(sequence),
            np.zeros((len(sequence), 3), np.float32),
        ),
        Atoms(
            np.empty((0, 3), np.float32),
            np.empty(0, np.uint8),
            np.empty(0, np.int32),
            nothing,
            nothing,
            np.empty(0, np.float32),
        ),
        np.empty(0, np.int32),
    )
