"""What every user of a library may rely on, shown on real ligands and real processes."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from operator import methodcaller
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem

from templ.chemistry.molecules import heavy, positions
from templ.library.build import build_library
from templ.library.store import open_library
from templ.sources.ledger import Ledger
from templ.sources.sdf import read_records, read_sdf

MPRO = Path(__file__).parents[2] / "src" / "templ" / "data" / "mpro_ligands.sdf.gz"


@pytest.fixture(scope="module")
def mpro(tmp_path_factory):
    out = tmp_path_factory.mktemp("mpro") / "mpro.templ"
    ledger = Ledger()
    build_library(out, read_sdf(MPRO, ledger), ledger=ledger, sources=[MPRO.name])
    assert ledger.total == 0
    return out


def atoms_and_bonds(mol):
    """Describe a molecule by where its atoms are, whatever their order."""
    points = [tuple(point) for point in positions(mol).astype(np.float32).tolist()]
    assert len(set(points)) == len(points)
    atoms = {
        points[atom.GetIdx()]: (atom.GetSymbol(), atom.GetFormalCharge(), atom.GetTotalNumHs())
        for atom in mol.GetAtoms()
    }
    bonds = {
        frozenset((points[bond.GetBeginAtomIdx()], points[bond.GetEndAtomIdx()])): bond.GetBondType()
        for bond in mol.GetBonds()
    }
    return atoms, bonds


def test_real_ligands_come_back_atom_for_atom(mpro):
    with open_library(mpro) as library:
        ids = []
        for entry in read_sdf(MPRO, Ledger()):
            stored, original = library[entry.id], heavy(entry.mol)
            assert atoms_and_bonds(stored) == atoms_and_bonds(original), entry.id
            assert Chem.MolToSmiles(stored) == Chem.MolToSmiles(original), entry.id
            ids.append(entry.id)
        assert ids == list(library)
        assert len(ids) == 235


def test_references_give_the_records_of_the_file(mpro):
    with open_library(mpro) as library:
        for record in list(read_records(MPRO))[::20]:
            loaded = library.reference(record.title).load()
            assert loaded.properties == record.properties
            assert Chem.MolToMolBlock(loaded.mol) == Chem.MolToMolBlock(record.mol)


def test_stereochemistry_agrees_with_the_coordinates(mpro):
    with open_library(mpro) as library:
        centres = 0
        for id in library:
            mol = library[id]
            written = Chem.MolToSmiles(mol)
            Chem.AssignStereochemistryFrom3D(mol)
            assert Chem.MolToSmiles(mol) == written, id
            centres += written.count("@") > 0
        assert centres > 20


def test_building_twice_gives_the_same_bytes(mpro, tmp_path):
    again = tmp_path / "again.templ"
    build_library(again, read_sdf(MPRO, Ledger()), ledger=Ledger(), sources=[MPRO.name])
    for name in ("ligands.arrow", "fingerprints.npy", "ids.npy"):
        assert (again / name).read_bytes() == (mpro / name).read_bytes()


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_library_can_be_sent_to_a_new_process(mpro, method):
    with open_library(mpro) as library:
        # Only what a new process can import may be called there, and a test module is not that.
        calls = [
            list,
            methodcaller("entry", 3),
            methodcaller("nearest", library.ligand(3)),
            methodcaller("verify"),
        ]
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool:
            assert pool.submit(os.getpid).result(timeout=60) != os.getpid()
            for call in calls:
                assert pool.submit(call, library).result(timeout=60) == call(library)


FORK = """
import os, sys
from templ.library.store import open_library
library = open_library(sys.argv[1])
query = library.ligand(3)
before = library.nearest(query), library.groups_equal([""]).sum()
children = []
for number in range(3):
    child = os.fork()
    if child == 0:
        after = library.nearest(query), library.groups_equal([""]).sum()
        read = [library[id].GetNumAtoms() for id in library]
        os._exit(0 if after == before and len(read) == len(library) else 1)
    children.append(child)
library.close()
sys.exit(sum(os.waitpid(child, 0)[1] for child in children))
"""


def test_library_is_good_on_both_sides_of_a_fork(mpro):
    subprocess.run([sys.executable, "-c", FORK, str(mpro)], check=True, timeout=60)


BUILDER = """
import sys
import numpy
from pathlib import Path
from rdkit import Chem
from templ.library.build import build_library
from templ.records import Entry
from templ.sources.ledger import Ledger

def private_kb():
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))

mol = Chem.MolFromSmiles("CCO")
conformer = Chem.Conformer(3)
conformer.SetPositions(numpy.arange(9.0).reshape(3, 3))
mol.AddConformer(conformer)
peaks = {}

def watch(read):
    if read % 500 == 0:
        half = "early" if read <= 2000 else "late"
        peaks[half] = max(peaks.get(half, 0), private_kb())

entries = (Entry(f"m{number}", mol, "made") for number in range(20000))
build_library(Path(sys.argv[1]), entries, ledger=Ledger(), on_progress=watch)
print(peaks["late"] - peaks["early"])
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux to measure memory")
def test_memory_of_the_builder_does_not_follow_the_library(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", BUILDER, str(tmp_path / "a.templ")],
        check=True,
        timeout=120,
        capture_output=True,
        text=True,
    )
    # 18,000 further ids are 0.3 MB; the same molecules kept would be above 20 MB.
    assert int(done.stdout) < 6_000
