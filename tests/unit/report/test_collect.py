from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from templ.errors import RunError
from templ.report.collect import outcome_of, read_results
from templ.runs.pose_shards import read_poses


def test_a_run(run):
    results = read_results(run)
    assert (len(results.records), results.notes) == (5, [])
    assert results.summary.overall.attempted == 5
    assert results.samples
    assert 0 < results.records[0].query_coverage <= 1


def test_a_run_that_is_not_finished_says_so(run, alter_manifest):
    alter_manifest(finished=None, targets=20)
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


@pytest.mark.parametrize("gone", [False, True])
def test_a_run_without_any_result(run, gone, alter_manifest):
    alter_manifest(finished=None)
    (run / "results.jsonl").write_text("")
    if gone:
        (run / "results.jsonl").unlink()
    with pytest.raises(RunError, match="no results yet"):
        read_results(run)


@pytest.mark.parametrize("name", ["nothing", "a file", "."])
def test_neither_run_nor_poses(tmp_path, name):
    (tmp_path / "a file").write_text("text")
    with pytest.raises(RunError, match="is not a run"):
        read_results(tmp_path / name)


def test_a_prediction(predicted):
    results = read_results(predicted)
    posed, refused, salt, unreadable = results.records
    assert len(posed.poses) == 2
    assert 0 < posed.first.confidence <= 1
    assert salt.notes[0] == "largest fragment kept, left out: Cl"
    assert (refused.reason, refused.poses) == ("unsupported-element", ())
    # The same poses as in the file, in its order.
    folder = results.run.path
    texts = [read_poses(folder, record.address) for record in (posed, salt)]
    assert "".join(texts) == predicted.read_text()
    assert texts[0].startswith("a\n")
    assert [outcome_of(record) for record in results.records] == [
        "posed",
        "refused: unsupported-element",
        "posed",
        "failed: unreadable",
    ]
    assert "C1CC" in unreadable.detail
    assert (results.summary, results.notes) == (None, [])
    assert posed.rmsd is None
    assert 0 < posed.query_coverage <= 1


def test_outcomes_tell_how_near_the_crystal(run, alter):
    record = read_results(run).records[0]
    pose = record.first
    assert outcome_of(record) == ("within 2 A" if record.rmsd <= 2 else "farther than 2 A")
    alter(0, poses=(replace(pose, rmsd=2.0),))
    alter(1, poses=(replace(pose, rmsd=2.0001),))
    assert [outcome_of(each) for each in read_results(run).records[:2]] == ["within 2 A", "farther than 2 A"]


def test_a_prediction_without_its_table_is_read_all_the_same(predicted):
    predicted.with_suffix(".csv").unlink()
    assert len(read_results(predicted).records) == 4


def test_a_prediction_without_its_run(predicted, tmp_path):
    other = tmp_path / "other.sdf"
    shutil.copy(predicted, other)
    with pytest.raises(RunError, match=r"other\.run is missing.*predict again"):
        read_results(other)
