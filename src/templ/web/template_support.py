"""How far the templates support each atom of a pose: the atom-environment density, atom by atom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rdkit.Chem import Mol

from templ.benchmark.definition import SPLITS
from templ.chemistry.conformers import PreparedQuery
from templ.chemistry.molecules import ligand_key, positions
from templ.errors import Refusal
from templ.evaluation.run import Run
from templ.jobs.target import target_of
from templ.library.store import Library
from templ.records import Target
from templ.runs.record import Record
from templ.runs.run_folder import INPUTS_FOLDER
from templ.scoring.pocket import Pocket
from templ.settings import PredictionSettings
from templ.templates.frame import Frame
from templ.templates.rule import TemplateRule
from templ.templates.screening import AllowedTemplates, Template, find_templates
from templ.templates.split_labels import Splits


@dataclass(frozen=True, slots=True)
class TemplateSupport:
    """What the templates of a query say of its poses.

    Attributes
    ----------
    of_atoms : tuple of tuple of float
        For each pose the density at each heavy atom, 0 to 1; empty where it is not known.
    templates : tuple of Template
        Those that it is of, largest core first, in the frame of the poses.
    """

    of_atoms: tuple[tuple[float, ...], ...] = ()
    templates: tuple[Template, ...] = field(default=(), repr=False)


def support_of(
    run: Run, record: Record, poses: Sequence[Mol], library: Library, frame: Frame, targets: Library | None
) -> TemplateSupport:
    """Find the templates of a record again, by the rule of its run, and what they say of its poses' atoms.

    Parameters
    ----------
    poses : sequence of rdkit.Chem.Mol
        Of the record, heavy atoms.
    frame : Frame
        That they lie in.
    targets : Library or None
        That has the record's crystal.
    """
    if not poses:
        return TemplateSupport()
    identity = run.manifest.identity
    settings, rule = (
        PredictionSettings.model_validate(identity.settings),
        TemplateRule.from_json(identity.rule),
    )
    labels = run.path / INPUTS_FOLDER / SPLITS
    splits = Splits(labels) if rule.splits and labels.exists() else None
    if targets is not None and record.id in targets:
        row = targets.row_of(record.id)
        target = target_of(targets.entry(row), "" if splits is None else splits.of(row))
    else:  # as `templ.jobs.query` names a query, which is no entry of the library
        target = Target(f"query {record.id}", record.smiles, _group(rule), ligand_key=ligand_key(poses[0]))
    of_smiles: dict[str, tuple[Pocket, list[Template]]] = {}
    found = []
    try:
        allowed = AllowedTemplates(target, library, rule, splits)
        for pose, told in zip(poses, record.poses, strict=True):
            if told.smiles not in of_smiles:  # isomers and states are molecules of their own
                query = PreparedQuery(pose, settings.conformers, settings.seed)
                templates = find_templates(query, library, allowed, settings, frame)
                of_smiles[told.smiles] = Pocket.of(pose, templates, settings.consensus, frame), templates
            pocket, _ = of_smiles[told.smiles]
            found.append(tuple(pocket.atom_density.of_each_atom(positions(pose)).round(3).tolist()))
    except Refusal:
        return TemplateSupport()
    _, templates = of_smiles[record.poses[0].smiles]
    return TemplateSupport(tuple(found), tuple(templates))


def _group(rule: TemplateRule) -> str:
    """The only group whose templates a prediction may use; empty where all may."""
    return next(iter(rule.groups), "")
