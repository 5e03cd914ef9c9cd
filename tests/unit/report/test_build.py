from __future__ import annotations

import base64
import gzip
import json
import random
import re

import pytest
from typer.testing import CliRunner

from templ.cli import app
from templ.errors import InputError
from templ.report import build
from templ.report.build import keep_structures, table_of, write_report
from templ.report.collect import read_results

HOSTILE = "</script><script>alert(1)</script> \"'& ünï 分子"


def unpacked(page, name):
    (packed,) = re.findall(rf'id="packed-{name}">([^<]*)<', page)
    return gzip.decompress(base64.b64decode(packed)).decode()


def test_the_page_of_a_run(run, tmp_path):
    out = tmp_path / "page.html"
    assert write_report(run, out) == []
    page = out.read_text()
    table = json.loads(unpacked(page, "table"))
    names = [column["name"] for column in table["columns"]]
    records = read_results(run).records
    assert [row[names.index("target")] for row in table["rows"]] == [record["id"] for record in records]
    assert [row[names.index("RMSD")] for row in table["rows"]] == [record["rmsd"][0] for record in records]
    assert "$3Dmol" in unpacked(page, "viewer")
    assert all(json.loads(unpacked(page, place))["models"] for place in range(5))
    assert "templ benchmark run demo --limit 5" in page
    assert out.stat().st_size < 2.5e6
    assert "Partial" not in page


def test_a_partial_run_says_so_on_top(run, tmp_path):
    manifest = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps(manifest | {"finished": None}))
    out = tmp_path / "page.html"
    write_report(run, out)
    page = out.read_text()
    assert page.index("Partial: this run is not finished") < page.index("of 5 targets have their first pose")


def test_validity_is_told_where_it_was_checked(run, alter, tmp_path):
    out = tmp_path / "page.html"
    write_report(run, out)
    assert "valid, and within" not in out.read_text()
    for place in range(5):
        alter(place, rmsd=[1.5], validity=["internal_energy"] if place == 0 else [])
    write_report(run, out)
    page = out.read_text()
    (row,) = re.findall(r"valid, and within 2 Å</th><td>(.*?)</td>", page)
    assert "80.0 %" in row
    assert "4 of 5" in row
    assert 'internal energy <span class="quiet">1</span>' in page


def test_what_others_wrote_is_text(run, alter, tmp_path):
    manifest = json.loads((run / "manifest.json").read_text())
    changes = {"benchmark": HOSTILE, "command": ["templ", HOSTILE], "library_path": HOSTILE}
    (run / "manifest.json").write_text(json.dumps(manifest | changes))
    alter(0, status="failed", reason=HOSTILE, detail=HOSTILE, rmsd=None, poses=None, group=HOSTILE)
    alter(1, id=HOSTILE, template=HOSTILE, notes=[HOSTILE])
    out = tmp_path / "page.html"
    write_report(run, out)
    page = out.read_text()
    assert "<script>alert" not in page
    assert "分子" in page
    assert json.loads(unpacked(page, "table"))["details"][0]["detail"] == HOSTILE


def test_columns_are_those_that_say_something(run, alter):
    for place in range(5):
        alter(place, confidence=..., validity=None)
    alter(2, validity=["internal_energy"])
    alter(3, validity=[])
    table = table_of(read_results(run))
    names = [column["name"] for column in table["columns"]]
    assert [row[names.index("valid")] for row in table["rows"]] == [None, None, "fails 1", "valid", None]
    assert not {"identity", "confidence"} & set(names)
    alter(2, confidence=[0.7])
    assert "confidence" in [column["name"] for column in table_of(read_results(run))["columns"]]


@pytest.fixture
def noise():
    """Text of 800 letters that does not compress."""
    source = random.Random(5)
    return lambda: base64.b64encode(source.randbytes(600)).decode()


class Heavy:
    """Takes structures out of the record itself."""

    def of(self, record):
        return record["noise"]


def test_structures_that_matter_come_first(noise):
    def record(status, rmsd):
        return {"status": status, "rmsd": None if rmsd is None else [rmsd], "noise": noise()}

    records = [record("posed", 0.5), record("posed", 3.0), record("refused", None)]
    records += [record("posed", 7.0), record("failed", None)]
    kept, which = keep_structures(records, Heavy(), most=2900)
    assert list(kept) == [4, 3, 1]
    assert "3 of 5 targets" in which
    kept, which = keep_structures(records, Heavy(), most=100_000)
    assert (sorted(kept), which) == ([0, 1, 2, 3, 4], "")


def test_without_the_viewer(monkeypatch):
    monkeypatch.setattr(build, "VIEWER_PACKAGE", "no_such_package")
    with pytest.raises(InputError, match=r"pip install 'templ-pose\[report\]'"):
        build.read_viewer()
    monkeypatch.setattr(build, "VIEWER_PACKAGE", "jinja2")
    with pytest.raises(InputError, match="force-reinstall"):
        build.read_viewer()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["nowhere"], "expected the folder of a run"),
        (["."], "is not a run"),
        (["RUN", "-o", "page.txt"], r"ends in \.html"),
        (["RUN", "-o", "no/page.html"], "make the folder first"),
        (["RUN", "--library", "nowhere"], "nowhere"),
        (["RUN", "--receptor", "nowhere.pdb"], "leave out --receptor"),
    ],
)
def test_bad_input(demo_run, tmp_path, monkeypatch, words, complaint):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["report", *(str(demo_run) if word == "RUN" else word for word in words)])
    assert isinstance(done.exception, InputError)
    assert done.exception.exit_code == 2
    assert re.search(complaint, str(done.exception))


def test_predicted_poses_and_their_page(demo_path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    predict = ["predict", "-l", str(demo_path), "--smiles", "Cc1ccncc1NC(=O)Cc1cccc(Cl)c1", "--top", "2"]
    assert runner.invoke(app, predict).exit_code == 0
    done = runner.invoke(app, ["report", "poses.sdf"])
    assert done.exit_code == 0
    page = (tmp_path / "poses.html").read_text()
    assert "1</strong> of 1 queries have poses" in page
    shown = json.loads(unpacked(page, 0))
    assert [model["name"] for model in shown["models"]] == ["rank 1", "rank 2"]
    assert "name the library with --library" in page
    runner.invoke(app, ["report", "poses.sdf", "--library", str(demo_path)])
    shown = json.loads(unpacked((tmp_path / "poses.html").read_text(), 0))
    assert [model["name"] for model in shown["models"]][2:] == ["template", "pocket"]
