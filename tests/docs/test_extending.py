"""The recipes of docs/extending.md: each does what the page says, with no other change than it names."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem

import templ
from templ.engine import executor as executors
from templ.evaluation.run import load_run
from templ.jobs import query_run
from templ.report import plots
from templ.report.collect import Results
from templ.sources import queries

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/extending.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
QUERY = "CC(=O)Nc1cnccc1C"
PREDICT = f"""
import json, sys
from pathlib import Path
import templ
from weights import MINIMISED, PLACED

library, out = sys.argv[1:]
with templ.open_library(library) as opened:
    receptor = templ.read_receptor(opened.receptor_path())
    poses = templ.predict("{QUERY}", opened, receptor=receptor).poses
run = templ.predict_queries(
    [("q", "{QUERY}")], templ.BindingSite(library), out, machine=templ.RunSettings(workers=1)
)
print(json.dumps({{
    "package": str(Path(templ.__file__).parent),
    "placed": PLACED,
    "minimised": MINIMISED,
    "of poses": [dict(pose.terms) for pose in poses],
    "of records": [dict(pose.terms) for pose in run["q"].poses],
    "columns": run.to_arrow().column_names,
}}))
"""

pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="the documents are not beside the tests")


def recipe(section):
    """The code of a section of the page."""
    text = PAGE.read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    (code,) = BLOCK.findall(text)
    return code


def predicted(source, library, out):
    """What a prediction gives when the package is the one in a folder."""
    done = subprocess.run(
        [sys.executable, "-c", PREDICT, str(library), str(out)],
        env=os.environ | {"PYTHONPATH": f"{source}{os.pathsep}{ROOT / 'benchmarks'}"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def coordinates(path):
    return [mol.GetConformer().GetPositions() for mol in Chem.SDMolSupplier(str(path), removeHs=False)]


@pytest.mark.slow
def test_a_term_is_one_file(tmp_path, demo_path):
    package = Path(templ.__file__).parent
    shutil.copytree(package, tmp_path / "src/templ", ignore=shutil.ignore_patterns("__pycache__"))
    before = predicted(tmp_path / "src", demo_path, tmp_path / "before.sdf")
    assert before["package"] == str(tmp_path / "src/templ")
    assert "size" not in before["placed"] + before["minimised"]

    (tmp_path / "src/templ/scoring/terms/size.py").write_text(recipe("A term of the score"))
    after = predicted(tmp_path / "src", demo_path, tmp_path / "after.sdf")

    # Listed for a refit by benchmarks/weights.py, of poses as placed and of minimised ones.
    for kind in ("placed", "minimised"):
        assert after[kind] == [*before[kind], "size"]
    assert after["columns"] == [
        column
        for name in before["columns"]
        for column in (name, *(["score_size"] if name == "score_receptor_clash" else []))
    ]
    # Computed, of the coordinates handed out, and written wherever terms are.
    poses = list(Chem.SDMolSupplier(str(tmp_path / "after.sdf")))  # heavy atoms
    with (tmp_path / "after.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(poses) == len(rows) == len(after["of records"]) == len(after["of poses"]) > 1
    for mol, row, record, pose in zip(poses, rows, after["of records"], after["of poses"], strict=True):
        xyz = mol.GetConformer().GetPositions()
        size = np.sqrt(((xyz - xyz.mean(axis=0)) ** 2).sum(axis=1).mean())
        assert size > 1
        for told in (mol.GetProp("score_size"), row["score_size"], record["size"], pose["size"]):
            assert float(told) == pytest.approx(size, abs=2e-4)
    # Without a weight it changes nothing else.
    for one, other in zip(
        coordinates(tmp_path / "before.sdf"), coordinates(tmp_path / "after.sdf"), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(before["of records"], after["of records"], strict=True):
        assert one == {name: value for name, value in other.items() if name != "size"}


def test_a_format_of_queries_is_a_reader(tmp_path, monkeypatch, demo_path):
    names = {**vars(queries)}
    exec(recipe("A source format"), names)
    monkeypatch.setitem(queries.READERS, ".jsonl", ("JSON", names["_json_rows"]))
    path = tmp_path / "mine.jsonl"
    path.write_text(f'{{"id": "a", "smiles": "{QUERY}"}}\n{{"smiles"\n{{"id": "a", "smiles": "CCO"}}\n')

    first, broken, twice = templ.read_queries(path)
    assert (first.id, first.load()) == ("a", QUERY)
    assert (broken.index, broken.line) == (1, 2)
    with pytest.raises(templ.TemplError, match="line 2: no JSON"):
        broken.load()
    assert "duplicate id" in twice.fault

    machine = templ.RunSettings(workers=1)
    run = templ.predict_queries(path, templ.BindingSite(demo_path), tmp_path / "p.sdf", machine=machine)
    assert [record.ending for record in run] == ["posed", "failed: unreadable", "failed: unreadable"]


def test_an_executor_is_a_class(tmp_path, monkeypatch, demo_path):
    names = {"__name__": "templ.engine.here"}
    exec(recipe("An executor"), names)
    executor: executors.Executor = names["InThisProcess"]()
    told = []
    monkeypatch.setattr(query_run, "choose_executor", lambda settings, tasks=None: executor)
    site = templ.BindingSite(demo_path)
    run = templ.predict_queries([QUERY, "C1CC"], site, tmp_path / "p.sdf", on_start=told.append)
    assert [record.ending for record in run] == ["posed", "failed: unreadable"]
    assert told == ["one task after the other, in this process"]


def test_a_plot_is_a_generator(tmp_path, monkeypatch, demo_path):
    names = {**vars(plots)}
    exec(recipe("A section of the report"), names)
    monkeypatch.setattr(plots, "_PLOTS", (*plots._PLOTS, names["_sizes"]))
    site, machine = templ.BindingSite(demo_path), templ.RunSettings(workers=1)
    templ.predict_queries([QUERY], site, tmp_path / "p.sdf", machine=machine)
    run = load_run(tmp_path / "p.sdf")
    assert plots.draw_plots(Results(run, list(run)))[-1].title == "Size of the queries"
    templ.write_report(tmp_path / "p.sdf", tmp_path / "p.html")
    assert "Heavy atoms of each." in (tmp_path / "p.html").read_text()
