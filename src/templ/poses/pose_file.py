"""How poses are written for others to read: SDF with properties, and rows of a table."""

from __future__ import annotations

import io
from collections.abc import Iterable

from rdkit import Chem

from templ.records import Pose
from templ.scoring.terms import TERMS
from templ.templates.superposition import SUPERPOSITION

PROPERTIES = (
    "rank",
    "posed_smiles",
    "score",
    "confidence",
    *(f"score_{term.name}" for term in TERMS),
    "template",
    "placement_method",
    "core_atoms",
    "core_smarts",
    "core_rmsd",
    *SUPERPOSITION,
)
"""Names of what `pose_properties` says, in order; the last few only where templates were superposed."""


def to_sdf(id: str, poses: Iterable[Pose]) -> str:
    """Poses as SDF text, best first, each with its properties."""
    text = io.StringIO()
    with Chem.SDWriter(text) as writer:
        for pose in poses:
            mol = Chem.Mol(pose.mol)
            mol.SetProp("_Name", id)
            for name, value in pose_properties(pose).items():
                mol.SetProp(name, value)
            writer.write(mol)
    return text.getvalue()


def pose_properties(pose: Pose) -> dict[str, str]:
    """What a file of poses says about each: rank, score and its terms, and where it was copied from."""
    return {
        "rank": str(pose.rank),
        "posed_smiles": pose.smiles,
        "score": f"{pose.score:.4f}",
        "confidence": f"{pose.confidence:.3f}",
        **{f"score_{name}": f"{value:.4f}" for name, value in pose.terms.items()},
        "template": pose.template_id,
        "placement_method": pose.method,
        "core_atoms": str(len(pose.core)),
        "core_smarts": pose.core_smarts,
        "core_rmsd": f"{pose.core_rmsd:.3f}",
        **{name: f"{value:.4g}" for name, value in pose.superposition.items()},
    }
