from __future__ import annotations

import base64
import gzip
import json
import random
import re
from dataclasses import replace
from importlib.resources import files
from itertools import combinations

import numpy as np
import pytest
from typer.testing import CliRunner

from templ.cli import app
from templ.errors import TemplError
from templ.report.collect import read_results
from templ.report.run_report import keep_structures, table_of, write_report
from templ.report.structures import Structures
from templ.runs.record import Record

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
    assert [row[names.index("id")] for row in table["rows"]] == [record.id for record in records]
    assert [row[names.index("RMSD")] for row in table["rows"]] == [record.rmsd for record in records]
    assert "$3Dmol" in unpacked(page, "viewer")
    assert all(json.loads(unpacked(page, index))["models"] for index in range(5))
    assert "templ benchmark run demo-mpro --limit 5" in page
    assert out.stat().st_size < 2.5e6
    assert "Partial" not in page


def test_a_partial_run_says_so_on_top(run, alter_manifest, tmp_path):
    alter_manifest(finished=None)
    out = tmp_path / "page.html"
    write_report(run, out)
    page = out.read_text()
    assert page.index("Partial: this run is not finished") < page.index("of 5 targets have their first pose")


def test_validity_is_told_where_it_was_checked(run, alter, tmp_path):
    out = tmp_path / "page.html"
    write_report(run, out)
    assert "valid, and within" not in out.read_text()
    for index, record in enumerate(read_results(run).records):
        near = replace(record.first, rmsd=1.5)
        alter(index, poses=(near,), failed_checks=("internal_energy",) if index == 0 else ())
    write_report(run, out)
    page = out.read_text()
    (row,) = re.findall(r"valid, and within 2 Å</th><td>(.*?)</td>", page)
    assert "80.0 %" in row
    assert "4 of 5" in row
    assert 'internal energy <span class="quiet">1</span>' in page


def test_what_others_wrote_is_text(run, alter, alter_manifest, tmp_path):
    alter_manifest(name=HOSTILE, command=["templ", HOSTILE], library=HOSTILE)
    alter(0, status="failed", reason=HOSTILE, detail=HOSTILE, poses=(), group=HOSTILE)
    hostile = replace(read_results(run).records[1].first, template=HOSTILE)
    alter(1, id=HOSTILE, poses=(hostile,), notes=(HOSTILE,))
    out = tmp_path / "page.html"
    write_report(run, out)
    page = out.read_text()
    assert "<script>alert" not in page
    assert "分子" in page
    assert json.loads(unpacked(page, "table"))["details"][0]["detail"] == HOSTILE


def test_columns_are_those_that_say_something(run, alter):
    for index in range(5):
        alter(index, failed_checks=None)
    alter(2, failed_checks=("internal_energy",))
    alter(3, failed_checks=())
    table = table_of(read_results(run))
    names = [column["name"] for column in table["columns"]]
    assert [row[names.index("valid")] for row in table["rows"]] == [None, None, "fails 1", "valid", None]
    assert not {"identity", "group"} & set(names)
    assert {"confidence", "method", "coverage"} <= set(names)
    alter(2, identity=0.7)
    assert "identity" in [column["name"] for column in table_of(read_results(run))["columns"]]


def test_columns_say_what_the_record_says(run):
    results = read_results(run)
    table = table_of(results)
    names = [column["name"] for column in table["columns"]]
    abouts = {column["name"]: column["about"] for column in table["columns"]}
    assert abouts["method"] == "placement method of the first pose"
    assert abouts["coverage"].startswith("query coverage")
    for record, row, details in zip(results.records, table["rows"], table["details"], strict=True):
        told = dict(zip(names, row, strict=True))
        assert told["method"] == record.first.placement_method
        assert told["coverage"] == len(record.first.core) / record.query_atoms
        assert told["confidence"] == record.first.confidence
        assert told["template"] == record.first.template
        assert details["prior_confidence"] == record.prior_confidence
        assert details["confidence"] == [pose.confidence for pose in record.poses]
        assert details["rmsd"] == [pose.rmsd for pose in record.poses]


def test_of_a_query_that_was_not_read_nothing_is_told(predicted):
    table = table_of(read_results(predicted))
    names = [column["name"] for column in table["columns"]]
    assert not {"RMSD", "best", "valid"} & set(names)
    unreadable = dict(zip(names, table["rows"][3], strict=True))
    known = {name for name, value in unreadable.items() if value is not None}
    assert known == {"id", "outcome", "CPU, s", "memory, MB"}


@pytest.fixture
def noise():
    """Text of 800 letters that does not compress."""
    source = random.Random(5)
    return lambda: base64.b64encode(source.randbytes(600)).decode()


class Heavy:
    """Takes structures out of the record itself."""

    def of(self, record):
        return record.detail


