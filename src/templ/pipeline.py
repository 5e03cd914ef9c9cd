"""The prediction of one query, start to end: the only place where the parts are put together.

The parts load on first use: importing this module is cheap, and a process that predicts nothing pays nothing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from templ.errors import InputError, Refusal
from templ.records import Outcome, Pose, Target
from templ.settings import PredictionSettings
from templ.sources.splits import TemplateRule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from templ.library.store import Library
    from templ.posing.place import Placed
    from templ.query import PreparedQuery
    from templ.receptor import Receptor
    from templ.records import Status
    from templ.scoring.answers import Answer
    from templ.scoring.ranking import Ranked
    from templ.selection.place import Place
    from templ.selection.screen import TemplateHit
    from templ.selection.splits import Splits

PARTS = (
    "templ.posing.finish",
    "templ.scoring.answers",
    "templ.scoring.confidence",
    "templ.scoring.pocket",
    "templ.scoring.ranking",
    "templ.scoring.search",
    "templ.selection.policy",
    "templ.selection.screen",
    *(["pandas"] if find_spec("pandas") else []),
)
"""What loads on first use; a process that will predict, or fork those that do, may load it before. Of itself
nothing here needs pandas, but pyarrow imports it wherever it is installed: 25 MB a worker unless shared."""

NO_RULE = TemplateRule()
"""Every template but the target itself."""

LITTLE_COPIED = 0.5
"""Share of the query below which a core does not tell where the rest lies."""
OVERLAID, POSES_AN_OVERLAY = 3, 15
"""Templates that whole molecules then are laid onto, and poses kept of each."""
POSES_A_MAPPING = 40
"""Poses kept of each way to lay the query onto one template."""


def predict(
    query: str | Target,
    library: Library,
    settings: PredictionSettings | None = None,
    *,
    rule: TemplateRule = NO_RULE,
    receptor: Receptor | None = None,
    site: NDArray[np.float64] | None = None,
    splits: Splits | None = None,
    embedding: NDArray[np.float32] | None = None,
) -> Outcome:
    """Predict how a query binds, from the templates of a library.

    Parameters
    ----------
    query : str or Target
        A SMILES, or a target with id, group and date for `rule`.
    library : Library
        An open template library.
    settings : PredictionSettings, optional
        The defaults are those of the benchmarks.
    rule : TemplateRule
        Which templates may be used; the target's own id never is.
    receptor : Receptor, optional
        What the query binds to (`templ.receptor.read_receptor`). Where the library's ligands share one
        frame it must be in that frame; where each has its own receptor, poses come out in the frame of this.
    site : array, shape (3,), optional
        Where the pocket is, Angstrom; by default where the templates say. For libraries with receptors.
    splits : Splits, optional
        Which split each template belongs to, where `rule` asks for it.
    embedding : array, shape (dimensions,), optional
        Of the receptor, where `settings` find templates by embedding (`templ.esm.embed`).

    Returns
    -------
    Outcome
        Posed, or refused with a reason.

    Raises
    ------
    InputError
        When the SMILES cannot be read, or a receptor is needed and there is none.
    LeakageError
        When a template that `rule` forbids would have been used.
    """
    target = query if isinstance(query, Target) else Target("query", query)
    work = Prediction(
        target,
        library,
        settings or PredictionSettings(),
        rule=rule,
        receptor=receptor,
        site=site,
        splits=splits,
        embedding=embedding,
    )
    try:
        return work.run()
    except Refusal as refusal:
        return work.outcome("refused", refusal.reason, refusal.detail)
    finally:
        library.let_go()


@dataclass(frozen=True, slots=True)
class Sample:
    """All poses of a query that were looked at.

    Attributes
    ----------
    query : PreparedQuery
    placements : list of Placed
        Poses as they were copied, one list for each template and mapping.
    sources : list of TemplateHit
        The template of each placement.
    placed, ranked : Ranked
        All poses before relaxing, and those that the answers are chosen from.
    evidence : Mapping[str, float]
        What the templates alone tell about the prospects.
    """

    query: PreparedQuery
    placements: list[Placed]
    sources: list[TemplateHit]
    placed: Ranked
    ranked: Ranked
    evidence: Mapping[str, float]


class Prediction:
    """State of one prediction; dropped as a whole when it ends, so nothing stays for the next target.

    `predict` says what the parameters mean.
    """

    def __init__(
        self,
        target: Target,
        library: Library,
        settings: PredictionSettings,
        *,
        rule: TemplateRule = NO_RULE,
        receptor: Receptor | None = None,
        site: NDArray[np.float64] | None = None,
        splits: Splits | None = None,
        embedding: NDArray[np.float32] | None = None,
    ) -> None:
        self.target = target
        self.library = library
        self.settings = settings
        self.rule = rule
        self.receptor = receptor
        self.site = site
        self.splits = splits
        self.embedding = embedding
        self.notes: list[str] = []
        self.seconds: dict[str, float] = {}
        self.allowed = 0
        self.best_tanimoto = 0.0
        self.best_identity: float | None = None
        self.prospect: float | None = None
        self._since = time.perf_counter()

    def run(self) -> Outcome:
        """Sample, choose, and say how it ended; a refusal is raised."""
        found = self.sample()
        poses = self.answers(found)
        self._stage("finish")
        if poses[0].confidence < self.settings.min_confidence:
            raise Refusal(
                "low-confidence",
                f"the best pose is right with a probability of {poses[0].confidence:.2f} only, less than the "
                f"{self.settings.min_confidence:g} asked for",
            )
        return self.outcome("posed", poses=poses, templates_used=len({hit.row for hit in found.sources}))

    def sample(self) -> Sample:
        """Make and score all poses.

        Raises
        ------
        Refusal
            When there is none.
        """
        from templ.scoring.confidence import evidence, prospect
        from templ.scoring.pocket import Pocket
        from templ.scoring.ranking import rank
        from templ.scoring.search import search
        from templ.selection.screen import allowed_rows, find_templates

        query = self._prepare()
        self._stage("prepare")
        allowed = allowed_rows(self.library, self.rule, self.target, self.splits)
        self.allowed = int(allowed.sum())
        place = self._place_of_templates()
        hits = find_templates(
            query, self.target, self.library, self.rule, allowed, self.settings, place, self.splits
        )
        self.best_tanimoto = max(hit.tanimoto for hit in hits)
        self.best_identity = max((hit.fit.identity for hit in hits if hit.fit is not None), default=None)
        known = evidence(hits, query.mol.GetNumAtoms())
        self.prospect = prospect(known)
        self._stage("select")
        placements, sources = self._place(query, hits)
        self._stage("pose")
        pocket = Pocket.of(
            query,
            hits,
            self.settings.consensus,
            None if self.receptor is None else self.receptor.atoms,
            own=self.library.has_receptors,
        )
        placed = ranked = rank(query, placements, pocket)
        self._stage("score")
        if self.settings.relaxed:
            ranked = search(
                query,
                placed,
                placements,
                sources,
                pocket,
                most=self.settings.relaxed,
                rounds=self.settings.rounds,
                seed=self.settings.seed,
            )
            self._stage("relax")
        return Sample(query, placements, sources, placed, ranked, known)

    def outcome(
        self,
        status: Status,
        reason: str = "",
        detail: str = "",
        *,
        poses: tuple[Pose, ...] = (),
        templates_used: int = 0,
    ) -> Outcome:
        """Sum up how it ended."""
        return Outcome(
            id=self.target.id,
            status=status,
            reason=reason,
            detail=detail,
            poses=poses,
            notes=tuple(self.notes),
            templates_allowed=self.allowed,
            templates_used=templates_used,
            best_tanimoto=self.best_tanimoto,
            best_identity=self.best_identity,
            prospect=self.prospect,
            stereo_kept=True if poses else None,
            seconds=self.seconds,
        )

    def _prepare(self) -> PreparedQuery:
        from templ.molecules import heavy, largest_fragment, parse_smiles
        from templ.query import PreparedQuery
        from templ.selection.policy import refuse_unfit

        try:
            mol, note = largest_fragment(parse_smiles(self.target.smiles))
        except InputError as error:
            raise InputError(f"{self.target.id}: {error}") from None
        if note:
            self.notes.append(note)
        mol = heavy(mol)
        refuse_unfit(mol, self.settings)
        return PreparedQuery(mol, self.settings.conformers, self.settings.seed)

    def _place_of_templates(self) -> Place | None:
        """Where templates must be brought; None when all of them are there already."""
        if not self.library.has_receptors:
            return None
        from templ.receptor import check_protein
        from templ.selection.place import Place

        if self.receptor is None:
            raise InputError(
                f"{self.target.id}: the templates of {self.library.path.name} have a frame each; "
                "give the receptor that the query binds to"
            )
        check_protein(self.receptor, f"the receptor of {self.target.id}")
        return Place(self.receptor.residues, self.site, self.embedding)

    def _place(self, query: PreparedQuery, hits: list[TemplateHit]) -> tuple[list[Placed], list[TemplateHit]]:
        """Copy the cores of the best templates; without any core, overlay whole molecules."""
        from templ.posing.place import copy_core, overlay_whole
        from templ.selection.cores import mappings

        placements, sources = [], []
        for hit in hits[: self.settings.templates]:
            if hit.core is None:
                continue
            for core in mappings(hit.core, query, hit.mol):
                placements.append(copy_core(query, hit.mol, core, POSES_A_MAPPING))
                sources.append(hit)
        copied = max((len(hit.core or ()) for hit in hits[: self.settings.templates]), default=0)
        if placements and self.receptor is not None and copied < LITTLE_COPIED * query.mol.GetNumAtoms():
            # Too little is copied to tell where the rest lies; of whole molecules the pocket will tell.
            alike = sorted(hits[: self.settings.consensus], key=lambda hit: -hit.tanimoto * hit.relatedness)
            for hit in alike[:OVERLAID]:
                placements.append(overlay_whole(query, hit.mol, POSES_AN_OVERLAY))
                sources.append(hit)
        if not placements:
            self.notes.append("no template shares a core with the query: whole molecules were overlaid")
            for hit in hits[: self.settings.templates]:
                placements.append(overlay_whole(query, hit.mol, POSES_A_MAPPING))
                sources.append(hit)
        return placements, sources

    def answers(self, found: Sample) -> tuple[Pose, ...]:
        """Choose poses that differ and have the query's stereochemistry, best first, and finish them."""
        from templ.scoring.answers import Answers

        answers = Answers(found.query, found.ranked, None if self.receptor is None else self.receptor.atoms)
        best = answers.best(self.settings.top)
        if answers.lost:
            self.notes.append(f"{answers.lost} poses dropped: stereochemistry not the query's")
        if not best:
            raise Refusal("stereochemistry", "no pose with the query's stereochemistry could be made")
        return tuple(_pose(found, rank, answer) for rank, answer in enumerate(best, 1))

    def _stage(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name] = now - self._since
        self._since = now


def _pose(found: Sample, rank: int, answer: Answer) -> Pose:
    from templ.posing.finish import add_hydrogens
    from templ.scoring.confidence import confidence

    index, choice = answer.index, answer.choice
    parts = {name: float(values[index]) for name, values in found.ranked.terms.items()}
    placed = found.placements[found.ranked.origin[index]]
    hit = found.sources[found.ranked.origin[index]]
    return Pose(
        mol=add_hydrogens(found.query.mol, answer.xyz),
        rank=rank,
        score=choice.agreement,
        # Of the place, not of the pose that stands in for it: so the model was fitted.
        confidence=confidence(choice.mass, float(found.ranked.terms["consensus"][choice.index])),
        parts=parts,
        template_id=hit.id,
        way="search" if found.ranked.shaken[index] else placed.way,
        mcs_atoms=placed.core_atoms,
        mcs_smarts=placed.smarts,
        core_rmsd=placed.rmsd_of(answer.xyz),
        superposition={} if hit.fit is None else hit.fit.numbers(),
    )
