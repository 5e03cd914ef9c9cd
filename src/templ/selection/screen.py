"""Which templates a target may use, and which of those are worth a closer look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from templ.errors import Refusal
from templ.molecules import first_block
from templ.selection.cores import shared_core

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rdkit.Chem import Mol

    from templ.library.store import Library
    from templ.query import PreparedQuery
    from templ.records import Target
    from templ.selection.cores import Core
    from templ.selection.place import Place
    from templ.selection.splits import Splits
    from templ.selection.superpose import Fit
    from templ.settings import PredictionSettings
    from templ.sources.splits import TemplateRule


@dataclass(frozen=True, slots=True)
class TemplateHit:
    """A template worth copying.

    Attributes
    ----------
    row, id : int, str
        Its place and name in the library.
    mol : rdkit.Chem.Mol
        Heavy atoms with coordinates.
    tanimoto : float
        Fingerprint similarity to the query.
    core : Core or None
        What it shares with the query; None when that is too little to copy.
    fit : Fit or None
        How it was brought into the query's frame; None when all share one frame.
    """

    row: int
    id: str
    mol: Mol
    tanimoto: float
    core: Core | None
    fit: Fit | None = None

    @property
    def relatedness(self) -> float:
        """How much of the pocket is the query's own, 0 to 1; 1 where all share one frame and one protein."""
        return 1.0 if self.fit is None else self.fit.pocket_identity**2


def allowed_rows(
    library: Library, rule: TemplateRule, target: Target, splits: Splits | None = None
) -> NDArray[np.bool_]:
    """Rows of the library that `target` may use, shape (ligands,): `TemplateRule.allows` for all at once.

    All but `TemplateRule.max_identity`, which only an alignment can tell.
    """
    allowed = np.ones(len(library), np.bool_)
    if rule.splits:
        names = rule.splits.get(target.split, ())
        allowed &= splits.rows_in(names) if splits is not None else "" in names
    if rule.ids:
        named = [library.row_of(id) for id in rule.ids if id in library]
        allowed &= np.isin(np.arange(len(library)), named)
    if rule.groups:
        allowed &= library.groups_equal(rule.groups.get(target.group, ()))
    if rule.before_date:
        allowed &= library.dated_before(target.date) if target.date else False
    if rule.exclude_same_ligand:
        allowed &= ~library.same_ligand(target.ligand_key) if target.ligand_key else False
    if target.id in library:
        allowed[library.row_of(target.id)] = False
    return allowed


def find_templates(
    query: PreparedQuery,
    target: Target,
    library: Library,
    rule: TemplateRule,
    allowed: NDArray[np.bool_],
    settings: PredictionSettings,
    place: Place | None = None,
    splits: Splits | None = None,
) -> list[TemplateHit]:
    """Screen by receptor where each has its own, then by fingerprint; order by the size of the shared core.

    Parameters
    ----------
    allowed : array, shape (ligands,)
        What `allowed_rows` said; each template is held against `rule` once more.
    place : Place, optional
        Where the templates are to be brought; without it all share the query's frame.
    splits : Splits, optional
        Which split each row belongs to.

    Returns
    -------
    list of TemplateHit
        Largest core first, then most similar, then in the library's order.

    Raises
    ------
    Refusal
        ``no-template`` when none is allowed, related, similar enough, or can be superposed.
    LeakageError
        When a template that the rule forbids is among the allowed all the same.
    """
    if not allowed.any():
        raise Refusal("no-template", "the rule of the split allows no template")
    if place is not None:
        allowed = place.related(library, allowed, settings, rule.max_identity)
        if not allowed.any():
            raise Refusal("no-template", "no receptor that the rule allows is related to the query's")
    rows, similarities = library.most_similar(query.mol, settings.screened, allowed)
    if similarities[0] < settings.min_tanimoto:
        raise Refusal(
            "no-template",
            f"the most similar template has Tanimoto {similarities[0]:.2f}; "
            f"at least {settings.min_tanimoto:.2f} is needed",
        )
    hits = []
    for row, tanimoto in zip(rows.tolist(), similarities.tolist(), strict=True):
        entry = library.entry(row)
        mol, fit = library.ligand(row), None
        if place is not None:
            fit = place.bring(mol, *library.residues(row))
            # The search looked at one chain; the ligand may lie between several.
            if fit is None or fit.identity > rule.max_identity:
                continue
        rule.check(
            target,
            id=entry.id,
            group=entry.group,
            date=entry.date,
            ligand_key=first_block(entry.inchikey),
            split="" if splits is None else splits.of(row),
            identity=0.0 if fit is None else fit.identity,
        )
        hits.append(TemplateHit(row, entry.id, mol, tanimoto, shared_core(query, mol), fit))
    if not hits:
        raise Refusal("no-template", f"none of {len(rows)} related receptors fits onto the query's")
    hits.sort(key=lambda hit: (-len(hit.core or ()) * hit.relatedness, -hit.tanimoto, hit.row))
    return hits
