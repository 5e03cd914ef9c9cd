"""The prediction of one query, start to end: the only module where the parts are put together.

The parts load on first use: importing this module is cheap, and a process that predicts nothing pays nothing.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from templ.errors import InputError, Refusal
from templ.records import Outcome, Pose, Target
from templ.settings import PredictionSettings
from templ.templates.rule import TemplateRule

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from rdkit.Chem import Mol
    from threadpoolctl import ThreadpoolController

    from templ.chemistry.conformers import PreparedQuery
    from templ.chemistry.receptor import Receptor
    from templ.library.store import Library
    from templ.poses.finishing import Sample
    from templ.templates.frame import Frame
    from templ.templates.mcs import Core
    from templ.templates.receptor_choice import ReceptorChoice
    from templ.templates.screening import AllowedTemplates
    from templ.templates.sequence import Aligner
    from templ.templates.split_labels import Splits

SURE = 0.85
"""Confidence of a first pose from which on no further receptor is tried."""
METHOD_VERSION = 6
"""Raise it with every change that moves poses: runs of another version are not resumed or merged."""

PARTS = (
    "templ.chemistry.isomers",
    "templ.poses.receptor_selection",
    "templ.poses.finishing",
    "templ.poses.pose_selection",
    "templ.sampling.monte_carlo",
    "templ.sampling.pose_sources",
    "templ.scoring.confidence",
    "templ.scoring.pocket",
    "templ.templates.applicability",
    "templ.templates.frame",
    "templ.templates.other_crystals",
    "templ.templates.receptor_choice",
    "templ.templates.screening",
    "templ.templates.warnings",
    *(["pandas"] if find_spec("pandas") else []),
)
"""What loads on first use; a process that will predict, or fork those that do, may load it before. Of itself
nothing here needs pandas, but pyarrow imports it wherever it is installed: 25 MB a worker unless shared."""

NO_RULE = TemplateRule()
"""Every template but the target itself."""


def predict(
    query: str | Mol | Target,
    library: Library,
    settings: PredictionSettings | None = None,
    *,
    rule: TemplateRule = NO_RULE,
    receptor: Receptor | Mapping[str, Receptor] | None = None,
    own_receptor: bool = False,
    protein: Sequence[str] = (),
    site: NDArray[np.float64] | None = None,
    extra_poses: Sequence[Mol] = (),
    splits: Splits | None = None,
) -> Outcome:
    """Predict how a query binds, from the templates of a library.

    Parameters
    ----------
    query : str, rdkit.Chem.Mol or Target
        A SMILES; a molecule, whose coordinates are not looked at; or a target with id, group and date for
        `rule`.
    library : Library
        An open template library.
    settings : PredictionSettings, optional
        The defaults are those of the benchmarks.
    rule : TemplateRule
        Which templates may be used; the target's own id never is.
    receptor : Receptor or mapping of str to Receptor, optional
        What the query binds to (`templ.read_receptor`), or several crystals of it by name: it is posed in
        each, and the poses are those of the one whose first pose is the most confident. Where the library's
        ligands share one frame it must be in that frame; where each has its own receptor, poses come out in
        the frame of this, and by default it is that of the crystal with the most similar ligand, or of a
        second one (`PredictionSettings.receptors`). Its `embedding` is needed where `settings` find
        templates by embedding.
    own_receptor : bool
        The receptor is of the query's own crystal, as a benchmark may have it: its side chains are believed.
    protein : sequence of str
        Sequence of each chain of what the query binds to, where a receptor is to be chosen; by default the
        protein of the most similar ligand.
    site : array, shape (3,), optional
        Where the pocket is, Angstrom; by default where the templates say. For libraries with receptors.
    extra_poses : sequence of rdkit.Chem.Mol
        Poses of the query by another program (docking, co-folding), in the receptor's frame; they are
        minimised and judged with all others.
    splits : Splits, optional
        Which split each template belongs to, where `rule` asks for it.

    Returns
    -------
    Outcome
        Posed, or refused with a reason.

    Raises
    ------
    InputError
        When the SMILES cannot be read, or the receptor has no protein.
    LeakageError
        When a template that `rule` forbids would have been used.
    """
    settings = settings or PredictionSettings()
    given = receptor if isinstance(receptor, Mapping) else {}
    work = Prediction(
        _target(query),
        library,
        settings,
        rule,
        None if isinstance(receptor, Mapping) else receptor,
        own_receptor,
        protein,
        site,
        extra_poses,
        splits,
    )
    try:
        with _one_thread():
            isomers = [replace(work, molecule=isomer) for isomer in work.isomers()]
            return _merged(work, [_in_best_receptor(isomer, given) for isomer in isomers])
    except Refusal as refusal:
        return work.refused(refusal)
    finally:
        library.release_pages()


def _one_thread() -> AbstractContextManager[object]:
    """Sums of matrices by one thread, as in a worker: by several they are rounded otherwise."""
    limited: AbstractContextManager[object] = _threads().limit(limits=1, user_api="blas")
    return limited


@lru_cache(maxsize=1)
def _threads() -> ThreadpoolController:
    """What sets the threads of the libraries that are loaded."""
    import numpy  # noqa: F401  its library is one of them
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _in_best_receptor(work: Prediction, given: Mapping[str, Receptor]) -> Outcome:
    """Pose in one receptor after the other; the outcome is that in which a pose is the surest."""
    from templ.poses.receptor_selection import select_receptor

    tried: list[tuple[Prediction, Outcome]] = []
    try:
        for here in work.in_each_receptor(given):
            tried.append((here, here.run()))
            if not given and _first_confidence(tried[-1][1]) >= SURE:
                break
    except Refusal as refusal:
        return work.refused(refusal)
    best, notes = tried[0][1], list(work.outcome.notes)
    if posed := [(here, outcome) for here, outcome in tried if outcome.poses]:
        found = [(outcome.poses, here.posed_in) for here, outcome in posed]
        number, poses = select_receptor(found, one_frame=not work.library.has_receptors)
        best = replace(posed[number][1], poses=poses)
    notes += best.notes
    if len(tried) > 1:
        all_ = ", ".join(f"{outcome.receptor} ({_first_confidence(outcome):.2f})" for _, outcome in tried)
        notes.append(f"posed in several receptors, confidence of the first pose: {all_}")
    seconds = _all_seconds(outcome for _, outcome in tried)
    return replace(best, notes=tuple(notes), seconds=seconds)


def _first_confidence(outcome: Outcome) -> float:
    """Confidence of the first pose; 0 without one."""
    return outcome.poses[0].confidence if outcome.poses else 0.0


def _all_seconds(outcomes: Iterable[Outcome]) -> dict[str, float]:
    """Seconds of each stage, of all outcomes together."""
    seconds = Counter[str]()
    for outcome in outcomes:
        seconds.update(outcome.seconds)
    return dict(seconds)


def _merged(work: Prediction, outcomes: list[Outcome]) -> Outcome:
    """Put the outcomes of a query's isomers and states together, poses in the order of their confidence."""
    posed = [outcome for outcome in outcomes if outcome.poses]
    if len(outcomes) == 1 or not posed:
        return replace(outcomes[0], notes=(*work.outcome.notes, *outcomes[0].notes))
    poses = sorted(
        (pose for outcome in posed for pose in outcome.poses),
        key=lambda pose: (-pose.confidence, -pose.score, pose.rank),
    )[: work.settings.top]
    first = next(outcome for outcome in posed if poses[0] in outcome.poses)
    notes = dict.fromkeys(note for outcome in posed for note in outcome.notes)
    if len(posed) < len(outcomes):
        notes[f"{len(outcomes) - len(posed)} of {len(outcomes)} isomers or states have no pose"] = None
    return replace(
        first,
        poses=tuple(replace(pose, rank=rank) for rank, pose in enumerate(poses, 1)),
        notes=(*work.outcome.notes, *notes),
        seconds=_all_seconds(outcomes),
    )


