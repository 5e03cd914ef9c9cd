"""Core RMSD: how far the copied atoms lie from where their template has them."""

from __future__ import annotations

from templ.scoring.score_term import Term

TERM = Term(
    "core_rmsd",
    unit="Angstrom",
    better="less",
    function=lambda poses: poses.core_rmsd,
    source="templ.sampling.placement",
)
