"""How poses are written for others to read: SDF with properties, and rows of a table."""

from __future__ import annotations

import io

from rdkit import Chem

from templ.records import Outcome, Pose
from templ.scoring.terms import TERMS
from templ.templates.superposition import SUPERPOSITION

POSE_PROPERTIES = (
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
    "pocket",
    *SUPERPOSITION,
)
"""Names of what `pose_properties` says, in order; the last few only where templates were superposed, and
``pocket`` only where there is a receptor."""
MOLECULE_PROPERTIES = ("query_atoms", "prior_confidence", "nearest_tanimoto", "nearest_identity", "receptor")
"""Names of what `molecule_properties` says; what is not known is left out."""


def to_sdf(outcome: Outcome, receptor: str = "") -> str:
    """Poses as SDF text, best first, each with its properties and those of the molecule.

    Parameters
    ----------
    receptor : str
        Name of what they are posed in; empty where there is none.
    """
    text = io.StringIO()
    with Chem.SDWriter(text) as writer:
        for pose in outcome.poses:
            mol = Chem.Mol(pose.mol)
            mol.SetProp("_Name", outcome.id)
            for name, value in {**pose_properties(pose), **molecule_properties(outcome, receptor)}.items():
                mol.SetProp(name, value)
            writer.write(mol)
    return text.getvalue()


def molecule_properties(outcome: Outcome, receptor: str = "") -> dict[str, str]:
    """What a file of poses says about their molecule, so that they can be judged without the table."""
    prior, identity = outcome.prior_confidence, outcome.best_identity
    return {
        "query_atoms": str(outcome.poses[0].mol.GetNumHeavyAtoms()),
        **({} if prior is None else {"prior_confidence": f"{prior:.3f}"}),
        "nearest_tanimoto": f"{outcome.best_tanimoto:.3f}",
        **({} if identity is None else {"nearest_identity": f"{identity:.3f}"}),
        **({"receptor": receptor} if receptor else {}),
    }


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
        **({"pocket": " ".join(pose.pocket)} if pose.pocket else {}),
        **{name: f"{value:.4g}" for name, value in pose.superposition.items()},
    }
