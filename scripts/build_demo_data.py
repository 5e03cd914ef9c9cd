"""Rebuild the demo data of the package from the wheel of fragmenstein 1.1.3, and compare.

    python -m pip download --no-deps -d WHEELS fragmenstein==1.1.3
    python scripts/build_demo_data.py WHEELS/fragmenstein-1.1.3-py3-none-any.whl OUT [--dates DATES.json]

Writes OUT/mpro_ligands.sdf.gz and OUT/mpro_receptor.pdb.gz and compares them with the shipped files: byte by
byte and, where another RDKit or zlib words them differently, molecule by molecule (ids, dates, SMILES,
coordinates). What the wheel has wrong is mended by scripts/mpro_repair.csv, in which each ligand was compared
with the component dictionary of the wwPDB: bond orders, sulphur of the protein's own cysteine, and five to
leave out. Ends with 0 only when they agree. It never writes into the package; copy the files by hand and
renew src/templ/data/SHA256SUMS with `sha256sum *.gz`.

The dates are not in the wheel. They are asapdiscovery's `date_dict.json`, to be given with --dates as a JSON
object {crystal id: YYYY-MM-DD}; without it they are taken from the shipped SDF, so that agreement then says
nothing about the dates.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
import sys
import zipfile
from pathlib import Path

import numpy as np
from rdkit import Chem
from rdkit.Chem import AllChem

from templ.chemistry.molecules import positions
from templ.sources.demo import DEMO_DATE_PROPERTY, demo_files
from templ.sources.ledger import Ledger
from templ.sources.sdf import read_records

FOLDER = "fragmenstein/demo/mpro_mols/"
RECEPTOR = FOLDER + "template.pdb"
MIN_HEAVY_ATOMS = 8
REPAIRS = Path(__file__).with_name("mpro_repair.csv")
BONDED = 2.3
"""Angstrom from the sulphur of CYS 145 within which a ligand is bonded to it, or about to be."""
COVALENT = "covalent"
"""Data item of such a ligand: residue, atom and distance."""
MAIN_SITE = 10.0
"""Angstrom from the median centroid; the ligands kept lie within 6.6, the nearest one left out at 15.7."""


def wheel_ligands(wheel: zipfile.ZipFile) -> dict[str, Chem.Mol]:
    """Return the ligands by crystal id: one fragment, not tiny, no dummy atom, in the main site."""
    names = sorted(name for name in wheel.namelist() if name.startswith(FOLDER) and name.endswith(".mol"))
    ligands = {}
    for name in names:
        mol = Chem.MolFromMolBlock(wheel.read(name).decode(), removeHs=False)
        if mol is None:
            raise SystemExit(f"{wheel.filename}: {name} cannot be read")
        dummy = any(atom.GetAtomicNum() == 0 for atom in mol.GetAtoms())
        if len(Chem.GetMolFrags(mol)) == 1 and mol.GetNumHeavyAtoms() >= MIN_HEAVY_ATOMS and not dummy:
            ligands[Path(name).stem] = mol
    centroids = np.array([positions(mol).mean(axis=0) for mol in ligands.values()])
    near = np.linalg.norm(centroids - np.median(centroids, axis=0), axis=1) <= MAIN_SITE
    return {id: mol for (id, mol), keep in zip(ligands.items(), near, strict=True) if keep}


def mended(ligands: dict[str, Chem.Mol]) -> dict[str, Chem.Mol]:
    """Return the ligands as they are in truth; those that bond to the cysteine are marked."""
    with REPAIRS.open(newline="", encoding="utf-8") as lines:
        repairs = {row["id"]: row for row in csv.DictReader(lines)}
    made = {}
    for id, mol in ligands.items():
        repair = repairs[id]
        if repair["verdict"].startswith("drop"):
            continue
        cut = repair["cysteine_sulphur"] == "cut"
        if cut or repair["verdict"] == "bond orders of the CCD":
            mol = _with_bond_orders(id, mol, repair["smiles"], cut=cut)
        distance = float(repair["nearest_to_SG_A"])
        if distance < BONDED:
            mol.SetProp(COVALENT, f"CYS 145 SG {distance:.2f} A")
        made[id] = mol
    return made


def _with_bond_orders(id: str, mol: Chem.Mol, smiles: str, *, cut: bool) -> Chem.Mol:
    """Give the heavy atoms the bonds of a SMILES; with `cut`, first leave out the sulphur that it lacks."""
    heavy = Chem.RemoveAllHs(mol, sanitize=False)
    template = Chem.MolFromSmiles(smiles)
    candidates = [heavy]
    if cut:
        for atom in heavy.GetAtoms():
            if atom.GetSymbol() == "S" and atom.GetDegree() == 1:
                rest = Chem.RWMol(heavy)
                rest.RemoveAtom(atom.GetIdx())
                candidates.append(rest.GetMol())
    for candidate in candidates:
        if candidate.GetNumAtoms() == template.GetNumAtoms():
            made = AllChem.AssignBondOrdersFromTemplate(template, candidate)
            Chem.AssignStereochemistryFrom3D(made)
            return made
    raise SystemExit(f"{id}: {heavy.GetNumAtoms()} heavy atoms do not fit {smiles}")


def shipped_ligands() -> dict[str, tuple[Chem.Mol, str]]:
    """Return molecule and date (empty when there is none) of every shipped ligand, by crystal id."""
    records = read_records(demo_files().ligands, Ledger())
    return {record.title: (record.mol, record.properties.get(DEMO_DATE_PROPERTY, "")) for record in records}


def as_sdf(ligands: dict[str, Chem.Mol], dates: dict[str, str]) -> bytes:
    """Write the ligands as one SDF, the crystal id as title, the date as data item."""
    text = io.StringIO()
    with Chem.SDWriter(text) as writer:
        for id, mol in ligands.items():
            mol.SetProp("_Name", id)
            if dates.get(id):
                mol.SetProp(DEMO_DATE_PROPERTY, dates[id])
            writer.write(mol)
    return text.getvalue().encode()


def write_gzip(path: Path, data: bytes) -> None:
    """Compress without a time stamp, so that the same data give the same file."""
    with path.open("wb") as raw, gzip.GzipFile(path.name[: -len(".gz")], "wb", 9, raw, mtime=0) as stream:
        stream.write(data)


def differences(
    ligands: dict[str, Chem.Mol], dates: dict[str, str], shipped: dict[str, tuple[Chem.Mol, str]]
) -> list[str]:
    """Name every ligand that is not the same in both."""
    found = [f"{id}: only in one of the two" for id in sorted(set(ligands) ^ set(shipped))]
    for id in sorted(set(ligands) & set(shipped)):
        mol, date = shipped[id]
        # Stereochemistry is in the coordinates, which are compared too.
        if Chem.MolToSmiles(mol, False) != Chem.MolToSmiles(ligands[id], False):
            found.append(f"{id}: another molecule")
        elif not np.allclose(positions(mol), positions(ligands[id]), atol=1e-4):
            found.append(f"{id}: other coordinates")
        elif date != dates.get(id, ""):
            found.append(f"{id}: dated {dates.get(id)}, shipped {date}")
    return found


def main() -> int:
    """Rebuild, compare, report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--dates", type=Path, help="JSON object {crystal id: YYYY-MM-DD}")
    options = parser.parse_args()

    shipped = shipped_ligands()
    if options.dates:
        dates = json.loads(options.dates.read_text(encoding="utf-8"))
    else:
        dates = {id: date for id, (_, date) in shipped.items()}
        print("dates: taken from the shipped SDF, not checked")
    with zipfile.ZipFile(options.wheel) as wheel:
        ligands = mended(wheel_ligands(wheel))
        receptor = wheel.read(RECEPTOR)

    demo = demo_files()
    options.out.mkdir(parents=True, exist_ok=True)
    for path, data in ((demo.ligands, as_sdf(ligands, dates)), (demo.receptor, receptor)):
        write_gzip(options.out / path.name, data)
        same = (options.out / path.name).read_bytes() == path.read_bytes()
        print(f"{path.name}: {'byte-identical' if same else 'other bytes'}")

    found = differences(ligands, dates, shipped)
    if gzip.decompress(demo.receptor.read_bytes()) != receptor:
        found.append("receptor: other text")
    print("\n".join(found) or f"the same {len(ligands)} ligands and receptor as shipped")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