def _target(query: str | Mol | Target) -> Target:
    """Take a query as a user gives it."""
    if isinstance(query, Target):
        return query
    if isinstance(query, str):
        return Target("query", query)
    from templ.chemistry.molecules import to_smiles

    return Target("query", to_smiles(query))


@dataclass(eq=False)
class Prepared:
    """What a molecule is posed with in every receptor; `cores` are those found so far, by library row."""

    query: PreparedQuery
    aligner: Aligner
    cores: dict[int, Core | None] = field(default_factory=dict)
    allowed: AllowedTemplates | None = None


@dataclass(eq=False)
class Prediction:
    """State of one prediction; dropped as a whole when it ends, so nothing stays for the next target.

    `predict` says what the parameters mean; `molecule` is what is posed, by default what the target's SMILES
    says; `row` is the crystal of the library whose receptor it is posed in, by default the first that is
    chosen; `name` is what a receptor is called that was given with others; `prepared` is what
    does not depend on it; `outcome` is what is known so far, refused until it is posed; `posed_in` is the
    receptor once it is known.
    """

    target: Target
    library: Library
    settings: PredictionSettings
    rule: TemplateRule = NO_RULE
    receptor: Receptor | None = None
    own_receptor: bool = False
    protein: Sequence[str] = ()
    site: NDArray[np.float64] | None = None
    extra_poses: Sequence[Mol] = ()
    splits: Splits | None = None
    molecule: Mol | None = None
    row: int | None = None
    name: str = ""
    prepared: Prepared | None = None

    def __post_init__(self) -> None:
        self.outcome = Outcome(self.target.id, "refused")
        self.posed_in: Receptor | None = None
        self._since = time.perf_counter()

    def isomers(self) -> list[Mol]:
        """Return the isomers and states that the target may be, ready to be posed; note what was done."""
        from templ.chemistry.isomers import most_isomers, stereoisomers
        from templ.chemistry.molecules import heavy, largest_fragment, ligand_key, parse_smiles
        from templ.chemistry.states import states, unlikely_charges
        from templ.templates.applicability import refuse_unfit

        try:
            mol, left_out = largest_fragment(parse_smiles(self.target.smiles))
        except InputError as error:
            raise InputError(f"{self.target.id}: {error}") from None
        mol = heavy(mol)
        refuse_unfit(mol, self.settings)
        isomers, left_open = stereoisomers(mol)
        self._note(*filter(None, (left_out, left_open, *unlikely_charges(mol))))
        if self.settings.states:
            if self.rule.exclude_same_ligand and not self.target.ligand_key:
                # A tautomer can have another key, and would then copy the crystal that it is to predict.
                self.target = replace(self.target, ligand_key=ligand_key(mol))
            found, said = states(mol, most_isomers(mol))
            isomers = [isomer for state in found for isomer in stereoisomers(state)[0]][: most_isomers(mol)]
            self._note(*filter(None, (said,)))
        return isomers

    def run(self) -> Outcome:
        """Sample, select, and say how it ended."""
        try:
            return self._run()
        except Refusal as refusal:
            return self.refused(refusal)

    def _run(self) -> Outcome:
        sample = self.sample()
        poses = self.select(sample)
        self._stage("finish")
        if poses[0].confidence < self.settings.min_confidence:
            raise Refusal(
                "low-confidence",
                f"the best pose is right with a probability of {poses[0].confidence:.2f} only, less than the "
                f"{self.settings.min_confidence:g} asked for",
            )
        used = len({placement.template.row for placement in sample.placements})
        return replace(self.outcome, status="posed", poses=poses, templates_used=used, stereo_kept=True)

    def refused(self, refusal: Refusal) -> Outcome:
        """Say how it ended without a pose."""
        return replace(self.outcome, reason=refusal.reason, detail=refusal.detail)

    def in_each_receptor(self, given: Mapping[str, Receptor]) -> Iterator[Prediction]:
        """Go on in each of the receptors given, by name, or else in those that are chosen.

        What does not depend on the receptor, conformers and shared cores, is made once.

        Raises
        ------
        Refusal
            When the rule allows no crystal to choose.
        """
        self._prepare()
        if given:
            yield from (replace(self, receptor=receptor, name=name) for name, receptor in given.items())
        elif self.receptor is None and self.library.has_receptors:
            choice = self._choose(self.settings.receptors if self.settings.use_receptor else 1)
            self._note(*filter(None, (choice.note,)))
            yield from (replace(self, row=row) for row in choice.rows)
        else:
            yield replace(self)

    def sample(self) -> Sample:
        """Make and score all poses.

        Raises
        ------
        Refusal
            When there is none.
        """
        from templ.chemistry.receptor import in_contact
        from templ.poses.finishing import Sample
        from templ.sampling.monte_carlo import Sampler, rank_placements
        from templ.sampling.pose_sources import UNLIKE, place_query
        from templ.scoring.confidence import beyond_the_fit, evidence, prior_confidence
        from templ.scoring.pocket import Pocket
        from templ.templates.other_crystals import other_crystals
        from templ.templates.screening import find_templates
        from templ.templates.warnings import warnings_of

        prepared = self._prepare()
        query = prepared.query
        self._stage("prepare")
        allowed = self._allowed()
        frame = self._frame()
        templates = find_templates(query, self.library, allowed, self.settings, frame, prepared.cores)
        if len(frame.copies) > 1 and frame.site is None:
            first, *others = frame.copies
            self._note(
                f"the receptor has this pocket in chains {first}, {', '.join(others)}: poses are in that of "
                f"chain {first}, --site names another"
            )
        known = evidence(templates, query.mol)
        identities = [template.fit.identity for template in templates if template.fit is not None]
        self._know(
            best_tanimoto=known["tanimoto"],
            best_identity=max(identities, default=None),
            prior_confidence=prior_confidence(known, own_receptor=frame.own_receptor),
        )
        self._note(*beyond_the_fit(known))
        self._stage("select")
        placements, notes = place_query(
            query,
            templates,
            self.settings,
            has_receptor=frame.atoms is not None,
            extra=self.extra_poses,
        )
        self._note(*notes, *warnings_of(query.mol, templates, self.library, frame.receptor))
        self._stage("pose")
        crystals = other_crystals(templates, self.library, frame)
        pocket = Pocket.of(query.mol, templates, self.settings.consensus, frame, crystals)
        placed = ranked = rank_placements(query, placements, pocket)
        self._stage("score")
        searched = pocket.atoms is not None and known["tanimoto"] < UNLIKE
        sampler = Sampler(query, placements, pocket, self.settings, search=searched)
        if self.settings.minimised:
            ranked = sampler.sample(placed)
            self._stage("minimise")
        if pocket.atoms is not None:
            ranked = ranked.only(in_contact(ranked.xyz, pocket.atoms.xyz))
            if not len(ranked.xyz):
                raise Refusal("no-contact", "no pose is in contact with the receptor: no template lies in it")
        receptor = None if frame.atoms is None else frame.receptor
        own = frame.own_receptor
        return Sample(query, placements, pocket, sampler, placed, ranked, known, own, receptor, searched)

    def select(self, sample: Sample) -> tuple[Pose, ...]:
        """Select poses that differ and have the query's stereochemistry, best first, and finish them."""
        import numpy as np

        from templ.poses.finishing import clashes_of_first, finish_poses, in_other_pockets
        from templ.poses.pose_selection import PoseSelector
        from templ.scoring.confidence import OTHER, OWN
        from templ.scoring.ranking import selected_terms
        from templ.scoring.score_term import PosesToScore
        from templ.scoring.weights import fitted_weights

        def judge(xyz: NDArray[np.float64]) -> Mapping[str, NDArray[np.floating]]:
            return selected_terms(PosesToScore(sample.query, xyz, np.zeros(len(xyz)), sample.pocket))

        weights = fitted_weights().selected[OWN if sample.own_receptor else OTHER]
        asked = judge if sample.searched else None
        selector = PoseSelector(sample.query, sample.ranked, sample.pocket.atoms, asked, weights)
        best = selector.best(self.settings.top)
        if selector.without_stereo:
            self._note(f"{selector.without_stereo} poses dropped: stereochemistry not the query's")
        if not best:
            raise Refusal("stereochemistry", "no pose with the query's stereochemistry could be made")
        poses = finish_poses(sample, best)
        self._note(*filter(None, (in_other_pockets(poses), clashes_of_first(sample, best))))
        return poses

    def _prepare(self) -> Prepared:
        """What does not depend on the receptor; made once."""
        from templ.chemistry.conformers import PreparedQuery
        from templ.templates.sequence import Aligner

        if self.prepared is None:
            mol = self.isomers()[0] if self.molecule is None else self.molecule
            query = PreparedQuery(mol, self.settings.conformers, self.settings.seed)
            self.prepared = Prepared(query, Aligner())
        return self.prepared

    def _allowed(self) -> AllowedTemplates:
        """Templates that the rule allows the target."""
        from templ.chemistry.molecules import ligand_key
        from templ.templates.screening import AllowedTemplates

        prepared = self._prepare()
        if prepared.allowed is None:
            if self.rule.exclude_same_ligand and not self.target.ligand_key:
                self.target = replace(self.target, ligand_key=ligand_key(prepared.query.mol))
            prepared.allowed = AllowedTemplates(self.target, self.library, self.rule, self.splits)
        self._know(templates_allowed=len(prepared.allowed))
        return prepared.allowed

    def _choose(self, count: int) -> ReceptorChoice:
        """Choose crystals, at most so many, whose receptors the query is posed in."""
        from templ.templates.receptor_choice import choose_receptors

        return choose_receptors(
            self._prepare().query.mol,
            self.library,
            self._allowed().rows,
            self.protein,
            count=count,
            least=self.settings.min_identity,
            most=self.rule.max_identity,
            aligner=self._prepare().aligner,
        )

    def _frame(self) -> Frame:
        """Where the poses will lie: in the receptor that was given, or in one that is chosen."""
        from templ.templates.frame import Frame

        library, settings = self.library, self.settings
        receptor, row = self.receptor, self.row
        self._know(receptor=self.name)
        if receptor is None and library.has_receptors:
            if row is None:
                choice = self._choose(1)
                row = choice.rows[0]
                self._note(*filter(None, (choice.note,)))
            self._know(receptor=library.entry(row).id)
            receptor = library.receptor(row)
            if settings.by == "embedding":
                receptor = replace(receptor, embedding=library.embeddings.vector(row))
        self.posed_in = receptor
        return Frame.of(
            library,
            receptor,
            self.site,
            self.target.id,
            own_receptor=self.own_receptor,
            templates_only=not settings.use_receptor,
            row=row,
            aligner=self._prepare().aligner,
        )

    def _know(self, **facts: Any) -> None:  # noqa: ANN401  as the fields of an outcome are
        self.outcome = replace(self.outcome, **facts)

    def _note(self, *notes: str) -> None:
        self._know(notes=(*self.outcome.notes, *notes))

    def _stage(self, name: str) -> None:
        """Note how long a stage took, which ends here."""
        since, self._since = self._since, time.perf_counter()
        self._know(seconds={**self.outcome.seconds, name: self._since - since})
