"""Names that are not UTF-8: said in a sentence, in any locale, and never half stored."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from program import run_templ
from rdkit import Chem

import templ
from templ.errors import InputError
from templ.library.store import open_library
from templ.sources.demo import demo_files

BAD = os.fsdecode(b"n\xff")
SMILES = "CC(=O)Nc1cnccc1C"
LOCALES = [{}, {"LC_ALL": "C"}, {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}]


def run(*words, cwd, **environment):
    command = [os.fsencode(str(word)) for word in (sys.executable, "-m", "templ", *words)]
    done = subprocess.run(command, cwd=cwd, env=os.environ | environment, capture_output=True, timeout=120)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


LONG = "x" * 300


@pytest.mark.parametrize(
    "words",
    [
        ("library", "build", LONG, "--ligands", demo_files().ligands),
        ("library", "info", LONG),
        ("predict", "--library", LONG, "--smiles", SMILES, "--quiet"),
        ("benchmark", "run", "demo-mpro", "--dry-run", "-o", LONG),
        ("benchmark", "status", LONG),
        ("benchmark", "merge", LONG, LONG),
        ("demo", "mpro", LONG),
    ],
    ids=lambda words: " ".join(map(str, words[:2])),
)
def test_names_that_are_too_long_are_the_users(tmp_path, words):
    done = run_templ(*words, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert done.stderr.startswith("templ: error: ")
    assert LONG in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        ("library", "build", BAD, "--ligands", demo_files().ligands),
        ("library", "build", "l.templ", "--ligands", f"{BAD}.sdf"),
        ("library", "build", "l.templ", "--ligands", demo_files().ligands, "--group", BAD),
        ("library", "build", "l.templ", "--complexes", BAD),
        ("library", "info", BAD),
        ("library", "get", "m.templ", BAD),
        ("predict", "--library", BAD, "--smiles", SMILES),
        ("predict", "--library", "m.templ", "--smiles", SMILES, "-o", f"{BAD}.sdf"),
        ("predict", "--library", "m.templ", "--queries", f"{BAD}.smi"),
        ("benchmark", "run", BAD),
        ("benchmark", "run", "demo-mpro", "-o", BAD),
        ("benchmark", "summary", BAD),
        ("report", BAD),
        ("export", BAD, "-f", "csv", "-o", "out"),
        ("demo", "mpro", BAD),
        (BAD,),
    ],
    ids=lambda words: ascii(" ".join(map(str, words[:2]))),
)
def test_words_that_are_not_utf_8_are_refused(tmp_path, words):
    code, output, errors = run(*words, cwd=tmp_path, **LOCALES[len(words) % 3])
    assert (code, output, errors.count("\n")) == (2, "", 1), errors
    assert errors.startswith("templ: error: not UTF-8: ")
    assert "n\\udcff" in errors
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("environment", LOCALES, ids=str)
def test_a_current_folder_that_is_not_utf_8_is_refused(tmp_path, environment):
    (tmp_path / BAD).mkdir()
    build = ("library", "build", "l.templ", "--ligands", demo_files().ligands)
    code, output, errors = run(*build, cwd=tmp_path / BAD, **environment)
    assert (code, output) == (2, "")
    assert errors == f"templ: error: not UTF-8: '{tmp_path}/n\\udcff'; rename it\n"
    assert list((tmp_path / BAD).iterdir()) == []


def test_a_current_folder_that_is_gone_is_said(tmp_path):
    command = f"mkdir gone && cd gone && rmdir ../gone && {sys.executable} -P -m templ doctor"
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "templ: error: the current folder is gone" in done.stderr


@pytest.mark.parametrize(
    "environment",
    [LOCALES[-1], *(pytest.param(one, marks=pytest.mark.slow) for one in LOCALES[:-1])],
    ids=str,
)
def test_complexes_with_such_names_are_left_out_and_the_others_built(tmp_path, demo_library, environment):
    for folder in (Path("good"), Path(BAD), Path("lacks") / BAD, Path(BAD) / "inner"):
        folder = tmp_path / "complexes" / folder
        folder.mkdir(parents=True, exist_ok=True)
        text = Chem.MolToMolBlock(demo_library["Mpro-x0072"])
        (folder / f"{folder.name}_ligand.sdf").write_text(text)
        if folder.parent.name != "lacks":
            shutil.copy(demo_files().receptor, folder / f"{folder.name}_protein.pdb.gz")
    build = ("library", "build", "l.templ", "--complexes", "complexes")
    code, _, errors = run(*build, cwd=tmp_path, **environment)
    assert (code, "Traceback" in errors) == (1, False), errors
    with (tmp_path / "l.templ.ledger.csv").open(newline="", encoding="utf-8") as file:
        rows = [(row["id"], row["reason"].partition(":")[0]) for row in csv.DictReader(file)]
    assert sorted(rows) == [
        ("n\\udcff", "no protein file"),
        ("n\\udcff", "not UTF-8"),
    ]
    with open_library(tmp_path / "l.templ") as library:
        assert list(library) == ["good", "inner"]


def test_python_is_told_too(tmp_path, demo_path):
    bad = tmp_path / BAD
    bad.mkdir()
    shutil.copy(demo_files().ligands, bad / "l.sdf.gz")
    shutil.copy(demo_files().receptor, bad / "r.pdb.gz")
    shutil.copytree(demo_path, bad / "m.templ")
    (bad / "q.smi").write_text(SMILES)
    out = tmp_path / "poses.sdf"
    with pytest.raises(InputError, match="not UTF-8"):
        templ.read_sdf(bad / "l.sdf.gz")
    for queries, binding in (
        (bad / "q.smi", templ.BindingSite(demo_path)),
        ([SMILES], templ.BindingSite(bad / "m.templ")),
        ([SMILES], templ.BindingSite(demo_path, bad / "r.pdb.gz")),
    ):
        with pytest.raises(InputError, match="not UTF-8"):
            templ.predict_queries(queries, binding, out)
    assert [path.name for path in tmp_path.iterdir()] == [BAD]


@pytest.mark.parametrize(("encoding", "printed"), [("ascii", "\u03c9"), ("latin-1", "\\u03c9")])
def test_letters_that_the_output_lacks_end_no_command(tmp_path, sdf, encoding, printed):
    """Typer takes ASCII for a mistake and prints UTF-8."""
    omega = "\N{GREEK SMALL LETTER OMEGA}1"
    (tmp_path / "l.sdf").write_text(sdf.split("$$$$\n")[0].replace("Mpro-6lze", omega))
    build = ("library", "build", "l.templ", "--ligands", "l.sdf", "--group", omega)
    assert run(*build, cwd=tmp_path, PYTHONIOENCODING=encoding)[0] == 0
    code, output, errors = run("library", "info", "l.templ", cwd=tmp_path, PYTHONIOENCODING=encoding)
    assert (code, errors) == (0, "")
    assert f"groups     {printed}1" in output
    code, output, errors = run("library", "get", "l.templ", omega, cwd=tmp_path, PYTHONIOENCODING=encoding)
    assert (code, errors, output.split("\n")[0]) == (0, "", omega)
