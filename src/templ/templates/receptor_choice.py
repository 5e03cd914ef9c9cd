"""Which receptor a query is posed in when none is given: that of a crystal whose ligand is like it.

The protein comes first: the one that was named, else that of the ligand most like the query. Of its crystals
the one with the most similar ligand is taken, for its pocket has taken the shape that such ligands ask for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rdkit.Chem import Mol

from templ.errors import Refusal
from templ.library.store import Library
from templ.templates.sequence import SAME_PROTEIN, Aligner, identity, related_rows

ABOUT_AS_SIMILAR = 0.1
"""Tanimoto: a ligand of another protein that is so much less like the query than the first leaves the protein
open."""
LOOKED_AT = 20
"""Most similar ligands whose proteins are looked at."""


@dataclass(frozen=True, slots=True)
class ReceptorChoice:
    """The crystals whose receptors may be used.

    Attributes
    ----------
    rows : tuple of int
        Of the library, of one protein, the one with the most similar ligand first.
    note : str
        What was left open: other proteins that bind ligands about as similar; empty where nothing was.
    """

    rows: tuple[int, ...]
    note: str = ""


def choose_receptors(
    query: Mol,
    library: Library,
    allowed: NDArray[np.bool_],
    protein: Sequence[str] = (),
    *,
    count: int = 1,
    least: float,
    most: float = 1.0,
    aligner: Aligner | None = None,
) -> ReceptorChoice:
    """Choose the receptors of the crystals, at most `count`, with the ligands most like the query.

    Parameters
    ----------
    query : rdkit.Chem.Mol
    library : Library
        Whose ligands have a receptor each.
    allowed : array, shape (ligands,)
        Rows that may be chosen.
    protein : sequence of str
        Sequence of each chain of what the query binds to; by default the protein of the most similar ligand.
    least, most : float
        Identity that another protein must have where there is no crystal of this one, and that none may
        exceed, 0 to 1.
    aligner : Aligner, optional
        That remembers alignments made before.

    Raises
    ------
    Refusal
        ``no-template`` when no crystal is allowed, ``no-receptor`` when none of a related protein is.
    """
    if not allowed.any():
        raise Refusal("no-template", "the rule of the split allows no template")
    aligner, note = aligner or Aligner(), ""
    if not protein:
        rows, similarities = library.most_similar(query, LOOKED_AT, allowed)
        protein, note = _protein_of(library, rows.tolist(), similarities.tolist(), aligner)
    for identity_asked in (max(SAME_PROTEIN, least), least):
        if identity_asked > most:
            continue
        related = related_rows(protein, library, allowed, identity_asked, most, aligner)
        if related.any():
            rows, _ = library.most_similar(query, count, related)
            return ReceptorChoice(tuple(rows.tolist()), note)
    raise Refusal("no-receptor", "no crystal that the rule allows has a receptor related to the protein")


def _protein_of(
    library: Library, rows: list[int], similarities: list[float], aligner: Aligner
) -> tuple[tuple[str, ...], str]:
    """Main chain of the first row, and a note naming other proteins whose ligands are about as similar."""
    chosen, names = library.main_chain(rows[0]), dict[str, str]()
    for row, similarity in zip(rows, similarities, strict=True):
        if similarity < similarities[0] - ABOUT_AS_SIMILAR:
            break
        if identity(chosen, library.main_chain(row), aligner) < SAME_PROTEIN:
            names.setdefault(_name(library, row), f"{similarity:.2f}")
    if not names:
        return (chosen,), ""
    others = ", ".join(f"{name} ({similarity})" for name, similarity in names.items())
    return (chosen,), (
        f"posed in {_name(library, rows[0])}, whose ligand is most like the query (Tanimoto "
        f"{similarities[0]:.2f}); others are about as like: {others}; --group or --sequence names the protein"
    )


def _name(library: Library, row: int) -> str:
    """Name of the protein of a row: its group, or else its id."""
    entry = library.entry(row)
    return entry.group or entry.id
