"""The documents: their commands run, their links resolve, their tables have what the program has.

Blocks marked ``sh`` and ``python`` are run, one after the other on each page; others are not.
"""

from __future__ import annotations

import csv
import gzip
import importlib.util
import json
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rdkit import Chem

from templ.checksums import CHECKSUM
from templ.evaluation.run import load_run
from templ.evaluation.run_table import COST, SCHEMA
from templ.library import format, receptors
from templ.poses.pose_file import MOLECULE_PROPERTIES, POSE_PROPERTIES
from templ.runs.identity import Identity
from templ.runs.manifest import FORMAT_VERSION, Host, RunManifest
from templ.runs.record import RECORD_VERSION, Cost, PoseAddress, PoseRecord, Record
from templ.scoring.terms import TERMS
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


def described(name, heading, field):
    """What the last column of such a table says of a field."""
    rows = (DOCS / name).read_text().partition(heading)[2].strip().partition("\n\n")[0].splitlines()[2:]
    (row,) = [row for row in rows if f"`{field}`" in row.split("|")[1]]
    return row.strip("|").split("|")[-1]


def rows_of(path):
    """Rows of a table that a command wrote."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def names_of(kind):
    """Names of the fields of a dataclass."""
    return {field.name for field in fields(kind)}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """What the page of formats makes."""
    folder = tmp_path_factory.mktemp("formats")
    run_page("formats.md", folder)
    return folder


@pytest.mark.slow
def test_tutorial(tmp_path):
    run_page("tutorial.md", tmp_path)
    refused = [row["id"] for row in rows_of(tmp_path / "poses.csv") if row["status"] == "refused"]
    assert refused == ["caffeine"]
    assert list(rows_of(tmp_path / "poses.csv")[0]) == [name for name in SCHEMA.names if name not in COST]
    raw = rows_of(tmp_path / "cdk2_poses.csv")
    assert {row["status"] for row in raw} == {"posed"}
    assert [len(list((tmp_path / "structures").glob(f"*.{kind}"))) for kind in ("cif", "pdb")] == [10, 10]
    for made in ("runs/demo/report.html", "runs/demo/profile.png", "pose.html", "compare.html"):
        assert (tmp_path / made).stat().st_size > 10_000


@pytest.mark.slow
def test_series(tmp_path):
    run_page("series.md", tmp_path)
    content = json.loads((tmp_path / "series/atom_maps.json").read_text())
    assert len(content["maps"]) == 6
    assert not content["without_map"]
    assert all(edge["agrees"] for edge in content["maps"])  # as the page's picture shows


@pytest.mark.slow
def test_your_own_crystals(tmp_path):
    _crystals(tmp_path)
    run_page("complexes.md", tmp_path)
    records = list(load_run(tmp_path / "runs/loo"))
    assert len(records) == CRYSTALS
    assert all(record.status == "posed" and record.identity == 1 for record in records)
    assert {(row["id"], row["status"]) for row in rows_of(tmp_path / "poses.csv")} == {("analogue", "posed")}


@pytest.mark.slow
def test_cluster(tmp_path):
    run_page("cluster.md", tmp_path)
    assert len(list(load_run(tmp_path / "runs/all"))) == 4
    assert len(list(load_run(tmp_path / "runs/joined"))) == 9
    # The second process may come when all is done already.
    assert len(list((tmp_path / "runs/joined/processes").iterdir())) in (1, 2)


@pytest.mark.slow
def test_api(tmp_path):
    _crystals(tmp_path)
    run_page("api.md", tmp_path)
    assert [record.status for record in load_run(tmp_path / "poses.sdf")] == ["posed", "refused"]
    assert [record.id for record in load_run(tmp_path / "more.sdf")] == ["query-1", "mine"]
    assert len(load_run(tmp_path / "runs/loo")) == CRYSTALS
    for made in ("report.html", "table/predictions.parquet"):
        assert (tmp_path / made).stat().st_size > 10_000


@pytest.mark.parametrize(
    ("table", "schema"), [("ligands.arrow", format.SCHEMA), ("receptors.arrow", receptors.SCHEMA)]
)
def test_columns_of_a_library(table, schema):
    told = columns("formats.md", f"Columns of `{table}`:")
    assert told == {field.name: str(field.type) for field in schema}


def test_files_of_a_library():
    told = columns("formats.md", "that of the demo run is `runs/demo/inputs/library.templ`.")
    optional = {*format.RECEPTOR_FILES, format.EMBEDDINGS, format.receptor_file("")}
    assert optional | {*format.DATA_FILES, format.MANIFEST} <= told.keys()


@pytest.mark.parametrize(
    ("heading", "names"),
    [
        ("Fields of the `manifest.json` of a library:", {*format.Manifest.model_fields, CHECKSUM}),
        ("Fields of `manifest.json`:", {*RunManifest.model_fields, CHECKSUM}),
        (
            "A run is resumed, and shards are merged, only when all of them are equal:",
            Identity.model_fields.keys(),
        ),
        ("Fields of a record in `results.jsonl`:", {*names_of(Record), CHECKSUM}),
        ("Fields of a pose in `poses`:", names_of(PoseRecord)),
        ("Fields of `cost`:", names_of(Cost)),
    ],
    ids=["library", "manifest", "identity", "record", "pose", "cost"],
)
def test_fields_of_a_run_and_a_library(heading, names):
    assert columns("formats.md", heading).keys() == set(names)


@pytest.mark.slow
def test_fields_of_the_lines_of_a_run(files):
    """What is on disk has the fields that the tables have, and no others."""
    run = files / "runs/demo"
    record_fields = columns("formats.md", "Fields of a record in `results.jsonl`:").keys()
    pose_fields = columns("formats.md", "Fields of a pose in `poses`:").keys()
    lines = [json.loads(line) for line in (run / "results.jsonl").read_text().splitlines()]
    assert len(lines) == 4
    for line in lines:
        assert line.keys() == record_fields
        assert all(pose.keys() == pose_fields for pose in line["poses"])
        assert line["cost"].keys() == columns("formats.md", "Fields of `cost`:").keys()
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest.keys() == columns("formats.md", "Fields of `manifest.json`:").keys()
    told = columns("formats.md", "Fields of a sample in `memory.jsonl`:")
    assert told.keys() == load_run(run).samples()[0].keys()


def test_versions_and_parts_of_a_run():
    manifest, record = "Fields of `manifest.json`:", "Fields of a record in `results.jsonl`:"
    assert described("formats.md", manifest, "format_version").split()[-1] == str(FORMAT_VERSION)
    assert described("formats.md", record, "version").split()[-1] == str(RECORD_VERSION)
    address = re.findall(r"`(\w+)`", described("formats.md", record, "address"))
    assert set(address) == names_of(PoseAddress)
    assert described("formats.md", manifest, "host").split()[:4] == ["name,", "cores,", "memory,", "system"]
    assert Host.model_fields.keys() == {"name", "cores", "memory_bytes", "system", "python"}


def test_properties_of_a_pose():
    told = columns("formats.md", "query. Properties of each pose:")
    names = {*POSE_PROPERTIES, *MOLECULE_PROPERTIES}
    parts = {name for name in names if name.startswith("score_")}
    assert told.keys() - {"score_..."} == names - parts


def test_terms_of_the_score():
    told = columns("formats.md", "Terms of the score, in `score_...`:")
    assert told == {term.name: term.unit for term in TERMS}


@pytest.mark.slow
def test_columns_of_the_table_of_a_run(files):
    heading = "molecule without a pose. Columns of the table of a run:"
    told = columns("formats.md", heading)
    terms = {f"score_{term.name}" for term in TERMS}
    assert terms <= set(SCHEMA.names)
    assert {SCHEMA.field(name).type for name in terms} == {pa.float64()}
    types = {field.name: str(field.type) for field in SCHEMA if field.name not in terms}
    assert told == types | {"score_...": "double"}
    assert all("not in `poses.csv`" in described("formats.md", heading, name) for name in COST)
    assert pq.read_schema(files / "table/predictions.parquet").names == [*SCHEMA.names, "ligand_file"]


@pytest.mark.parametrize(
    "page",
    [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "CHANGELOG.md",
        *sorted(DOCS.rglob("*.md")),
    ],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_links_in_the_repository(page):
    absent = [link for link in LINK.findall(page.read_text()) if not (page.parent / unquote(link)).exists()]
    assert absent == []


def test_every_page_is_in_the_navigation():
    """`mkdocs build` refuses a page that is not, in CI only; here it is found where pages are written."""
    navigation = re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text())
    for page in DOCS.rglob("*.md"):
        assert str(page.relative_to(DOCS)) in navigation, page


def test_the_reference_of_the_command_line_is_that_of_the_program():
    """Made anew by `python scripts/cli_reference.py`."""
    script = ROOT / "scripts" / "cli_reference.py"
    spec = importlib.util.spec_from_file_location("cli_reference", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (DOCS / "cli.md").read_text() == module.reference()


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


def test_the_list_of_benchmarks_has_every_script():
    told = (ROOT / "benchmarks" / "README.md").read_text()
    scripts = {path.name for path in (ROOT / "benchmarks").glob("*.py")}
    assert set(re.findall(r"`(\w+\.py)`", told)) == scripts


def test_long_tables_of_the_figures_are_folded():
    text = (DOCS / "figures.md").read_text(encoding="utf-8")
    open_text = re.sub(r"<details.*?</details>", "", text, flags=re.DOTALL)
    tables = re.findall(r"(?:^\|.*\n)+", open_text, re.MULTILINE)
    assert max(table.count("\n") for table in tables) < 10
    assert len(open_text) < 0.7 * len(text)
