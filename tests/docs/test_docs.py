"""The documents: their commands run, their links resolve, their tables have what the program has.

Blocks marked ``sh`` and ``python`` are run, one after the other on each page; others are not.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
from rdkit import Chem

from templ.library import format, receptors
from templ.posefile import PROPERTIES
from templ.runlog.journal import read_records
from templ.runlog.manifest import RunManifest
from templ.runlog.memory import read_samples
from templ.sources.demo import demo_files

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)(?:#[^)\s]*)?\)")
RUN = {"sh": ["bash", "-euc"], "python": [sys.executable, "-W", "error", "-c"]}
CRYSTALS = 4

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="the documents are not beside the tests")


def run_page(name, folder):
    """Run the blocks of a page in a folder, where `templ` and `python` are those of the tests."""
    blocks = [
        (language, code) for language, code in BLOCK.findall((DOCS / name).read_text()) if language in RUN
    ]
    assert blocks
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for language, code in blocks:
        done = subprocess.run(
            [*RUN[language], code],
            cwd=folder,
            env=os.environ | {"PATH": path},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f"{name}\n{code}\n{done.stdout}\n{done.stderr}"


def columns(name, heading):
    """Names and types in the first two columns of the table that follows a line of a page."""
    rows = (DOCS / name).read_text().partition(heading)[2].strip().partition("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    return {column: cell[1] for cell in cells for column in re.findall(r"`([^`]+)`", cell[0])}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """What the page of formats makes."""
    folder = tmp_path_factory.mktemp("formats")
    run_page("formats.md", folder)
    return folder


def test_tutorial(tmp_path):
    run_page("tutorial.md", tmp_path)
    refused = [row for row in (tmp_path / "poses.csv").read_text().splitlines() if ",refused," in row]
    assert [row.split(",")[0] for row in refused] == ["caffeine"]
    for made in ("runs/demo/report.html", "runs/demo/profile.png", "pose.html", "compare.html"):
        assert (tmp_path / made).stat().st_size > 10_000


def test_your_own_crystals(tmp_path):
    _crystals(tmp_path)
    shutil.copy(DOCS / "examples/ligands_from_pdb.py", tmp_path)
    run_page("complexes.md", tmp_path)
    records = list(read_records(tmp_path / "runs/loo/results.jsonl"))
    assert len(records) == CRYSTALS
    assert all(record["status"] == "posed" and record["identity"] == 1 for record in records)
    assert "analogue,posed" in (tmp_path / "poses.csv").read_text()


def test_cluster(tmp_path):
    run_page("cluster.md", tmp_path)
    assert len(list(read_records(tmp_path / "runs/all/results.jsonl"))) == 4


def test_api(tmp_path):
    run_page("api.md", tmp_path)


@pytest.mark.parametrize(
    ("table", "schema"), [("ligands.arrow", format.SCHEMA), ("receptors.arrow", receptors.SCHEMA)]
)
def test_columns_of_a_library(table, schema):
    told = columns("formats.md", f"Columns of `{table}`:")
    assert told == {field.name: str(field.type) for field in schema}


def test_files_of_a_library():
    told = columns("formats.md", "that of the demo run is `runs/demo/inputs/library.templ`.")
    optional = {*receptors.RECEPTOR_FILES, format.EMBEDDINGS, format.receptor_file("")}
    assert optional | {*format.DATA_FILES, format.MANIFEST} <= told.keys()


def test_fields_of_a_run(files):
    run = files / "runs/demo"
    assert columns("formats.md", "Fields of `manifest.json`:").keys() == RunManifest.model_fields.keys()
    told = columns(
        "formats.md", "Fields of a record in `results.jsonl`. Lists have one value for each pose, best first:"
    )
    for record in read_records(run / "results.jsonl"):
        assert told.keys() == record.keys()
    told = columns("formats.md", "Fields of a sample in `memory.jsonl`:")
    assert told.keys() == read_samples(run)[0].keys()


def test_properties_of_a_pose():
    told = columns("formats.md", "columns of the table that `templ predict` writes beside it:")
    parts = {name for name in PROPERTIES if name.startswith("score_")}
    assert told.keys() - {"score_..."} == set(PROPERTIES) - parts


@pytest.mark.parametrize(
    "page",
    [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "benchmarks/README.md",
        *sorted(DOCS.rglob("*.md")),
    ],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_links_in_the_repository(page):
    absent = [link for link in LINK.findall(page.read_text()) if not (page.parent / unquote(link)).exists()]
    assert absent == []


def test_every_public_name_is_in_the_api():
    import templ

    told = re.findall(r"^::: templ\.(\w+)$", (DOCS / "api.md").read_text(), re.MULTILINE)
    assert sorted(told) == templ.__all__


def test_pictures_are_small():
    pictures = list((DOCS / "pictures").iterdir())
    assert pictures
    assert all(picture.stat().st_size < 200_000 for picture in pictures)


def _crystals(folder):
    """Make what a user has: PDB files with ligands in them, a table of these, a target and queries."""
    demo = demo_files()
    protein = gzip.decompress(demo.receptor.read_bytes()).decode()
    atoms = [line for line in protein.splitlines() if line.startswith("ATOM")]
    (folder / "target.pdb").write_text("\n".join(atoms) + "\nEND\n")
    (folder / "queries.smi").write_text("CC(=O)Nc1cnccc1C analogue\n")
    (folder / "structures").mkdir()
    rows = ["id,residue,smiles"]
    with gzip.open(demo.ligands) as stream:
        for number, mol in zip(range(CRYSTALS), Chem.ForwardSDMolSupplier(stream), strict=False):
            block = Chem.MolToPDBBlock(mol).replace("UNL", "LIG").splitlines()
            block = [line for line in block if line.startswith("HETATM")]
            (folder / f"structures/c{number}.pdb").write_text("\n".join([*atoms, *block]) + "\nEND\n")
            rows.append(f"c{number},LIG,{Chem.MolToSmiles(mol)}")
    (folder / "ligands.csv").write_text("\n".join(rows) + "\n")
