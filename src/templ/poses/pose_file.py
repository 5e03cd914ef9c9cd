"""How poses are written for others to read: SDF with properties, and rows of a table."""

from __future__ import annotations

import io
from collections.abc import Mapping

from rdkit import Chem

from templ.errors import InputError
from templ.records import Outcome, Pose, PoseBond
from templ.scoring.terms import TERMS
from templ.templates.superposition import SUPERPOSITION

BOND_PROPERTIES = (
    "bond_residue",
    "bond_residue_atom",
    "bond_position",
    "bond_atom",
    "bond_length",
    "bond_angles",
)
"""Names of what is said of the covalent bond of a pose, in order."""
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
    *BOND_PROPERTIES,
)
"""Names of what `pose_properties` says, in order: ``pocket`` only where there is a receptor, those of a
superposition where templates were superposed, and those of a bond where the pose has one to its receptor."""
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
        **({} if pose.bond is None else _bond_properties(pose.bond)),
    }


def _bond_properties(bond: PoseBond) -> dict[str, str]:
    """What a file of poses says of a covalent bond; atoms of the pose are counted from 1."""
    said = (
        bond.residue,
        bond.residue_atom,
        " ".join(f"{number:.3f}" for number in bond.position),
        str(bond.atom + 1),
        f"{bond.length:.3f}",
        f"{bond.at_residue:.1f} {bond.at_ligand:.1f}",
    )
    return dict(zip(BOND_PROPERTIES, said, strict=True))


def read_bond(mol: Chem.Mol) -> PoseBond | None:
    """Covalent bond of a pose that was read from a file; None without one."""
    return bond_of({name: mol.GetProp(name) for name in BOND_PROPERTIES if mol.HasProp(name)})


def bond_of(properties: Mapping[str, str]) -> PoseBond | None:
    """Covalent bond of a pose by the data items of its file; None without one.

    Raises
    ------
    InputError
        When they are not what a file of poses says of a bond.
    """
    if not all(name in properties for name in BOND_PROPERTIES):
        return None
    residue, reactive, position, atom, length, angles = (properties[name] for name in BOND_PROPERTIES)
    try:
        x, y, z = map(float, position.split())
        at_residue, at_ligand = map(float, angles.split())
        return PoseBond(residue, reactive, (x, y, z), int(atom) - 1, float(length), at_residue, at_ligand)
    except ValueError:
        raise InputError(
            f"{', '.join(BOND_PROPERTIES)}: expected a residue, an atom's name, three coordinates, a number, "
            f"a length and two angles, not {', '.join(properties[name] for name in BOND_PROPERTIES)}"
        ) from None
