"""Contact: energy of a pose's contacts with the receptor, by the function of AutoDock Vina."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from templ.scoring.score_term import PosesToScore, Term

WORST = 0.5
"""kcal/mol an atom: worse contacts than this, up to a thousand inside the receptor, say nothing more of a
pose."""


def contact(poses: PosesToScore) -> NDArray[np.floating]:
    """Energy an atom, kcal/mol, shape (poses,); 0 without a receptor."""
    assert poses.grid is not None
    inside = poses.pocket.axes.inward(poses.xyz).astype(np.float32)
    energy = poses.grid.contacts(inside) / poses.query.mol.GetNumAtoms()
    return np.asarray(np.minimum(energy, WORST))


TERM = Term(
    "contact",
    unit="kcal/mol an atom",
    better="less",
    function=contact,
    source="O. Trott, A. J. Olson, J. Comput. Chem. 31 (2010) 455",
    minimised=True,
)
