"""The frame of a query: where its poses will lie, with what receptor, and how templates are brought there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rdkit.Chem import Mol

from templ.chemistry.molecules import positions
from templ.chemistry.receptor import Atoms, Receptor, Residues, check_protein, in_contact
from templ.errors import InputError
from templ.library.store import Library
from templ.settings import PredictionSettings
from templ.templates.sequence import Aligner, related_rows
from templ.templates.superposition import Fit, superpose

NEAREST = 100
"""Receptors looked at when they are found by embedding."""
SITE_REACH = 10.0
"""Angstrom from a site that was named to the middle of a ligand which lies in it."""


@dataclass(slots=True)
class Frame:
    """Where poses will lie, and with what receptor.

    Templates that share one frame are there already. Where each has a receptor and frame of its own, those
    related to the query's receptor are superposed onto it, all into the same copy of a chain.

    Attributes
    ----------
    receptor : Receptor or None
        What the query binds to.
    brings : bool
        Templates must be brought here.
    own_receptor : bool
        The receptor is of the query's own crystal: its side chains lie as the query asks for. Any other is
        believed less.
    templates_only : bool
        Poses are not judged in the receptor: it is there for its frame.
    site : array, shape (3,), optional
        Where the pocket is, Angstrom; templates that end elsewhere are not brought.
    copies : tuple of str
        Chains of the receptor that the first template fits about equally well: its pocket is there more than
        once. Templates are brought into that of the first.
    row : int, optional
        Of the library, whose receptor it is.
    """

    receptor: Receptor | None = None
    brings: bool = False
    own_receptor: bool = False
    templates_only: bool = False
    site: NDArray[np.float64] | None = None
    copies: tuple[str, ...] = ()
    row: int | None = None
    _aligner: Aligner = field(default_factory=Aligner)
    _first: NDArray[np.float64] | None = None

    @classmethod
    def of(
        cls,
        library: Library,
        receptor: Receptor | None = None,
        site: NDArray[np.float64] | None = None,
        what: str = "the query",
        *,
        own_receptor: bool = False,
        templates_only: bool = False,
        row: int | None = None,
        aligner: Aligner | None = None,
    ) -> Frame:
        """Choose the frame that the templates of a library ask for.

        Where the receptor has its pocket more than once, templates come into that of the ligand of `row`,
        where the receptor is of that row of the library.

        Raises
        ------
        InputError
            When each of them has its own receptor and the query has none, or no protein.
        """
        if not library.has_receptors:
            return cls(receptor, templates_only=templates_only, site=site)
        if receptor is None:
            raise InputError(
                f"{what}: the templates of {library.path.name} have a frame each; "
                "give the receptor that the query binds to"
            )
        check_protein(receptor, f"the receptor of {what}")
        near = None if row is None else positions(library.ligand(row)).mean(axis=0)
        aligner = aligner or Aligner()
        return cls(receptor, True, own_receptor, templates_only, site, row=row, _aligner=aligner, _first=near)

    @property
    def atoms(self) -> Atoms | None:
        """The receptor's atoms that poses are judged by."""
        return None if self.receptor is None or self.templates_only else self.receptor.atoms

    def related(
        self, library: Library, allowed: NDArray[np.bool_], settings: PredictionSettings, most: float
    ) -> NDArray[np.bool_]:
        """Rows, of those allowed, whose receptor will be superposed; of identity at most `most`.

        Raises
        ------
        InputError
            When they are to be found by embedding and this receptor has none.
        """
        if not self.brings:
            return allowed
        chains = self._residues.sequences()
        if settings.by == "sequence":
            least = settings.min_identity
            return related_rows(chains, library, allowed, least, most, self._aligner)
        if settings.by == "embedding":
            embedding = None if self.receptor is None else self.receptor.embedding
            if embedding is None:
                raise InputError("the receptor has no embedding to find templates by; use --by sequence")
            rows, _ = library.embeddings.nearest(embedding, NEAREST, allowed)
            allowed = np.isin(np.arange(len(library)), rows)
        if most < 1:
            return related_rows(chains, library, allowed, 0.0, most, self._aligner)
        return allowed

    def bring(self, library: Library, row: int, mol: Mol) -> Fit | None:
        """Move a template, in place, from the frame of its receptor into this one; None when it fits nowhere.

        Where several chains would do, the first template decides by the best fit and the others follow it. A
        place without contact with the receptor (its atoms there are absent) is none.
        """
        own = positions(mol)
        fits = superpose(self._residues, *library.residues(row), self._aligner)
        fits = [fit for fit in fits if in_contact(fit.move(own)[None], self._atoms)[0]]
        if not fits:
            return None
        goal = self.site if self.site is not None else self._first
        fit = fits[0]
        if goal is not None:
            distances = [float(np.linalg.norm(fit.move(own).mean(axis=0) - goal)) for fit in fits]
            fit = fits[int(np.argmin(distances))]
            if self.site is not None and min(distances) > SITE_REACH:
                return None
        if not self.copies:
            self.copies = tuple(dict.fromkeys(each.chain for each in (fit, *fits)))
            if self._first is None:
                self._first = fit.move(own).mean(axis=0)
        mol.GetConformer().SetPositions(fit.move(own))
        return fit

    @property
    def _atoms(self) -> NDArray[np.float32]:
        assert self.receptor is not None
        return self.receptor.atoms.xyz

    @property
    def _residues(self) -> Residues:
        assert self.receptor is not None
        return self.receptor.residues


def check_site(site: Sequence[float] | NDArray[np.float64], receptor: Receptor, path: Path) -> None:
    """Refuse a site that is nowhere near its receptor, since no template could be brought there.

    Raises
    ------
    InputError
        When the nearest atom is farther than `SITE_REACH`.
    """
    apart = float(np.linalg.norm(receptor.atoms.xyz - np.asarray(site), axis=1).min())
    if apart > SITE_REACH:
        where = ",".join(f"{number:g}" for number in site)
        raise InputError(
            f"--site {where} is {apart:.0f} A from the nearest atom of {path}; expected the middle of "
            "a pocket, in the frame of that file"
        )
