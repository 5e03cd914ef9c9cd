"""Make a folder of complexes of PDB files: python ligands_from_pdb.py STRUCTURES LIGANDS.csv OUT.

LIGANDS.csv has the columns id (STRUCTURES has <id>.pdb), residue (name of the ligand there) and smiles.
"""

from __future__ import annotations

import csv
import shutil
import sys
from pathlib import Path

import gemmi
from rdkit import Chem
from rdkit.Chem.AllChem import AssignBondOrdersFromTemplate


def first_copy(path: Path, name: str) -> str:
    """Cut the first residue of this name out of a structure, as PDB."""
    structure = gemmi.read_structure(str(path))
    structure.remove_alternative_conformations()
    alone = gemmi.Chain("A")
    alone.add_residue(next(residue for chain in structure[0] for residue in chain if residue.name == name))
    model = gemmi.Model(1)
    model.add_chain(alone)
    cut = gemmi.Structure()
    cut.add_model(model)
    return cut.make_minimal_pdb()


structures, table, out = map(Path, sys.argv[1:])
with table.open(newline="") as file:
    for row in csv.DictReader(file):
        path = structures / f"{row['id']}.pdb"
        # A PDB file does not tell the bond orders of a ligand; the SMILES does.
        atoms = Chem.MolFromPDBBlock(first_copy(path, row["residue"]))
        ligand = AssignBondOrdersFromTemplate(Chem.MolFromSmiles(row["smiles"]), atoms)
        Chem.AssignStereochemistryFrom3D(ligand)
        folder = out / row["id"]
        folder.mkdir(parents=True, exist_ok=True)
        Chem.MolToMolFile(ligand, str(folder / f"{row['id']}_ligand.sdf"))
        shutil.copy(path, folder / f"{row['id']}_protein.pdb")
