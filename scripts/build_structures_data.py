"""Rebuild the raw structures that ship with the package from the folder of the wwPDB's files, and compare.

    python scripts/build_structures_data.py ../shared/data/wwpdb OUT

Writes OUT/structures.tar.xz: 20 CDK2 complexes as the PDB gives them, the ligand among the residues under its
names of the component dictionary (needs biotite): ten PDB files, and ten mmCIF files that list the bonds of
their ligand, as those of PDBe do. The protein is cut as in build_cdk2_data.py. It never writes into the
package; copy the file by hand and renew src/templ/data/SHA256SUMS with `sha256sum *.gz *.xz`.
"""

from __future__ import annotations

import csv
import datetime
import sys
import tempfile
from pathlib import Path

import gemmi
from build_cdk2_data import BOND_ORDERS, archive_of, cut_protein, rebuild
from rdkit import Chem

from templ.chemistry.components import Component, Dictionary, write_dictionary
from templ.chemistry.molecules import heavy, positions
from templ.sources.demo import demo_files
from templ.sources.ledger import Ledger
from templ.sources.sdf import read_records

COUNT = 20
RESIDUE_NUMBER = 999
RESIDUE = gemmi.SeqId(RESIDUE_NUMBER, " ")
ORDER_WORDS = {1: "sing", 2: "doub", 3: "trip"}


def atom_names(mol: Chem.Mol, component: Component) -> list[str]:
    """Name the atoms of a molecule as its component does."""
    pattern = Chem.RWMol()
    for atom in component.atoms:
        pattern.AddAtom(Chem.Atom(gemmi.Element("".join(filter(str.isalpha, atom.name))[:1]).name))
    for first, second, _ in component.bonds:
        pattern.AddBond(first, second, Chem.BondType.SINGLE)
    for index, atom in enumerate(component.atoms):  # a chlorine begins with C too
        letters = "".join(filter(str.isalpha, atom.name)).upper()
        if letters in ("CL", "BR"):
            pattern.GetAtomWithIdx(index).SetAtomicNum(gemmi.Element(letters).atomic_number)
    plain = Chem.RWMol(mol)
    for atom in plain.GetAtoms():
        atom.SetFormalCharge(0)
        atom.SetIsAromatic(False)
        atom.SetNoImplicit(True)
        atom.SetNumExplicitHs(0)
    for bond in plain.GetBonds():
        bond.SetIsAromatic(False)
        bond.SetBondType(Chem.BondType.SINGLE)
    for each in (pattern, plain):
        each.UpdatePropertyCache(strict=False)
    match = pattern.GetSubstructMatch(plain)
    if len(match) != len(component.atoms):
        raise SystemExit(f"the ligand is not the component {component.name}")
    return [component.atoms[index].name for index in match]


def hetero_lines(mol: Chem.Mol, names: list[str], residue: str) -> list[str]:
    """Write the atoms of a ligand as PDB lines."""
    lines = []
    for number, (atom, name, xyz) in enumerate(zip(mol.GetAtoms(), names, positions(mol), strict=True), 1):
        symbol = atom.GetSymbol().upper()
        columns = (f" {name}" if len(symbol) == 1 and len(name) < 4 else name).ljust(4)
        xyz_columns = "".join(f"{value:8.3f}" for value in xyz)
        lines.append(
            f"HETATM{number:>5} {columns} {residue:>3} A{RESIDUE_NUMBER:>4}    {xyz_columns}  1.00 20.00"
            f"          {symbol:>2}"
        )
    return lines


def as_mmcif(pdb: str, id: str, date: str, component: Component) -> str:
    """Turn a PDB file into mmCIF that has its date and the bonds of its ligand."""
    structure = gemmi.read_pdb_string(pdb)
    structure.name = id
    structure.setup_entities()
    block = structure.make_mmcif_block(gemmi.MmcifOutputGroups(False, atoms=True, group_pdb=True))
    block.set_pair("_pdbx_database_status.recvd_initial_deposition_date", date)
    loop = block.init_loop("_chem_comp_atom.", ["comp_id", "atom_id", "type_symbol", "charge"])
    elements = {atom.name: atom.element.name for atom in structure[0].sole_residue("A", RESIDUE)}
    for atom in component.atoms:
        name = gemmi.cif.quote(atom.name)
        loop.add_row([component.name, name, elements[atom.name], str(atom.charge)])
    loop = block.init_loop("_chem_comp_bond.", ["comp_id", "atom_id_1", "atom_id_2", "value_order"])
    for first, second, order in component.bonds:
        ends = (gemmi.cif.quote(component.atoms[end].name) for end in (first, second))
        loop.add_row([component.name, *ends, ORDER_WORDS[order]])
    return block.as_string()


def build(folder: Path) -> bytes:
    """Make the archive, the same bytes whenever it is done."""
    with (folder / "cdk2.csv").open(newline="", encoding="utf-8") as lines:
        rows = sorted(csv.DictReader(lines), key=lambda row: (row["date"], row["id"]))
    rows = [row for row in rows if row["id"] not in BOND_ORDERS]  # there the component is not the molecule
    with tempfile.TemporaryDirectory() as folder_name:
        write_dictionary(Path(folder_name))
        dictionary = Dictionary(Path(folder_name))
        files = {}
        for number, row in enumerate(rows[5 :: len(rows) // COUNT][:COUNT]):
            id, component = row["id"], dictionary.get(row["ccd"])
            if component is None:
                raise SystemExit(f"{id}: no component {row['ccd']}")
            [record] = read_records(folder / "cdk2" / id / f"{id}_ligand.sdf", Ledger())
            mol = heavy(record.mol)
            protein = cut_protein(folder / "cdk2" / id / f"{id}_protein.pdb.gz", positions(mol)).decode()
            day = datetime.date.fromisoformat(row["date"]).strftime("%d-%b-%y").upper()
            pdb = "\n".join(
                (
                    f"HEADER    TRANSFERASE{day:>38}   {row['pdb'].upper()}",
                    protein.removesuffix("END\n") + "TER",
                    *hetero_lines(mol, atom_names(mol, component), component.name),
                    "END\n",
                )
            )
            if number % 2:
                files[f"{id}.cif"] = as_mmcif(pdb, id, row["date"], component).encode()
            else:
                files[f"{id}.pdb"] = pdb.encode()
    return archive_of(files)


if __name__ == "__main__":
    sys.exit(rebuild((__doc__ or "").partition("\n")[0], build, demo_files().structures))
