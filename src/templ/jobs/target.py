"""What a worker does for one target of a benchmark: predict, and compare with the crystal."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from templ.chemistry.molecules import first_block, positions
from templ.errors import LibraryError
from templ.evaluation.equivalent_copies import copy_rmsd, motions_between_copies
from templ.evaluation.rmsd import symmetric_rmsd
from templ.evaluation.validity import failed_checks
from templ.jobs.recording import MoleculeResult
from templ.library.ligands import LigandRecord
from templ.library.store import open_library
from templ.pipeline import PARTS, predict
from templ.poses.pose_file import to_sdf
from templ.records import Target
from templ.runs.record import Cost, Record
from templ.settings import PredictionSettings
from templ.templates.rule import TemplateRule
from templ.templates.split_labels import Splits
from templ.templates.target_receptor import TargetReceptors

FUNCTION = "templ.jobs.target:open_work"
"""How the engine finds this work."""
PRELOAD = ("templ.jobs.target", *PARTS)
"""What a worker needs; loaded once, before workers are forked."""


def open_work(context: Mapping[str, Any]) -> Callable[[str], MoleculeResult]:
    """Open the libraries in this process and return the function that does one target.

    Parameters
    ----------
    context : Mapping
        ``library``, ``targets`` and ``splits`` (paths, the last or None), ``digests`` of the first two,
        ``rule`` and ``settings`` (as JSON), ``validity``: whether to check the first pose by PoseBusters, and
        ``site``: "own" where the pocket is known.

    Raises
    ------
    LibraryError
        When one of the libraries is not the one that the run was started with.
    """
    library, targets = open_library(context["library"]), open_library(context["targets"])
    for opened, digest in zip((library, targets), context["digests"], strict=True):
        if opened.digest != digest:
            raise LibraryError(f"{opened.path} was replaced while the run used it; bring the old one back")
    rule = TemplateRule.from_json(context["rule"])
    settings = PredictionSettings.model_validate(context["settings"])
    splits = Splits(Path(context["splits"])) if context["splits"] else None
    receptors = TargetReceptors(library, targets)

    def work(task: str) -> MoleculeResult:
        index, id = json.loads(task)
        row = targets.row_of(id)
        target = target_of(targets.entry(row), "" if splits is None else splits.of(row))
        receptor = receptors.of(id)
        if receptor is not None and settings.by == "embedding":
            receptor = replace(receptor, embedding=targets.embeddings.vector(row))
        truth = targets.ligand(row)
        site = positions(truth).mean(axis=0) if context["site"] == "own" else None
        outcome = predict(target, library, settings, rule=rule, receptor=receptor, site=site, splits=splits)
        rmsd = [symmetric_rmsd(pose.mol, truth) for pose in outcome.poses]
        name = "" if receptor is None else receptors.name_of(id)
        motions = motions_between_copies(receptor)
        copies = [
            copy_rmsd(pose.mol, truth, apart, motions)
            for pose, apart in zip(outcome.poses, rmsd, strict=True)
        ]
        record = Record.of(outcome, target, index, rmsd, copies, receptor=name)
        if context["validity"] and outcome.poses:
            begin = time.perf_counter()
            failed = failed_checks(outcome.poses[0].mol, truth=truth, receptor=receptor)
            stages = {**record.cost.stages, "validity": round(time.perf_counter() - begin, 4)}
            record = replace(record, failed_checks=tuple(failed), cost=Cost(stages=stages))
        return MoleculeResult(record, to_sdf(outcome, name))

    work.release = receptors.forget  # type: ignore[attr-defined]  # the engine's hook to empty caches
    return work


def target_of(entry: LigandRecord, split: str = "") -> Target:
    """Describe a library's ligand as something to predict: its chemistry, never its coordinates."""
    return Target(entry.id, entry.smiles, entry.group, entry.date, first_block(entry.inchikey), split)
