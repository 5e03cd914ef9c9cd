from __future__ import annotations

import json
import shutil

import pytest

from templ.errors import InputError, RunError
from templ.report.collect import cover_of, outcome_of, read_results
from templ.runlog.poses import PoseAddress, read_poses

COLUMNS = "id,status,reason,detail,notes,rank,score,confidence,template,way,mcs_atoms,mcs_smarts"


@pytest.fixture
def predicted(tmp_path):
    """What `templ predict` writes, with poses that are only their titles: one query twice, one refused."""
    (tmp_path / "poses.csv").write_text(
        f"{COLUMNS}\n"
        "a,posed,,,a salt was stripped; kept one,1,4.5,0.75,t1,core,7,CC\n"
        "a,posed,,,a salt was stripped; kept one,2,3.5,0.5,t2,core,6,CC\n"
        "b,refused,peptide,too long,,,,,,,,\n"
        "a,posed,,,,1,2.5,0.25,t1,overlay,0,\n"
    )
    (tmp_path / "poses.sdf").write_text("a\nfirst\n$$$$\na\nsecond\n$$$$\na\nthird\n$$$$\n")
    return tmp_path / "poses.sdf"


def test_a_run(run):
    results = read_results(run)
    assert (len(results.records), results.notes) == (5, [])
    assert results.summary.overall.attempted == 5
    assert results.samples
    assert 0 < cover_of(results.records[0]) <= 1


def test_a_run_that_is_not_finished_says_so(run):
    manifest = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps(manifest | {"finished": None, "targets": 20}))
    with (run / "results.jsonl").open("a") as journal:
        journal.write('{"id": "torn')
    (note,) = read_results(run).notes
    assert "Partial" in note
    assert "5 of 20" in note


def test_a_run_without_memory_log_says_so(run):
    (run / "memory.jsonl").unlink()
    results = read_results(run)
    assert results.samples == []
    assert "no memory log" in results.notes[0]


def test_a_line_in_the_middle_that_is_torn(run):
    lines = (run / "results.jsonl").read_text().splitlines()
    (run / "results.jsonl").write_text("\n".join([lines[0][:40], *lines[1:]]))
    with pytest.raises(RunError, match="line 1"):
        read_results(run)


def test_a_run_without_any_result(run):
    (run / "results.jsonl").write_text("")
    with pytest.raises(RunError, match="no results yet"):
        read_results(run)


@pytest.mark.parametrize("name", ["nothing", "a file"])
def test_neither_run_nor_poses(tmp_path, name):
    (tmp_path / "a file").write_text("text")
    with pytest.raises(InputError, match="expected the folder of a run"):
        read_results(tmp_path / name)
    with pytest.raises(RunError, match="is not a run"):
        read_results(tmp_path)


def test_a_prediction(predicted):
    results = read_results(predicted)
    first, refused, again = results.records
    assert first["scores"] == [4.5, 3.5]
    assert first["confidence"] == [0.75, 0.5]
    assert first["notes"] == ["a salt was stripped", "kept one"]
    assert (refused["reason"], refused["poses"]) == ("peptide", None)
    assert read_poses(results.folder, PoseAddress.of(first)) == "a\nfirst\n$$$$\na\nsecond\n$$$$\n"
    assert read_poses(results.folder, PoseAddress.of(again)) == "a\nthird\n$$$$\n"
    assert [outcome_of(record) for record in results.records] == ["posed", "refused: peptide", "posed"]
    assert results.manifest is None
    assert cover_of(first) is None


def test_a_prediction_without_its_table(predicted):
    predicted.with_suffix(".csv").unlink()
    with pytest.raises(InputError, match=r"poses\.csv cannot be read"):
        read_results(predicted)


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ("id,smiles\na,CC\n", "no column status"),
        (COLUMNS + "\n", "no rows"),
        (COLUMNS + "\na,posed,,,,1,high,,t1,core,7,CC\n", "damaged"),
        (COLUMNS + "\nz,posed,,,,1,4.5,,t1,core,7,CC\n", "of other poses"),
    ],
)
def test_a_table_that_does_not_fit(predicted, table, complaint):
    predicted.with_suffix(".csv").write_text(table)
    with pytest.raises(InputError, match=complaint):
        read_results(predicted)


def test_poses_that_end_too_early(predicted):
    predicted.write_text("a\nfirst\n$$$$\na\nsec")
    with pytest.raises(InputError, match="ends within the poses of 'a'"):
        read_results(predicted)


def test_a_table_without_poses_beside(predicted, tmp_path):
    other = tmp_path / "other.sdf"
    shutil.copy(predicted, other)
    with pytest.raises(InputError, match=r"other\.csv"):
        read_results(other)
