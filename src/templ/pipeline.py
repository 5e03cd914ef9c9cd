"""The prediction of one query, start to end: the only module where the parts are put together.

The parts load on first use: importing this module is cheap, and a process that predicts nothing pays nothing.
"""

from __future__ import annotations

import time
from collections import Counter
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from templ.errors import InputError, Refusal
from templ.records import Outcome, Pose, Target
from templ.settings import PredictionSettings
from templ.templates.rule import TemplateRule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from rdkit.Chem import Mol
    from threadpoolctl import ThreadpoolController

    from templ.chemistry.conformers import PreparedQuery
    from templ.chemistry.receptor import Receptor
    from templ.library.store import Library
    from templ.poses.pose_selection import SelectedPose
    from templ.sampling.monte_carlo import Sampler
    from templ.sampling.placement import Placement
    from templ.scoring.pocket import Pocket
    from templ.scoring.ranking import ScoredPoses
    from templ.templates.frame import Frame
    from templ.templates.screening import AllowedTemplates
    from templ.templates.split_labels import Splits

METHOD_VERSION = 5
"""Raise it with every change that moves poses: runs of another version are not resumed or merged."""

PARTS = (
    "templ.chemistry.isomers",
    "templ.poses.hydrogens",
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
    receptor: Receptor | None = None,
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
    receptor : Receptor, optional
        What the query binds to (`templ.read_receptor`). Where the library's ligands share one frame it must
        be in that frame; where each has its own receptor, poses come out in the frame of this, and by
        default it is that of the crystal with the most similar ligand. Its `embedding` is needed where
        `settings` find templates by embedding.
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
    work = Prediction(
        _target(query),
        library,
        settings,
        rule,
        receptor,
        own_receptor,
        protein,
        site,
        extra_poses,
        splits,
    )
    try:
        with _one_thread():
            isomers = work.isomers()
            if len(isomers) == 1:
                work.molecule = isomers[0]
                return work.run()
            return _merged(work, [_ended(replace(work, molecule=isomer)) for isomer in isomers])
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


def _ended(work: Prediction) -> Outcome:
    """Run a prediction; a refusal is its outcome."""
    try:
        return work.run()
    except Refusal as refusal:
        return work.refused(refusal)


def _merged(work: Prediction, outcomes: list[Outcome]) -> Outcome:
    """Put the outcomes of a query's isomers and states together, poses in the order of their confidence."""
    posed = [outcome for outcome in outcomes if outcome.poses]
    if not posed:
        return replace(outcomes[0], notes=(*work.outcome.notes, *outcomes[0].notes))
    poses = sorted(
        (pose for outcome in posed for pose in outcome.poses),
        key=lambda pose: (-pose.confidence, -pose.score, pose.rank),
    )[: work.settings.top]
    first = next(outcome for outcome in posed if poses[0] in outcome.poses)
    notes = dict.fromkeys(note for outcome in posed for note in outcome.notes)
    if len(posed) < len(outcomes):
        notes[f"{len(outcomes) - len(posed)} of {len(outcomes)} isomers or states have no pose"] = None
    seconds = Counter[str]()
    for outcome in outcomes:
        seconds.update(outcome.seconds)
    return replace(
        first,
        poses=tuple(replace(pose, rank=rank) for rank, pose in enumerate(poses, 1)),
        notes=(*work.outcome.notes, *notes),
        seconds=dict(seconds),
    )


def _target(query: str | Mol | Target) -> Target:
    """Take a query as a user gives it."""
    if isinstance(query, Target):
        return query
    if isinstance(query, str):
        return Target("query", query)
    from templ.chemistry.molecules import to_smiles

    return Target("query", to_smiles(query))


@dataclass(frozen=True, slots=True)
class Sample:
    """All poses of a query that were looked at.

    Attributes
    ----------
    placements : list of Placement
        Poses as they were copied, one for each template and mapping.
    placed, ranked : ScoredPoses
        All poses before they are minimised, and those that poses are selected from.
    evidence : Mapping[str, float]
        What is known before posing (`templ.scoring.confidence.evidence`).
    own_receptor : bool
        The receptor is of the query's own crystal.
    searched : bool
        Templates say little, so the pocket was searched as well, and the network is asked.
    """

    query: PreparedQuery
    placements: list[Placement]
    pocket: Pocket
    sampler: Sampler
    placed: ScoredPoses
    ranked: ScoredPoses
    evidence: Mapping[str, float]
    own_receptor: bool
    searched: bool


@dataclass(eq=False)
class Prediction:
    """State of one prediction; dropped as a whole when it ends, so nothing stays for the next target.

    `predict` says what the parameters mean; `molecule` is what is posed, by default what the target's SMILES
    says; `outcome` is what is known so far, refused until it is posed.
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

    def __post_init__(self) -> None:
        self.outcome = Outcome(self.target.id, "refused")
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
        """Sample, select, and say how it ended; a refusal is raised."""
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

    def sample(self) -> Sample:
        """Make and score all poses.

        Raises
        ------
        Refusal
            When there is none.
        """
        from templ.chemistry.molecules import ligand_key
        from templ.chemistry.receptor import in_contact
        from templ.sampling.monte_carlo import Sampler, rank_placements
        from templ.sampling.pose_sources import UNLIKE, place_query
        from templ.scoring.confidence import beyond_the_fit, evidence, prior_confidence
        from templ.scoring.pocket import Pocket
        from templ.templates.other_crystals import other_crystals
        from templ.templates.screening import AllowedTemplates, find_templates
        from templ.templates.warnings import warnings_of

        query = self._prepare()
        self._stage("prepare")
        if self.rule.exclude_same_ligand and not self.target.ligand_key:
            self.target = replace(self.target, ligand_key=ligand_key(query.mol))
        allowed = AllowedTemplates(self.target, self.library, self.rule, self.splits)
        self._know(templates_allowed=len(allowed))
        frame = self._frame(query, allowed)
        templates = find_templates(query, self.library, allowed, self.settings, frame)
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
        own = frame.own_receptor
        return Sample(query, placements, pocket, sampler, placed, ranked, known, own, searched)

    def select(self, sample: Sample) -> tuple[Pose, ...]:
        """Select poses that differ and have the query's stereochemistry, best first, and finish them."""
        import numpy as np

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
        return _poses(sample, best)

    def _prepare(self) -> PreparedQuery:
        from templ.chemistry.conformers import PreparedQuery

        mol = self.isomers()[0] if self.molecule is None else self.molecule
        return PreparedQuery(mol, self.settings.conformers, self.settings.seed)

    def _frame(self, query: PreparedQuery, allowed: AllowedTemplates) -> Frame:
        """Where the poses will lie: in the receptor that was given, or in one that is chosen."""
        from templ.templates.frame import Frame
        from templ.templates.receptor_choice import choose_receptor

        library, settings = self.library, self.settings
        receptor, row = self.receptor, None
        if receptor is None and library.has_receptors:
            least, most = settings.min_identity, self.rule.max_identity
            choice = choose_receptor(query.mol, library, allowed.rows, self.protein, least=least, most=most)
            self._know(receptor=library.entry(choice.row).id)
            self._note(*filter(None, (choice.note,)))
            receptor = library.receptor(choice.row)
            if settings.by == "embedding":
                receptor = replace(receptor, embedding=library.embeddings.vector(choice.row))
            row = choice.row
        return Frame.of(
            library,
            receptor,
            self.site,
            self.target.id,
            own_receptor=self.own_receptor,
            templates_only=not settings.use_receptor,
            row=row,
        )

    def _know(self, **facts: Any) -> None:  # noqa: ANN401  as the fields of an outcome are
        self.outcome = replace(self.outcome, **facts)

    def _note(self, *notes: str) -> None:
        self._know(notes=(*self.outcome.notes, *notes))

    def _stage(self, name: str) -> None:
        """Note how long a stage took, which ends here."""
        since, self._since = self._since, time.perf_counter()
        self._know(seconds={**self.outcome.seconds, name: self._since - since})


def _poses(sample: Sample, selected: list[SelectedPose]) -> tuple[Pose, ...]:
    """Add hydrogens, confidence and provenance; the terms are those of the coordinates handed out."""
    import numpy as np

    from templ.poses.hydrogens import add_hydrogens
    from templ.scoring.confidence import confidence, log_odds
    from templ.scoring.ranking import score_terms
    from templ.scoring.score_term import PosesToScore

    ranked, query = sample.ranked, sample.query
    xyz = np.array([pose.xyz for pose in selected])
    placement = ranked.placement[[pose.index for pose in selected]]
    core_rmsd = sample.sampler.core_rmsd(xyz, placement)
    terms = score_terms(PosesToScore(query, xyz, core_rmsd, sample.pocket, sample.sampler.grid))
    poses = []
    for number, pose in enumerate(selected):
        copied = sample.placements[placement[number]]
        lies_on = _template_of(pose.xyz, copied, sample.placements)
        consensus = float(ranked.terms["consensus"][pose.cluster.centre])
        poses.append(
            Pose(
                mol=add_hydrogens(query.mol, pose.xyz),
                rank=number + 1,
                score=pose.cluster.score,
                # Of the cluster, not of its representative: so the model was fitted.
                confidence=confidence(
                    {
                        "log_odds": log_odds(pose.cluster.probability),
                        "consensus": consensus,
                        "network": pose.terms.get("network", 0.0),
                        "tanimoto": sample.evidence["tanimoto"],
                    },
                    own_receptor=sample.own_receptor,
                ),
                terms={name: float(values[number]) for name, values in terms.items()} | dict(pose.terms),
                template_id=lies_on.template.id,
                method="monte-carlo" if ranked.moved[pose.index] else copied.method,
                core=dict(lies_on.pairs),
                core_smarts=lies_on.smarts,
                core_rmsd=lies_on.rmsd_of(pose.xyz),
                superposition={} if lies_on.template.fit is None else lies_on.template.fit.numbers(),
            )
        )
    return tuple(poses)


def _template_of(xyz: NDArray[np.float64], copied: Placement, placements: list[Placement]) -> Placement:
    """Choose the template that a finished pose lies on: its own, unless more atoms lie on another."""
    best = max(placements, key=lambda placement: (placement.atoms_near(xyz), -placement.rmsd_of(xyz)))
    return best if best.atoms_near(xyz) > copied.atoms_near(xyz) else copied
