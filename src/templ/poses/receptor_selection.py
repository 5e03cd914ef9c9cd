"""Poses in several receptors: one that lies in the same place in another crystal too is right more often."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from templ.chemistry.geometry import rmsd
from templ.chemistry.molecules import heavy, positions
from templ.chemistry.receptor import Receptor, around
from templ.records import Pose
from templ.templates.sequence import Aligner
from templ.templates.superposition import superpose

NEAR = 2.0
"""Angstrom RMSD within which poses agree."""
SECONDED = 0.5
"""What the confidence of an agreeing pose counts beside a pose's own: of 0, 0.5 and 1 this ranks best in
other crystals' receptors (complexes, many, cdk2: 320 targets)."""


def select_receptor(
    posed: Sequence[tuple[Sequence[Pose], Receptor | None]], *, one_frame: bool
) -> tuple[int, tuple[Pose, ...]]:
    """Choose the receptor with the pose that is surest, others' agreement counted, and put that pose first.

    Parameters
    ----------
    posed : sequence of (sequence of Pose, Receptor or None)
        Poses of one molecule in each receptor, best first. Of one receptor they stay as they are.
    one_frame : bool
        All receptors lie in one frame; else they are superposed around the pocket.

    Returns
    -------
    number : int
        Of the receptor.
    poses : tuple of Pose
        Those in it, ranked anew.
    """
    if len(posed) == 1:
        return 0, tuple(posed[0][0])
    best = (-1.0, 0, 0)
    for number, (poses, receptor) in enumerate(posed):
        own = np.array([pose.confidence for pose in poses])
        xyz = np.array([positions(heavy(pose.mol)) for pose in poses])
        for theirs, other in (pair for index, pair in enumerate(posed) if index != number):
            own = own + SECONDED * _seconded(xyz, receptor, theirs, None if one_frame else other)
        first = int(own.argmax())
        best = max(best, (float(own[first]), -number, -first))
    number, first = -best[1], -best[2]
    poses = list(posed[number][0])
    poses.insert(0, poses.pop(first))
    return number, tuple(replace(pose, rank=rank) for rank, pose in enumerate(poses, 1))


def _seconded(
    xyz: NDArray[np.float64], receptor: Receptor | None, theirs: Sequence[Pose], other: Receptor | None
) -> NDArray[np.float64]:
    """Confidence of the surest of the other poses that agrees with each pose, shape (poses,); 0 for none."""
    moved = np.array([positions(heavy(pose.mol)) for pose in theirs])
    if other is not None and receptor is not None:
        there = around(other, moved[0])
        fits = superpose(receptor.residues, there.residues, there.pocket, Aligner())
        if not fits:
            return np.zeros(len(xyz))
        ends = [fit.move(moved.reshape(-1, 3)).reshape(moved.shape) for fit in fits]
        moved = min(ends, key=lambda end: float(np.linalg.norm(end[0].mean(axis=0) - xyz[0].mean(axis=0))))
    confidence = np.array([pose.confidence for pose in theirs])
    agrees = np.array([rmsd(moved, pose) <= NEAR for pose in xyz])
    return np.asarray((agrees * confidence).max(axis=1))
