from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import gemmi
import pytest

from templ.errors import InputError, LibraryError, StorageError
from templ.sources import demo
from templ.sources.demo import (
    DEMO_DATE_PROPERTY,
    DEMO_FIRST_TARGET_DATE,
    copy_demo,
    demo_files,
    verify_demo_data,
)
from templ.sources.ledger import Ledger
from templ.sources.sdf import read_sdf

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "scripts" / "build_demo_data.py"
SHARED = ROOT / ".." / "shared" / "data" / "mpro"


def test_the_shipped_data_are_what_they_should_be():
    verify_demo_data()
    files = demo_files()
    ledger = Ledger()
    dates = [entry.date for entry in read_sdf(files.ligands, ledger, date_property=DEMO_DATE_PROPERTY)]
    assert ledger.total == 0
    assert len(dates) == 240
    assert sum(date is not None and date >= DEMO_FIRST_TARGET_DATE for date in dates) == 144
    assert dates.count(None) == 47
    assert gemmi.read_pdb(str(files.receptor)).input_format == gemmi.CoorFormat.Pdb
    assert sum(path.stat().st_size for path in (files.ligands, files.receptor)) < 300_000


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no Mpro data in {SHARED}")
def test_the_shipped_data_are_the_shared_ones():
    for path in (demo_files().ligands, demo_files().receptor):
        assert path.read_bytes() == (SHARED / path.name).read_bytes()


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
    copies = copy_demo(tmp_path / "new" / "demo")
    assert [copy.name for copy in copies] == ["mpro_ligands.sdf.gz", "mpro_receptor.pdb.gz"]
    assert copies[0].read_bytes() == demo_files().ligands.read_bytes()
    copies[0].unlink()
    with pytest.raises(InputError, match=r"mpro_receptor\.pdb\.gz exists and is not overwritten"):
        copy_demo(tmp_path / "new" / "demo")
    assert not copies[0].exists()


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "demo").touch()
    with pytest.raises(StorageError, match="demo cannot be written"):
        copy_demo(tmp_path / "demo")


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
    assert ("the same 240 ligands and receptor" in done.stdout) != altered
