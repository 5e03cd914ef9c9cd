"""Which receptors are related to the query's, and so may lend their ligands as templates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from templ.library.store import Library
    from templ.receptor import Residues
    from templ.selection.superpose import Aligner

MOST_ALIGNED = 200
"""Receptors sharing most 3-mers with the query that are aligned: 0.2 to 0.6 ms for each that differs."""
ROWS_HELD = 40
"""Receptors looked at before their pages are let go: about 4 MB."""
MOST_ALIGNED_BELOW = 2000
"""Where too close relatives are left out: they would be all of the first."""
MIN_ALIGNED = 0.5
"""Share of the shorter chain that must be aligned: less is a domain or a tag that two proteins share."""


def related_rows(
    query: Residues,
    library: Library,
    allowed: NDArray[np.bool_],
    least: float,
    most: float,
    aligner: Aligner,
) -> NDArray[np.bool_]:
    """Rows, of those allowed, whose chain around the ligand is related to a chain of the query.

    Parameters
    ----------
    allowed : array, shape (ligands,)
        Rows that may be chosen.
    least, most : float
        Share of aligned residues that are the same, 0 to 1: of the best pair of chains it must be at least
        the one and at most the other.

    Returns
    -------
    array, shape (ligands,)
    """
    related = np.zeros(len(library), np.bool_)
    looked_at = MOST_ALIGNED if most >= 1 else MOST_ALIGNED_BELOW
    rows, _ = library.related(query.sequence, looked_at, allowed)
    own = [query.sequence[part] for part in query.slices()]
    known: dict[str, bool] = {}
    for number, row in enumerate(rows.tolist()):
        if number % ROWS_HELD == 0:
            library.let_go()
        residues, pocket = library.residues(row)
        chain = residues.sequence[residues.main_chain(pocket)]
        if chain not in known:
            known[chain] = least <= max(identity(part, chain, aligner) for part in own) <= most
        related[row] = known[chain]
    return related


def identity(query: str, template: str, aligner: Aligner) -> float:
    """Share of aligned residues that are the same; 0 when less than half of the shorter chain is aligned."""
    own, other = aligner.align(query, template)
    if len(own) < MIN_ALIGNED * min(len(query), len(template)):
        return 0.0
    first = np.frombuffer(query.encode(), np.uint8)[own]
    second = np.frombuffer(template.encode(), np.uint8)[other]
    return float((first == second).mean())
