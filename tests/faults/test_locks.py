"""Two processes that want the same thing: one gets it, the other is told, and neither spoils anything."""

from __future__ import annotations

import contextlib
import csv
import errno
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from rdkit import Chem

from templ.engine.executor import choose_executor
from templ.errors import LibraryError
from templ.jobs.library_part import build_complexes
from templ.library.build import build_library
from templ.library.store import open_library
from templ.settings import RunSettings
from templ.sources.demo import demo_files
from templ.sources.ledger import Ledger
from templ.sources.sdf import read_sdf

TEMPL = (sys.executable, "-m", "templ")
PATIENCE_S = 60
"""Only a failing test waits that long."""
COPIES = 4
LIGANDS = ("--ligands", demo_files().ligands)


@pytest.fixture(scope="module")
def complexes(tmp_path_factory, demo_library):
    """Complexes of which each second one lacks its protein, so that there is a ledger."""
    folder = tmp_path_factory.mktemp("complexes")
    for number, id in enumerate(list(demo_library)[:20]):
        (folder / id).mkdir()
        Chem.MolToMolFile(demo_library[id], str(folder / id / f"{id}_ligand.sdf"))
        if number % 2:
            shutil.copy(demo_files().receptor, folder / id / f"{id}_protein.pdb.gz")
    return folder


@pytest.fixture
def suspended(running, tmp_path):
    """Starts a build and suspends it while it holds its lock; when the block ends, it goes on to its end."""

    @contextlib.contextmanager
    def suspend(*words):
        command = (*TEMPL, "library", "build", "l.templ", *words)
        lock = tmp_path / ".l.templ.building" / "build.lock"
        deadline = time.monotonic() + PATIENCE_S
        with running(command, cwd=tmp_path, stderr=subprocess.PIPE) as process:
            while not lock.exists() or not lock.read_text():
                assert process.poll() is None, process.stderr.read()
                assert time.monotonic() < deadline
                time.sleep(0.002)
            os.killpg(process.pid, signal.SIGSTOP)
            yield process
            os.killpg(process.pid, signal.SIGCONT)
            process.communicate(timeout=PATIENCE_S)

    return suspend


def content(folder):
    """Every file below a folder."""
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("ligands", "complexes"),
        ("complexes", "ligands"),
        pytest.param("ligands", "ligands", marks=pytest.mark.slow),
        pytest.param("complexes", "complexes", marks=pytest.mark.slow),
    ],
)
def test_the_second_build_of_a_library_is_refused_and_spoils_nothing(
    suspended, complexes, tmp_path, first, second
):
    words = {"ligands": LIGANDS * COPIES, "complexes": ("--complexes", complexes)}
    ledger = tmp_path / "l.templ.ledger.csv"
    ledger.write_text("of the first\n")
    with suspended(*words[first]) as process:
        saying = f"l.templ is being built by process {process.pid} on "
        before = content(tmp_path)
        done = subprocess.run(
            [*TEMPL, "library", "build", "l.templ", *map(str, words[second])],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        assert done.returncode == 2, done.stderr
        last = done.stderr.splitlines()[-1]
        assert last.startswith(f"templ: error: {saying}")
        assert last.endswith("; wait for it, or choose another name")
        with pytest.raises(LibraryError, match=saying), Ledger(ledger) as rows:
            if second == "ligands":
                build_library(tmp_path / "l.templ", read_sdf(LIGANDS[1], rows), ledger=rows)
            else:
                executor = choose_executor(RunSettings(workers=1))
                build_complexes(tmp_path / "l.templ", complexes, executor, ledger=rows)
        assert content(tmp_path) == before
    assert process.returncode == 1  # for some are left out
    kept, left_out = (235, 235 * (COPIES - 1)) if first == "ligands" else (10, 10)
    with ledger.open(newline="") as file:
        assert len(list(csv.DictReader(file))) == left_out
    with open_library(tmp_path / "l.templ") as library:
        library.verify()
        assert len(library) == kept
    assert {path.name for path in tmp_path.iterdir()} == {"l.templ", ledger.name}
    assert "build.lock" not in {path.name for path in (tmp_path / "l.templ").iterdir()}


def test_a_killed_build_lets_the_next_one_begin(suspended, tmp_path):
    with suspended(*LIGANDS * COPIES) as process:
        process.kill()
    assert (tmp_path / ".l.templ.building").exists()
    subprocess.run(
        [*TEMPL, "library", "build", "l.templ", *map(str, LIGANDS)],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        timeout=PATIENCE_S,
    )
    assert [path.name for path in tmp_path.iterdir()] == ["l.templ"]


RACE = """
import os, sys
from pathlib import Path
from templ.errors import LibraryError
from templ.library.build import building_folder

out = Path(sys.argv[1])
held = 0
while held < 100:
    try:
        with building_folder(out) as folder:
            os.close(os.open(out.with_name("mine"), os.O_CREAT | os.O_EXCL))
            (folder / "file").touch()
            assert [path.name for path in folder.iterdir()] == ["file"]
            out.with_name("mine").unlink()
            held += 1
    except LibraryError as error:
        assert "is being built by process" in str(error), error
"""


def test_a_lock_file_that_comes_and_goes_is_held_by_one_process_at_a_time(running, tmp_path):
    words = [sys.executable, "-c", RACE, str(tmp_path / "l.templ")]
    with contextlib.ExitStack() as started:
        racing = [started.enter_context(running(words, stderr=subprocess.PIPE)) for _ in range(4)]
        for process in racing:
            errors = process.communicate(timeout=PATIENCE_S)[1]
            assert process.returncode == 0, errors
    assert list(tmp_path.iterdir()) == []


WITHOUT_LOCKS = """
import fcntl, os, sys
from templ.cli import main

def refuse(file, how):
    code = int(os.environ["REFUSAL"])
    raise OSError(code, os.strerror(code))

fcntl.flock = refuse
main()
"""


@pytest.mark.parametrize(
    "code",
    [
        errno.ENOLCK,
        *(pytest.param(code, marks=pytest.mark.slow) for code in (errno.EOPNOTSUPP, errno.ENOSYS)),
    ],
    ids=errno.errorcode.get,
)
def test_a_file_system_without_locks_is_said(demo_path, complexes, tmp_path, code):
    for words in (
        ("predict", "--library", demo_path, "--smiles", "CC(=O)Nc1cnccc1C"),
        ("benchmark", "run", "demo-mpro", "--limit", "1", "-o", "run"),
        ("library", "build", "l.templ", *LIGANDS),
        ("library", "build", "l.templ", "--complexes", complexes),
    ):
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT_LOCKS, *map(str, words)],
            cwd=tmp_path,
            env=os.environ | {"REFUSAL": str(code)},
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        assert done.returncode == 2, done.stderr
        last = done.stderr.splitlines()[-1]
        assert last.startswith("templ: error: ")
        assert f"({os.strerror(code)}): its file system has no locks; put it on a local disk" in last
        assert "Traceback" not in done.stderr