def test_structures_that_matter_come_first(noise, run):
    pose = read_results(run).records[0].first

    def record(status, rmsd):
        poses = () if rmsd is None else (replace(pose, rmsd=rmsd),)
        return Record(0, "x", status, detail=noise(), poses=poses)

    records = [record("posed", 0.5), record("posed", 3.0), record("refused", None)]
    records += [record("posed", 7.0), record("failed", None)]
    kept, which = keep_structures(records, Heavy(), "targets", most=2900)
    assert list(kept)[:3] == [4, 3, 1]
    assert len(kept[0]) < 100 < len(kept[4])  # of the others a drawing: here there is no SMILES to draw
    assert "3 of 5 targets" in which
    kept, which = keep_structures(records, Heavy(), "targets", most=100_000)
    assert (sorted(kept), which) == ([0, 1, 2, 3, 4], "")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["nowhere"], "nowhere is not a run"),
        (["."], "is not a run"),
        (["nowhere.sdf"], "nowhere.run is missing"),
        (["RUN", "-o", "page.txt"], r"ends in \.html"),
        (["RUN", "--library", "nowhere"], "nowhere"),
    ],
)
def test_bad_input(demo_run, tmp_path, monkeypatch, words, complaint):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["report", *(str(demo_run) if word == "RUN" else word for word in words)])
    assert isinstance(done.exception, TemplError)
    assert done.exception.exit_code == 2
    assert re.search(complaint, str(done.exception))


def test_predicted_poses_and_their_page(predicted):
    done = CliRunner().invoke(app, ["report", str(predicted)])
    assert done.exit_code == 0
    page = predicted.with_suffix(".html").read_text()
    assert "2</strong> of 4 queries have poses" in page
    assert "No crystal is known" in page
    shown = json.loads(unpacked(page, 0))
    assert [model["name"] for model in shown["models"]] == ["rank 1", "rank 2", "template", "pocket"]
    assert "templ predict -l" in page
    assert "q.csv" in page


def test_predicted_poses_whose_library_was_moved(predicted, demo_path, replace_in_manifest):
    replace_in_manifest(predicted.with_suffix(".run"), str(demo_path), "/gone.templ")
    done = CliRunner().invoke(app, ["report", str(predicted)])
    assert "--library" in done.stderr
    page = predicted.with_suffix(".html").read_text()
    assert [model["name"] for model in json.loads(unpacked(page, 0))["models"]] == ["rank 1", "rank 2"]
    CliRunner().invoke(app, ["report", str(predicted), "--library", str(demo_path)])
    page = predicted.with_suffix(".html").read_text()
    names = [model["name"] for model in json.loads(unpacked(page, 0))["models"]]
    assert names[:3] == ["rank 1", "rank 2", "template"]


def test_success_by_protein_is_told_where_targets_have_one(run, alter, tmp_path):
    out = tmp_path / "page.html"
    write_report(run, out)
    assert "Success by protein" not in out.read_text()
    for index, group in enumerate(("CDK2", "CDK2", "CDK2", "BRD4", "")):
        alter(index, group=group)
    write_report(run, out)
    table = out.read_text().partition('id="groups"')[2].partition("</table>")[0]
    rows = re.findall(r'<th scope="row">(.*?)</th><td class="number">(\d+)</td>', table)
    assert rows == [("CDK2", "3"), ("(none)", "1"), ("BRD4", "1")]


def test_a_target_whose_structures_find_no_room_has_its_drawing(run):
    results = read_results(run)
    structures = Structures(results.run)
    kept, which = keep_structures(results.records, structures, "targets", most=10)
    assert sorted(kept) == [0, 1, 2, 3, 4]
    assert "Structures are kept for 0 of 5" in which
    for packed in kept.values():
        shown = json.loads(gzip.decompress(base64.b64decode(packed)))
        assert shown["models"] == []
        assert shown["query"].startswith("<svg")


# Machado, Oliveira and Fernandes, IEEE Trans. Vis. Comput. Graph. 15 (2009) 1291: deuteranopia, linear RGB.
DEUTERANOPIA = [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.011820, 0.042940, 0.968881],
]
TO_XYZ = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]


def seen(colour):
    """A colour as an eye without green cones sees it, in CIE Lab."""
    code = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    linear = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
    x, y, z = TO_XYZ @ np.clip(DEUTERANOPIA @ linear, 0, 1) / np.array([0.9505, 1, 1.089])
    x, y, z = (np.cbrt(v) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, y, z))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_the_colours_of_a_page_are_told_apart_without_green_cones():
    """A distance of 2 is seen side by side, of 15 at a glance."""
    css = (files("templ.report") / "assets" / "base.css").read_text()
    blocks = css.split(":root")[1:3]
    palettes = [dict(re.findall(r"--(good|other|bad|quiet|ink): (#\w{6});", block)) for block in blocks]
    assert [len(palette) for palette in palettes] == [5, 5]
    for palette in palettes:
        for one, other in combinations(palette.values(), 2):
            assert np.linalg.norm(seen(one) - seen(other)) > 15, (one, other)
