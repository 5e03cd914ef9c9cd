"""What a worker does for one target: predict, compare with the crystal, describe it in plain values."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rdkit.Chem.rdMolDescriptors import CalcNumRotatableBonds

from templ.benchmark.definition import target_of
from templ.errors import LibraryError
from templ.evaluation.rmsd import symmetric_rmsd
from templ.evaluation.validity import failed_checks
from templ.library.store import open_library
from templ.molecules import parse_smiles
from templ.pipeline import PARTS, predict
from templ.posefile import to_sdf
from templ.receptor import read_receptor
from templ.records import Outcome
from templ.selection.splits import Splits
from templ.settings import PredictionSettings
from templ.sources.splits import TemplateRule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from templ.receptor import Receptor
    from templ.records import Target

FUNCTION = "templ.benchmark.work:open_work"
"""How the engine finds this work."""
PRELOAD = ("templ.benchmark.work", *PARTS)
"""What a worker needs; loaded once, before workers are forked."""


@dataclass(frozen=True, slots=True)
class TargetResult:
    """What goes back to the run: small, and of plain values.

    Attributes
    ----------
    record : dict
        The result record, without the address of the poses and the cost.
    sdf : str
        The poses.
    stages : dict of str to float
        Wall seconds of each stage.
    """

    record: dict[str, Any]
    sdf: str
    stages: dict[str, float]


def open_work(context: Mapping[str, Any]) -> Callable[[str], TargetResult]:
    """Open the libraries in this process and return the function that does one target.

    Parameters
    ----------
    context : Mapping
        ``library``, ``targets`` and ``splits`` (paths, the last or None), ``digests`` of the first two,
        ``rule`` and ``settings`` (as JSON), and ``validity``: whether to check the first pose by PoseBusters.

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

    def work(id: str) -> TargetResult:
        row = targets.row_of(id)
        entry = targets.entry(row)
        target = target_of(entry, "" if splits is None else splits.of(row))
        if library.has_receptors:
            receptor: Receptor | None = targets.receptor(row)
        else:
            path = library.receptor_path(target.group)
            receptor = None if path is None else _receptor(path)
        outcome = predict(
            target,
            library,
            settings,
            rule=rule,
            receptor=receptor,
            splits=splits,
            embedding=targets.embeddings.vector(row) if settings.by == "embedding" else None,
        )
        truth = targets.ligand(row)
        rmsd = [round(symmetric_rmsd(pose.mol, truth), 4) for pose in outcome.poses]
        record, seconds = describe(outcome, target, rmsd or None), dict(outcome.seconds)
        if context["validity"] and outcome.poses:
            begin = time.perf_counter()
            record["validity"] = failed_checks(outcome.poses[0].mol, truth=truth, receptor=receptor)
            seconds["validity"] = time.perf_counter() - begin
        return TargetResult(record, to_sdf(outcome.id, outcome.poses), seconds)

    work.release = _receptor.cache_clear  # type: ignore[attr-defined]  # the engine's hook to empty caches
    return work


@lru_cache(maxsize=4)
def _receptor(path: Path) -> Receptor:
    return read_receptor(path)


def describe(outcome: Outcome, target: Target, rmsd: list[float] | None) -> dict[str, Any]:
    """Result record of an outcome: everything but cost and place of the poses."""
    mol = parse_smiles(target.smiles)
    best = outcome.poses[0] if outcome.poses else None
    return {
        "id": outcome.id,
        "group": target.group,
        "status": outcome.status,
        "reason": outcome.reason,
        "detail": outcome.detail,
        "stage": "",
        "rmsd": rmsd,
        "validity": None,
        "scores": [round(pose.score, 5) for pose in outcome.poses],
        "confidence": [round(pose.confidence, 4) for pose in outcome.poses],
        "prospect": None if outcome.prospect is None else round(outcome.prospect, 4),
        "way": best.way if best else "",
        "template": best.template_id if best else "",
        "tanimoto": round(outcome.best_tanimoto, 4),
        "identity": None if outcome.best_identity is None else round(outcome.best_identity, 4),
        "superposition": dict(best.superposition) if best else {},
        "mcs_atoms": best.mcs_atoms if best else 0,
        "query_atoms": mol.GetNumHeavyAtoms(),
        "rotors": CalcNumRotatableBonds(mol),
        "templates_allowed": outcome.templates_allowed,
        "stereo_kept": outcome.stereo_kept,
        "notes": list(outcome.notes),
    }


def failure(target: Target, kind: str, detail: str, stage: str) -> dict[str, Any]:
    """Result record of a target that a fault ended."""
    outcome = Outcome(id=target.id, status="failed", reason=kind, detail=detail)
    return describe(outcome, target, None) | {"stage": stage}
