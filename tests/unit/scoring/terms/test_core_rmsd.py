from __future__ import annotations

import numpy as np

from templ.scoring.score_term import PosesToScore
from templ.scoring.terms.core_rmsd import TERM


def test_it_is_what_the_poses_say():
    rmsd = np.array([0.5, 0.0])
    assert TERM.function(PosesToScore(None, np.zeros((2, 1, 3)), rmsd, None)).tolist() == [0.5, 0]
