"""Which templates a target may use, and which of those are compared with the query atom by atom."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rdkit.Chem import Mol

from templ.chemistry.conformers import PreparedQuery
from templ.chemistry.molecules import first_block
from templ.errors import Refusal
from templ.library.store import Library
from templ.records import Target
from templ.settings import PredictionSettings
from templ.templates.frame import Frame
from templ.templates.mcs import Core, shared_core
from templ.templates.rule import Candidate, TemplateRule
from templ.templates.split_labels import Splits
from templ.templates.superposition import Fit


@dataclass(frozen=True, slots=True)
class Template:
    """A template that may be copied.

    Attributes
    ----------
    row, id : int, str
        Its row and name in the library.
    mol : rdkit.Chem.Mol
        Heavy atoms with coordinates, in the frame of the query.
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
    def core_size(self) -> int:
        """Atoms that it shares with the query."""
        return 0 if self.core is None else len(self.core)

    @property
    def pocket_similarity(self) -> float:
        """How much of the pocket is the query's own, 0 to 1; 1 where all share one frame and one protein."""
        return 1.0 if self.fit is None else self.fit.pocket_identity**2


class AllowedTemplates:
    """The templates of a library that a target may use; `splits` where the rule asks for them.

    Attributes
    ----------
    rows : array, shape (ligands,), bool
        `TemplateRule.allows` for all at once; all but `TemplateRule.max_identity`, which only an alignment
        can tell.
    """

    def __init__(
        self, target: Target, library: Library, rule: TemplateRule, splits: Splits | None = None
    ) -> None:
        self._target, self._library, self.rule, self._splits = target, library, rule, splits
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
        self.rows: NDArray[np.bool_] = allowed

    def __len__(self) -> int:
        """Templates allowed."""
        return int(self.rows.sum())

    def check(self, row: int, identity: float) -> None:
        """Hold a template that is going to be used against the rule once more.

        Raises
        ------
        LeakageError
            When the rule forbids it.
        """
        entry = self._library.entry(row)
        split = "" if self._splits is None else self._splits.of(row)
        template = Candidate(entry.id, entry.group, entry.date, first_block(entry.inchikey), split, identity)
        self.rule.check(self._target, template)


def find_templates(
    query: PreparedQuery,
    library: Library,
    allowed: AllowedTemplates,
    settings: PredictionSettings,
    frame: Frame,
    cores: dict[int, Core | None] | None = None,
) -> list[Template]:
    """Screen by receptor where each has its own, then by fingerprint; order by the size of the shared core.

    Cores that were found before, in another receptor, are taken from `cores`, by row; new ones are added.

    Returns
    -------
    list of Template
        Largest core first, then most similar, then in the library's order; in the query's frame.

    Raises
    ------
    Refusal
        ``no-template`` when none is allowed, related, similar enough, or can be superposed.
    LeakageError
        When a template that the rule forbids is among the allowed all the same.
    """
    if not len(allowed):
        raise Refusal("no-template", "the rule of the split allows no template")
    most = allowed.rule.max_identity
    related = frame.related(library, allowed.rows, settings, most)
    if not related.any():
        raise Refusal("no-template", "no receptor that the rule allows is related to the query's")
    rows, similarities = library.most_similar(query.mol, settings.screened, related)
    if similarities[0] < settings.min_tanimoto:
        raise Refusal(
            "no-template",
            f"the most similar template has Tanimoto {similarities[0]:.2f}; "
            f"at least {settings.min_tanimoto:.2f} is needed",
        )
    cores = {} if cores is None else cores
    templates = []
    for row, tanimoto in zip(rows.tolist(), similarities.tolist(), strict=True):
        mol, fit = library.ligand(row), None
        if frame.brings:
            fit = frame.bring(library, row, mol)
            # The search looked at one chain; the ligand may lie between several.
            if fit is None or fit.identity > most:
                continue
        allowed.check(row, 0.0 if fit is None else fit.identity)
        id = library.entry(row).id
        if row not in cores:
            cores[row] = shared_core(query, mol, tanimoto)
        templates.append(Template(row, id, mol, tanimoto, cores[row], fit))
    if not templates:
        raise Refusal("no-template", f"none of {len(rows)} related receptors fits onto the query's")
    templates.sort(
        key=lambda template: (
            -template.core_size * template.pocket_similarity,
            -template.tanimoto,
            template.row,
        )
    )
    return templates
