"""A library that something bad happened to: found, named, and never half there."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from rdkit import Chem

from templ.checksums import with_checksum
from templ.errors import LibraryError, StorageError
from templ.library.build import build_library
from templ.library.format import DATA_FILES, FORMAT_VERSION, LIGANDS, MANIFEST
from templ.library.store import open_library
from templ.records import Entry
from templ.sources.ledger import Ledger


def entries(count):
    mol = Chem.MolFromSmiles("c1ccccc1O")
    conformer = Chem.Conformer(7)
    conformer.SetPositions(np.random.default_rng(0).normal(size=(7, 3)))
    mol.AddConformer(conformer)
    return (Entry(f"m{number:05}", mol, f"made.sdf#{number + 1}") for number in range(count))


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound")
    receptor = folder / "site.pdb"
    receptor.write_text("END\n", encoding="utf-8")
    build_library(folder / "a.templ", entries(1500), ledger=Ledger(), receptors={"": receptor})
    return folder / "a.templ"


@pytest.fixture
def library(sound, tmp_path):
    return shutil.copytree(sound, tmp_path / "a.templ")


def flip(path, offset):
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 1]))


@pytest.mark.parametrize("name", DATA_FILES)
def test_truncated_file_is_found_at_open(library, name):
    os.truncate(library / name, (library / name).stat().st_size - 1)
    with pytest.raises(LibraryError, match=rf"{name} is torn: it has \d+ bytes instead of \d+"):
        open_library(library)


@pytest.mark.parametrize("name", DATA_FILES)
def test_missing_file_is_found_at_open(library, name):
    (library / name).unlink()
    with pytest.raises(LibraryError, match=f"{name} cannot be read"):
        open_library(library)


@pytest.mark.parametrize("name", DATA_FILES)
@pytest.mark.parametrize("offset", [0, -1])
def test_byte_altered_at_an_end_is_found_at_open(library, name, offset):
    flip(library / name, offset % (library / name).stat().st_size)
    with pytest.raises(LibraryError, match=f"{name} was altered"):
        open_library(library)


def test_byte_altered_between_the_ends_is_found_by_verify_and_before_it_is_used(library):
    open_library(library).verify()
    flip(library / LIGANDS, 100_000)
    with open_library(library) as opened:
        for use in (opened.verify, lambda: opened.ligand(0), lambda: list(opened), lambda: opened["m00000"]):
            with pytest.raises(LibraryError, match=r"ligands.arrow was altered: .*; copy or build the libr"):
                use()


@pytest.mark.parametrize("damage", ["altered", "torn", "missing"])
def test_damaged_receptor_is_found_when_it_is_asked_for(library, damage):
    path = library / "receptors" / "receptor.pdb.gz"
    {"altered": lambda: flip(path, 12), "torn": lambda: os.truncate(path, 9), "missing": path.unlink}[
        damage
    ]()
    with open_library(library) as opened:
        for use in (opened.receptor_path, opened.verify):
            with pytest.raises(LibraryError, match=r"receptor\.pdb\.gz"):
                use()


def test_smiles_altered_under_an_open_library_is_named(library):
    data = (library / LIGANDS).read_bytes()
    with open_library(library) as opened:
        opened.ligand(0)  # from here on its block is known to be sound
        offset = data.index(b"Oc1ccccc1")
        with (library / LIGANDS).open("r+b") as file:
            file.seek(offset)
            file.write(b"((((")
        with pytest.raises(LibraryError, match=r"row 0 does not read back as a molecule; run `templ lib"):
            opened.ligand(0)


def test_newer_library_asks_for_an_upgrade(library):
    manifest = json.loads((library / MANIFEST).read_text("utf-8"))
    newer = with_checksum(manifest | {"version": FORMAT_VERSION + 1, "new": True})
    (library / MANIFEST).write_text(json.dumps(newer), encoding="utf-8")
    with pytest.raises(LibraryError, match="upgrade with pip install -U templ-pose"):
        open_library(library)


def test_what_is_no_library_is_said(tmp_path):
    with pytest.raises(LibraryError, match="is not a TEMPL library"):
        open_library(tmp_path)
    with pytest.raises(LibraryError, match="does not exist"):
        open_library(tmp_path / "nothing.templ")
    (tmp_path / "file").touch()
    with pytest.raises(LibraryError, match="is not a folder"):
        open_library(tmp_path / "file")


ENDLESS = """
import itertools, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_library_faults import entries
from templ.library.build import build_library
from templ.sources.ledger import Ledger
def slowly(read):
    if read == 3000:
        print("going", flush=True)
build_library(Path(sys.argv[1]), entries(10**9), ledger=Ledger(), on_progress=slowly)
"""


def interrupt_build(out, number):
    """Start an endless build in a process of its own and end it with a signal."""
    folder = str(__file__).rpartition("/")[0]
    with subprocess.Popen(
        [sys.executable, "-c", ENDLESS, str(out), folder],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as child:
        try:
            assert child.stdout.readline() == "going\n"
            time.sleep(0.05)
            child.send_signal(number)
            child.wait(timeout=30)
        finally:
            child.kill()


def test_interrupted_build_leaves_nothing(tmp_path):
    interrupt_build(tmp_path / "a.templ", signal.SIGINT)
    assert list(tmp_path.iterdir()) == []


def test_killed_build_leaves_no_library_and_the_next_build_clears_up(tmp_path):
    out = tmp_path / "a.templ"
    interrupt_build(out, signal.SIGKILL)
    assert [path.name for path in tmp_path.iterdir()] == [".a.templ.building"]
    build_library(out, entries(3), ledger=Ledger())
    assert [path.name for path in tmp_path.iterdir()] == ["a.templ"]
    assert len(open_library(out)) == 3


@pytest.mark.parametrize("count", [800, 1500, 4000])
def test_full_disk_is_named_and_leaves_nothing(mount_disk, count):
    small_disk = mount_disk("300k")
    with pytest.raises(StorageError, match=r"a\.templ.* cannot be written.*No space left on device"):
        build_library(small_disk / "a.templ", entries(count), ledger=Ledger())
    assert list(small_disk.iterdir()) == []


def test_source_error_is_not_blamed_on_the_disk(tmp_path):
    def broken():
        yield from entries(2)
        raise OSError(5, "Input/output error", "source.sdf")

    with pytest.raises(OSError, match=r"source\.sdf"):
        build_library(tmp_path / "a.templ", broken(), ledger=Ledger())
    assert list(tmp_path.iterdir()) == []
