"""The prediction of one query, start to end: its isomers and states, each in one or several receptors.

The parts load on first use: importing this module is cheap, and a process that predicts nothing pays nothing.
"""

from __future__ import annotations

import reprlib
from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

from templ.errors import InputError, Refusal
from templ.prediction import Prediction
from templ.records import Outcome, Target
from templ.settings import PredictionSettings
from templ.templates.rule import NO_RULE, TemplateRule

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from rdkit.Chem import Mol
    from threadpoolctl import ThreadpoolController

    from templ.chemistry.receptor import Receptor
    from templ.library.store import Library
    from templ.templates.split_labels import Splits

SURE = 0.85
"""Confidence of a first pose from which on no further receptor is tried."""
METHOD_VERSION = 9
"""Raise it with every change that moves poses: runs of another version are not resumed or merged."""

PARTS = (
    "templ.chemistry.isomers",
    "templ.chemistry.states",
    "templ.poses.receptor_selection",
    "templ.poses.finishing",
    "templ.poses.pose_selection",
    "templ.sampling.monte_carlo",
    "templ.sampling.pose_sources",
    "templ.scoring.confidence",
    "templ.scoring.pocket",
    "templ.templates.applicability",
    "templ.templates.bond_decision",
    "templ.templates.covalent_choice",
    "templ.templates.covalent_reaction",
    "templ.templates.frame",
    "templ.templates.other_crystals",
    "templ.templates.receptor_choice",
    "templ.templates.residue_choice",
    "templ.templates.screening",
    "templ.templates.warnings",
    "threadpoolctl",
    *(["rustina"] if find_spec("rustina") else []),
    *(["pandas", "pyarrow.pandas_compat"] if find_spec("pandas") else []),
)
"""What loads on first use; a process that will predict, or fork those that do, may load it before: what is
not here each worker loads for itself. Nothing of ours needs pandas, but pyarrow imports it wherever it is
installed: 25 MB a worker unless shared."""


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
        When the SMILES cannot be read, the receptor has no protein, or an argument is of another kind.
    LeakageError
        When a template that `rule` forbids would have been used.
    """
    settings = PredictionSettings() if settings is None else settings
    _check_kinds(query, library, settings, receptor)
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
            forms = [form for isomer in isomers for form in isomer.bonding_forms(given)]
            work.outcome = replace(
                work.outcome,
                notes=tuple(
                    dict.fromkeys(
                        (*work.outcome.notes, *(note for isomer in isomers for note in isomer.outcome.notes))
                    )
                ),
            )
            return _told(_merged(work, [pose_in_best_receptor(form, given) for form in forms]))
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


def pose_in_best_receptor(work: Prediction, given: Mapping[str, Receptor]) -> Outcome:
    """Pose one isomer in one receptor after the other; the outcome is that in which a pose is the surest.

    Parameters
    ----------
    given : Mapping[str, Receptor]
        Receptors by name, all of which are tried; when empty, those that are chosen, until one gives a pose
        that is sure enough.
    """
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


def _check_kinds(query: object, library: object, settings: object, receptor: object) -> None:
    """Refuse what is of another kind, such as a path in the place of what it is opened by."""
    from rdkit.Chem import Mol

    from templ.chemistry.receptor import Receptor
    from templ.library.store import Library

    given = receptor.values() if isinstance(receptor, Mapping) else () if receptor is None else (receptor,)
    of_queries = "a SMILES, an RDKit molecule or templ.Target; a list or a file is for templ.predict_queries"
    kinds: list[tuple[str, object, type | tuple[type, ...], str]] = [
        ("query", query, (str, Mol, Target), of_queries),
        ("library", library, Library, "an open one, as of templ.open_library(PATH)"),
        ("settings", settings, PredictionSettings, "templ.PredictionSettings(NAME=VALUE)"),
        *(("receptor", one, Receptor, "one that is read, as by templ.read_receptor(PATH)") for one in given),
    ]
    for what, value, kind, expected in kinds:
        if not isinstance(value, kind):
            raise InputError(f"{what} is {reprlib.repr(value)}; expected {expected}")


def _told(outcome: Outcome) -> Outcome:
    """Put what there is to say of the poses, as they are ranked in the end, behind the other notes."""
    from templ.poses.finishing import bent_bonds, in_other_pockets

    if not outcome.poses:
        return replace(outcome, pose_notes=())
    told = filter(None, (in_other_pockets(outcome.poses), bent_bonds(outcome.poses)))
    return replace(outcome, notes=(*outcome.notes, *outcome.pose_notes, *told), pose_notes=())


def _target(query: str | Mol | Target) -> Target:
    """Take a query as a user gives it."""
    if isinstance(query, Target):
        return query
    if isinstance(query, str):
        return Target("query", query)
    from templ.chemistry.molecules import to_smiles

    return Target("query", to_smiles(query))
