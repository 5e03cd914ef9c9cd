"""Rebuild the CDK2 complexes that ship with the package from the folder of the wwPDB's files, and compare.

    python scripts/build_cdk2_data.py ../shared/data/wwpdb OUT

Writes OUT/cdk2.tar.xz: of every complex the ligand (bond orders of the component dictionary), and of the
protein the residues within 14 A of it and all C-alpha atoms, heavy atoms only; and cdk2.csv with ids, dates
of deposition and SMILES. Compares it with the shipped file and ends with 0 only when they agree. It never
writes into the package; copy the file by hand and renew src/templ/data/SHA256SUMS with `sha256sum *.gz *.xz`.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import lzma
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rdkit import Chem
from rdkit.Chem import AllChem

from templ.chemistry.molecules import heavy, positions
from templ.sources.demo import CDK2_INDEX, demo_files
from templ.sources.ledger import Ledger
from templ.sources.sdf import read_records

REACH = 14.0
"""Angstrom; a library of complexes keeps 10."""
BOND_ORDERS = {"1dm2": "NC1=NC(=O)C(=C2CCNC(=O)c3[nH]c(Br)cc32)N1"}
"""Hymenialdisine: the component dictionary has another tautomer, in which four flat atoms would be sp3."""
COLUMNS = ("id", "date", "group", "ccd", "smiles")


def cut_protein(path: Path, ligand: np.ndarray) -> bytes:
    """Return the lines of a PDB file that are kept: whole residues near the ligand, and C-alpha atoms."""
    lines = [
        line
        for line in gzip.decompress(path.read_bytes()).decode().splitlines()
        if line.startswith(("ATOM", "HETATM"))
        and line[76:78].strip() not in ("H", "D")
        and line[17:20] != "HOH"
    ]
    xyz = np.array([[float(line[start : start + 8]) for start in (30, 38, 46)] for line in lines])
    near = np.linalg.norm(xyz[:, None] - ligand[None], axis=-1).min(axis=1) <= REACH
    residues = {line[17:27] for line, is_near in zip(lines, near, strict=True) if is_near}
    kept = [line for line in lines if line[17:27] in residues or line[12:16] == " CA "]
    # Serial numbers and decimals of B factors would take half of the package.
    return (
        "".join(
            f"{line[:6]}    0{line[11:60]}{round(float(line[60:66])):>3}.00{line[66:78]}\n" for line in kept
        ).encode()
        + b"END\n"
    )


def build(folder: Path) -> bytes:
    """Make the archive, the same bytes whenever it is done."""
    with (folder / "cdk2.csv").open(newline="", encoding="utf-8") as lines:
        rows = sorted(csv.DictReader(lines), key=lambda row: (row["date"], row["id"]))
    for row in rows:
        row["smiles"] = BOND_ORDERS.get(row["id"], row["smiles"])
    index = io.StringIO()
    writer = csv.DictWriter(index, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    files = {CDK2_INDEX: index.getvalue().encode()}
    for row in rows:
        id = row["id"]
        path = folder / "cdk2" / id / f"{id}_ligand.sdf"
        [record] = read_records(path, Ledger())
        ligand = path.read_bytes()
        if id in BOND_ORDERS:
            template = Chem.MolFromSmiles(BOND_ORDERS[id])
            mol = AllChem.AssignBondOrdersFromTemplate(template, Chem.RemoveAllHs(record.mol))
            mol.SetProp("_Name", record.title)
            ligand = (Chem.MolToMolBlock(mol) + "$$$$\n").encode()
        files[f"{id}/{id}_ligand.sdf"] = ligand
        protein = path.with_name(f"{id}_protein.pdb.gz")
        files[f"{id}/{id}_protein.pdb"] = cut_protein(protein, positions(heavy(record.mol)))
    return archive_of(files)


def archive_of(files: dict[str, bytes]) -> bytes:
    """Pack files, the same bytes whenever it is done."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return lzma.compress(archive.getvalue(), preset=9 | lzma.PRESET_EXTREME)


def rebuild(what: str, build: Callable[[Path], bytes], shipped: Path) -> int:
    """Rebuild an archive by the words of the command line, compare, report: the ``main`` of such a script."""
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    data = build(options.folder)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / shipped.name).write_bytes(data)
    same = shipped.exists() and lzma.decompress(data) == lzma.decompress(shipped.read_bytes())
    print(f"{shipped.name}: {len(data):,} bytes, {'the same as' if same else 'not'} what ships")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(rebuild((__doc__ or "").partition("\n")[0], build, demo_files().complexes))
