"""Receptors made for tests."""

from __future__ import annotations

from dataclasses import fields

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


def twice(receptor, away):
    """The chain of a receptor and a second copy of it, shifted, both without a name; no pocket."""
    first, atoms = receptor.residues, receptor.atoms
    parts = {field.name: np.concatenate([getattr(atoms, field.name)] * 2) for field in fields(atoms)}
    parts["xyz"] = np.concatenate([atoms.xyz, atoms.xyz + away])
    further = np.where(atoms.residues < 0, -1, atoms.residues + len(first))
    parts["residues"] = np.concatenate([atoms.residues, further])
    residues = Residues(
        ("", ""),
        np.array([len(first), 2 * len(first)], np.int32),
        first.sequence * 2,
        np.tile(first.numbers, 2),
        first.insertions * 2,
        np.concatenate([first.ca, first.ca + away]),
    )
    return Receptor(residues, Atoms(**parts), np.empty(0, np.int32))
