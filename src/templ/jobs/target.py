"""What a worker does for one target of a benchmark: predict, and compare with the crystal."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from templ.chemistry.molecules import first_block, positions
from templ.evaluation.bonded_form import in_form_of
from templ.evaluation.crystal_frame import crystal_poses
from templ.evaluation.equivalent_copies import copy_rmsd, motions_between_copies
from templ.evaluation.rmsd import symmetric_rmsd
from templ.evaluation.validity import failed_checks
from templ.jobs.recording import MoleculeResult
from templ.library.ligands import LigandRecord
from templ.library.store import open_same_library
from templ.pipeline import PARTS, predict
from templ.poses.pose_file import to_sdf
from templ.records import Outcome, Target
from templ.runs.identity import refuse_other_software
from templ.runs.record import Cost, Record
from templ.settings import PredictionSettings
from templ.templates.rule import TemplateRule
from templ.templates.split_labels import Splits
from templ.templates.target_receptor import NEAREST, OWN, RECEPTORS, TargetReceptors

if TYPE_CHECKING:
    from rdkit.Chem import Mol

    from templ.chemistry.receptor import Receptor

FUNCTION = "templ.jobs.target:open_work"
"""How the engine finds this work."""
PRELOAD = ("templ.jobs.target", *PARTS)
"""What a worker needs; loaded once, before workers are forked."""
NOT_THERE = 999.0
"""Angstrom: what poses count as where the target's pocket is not found in the receptor that they are in."""


def open_work(context: Mapping[str, Any]) -> Callable[[str], MoleculeResult]:
    """Open the libraries in this process and return the function that does one target.

    Parameters
    ----------
    context : Mapping
        ``software`` (`templ.runs.identity.software_here`), ``library``, ``targets`` and ``splits`` (paths,
        the last or None), ``digests`` of the first two, ``rule`` and ``settings`` (as JSON), ``validity``:
        whether to check the first pose by PoseBusters, ``site``: "own" where the pocket is known, and
        ``receptor``: "own", "nearest", or a path.

    Raises
    ------
    LibraryError
        When one of the libraries is not the one that the run was started with.
    """
    refuse_other_software(context["software"])
    library, targets = map(open_same_library, (context["library"], context["targets"]), context["digests"])
    rule = TemplateRule.from_json(context["rule"])
    settings = PredictionSettings.model_validate(context["settings"])
    splits = Splits(Path(context["splits"])) if context["splits"] else None
    whose = context["receptor"]
    receptors = TargetReceptors(library, targets, [] if whose in RECEPTORS else [Path(whose)])

    def work(task: str) -> MoleculeResult:
        index, id = json.loads(task)
        row = targets.row_of(id)
        target = target_of(targets.entry(row), "" if splits is None else splits.of(row))
        receptor = None if whose == NEAREST or not settings.use_receptor else receptors.of(id)
        if receptor is not None and settings.by == "embedding":
            receptor = replace(receptor, embedding=targets.embeddings.vector(row))
        outcome = predict(
            target,
            library,
            settings,
            rule=rule,
            receptor=receptor,
            own_receptor=whose == OWN,
            protein=targets.residues(row)[0].sequences() if whose == NEAREST else (),
            site=positions(targets.ligand(row)).mean(axis=0) if context["site"] == "own" else None,
            splits=splits,
        )
        name = outcome.receptor or ("" if receptor is None else receptors.name_of(id))
        if outcome.receptor:
            receptor = receptors.of(id, name)
        crystals = crystal_poses(targets, id, library, receptor, name)
        rmsd, copies = _compare(outcome, crystals, receptor)
        record = Record.of(outcome, target, index, rmsd, copies, receptor=name)
        if context["validity"] and outcome.poses:
            begin = time.perf_counter()
            first = outcome.poses[0]
            truth = in_form_of(crystals[0], first.mol) if crystals else None
            bonded_to = "" if first.bond is None else first.bond.residue
            failed = failed_checks(first.mol, truth=truth, receptor=receptor, bonded_to=bonded_to)
            stages = {**record.cost.stages, "validity": round(time.perf_counter() - begin, 4)}
            record = replace(record, failed_checks=tuple(failed), cost=Cost(stages=stages))
        return MoleculeResult(record, to_sdf(outcome, name))

    work.release = receptors.forget  # type: ignore[attr-defined]  # the engine's hook to empty caches
    return work


def _compare(
    outcome: Outcome, crystals: list[Mol], receptor: Receptor | None
) -> tuple[list[float], list[float | None]]:
    """RMSD of each pose from the crystal, Angstrom: in place, and in the nearest equivalent copy."""
    if not crystals:  # the pocket is not in this receptor: no pose in it is right
        return [NOT_THERE] * len(outcome.poses), [None] * len(outcome.poses)
    first, *others = crystals
    rmsd = [symmetric_rmsd(pose.mol, first) for pose in outcome.poses]
    motions = motions_between_copies(receptor)
    copies: list[float | None] = []
    for pose, apart in zip(outcome.poses, rmsd, strict=True):
        nearest = min([apart, *(symmetric_rmsd(pose.mol, other) for other in others)])
        copy = copy_rmsd(pose.mol, first, nearest, motions)
        copies.append(nearest if copy is None and others else copy)
    return rmsd, copies


def target_of(entry: LigandRecord, split: str = "") -> Target:
    """Describe a library's ligand as something to predict: its chemistry, never its coordinates."""
    return Target(entry.id, entry.smiles, entry.group, entry.date, first_block(entry.inchikey), split)
