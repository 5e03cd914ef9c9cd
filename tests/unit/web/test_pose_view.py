from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest
from rdkit import Chem

from templ.benchmark.builtin import find_benchmark
from templ.benchmark.runner import RunOptions, run_benchmark
from templ.chemistry.molecules import positions
from templ.settings import RunSettings
from templ.web.pose_view import pose_view
from templ.web.results_view import card_at, record_at, rows_of


@pytest.fixture(scope="module")
def view(predicted):
    return pose_view(predicted.path, record_at(str(predicted.path), 0))


def test_it_is_plain_and_has_every_pose(view, predicted):
    json.dumps(view, allow_nan=False)
    record = predicted["amide"]
    assert [rank["confidence"] for rank in view["ranks"]] == [pose.confidence for pose in record.poses]
    kinds = [model["kind"] for model in view["models"]]
    assert kinds.count("rank") == len(record.poses)
    assert {"template", "pocket"} < set(kinds)
    assert "crystal" not in kinds
    assert {model["template"] for model in view["models"] if model["kind"] == "template"} == {
        pose.template for pose in record.poses
    }


def test_the_support_of_the_atoms_is_what_the_score_was_made_of(view, predicted):
    """Templates are found again, by the same rule and weights: the mean is the term that was recorded."""
    for rank, pose in zip(view["ranks"], predicted["amide"].poses, strict=True):
        assert np.mean(rank["support"]) == pytest.approx(pose.terms["atom_density"], abs=1e-3)


def test_reasons_are_three_sentences_with_the_numbers_of_the_record(view, predicted):
    pose = predicted["amide"].first
    where, what, sure = view["ranks"][0]["reasons"]
    assert pose.template in where
    assert f"{len(pose.core)} of its {predicted['amide'].query_atoms} heavy atoms" in where
    bonds = [pair for pair in view["ranks"][0]["interactions"] if pair["kind"] == "hydrogen bond"]
    assert ("no hydrogen bonds" in what) == (not bonds)
    assert f"{pose.confidence:.2f}" in sure
    assert all(len(re.findall(r"\d", sentence)) >= 2 for sentence in (where, what, sure))


def test_labels_name_the_pocket_of_the_pose(view, predicted):
    assert {label["name"] for label in view["labels"]} == set(predicted["amide"].first.pocket)


def test_each_atom_of_the_drawing_is_one_of_the_pose(view):
    pose = Chem.MolFromMolBlock(view["models"][0]["text"])
    drawing = view["ranks"][0]["drawings"]["query"]
    spots = [int(atom) for atom in re.findall(r'data-atom="(\d+)"', drawing)]
    assert spots == list(range(pose.GetNumAtoms()))
    assert "style=" not in drawing


def test_interactions_join_atoms_where_they_are(view):
    pose = Chem.MolFromMolBlock(view["models"][0]["text"])
    for pair in view["ranks"][0]["interactions"]:
        assert pair["start"] == pytest.approx(positions(pose)[pair["atom"]], abs=2e-3)
        apart = np.linalg.norm(np.subtract(pair["start"], pair["end"]))
        assert apart == pytest.approx(pair["distance"], abs=0.01)


def test_one_without_poses_tells_why(predicted):
    path = str(predicted.path)
    view = pose_view(path, record_at(path, 1))
    assert (view["status"], view["reason"], view["models"]) == ("refused", "peptide", [])
    assert view["drawings"]["query"].startswith("<svg")
    assert list(card_at(path, 1)) == ["query"]
    assert list(card_at(path, 0)) == ["query", "template"]
    rows = rows_of(path)
    assert [row["words"] == "" for row in rows] == [False, True]
    json.dumps(rows, allow_nan=False)


def test_a_journal_that_is_put_in_order_is_read_again(predicted, tmp_path):
    """The lines are the same, so is the size: only their order changes at the end of a run."""
    run = tmp_path / "run"
    shutil.copytree(predicted.path, run)
    journal = run / "results.jsonl"
    assert [record_at(str(run), index).id for index in (0, 1)] == ["amide", "peptide"]
    lines = journal.read_bytes().splitlines(keepends=True)
    (run / "new").write_bytes(b"".join(reversed(lines)))
    (run / "new").replace(journal)
    assert [record_at(str(run), index).id for index in (0, 1)] == ["amide", "peptide"]


def test_a_refused_target_shows_its_crystal_in_the_pocket(fast_benchmark, tmp_path):
    options = RunOptions({"min_confidence": 1.0}, limit=1)
    run_benchmark(find_benchmark(fast_benchmark), tmp_path / "r", RunSettings(workers=1), options)
    view = pose_view(tmp_path / "r", record_at(str(tmp_path / "r"), 0))
    assert view["ranks"] == []
    assert {model["kind"] for model in view["models"]} == {"crystal", "pocket"}
