"""One molecule posed in one receptor, from its templates to the poses handed out.

The parts load on first use, as `templ.pipeline` says.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from templ.errors import InputError, Refusal
from templ.records import Outcome, Pose, Target
from templ.settings import PredictionSettings
from templ.templates.rule import NO_RULE, TemplateRule

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from rdkit.Chem import Mol

    from templ.chemistry.conformers import PreparedQuery
    from templ.chemistry.receptor import Receptor
    from templ.library.store import Library
    from templ.poses.finishing import Sample
    from templ.templates.covalent_choice import ChosenBond
    from templ.templates.covalent_reaction import Reaction
    from templ.templates.frame import Frame
    from templ.templates.mcs import Core
    from templ.templates.receptor_choice import ReceptorChoice
    from templ.templates.screening import AllowedTemplates, Template
    from templ.templates.sequence import Aligner
    from templ.templates.split_labels import Splits


@dataclass(eq=False)
class Prepared:
    """What a molecule is posed with in every receptor; `cores` are those found so far, by library row."""

    query: PreparedQuery
    aligner: Aligner
    cores: dict[int, Core | None] = field(default_factory=dict)
    allowed: AllowedTemplates | None = None


@dataclass(frozen=True, eq=False)
class Screened:
    """What is known before posing: the query, where its poses will lie, its templates, and what they tell."""

    query: PreparedQuery
    frame: Frame
    templates: list[Template]
    evidence: Mapping[str, float]


@dataclass(eq=False)
class Prediction:
    """State of one prediction; dropped as a whole when it ends, so nothing stays for the next target.

    `predict` says what the parameters mean; `molecule` is what is posed, by default what the target's SMILES
    says; `row` is the crystal of the library whose receptor it is posed in, by default the first that is
    chosen; `name` is what a receptor is called that was given with others; `prepared` is what
    does not depend on it; `reaction` is what made `molecule`, where a warhead bonds; `outcome` is what is
    known so far, refused until it is posed; `posed_in` is the receptor once it is known.
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
    reaction: Reaction | None = None

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

    def bonding_forms(self, given: Mapping[str, Receptor]) -> list[Prediction]:
        """Return this prediction; or, where a warhead is to bond, one of each isomer of what that makes.

        `given` are receptors by name, where there are several; the first decides.
        """
        from templ.templates.covalent_reaction import free_warheads, react

        mol, wanted = self.molecule, self.settings.covalent
        if mol is None or not free_warheads(mol, wanted) or not self.settings.use_receptor:
            return [self]
        first = replace(self, receptor=next(iter(given.values()), self.receptor))
        try:
            screened = first.screen()
            if screened.frame.receptor is None:
                return [self]
            reactions, others = react(mol, screened.frame.receptor, screened.templates, wanted)
        except Refusal:  # is told again once it is posed
            return [self]
        if not reactions:
            return [self]
        self._note(*filter(None, (others,)))
        return [
            replace(self, target=first.target, molecule=isomer, prepared=None, reaction=reaction)
            for reaction in reactions
            for isomer in reaction.made
        ]

    def screen(self) -> Screened:
        """Find the templates, and note what they tell before anything is posed.

        Raises
        ------
        Refusal
            When there is none.
        """
        from templ.scoring.confidence import beyond_the_fit, evidence, prior_confidence
        from templ.templates.screening import find_templates

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
        known = evidence(templates, query.mol, None if frame.atoms is None else frame.atoms.xyz)
        identities = [template.fit.identity for template in templates if template.fit is not None]
        self._know(
            best_tanimoto=known["tanimoto"],
            best_identity=max(identities, default=None),
            prior_confidence=prior_confidence(known, own_receptor=frame.own_receptor),
        )
        self._note(*beyond_the_fit(known))
        self._stage("select")
        return Screened(query, frame, templates, known)

    def choose_bond(self, screened: Screened) -> ChosenBond | None:
        """Choose the bond that poses will have, and note what there is to know of it (`decide_bond`)."""
        from templ.templates.bond_decision import decide_bond

        query, frame, templates = screened.query, screened.frame, screened.templates
        wanted = self.settings.covalent
        bond, notes = decide_bond(query.mol, templates, self.library, frame, wanted, self.reaction)
        self._note(*notes)
        return bond

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
        from templ.scoring.bond_restraint import BondRestraint
        from templ.scoring.pocket import Pocket
        from templ.templates.other_crystals import other_crystals
        from templ.templates.warnings import warnings_of

        screened = self.screen()
        query, frame, templates = screened.query, screened.frame, screened.templates
        known = screened.evidence
        placements, notes = place_query(
            query,
            templates,
            self.settings,
            has_receptor=frame.atoms is not None,
            extra=self.extra_poses,
        )
        bond = self.choose_bond(screened)
        restraint = None
        if bond is not None:
            restraint = BondRestraint.of(query.mol, query.conformers[0], bond.atom, bond.residue)
        self._note(*notes, *warnings_of(query.mol, templates, self.library, frame.receptor, bond))
        self._stage("pose")
        crystals = other_crystals(templates, self.library, frame)
        bonded_to = [] if bond is None else bond.residue.side_chain.tolist()
        pocket = Pocket.of(query.mol, templates, self.settings.consensus, frame, crystals, bonded_to)
        placed = ranked = rank_placements(query, placements, pocket)
        self._stage("score")
        searched = pocket.atoms is not None and (known["tanimoto"] < UNLIKE or bond is not None)
        sampler = Sampler(query, placements, pocket, self.settings, search=searched, bond=restraint)
        if self.settings.minimised:
            ranked = sampler.sample(placed)
            self._stage("minimise")
        if pocket.atoms is not None:
            ranked = ranked.only(in_contact(ranked.xyz, pocket.atoms.xyz))
            if not len(ranked.xyz):
                why = "no template lies in it"
                if not self.library.has_receptors:
                    why = "it must be in the frame of the library's ligands; superpose it on their receptor"
                raise Refusal("no-contact", f"no pose is in contact with the receptor: {why}")
        receptor = None if frame.atoms is None else frame.receptor
        own = frame.own_receptor
        # The network was never shown a bond to the protein: it would see a clash.
        asked = searched and bond is None
        return Sample(
            query, placements, pocket, sampler, placed, ranked, known, own, receptor, asked, bond, restraint
        )

    def select(self, sample: Sample) -> tuple[Pose, ...]:
        """Select poses that differ and have the query's stereochemistry, best first, and finish them."""
        import numpy as np

        from templ.poses.finishing import clashes_of_first, finish_poses
        from templ.poses.pose_selection import PoseSelector
        from templ.scoring.confidence import OTHER, OWN
        from templ.scoring.ranking import selected_terms
        from templ.scoring.score_term import PosesToScore
        from templ.scoring.weights import fitted_weights

        def judge(xyz: NDArray[np.float64]) -> Mapping[str, NDArray[np.floating]]:
            return selected_terms(PosesToScore(sample.query, xyz, np.zeros(len(xyz)), sample.pocket))

        weights = fitted_weights().selected[OWN if sample.own_receptor else OTHER]
        asked = judge if sample.searched else None
        selector = PoseSelector(sample.query, sample.ranked, sample.pushing, asked, weights, sample.restraint)
        best = selector.best(self.settings.top)
        if selector.without_stereo:
            self._note(f"{selector.without_stereo} poses dropped: stereochemistry not the query's")
        if not best:
            raise Refusal("stereochemistry", "no pose with the query's stereochemistry could be made")
        poses = finish_poses(sample, best)
        told = [clashes_of_first(sample, best)]
        if sample.bond is not None:
            told.append(f"bonded to the receptor, {sample.bond.why}; the first pose by {poses[0].bond}")
        self._know(pose_notes=tuple(filter(None, told)))
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
        from templ.chemistry.warheads import is_made_by_bonding
        from templ.templates.screening import AllowedTemplates

        prepared = self._prepare()
        if prepared.allowed is None:
            if self.rule.exclude_same_ligand and not self.target.ligand_key:
                self.target = replace(self.target, ligand_key=ligand_key(prepared.query.mol))
            prepared.allowed = AllowedTemplates(self.target, self.library, self.rule, self.splits)
            if self.rule.exclude_same_ligand and is_made_by_bonding(prepared.query.mol):
                prepared.allowed.rows &= ~self.library.same_ligand(ligand_key(prepared.query.mol))
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
