"""The query's receptor as the place into which templates from other crystals are brought."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from templ.errors import InputError
from templ.molecules import positions
from templ.selection.homologs import related_rows
from templ.selection.superpose import Aligner, superpose

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rdkit.Chem import Mol

    from templ.library.store import Library
    from templ.receptor import Residues
    from templ.selection.superpose import Fit
    from templ.settings import PredictionSettings

NEAREST = 100
"""Receptors looked at when they are found by embedding."""
SITE_REACH = 10.0
"""Angstrom from a site that was named to the middle of a ligand which lies in it."""


class Place:
    """Brings templates into the frame of a receptor, all into the same copy of a chain.

    Parameters
    ----------
    residues : Residues
        Of the query's receptor.
    site : array, shape (3,), optional
        Where the pocket is, Angstrom; templates that end elsewhere are not brought.
    embedding : array, shape (dimensions,), optional
        Of the receptor, by the model that made those of the library.
    """

    def __init__(
        self,
        residues: Residues,
        site: NDArray[np.float64] | None = None,
        embedding: NDArray[np.float32] | None = None,
    ) -> None:
        self._residues = residues
        self._site = site
        self._embedding = embedding
        self._aligner = Aligner()
        self._first: NDArray[np.float64] | None = None

    def related(
        self, library: Library, allowed: NDArray[np.bool_], settings: PredictionSettings, most: float
    ) -> NDArray[np.bool_]:
        """Rows, of those allowed, whose receptor is worth superposing; of identity at most `most`.

        Raises
        ------
        InputError
            When they are to be found by embedding and this receptor has none.
        """
        if settings.by == "sequence":
            least = settings.min_identity
            return related_rows(self._residues, library, allowed, least, most, self._aligner)
        if settings.by == "embedding":
            if self._embedding is None:
                raise InputError("the receptor has no embedding to find templates by; use --by sequence")
            rows, _ = library.embeddings.nearest(self._embedding, NEAREST, allowed)
            allowed = np.isin(np.arange(len(library)), rows)
        if most < 1:
            return related_rows(self._residues, library, allowed, 0.0, most, self._aligner)
        return allowed

    def bring(self, mol: Mol, residues: Residues, pocket: NDArray[np.int32]) -> Fit | None:
        """Move a template, in place, from the frame of its receptor into this one; None when it fits nowhere.

        Where several chains would do, the first template decides by the best fit and the others follow it.
        """
        own = positions(mol)
        fits = superpose(self._residues, residues, pocket, self._aligner)
        if not fits:
            return None
        goal = self._site if self._site is not None else self._first
        fit = fits[0]
        if goal is not None:
            distances = [float(np.linalg.norm(fit.move(own).mean(axis=0) - goal)) for fit in fits]
            fit = fits[int(np.argmin(distances))]
            if self._site is not None and min(distances) > SITE_REACH:
                return None
        if self._first is None:
            self._first = fit.move(own).mean(axis=0)
        mol.GetConformer().SetPositions(fit.move(own))
        return fit
