"""Everything that the page of a pose shows of one molecule of a run, as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import Mol

from templ.chemistry.molecules import heavy, positions
from templ.chemistry.reactive_residue import turned_side_chain
from templ.chemistry.receptor import AT_POSE, Receptor
from templ.evaluation.run import Run, load_run
from templ.pictures.drawings import draw, draw_pair, draw_smiles
from templ.poses.pose_file import read_bond
from templ.records import confidence_in_words
from templ.report.structures import Structures, pocket_pdb
from templ.runs.record import PoseRecord, Record
from templ.templates.frame import Frame
from templ.web.inline_svg import without_styles
from templ.web.interactions import find_interactions, residue_of
from templ.web.pose_reasons import reasons_for
from templ.web.template_support import TemplateSupport, support_of

NEIGHBOURS = 6
"""Templates that are listed beside the one that was copied."""


def pose_view(path: str | Path, record: Record, libraries: Sequence[Path] = ()) -> dict[str, Any]:
    """Put together what there is to see of one molecule.

    Parameters
    ----------
    path : str or Path
        Of the run.
    libraries : sequence of Path
        Where its libraries may be.

    Returns
    -------
    dict
        ``ranks``: of each pose its numbers, reasons, interactions and support; ``models``: name, kind, format
        and text of what is drawn; ``labels``: names of the pocket's residues and where they are.
    """
    run = load_run(path)
    shown = Structures(run, libraries)
    poses = run.poses(record)
    bare = [heavy(pose) for pose in poses]
    receptor = shown.receptor(record)
    truth = shown.truth(record, receptor)
    first = bare[0] if bare else truth
    view: dict[str, Any] = {
        "id": record.id,
        "smiles": record.smiles,
        "status": record.status,
        "reason": record.reason,
        "detail": record.detail,
        "notes": [*record.notes, *shown.notes],
        "receptor": record.receptor,
        "ranks": [],
        "models": [],
        "labels": [],
        "templates": [],
        "drawings": {},
    }
    if first is None:
        return view | {"drawings": {"query": without_styles(draw_smiles(record.smiles))}}
    centre = positions(truth if truth is not None else first)
    support = _support(run, record, bare, receptor, shown)
    copied: dict[str, Mol | None] = {}
    for rank, (pose, told) in enumerate(zip(poses, record.poses, strict=True), 1):
        if told.template not in copied:
            copied[told.template] = shown.template(told, receptor, centre)
        pairs = [] if receptor is None else find_interactions(pose, receptor)
        similarity = _similarity(told, support)
        reasons = reasons_for(
            record, rank, bare, pairs, support, similarity, has_receptor=receptor is not None
        )
        view["ranks"].append(
            {
                "rank": rank,
                "confidence": told.confidence,
                "words": confidence_in_words(told.confidence),
                "score": told.score,
                "rmsd": told.rmsd,
                "template": told.template,
                "similarity": similarity,
                "method": told.placement_method,
                "core": len(told.core),
                "core_rmsd": told.core_rmsd,
                "reasons": reasons,
                "interactions": [asdict(pair) for pair in pairs],
                "support": support.of_atoms[rank - 1] if support.of_atoms else [],
                "drawings": _drawings(bare[rank - 1], copied[told.template], told),
            }
        )
        view["models"].append(_model(f"rank {rank}", "rank", bare[rank - 1]))
    for name, mol in copied.items():
        if mol is not None:
            view["models"].append(_model(f"template {name}", "template", mol) | {"template": name})
    if truth is not None:
        view["models"].append(_model("crystal", "crystal", truth))
    if receptor is not None:
        if poses and (bond := read_bond(poses[0])) is not None:
            receptor = turned_side_chain(receptor, bond.residue, bond.position)
        near = np.concatenate([positions(mol) for mol in (*bare, *([truth] if truth is not None else []))])
        view["models"].append(
            {"name": "pocket", "kind": "pocket", "format": "pdb", "text": pocket_pdb(receptor, near)}
        )
        view["labels"] = residue_labels(receptor, positions(first))
    if not poses:
        view["drawings"] = {"query": without_styles(draw(first))}
    view["templates"] = [
        {"id": template.id, "tanimoto": round(template.tanimoto, 3), "core": template.core_size}
        for template in sorted(support.templates, key=lambda template: -template.tanimoto)[:NEIGHBOURS]
    ]
    return view


def residue_labels(receptor: Receptor, xyz: NDArray[np.float64]) -> list[dict[str, Any]]:
    """Name each residue that is at a pose, shape (atoms, 3), and say where: its atom farthest from the pose.

    There, and not at the side that the pose touches, the name hides neither the pose nor its contacts.
    """
    atoms = receptor.atoms
    gaps = np.linalg.norm(atoms.xyz[:, None].astype(np.float64) - xyz[None], axis=-1).min(axis=1)
    labels = []
    near = (gaps <= AT_POSE) & (atoms.residues >= 0)
    for residue in np.unique(atoms.residues[near]).tolist():
        own = np.flatnonzero((atoms.residues == residue) & (gaps <= AT_POSE + 2))
        farthest = int(own[np.argmax(gaps[own])])
        labels.append(
            {
                "name": residue_of(receptor, atoms, farthest),
                "at": [round(float(value), 2) for value in atoms.xyz[farthest]],
                "distance": round(float(gaps[own].min()), 1),
            }
        )
    return labels


def _support(
    run: Run, record: Record, poses: Sequence[Mol], receptor: Receptor | None, shown: Structures
) -> TemplateSupport:
    library = shown.library
    if library is None or not poses or (receptor is None and library.has_receptors):
        return TemplateSupport()
    frame = Frame.of(library, receptor, positions(poses[0]).mean(axis=0), record.id)
    return support_of(run, record, poses, library, frame, shown.targets)


def _similarity(pose: PoseRecord, support: TemplateSupport) -> float | None:
    """Tanimoto similarity of a pose's template to the query."""
    found = [template.tanimoto for template in support.templates if template.id == pose.template]
    return round(float(found[0]), 3) if found else None


def _drawings(pose: Mol, template: Mol | None, told: PoseRecord) -> dict[str, str]:
    if template is None:
        return {"query": without_styles(draw(pose, spots=True))}
    query, other = draw_pair(pose, template, told.core, spots=True)
    return {"query": without_styles(query), "template": without_styles(other)}


def _model(name: str, kind: str, mol: Mol) -> dict[str, str]:
    return {"name": name, "kind": kind, "format": "sdf", "text": Chem.MolToMolBlock(mol)}
