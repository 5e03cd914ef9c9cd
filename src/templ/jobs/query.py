"""What a worker does for one query: read it, predict it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from templ.chemistry.receptor_file import read_receptor
from templ.errors import InputError
from templ.jobs.recording import MoleculeResult
from templ.library.store import open_same_library
from templ.pipeline import PARTS, predict
from templ.poses.pose_file import to_sdf
from templ.records import Target
from templ.runs.identity import refuse_other_software
from templ.runs.record import Record
from templ.settings import PredictionSettings
from templ.sources.queries import QueryReference
from templ.sources.sdf import MoleculeReference
from templ.templates.rule import TemplateRule

if TYPE_CHECKING:
    from rdkit.Chem import Mol

FUNCTION = "templ.jobs.query:open_work"
"""How the engine finds this work."""
PRELOAD = ("templ.jobs.query", *PARTS)
"""What a worker needs; loaded once, before workers are forked."""
ONLY_QUERY = ""
"""Stands for the id of the query where there is only one."""
UNREADABLE = "unreadable"
"""Reason of a record whose molecule could not be read."""


def open_work(context: Mapping[str, Any]) -> Callable[[str], MoleculeResult]:
    """Open the library in this process and return the function that does one query.

    Parameters
    ----------
    context : Mapping
        ``software`` (`templ.runs.identity.software_here`), ``library`` and its ``digest``, ``receptors``
        (paths), ``group``, ``rule`` and ``settings`` (as JSON), ``site`` (numbers or None), ``embeddings``
        (of the receptors, or none), ``protein`` (sequences), ``extra_poses``: None, or their ``file`` and by
        id where their ``records`` are, offset and checksum.

    Raises
    ------
    LibraryError
        When the library is not the one that the run was started with.
    """
    refuse_other_software(context["software"])
    library = open_same_library(context["library"], context["digest"])
    settings = PredictionSettings.model_validate(context["settings"])
    paths = [Path(path) for path in context["receptors"]]
    receptors = {path.name: read_receptor(path, ligand=context["ligand"]) for path in paths}
    for path, embedding in zip(paths, context["embeddings"], strict=False):
        receptors[path.name] = replace(receptors[path.name], embedding=np.array(embedding, np.float32))
    group, rule = context["group"], TemplateRule.from_json(context["rule"])
    site = None if context["site"] is None else np.array(context["site"])

    extra = context["extra_poses"] or {"file": "", "records": {}}

    def poses_of(id: str) -> list[Mol]:
        """Poses of a query that another program made."""
        records = extra["records"].get(id) or extra["records"].get(ONLY_QUERY, [])
        file = Path(extra["file"])
        return [MoleculeReference(file, offset, id, checksum).load().mol for offset, checksum in records]

    def work(task: str) -> MoleculeResult:
        reference = QueryReference.from_json(task)
        try:
            smiles = reference.load()
        except InputError as error:
            return MoleculeResult(unread(reference, UNREADABLE, str(error)))
        # A query is no library entry, whatever it is called: no template is its own.
        target = Target(f"query {reference.id}", smiles, group)
        outcome = predict(
            target,
            library,
            settings,
            rule=rule,
            receptor=receptors or None,
            protein=context["protein"],
            site=site,
            extra_poses=poses_of(reference.id),
        )
        outcome, target = replace(outcome, id=reference.id), replace(target, id=reference.id)
        posed_in = outcome.receptor or (paths[0].name if len(paths) == 1 else "")
        record = Record.of(outcome, target, reference.index, receptor=posed_in)
        return MoleculeResult(record, to_sdf(outcome, posed_in))

    return work


def unread(reference: QueryReference, reason: str, detail: str, stage: str = "") -> Record:
    """Record of a query that could not be predicted."""
    return Record(reference.index, reference.id, "failed", reason, detail, stage, smiles=reference.smiles)
