from __future__ import annotations

import csv
import gzip
import shutil
import subprocess
import sys
import zipfile
from itertools import combinations
from pathlib import Path

import gemmi
import numpy as np
import pytest
from rdkit import Chem

from templ.chemistry.molecules import heavy, positions
from templ.errors import InputError, LibraryError, StorageError
from templ.sources import demo
from templ.sources.annotations import read_annotations
from templ.sources.complexes import read_complexes
from templ.sources.demo import (
    CDK2_FIRST_TARGET_DATE,
    DEMO_DATE_PROPERTY,
    DEMO_FIRST_TARGET_DATE,
    copy_demo,
    demo_files,
    verify_demo_data,
)
from templ.sources.ledger import Ledger
from templ.sources.sdf import read_records, read_sdf

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "scripts" / "build_demo_data.py"
REPAIRS = SCRIPT.with_name("mpro_repair.csv")
SHARED = ROOT / ".." / "shared" / "data"


def test_the_shipped_data_are_what_they_should_be():
    verify_demo_data()
    files = demo_files()
    ledger = Ledger()
    dates = [entry.date for entry in read_sdf(files.ligands, ledger, date_property=DEMO_DATE_PROPERTY)]
    assert ledger.total == 0
    assert len(dates) == 235
    assert sum(date is not None and date >= DEMO_FIRST_TARGET_DATE for date in dates) == 144
    assert dates.count(None) == 42
    assert gemmi.read_pdb(str(files.receptor)).input_format == gemmi.CoorFormat.Pdb
    assert sum(path.stat().st_size for path in (files.ligands, files.receptor)) < 300_000
    assert files.complexes.stat().st_size < 3_000_000


def flat_sp3_carbons(mol):
    """Carbons in one plane with three heavy neighbours: bonds of a higher order were lost."""
    xyz, flat = positions(mol), 0
    for atom in mol.GetAtoms():
        near = [other.GetIdx() for other in atom.GetNeighbors() if other.GetAtomicNum() > 1]
        if (atom.GetSymbol(), str(atom.GetHybridization()), len(near)) == ("C", "SP3", 3):
            ways = [xyz[index] - xyz[atom.GetIdx()] for index in near]
            ways = [way / np.linalg.norm(way) for way in ways]
            angles = [np.degrees(np.arccos(np.clip(a @ b, -1, 1))) for a, b in combinations(ways, 2)]
            flat += sum(angles) > 354
    return flat


def shipped_ligands(tmp_path):
    """Id and molecule of each ligand of both sets."""
    for record in read_records(demo_files().ligands):
        yield record.title, record.mol
    copy_demo("cdk2", tmp_path / "cdk2")
    for path in sorted((tmp_path / "cdk2").glob("*/*_ligand.sdf")):
        [record] = read_records(path)
        yield path.parent.name, record.mol


def test_no_shipped_ligand_has_lost_its_bond_orders(tmp_path):
    """Two strained rings are as flat as that in their crystals."""
    flat = {id: count for id, mol in shipped_ligands(tmp_path) if (count := flat_sp3_carbons(mol))}
    assert flat == {"Mpro-x11579": 1, "5jq8": 1}


@pytest.mark.skipif(not REPAIRS.is_file(), reason="scripts/ is not part of an installed package")
def test_the_shipped_ligands_are_those_of_the_component_dictionary():
    with REPAIRS.open(newline="", encoding="utf-8") as lines:
        repairs = {row["id"]: row for row in csv.DictReader(lines)}
    shipped = {record.title: record for record in read_records(demo_files().ligands)}
    dropped = {id for id, row in repairs.items() if row["verdict"].startswith("drop")}
    assert shipped.keys() == repairs.keys() - dropped
    for id, record in shipped.items():
        row = repairs[id]
        if row["verdict"] in ("as is", "bond orders of the CCD") and row["smiles"]:
            expected = Chem.MolToSmiles(Chem.MolFromSmiles(row["smiles"]), isomericSmiles=False)
            assert Chem.MolToSmiles(heavy(record.mol), isomericSmiles=False) == expected, id
        assert ("covalent" in record.properties) == (float(row["nearest_to_SG_A"]) < 2.3), id


