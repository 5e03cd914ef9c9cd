"""How well a pose keeps the contacts of the crystal: LDDT-PLI and BiSyRMSD, by peppr (extra: lddt).

X. Robin et al., "Assessment of protein-ligand complexes in CASP15", Proteins 91 (2023) 1811-1821.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import gemmi
import numpy as np

from templ.chemistry.molecules import heavy

if TYPE_CHECKING:
    from rdkit.Chem import Mol

    from templ.chemistry.receptor import Receptor

PACKAGE = "peppr"
LIGAND = "LIG"
"""Name of the ligand's residue and chain."""


def has_peppr() -> bool:
    """Whether the package that computes them is installed."""
    return find_spec(PACKAGE) is not None


def interface_scores(
    pose: Mol, receptor: Receptor, truth: Mol, truth_receptor: Receptor
) -> tuple[float | None, float | None]:
    """LDDT-PLI, 0 to 1, and BiSyRMSD, Angstrom, of a pose; None where one is not defined.

    Parameters
    ----------
    pose, truth : rdkit.Chem.Mol
        The same molecule, each with one conformer in the frame of its receptor.
    receptor, truth_receptor : Receptor
        What the pose lies in, and the crystal's; they may be one.
    """
    import peppr

    reference, model = _complex(truth_receptor, truth), _complex(receptor, pose)
    try:
        reference, model = peppr.find_optimal_match(reference, model, use_structure_match=True)
    except peppr.UnmappableEntityError:  # two proteins
        return None, None
    scores = (peppr.LDDTPLIScore(), peppr.BiSyRMSD(2.0))
    lddt, rmsd = (float(score.evaluate(reference, model)) for score in scores)
    return (None if np.isnan(lddt) else lddt), (None if np.isnan(rmsd) else rmsd)


def _complex(receptor: Receptor, ligand: Mol) -> Any:  # noqa: ANN401  biotite has no types
    """Receptor and ligand as an atom array of biotite, with bonds."""
    from biotite import structure
    from biotite.interface import rdkit as interface

    atoms = receptor.atoms.only(receptor.atoms.residues >= 0)
    chains = np.array(receptor.residues.chain_of_each())
    array = structure.AtomArray(len(atoms))
    array.coord = atoms.xyz
    array.chain_id = np.array([chain or "A" for chain in chains])[atoms.residues]
    array.res_id = receptor.residues.numbers[atoms.residues]
    array.ins_code = np.array([code.strip() for code in receptor.residues.insertions])[atoms.residues]
    # By the sequence: force fields have names of their own, such as HIE, which no dictionary has.
    expand, letters = gemmi.expand_one_letter, receptor.residues.sequence
    names = [expand(letter, gemmi.ResidueKind.AA) or "UNK" for letter in letters]
    array.res_name, array.atom_name = np.array(names)[atoms.residues], atoms.names
    array.element = np.array([gemmi.Element(int(number)).name.upper() for number in atoms.elements])
    array.bonds = structure.connect_via_residue_names(array)
    bound = interface.from_mol(heavy(ligand), conformer_id=0, add_hydrogen=False)
    bound.chain_id[:], bound.res_name[:], bound.res_id[:] = LIGAND, LIGAND, 1
    bound.hetero[:] = True
    return array + bound
