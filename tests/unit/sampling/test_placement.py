from __future__ import annotations

import numpy as np
import pytest

from templ.sampling.placement import Placement


def test_rmsd_is_over_the_copied_atoms():
    onto = np.array([[0.0, 0, 0], [1, 1, 0]])
    placement = Placement(None, np.empty((0, 3, 3)), np.empty(0), "core", "CC", {2: 0, 0: 5}, onto)
    pose = np.array([[1.0, 1, 0], [9, 9, 9], [0, 0, 2]])
    assert placement.rmsd_of(pose) == pytest.approx(np.sqrt(2))
    overlay = Placement(None, np.empty((0, 3, 3)), np.empty(0), "overlay", "", {}, np.empty((0, 3)))
    assert overlay.rmsd_of(pose) == 0