def test_the_shipped_complexes_are_what_their_index_says(tmp_path):
    index, *folders = copy_demo("cdk2", tmp_path / "cdk2")
    with index.open(newline="", encoding="utf-8") as lines:
        rows = {row["id"]: row for row in csv.DictReader(lines)}
    assert rows.keys() == {folder.name for folder in folders}
    ledger = Ledger()
    entries = list(read_complexes(tmp_path / "cdk2", ledger, read_annotations(index)))
    assert (len(entries), ledger.total) == (232, 0)
    assert sum(entry.date >= CDK2_FIRST_TARGET_DATE for entry in entries) == 44
    for entry in entries:
        smiles = Chem.MolToSmiles(heavy(entry.mol), isomericSmiles=False)
        expected = Chem.MolFromSmiles(rows[entry.id]["smiles"])
        assert smiles == Chem.MolToSmiles(expected, isomericSmiles=False), entry.id


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no data in {SHARED}")
def test_the_shipped_complexes_are_the_shared_ones(tmp_path):
    script = SCRIPT.with_name("build_cdk2_data.py")
    done = subprocess.run(
        [sys.executable, str(script), str(SHARED / "wwpdb"), str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_altered_or_absent_file_is_found(tmp_path, monkeypatch):
    for path in demo_files().ligands.parent.iterdir():
        shutil.copy(path, tmp_path)
    monkeypatch.setattr(demo, "_data_folder", lambda: tmp_path)
    verify_demo_data()
    with (tmp_path / "mpro_receptor.pdb.gz").open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(LibraryError, match=r"mpro_receptor\.pdb\.gz is not the file that was shipped"):
        verify_demo_data()
    (tmp_path / "mpro_ligands.sdf.gz").unlink()
    with pytest.raises(LibraryError, match=r"mpro_ligands\.sdf\.gz cannot be read"):
        verify_demo_data()


def test_copies_are_never_written_over(tmp_path):
    copies = copy_demo("mpro", tmp_path / "new" / "demo")
    assert [copy.name for copy in copies] == ["mpro_ligands.sdf.gz", "mpro_receptor.pdb.gz"]
    assert copies[0].read_bytes() == demo_files().ligands.read_bytes()
    copies[0].unlink()
    with pytest.raises(InputError, match=r"mpro_receptor\.pdb\.gz exists and is not overwritten"):
        copy_demo("mpro", tmp_path / "new" / "demo")
    assert not copies[0].exists()


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "demo").touch()
    with pytest.raises(StorageError, match="demo cannot be written"):
        copy_demo("mpro", tmp_path / "demo")


@pytest.mark.skipif(not SCRIPT.is_file(), reason="scripts/ is not part of an installed package")
@pytest.mark.parametrize("altered", [False, True])
def test_the_script_rebuilds_and_compares(tmp_path, altered):
    """A stand-in for the wheel: the shipped records, a salt, a fragment far off, and the receptor."""
    folder = "fragmenstein/demo/mpro_mols"
    records = gzip.decompress(demo_files().ligands.read_bytes()).decode().split("$$$$\n")[:-1]
    blocks = {
        text.split("\n")[0]: text[text.index("\n") : text.index("M  END")] + "M  END\n" for text in records
    }
    first, *_ = blocks
    far = blocks[first].replace("    9.", "  999.")
    assert far != blocks[first]
    if altered:
        blocks[first] = blocks[first].replace("9.0870", "9.1870", 1)
    with zipfile.ZipFile(tmp_path / "fake.whl", "w") as wheel:
        for id, block in {**blocks, "far": far}.items():
            wheel.writestr(f"{folder}/{id}.mol", block)
        wheel.writestr(f"{folder}/template.pdb", gzip.decompress(demo_files().receptor.read_bytes()))
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path / "fake.whl"), str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == int(altered), done.stderr
    assert ("Mpro-6lze: other coordinates" in done.stdout) == altered
    assert ("the same 235 ligands and receptor" in done.stdout) != altered
