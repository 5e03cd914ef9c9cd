"""A run of another method is neither gone on with nor merged: the real program with other weights."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import templ
from templ.benchmark.merge import merge_runs
from templ.errors import RunError
from templ.evaluation.run import load_run


def program(*words, cwd, source):
    """Run the program from a folder of sources."""
    done = subprocess.run(
        [sys.executable, "-m", "templ", *map(str, words)],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def run_shard(fast_benchmark):
    return ["benchmark", "run", fast_benchmark, "--limit", "4", "--workers", "2", "--shard"]


@pytest.fixture(scope="module")
def ours():
    return Path(templ.__file__).parents[1]


@pytest.fixture(scope="module")
def negated(tmp_path_factory, ours):
    """The program with all its fitted weights negated."""
    source = tmp_path_factory.mktemp("negated")
    shutil.copytree(ours / "templ", source / "templ", ignore=shutil.ignore_patterns("__pycache__"))
    path = source / "templ" / "scoring" / "weights.json"
    content = json.loads(path.read_text())

    def negate(value):
        if isinstance(value, dict):
            return {name: negate(part) for name, part in value.items()}
        return -value if isinstance(value, float) else value

    path.write_text(json.dumps(negate(content)))
    return source


@pytest.fixture(scope="module")
def runs(tmp_path_factory, ours, negated, run_shard):
    """One shard by the program, another by the one with other weights."""
    folder = tmp_path_factory.mktemp("runs")
    for name, shard, source in (("ours", "1/2", ours), ("theirs", "2/2", negated)):
        done = program(*run_shard, shard, "-o", name, cwd=folder, source=source)
        assert done.returncode == 0, done.stderr
    return folder


def test_other_weights_give_another_identity_and_other_scores(runs):
    """Else the tests below would show nothing."""
    one, other = load_run(runs / "ours"), load_run(runs / "theirs")
    assert one.manifest.identity.difference(other.manifest.identity) == "other fitted weights"
    assert one.manifest.identity.versions == other.manifest.identity.versions
    assert max(record.first.confidence for record in other) < min(record.first.confidence for record in one)


def test_a_run_of_other_weights_is_not_gone_on_with(runs, tmp_path, ours, run_shard):
    run = shutil.copytree(runs / "theirs", tmp_path / "run")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    done = program(*run_shard, "2/2", "-o", run, cwd=tmp_path, source=ours)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        f"templ: error: {run} holds a run with other settings (other fitted weights); choose another folder"
    )
    del before[run / "run.lock"]
    assert {path: path.read_bytes() for path in before} == before


def test_a_run_of_other_weights_is_not_merged(runs, tmp_path, ours):
    out = tmp_path / "merged"
    words = ("benchmark", "merge", out, runs / "ours", runs / "theirs")
    done = program(*words, cwd=tmp_path, source=ours)
    assert done.returncode == 2, done.stderr
    assert "are not shards of one run: their settings differ (other fitted weights)" in done.stderr
    assert not out.exists()


def test_a_setting_edited_in_the_manifest_is_found(runs, tmp_path, ours, run_shard):
    """At resume, as it says now; by merge and summary."""
    run = shutil.copytree(runs / "ours", tmp_path / "run")
    path = run / "manifest.json"
    content = json.loads(path.read_text())
    content["identity"]["settings"]["seed"] = 2
    path.write_text(json.dumps(content))
    for words in (
        (*run_shard, "1/2", "-o", run),
        (*run_shard, "1/2", "--seed", "2", "-o", run),
        ("benchmark", "merge", tmp_path / "merged", run, runs / "theirs"),
        ("benchmark", "summary", run),
    ):
        done = program(*words, cwd=tmp_path, source=ours)
        assert done.returncode == 2, words
        assert "manifest.json was edited or is damaged, it is not what the run was started" in done.stderr


@pytest.mark.slow
def test_queries_of_other_weights_are_not_gone_on_with(demo_path, tmp_path, ours, negated):
    (tmp_path / "q.smi").write_text("CC(=O)Nc1cnccc1C q\n")
    words = ("predict", "--library", demo_path, "--queries", "q.smi", "--top", "1")
    assert program(*words, cwd=tmp_path, source=negated).returncode == 0
    before = (tmp_path / "poses.sdf").read_bytes()
    done = program(*words, cwd=tmp_path, source=ours)
    assert done.returncode == 2
    assert "poses.run holds a run with other settings (other fitted weights)" in done.stderr
    assert (tmp_path / "poses.sdf").read_bytes() == before


# --- a shard that lost records after its end


def lose(run, number):
    """Take a line out of the results of a run."""
    path = run / "results.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    del lines[number]
    path.write_bytes(b"".join(lines))


@pytest.fixture(scope="module")
def shards(runs, ours, run_shard):
    done = program(*run_shard, "2/2", "-o", "second", cwd=runs, source=ours)
    assert done.returncode == 0, done.stderr
    return runs / "ours", runs / "second"


@pytest.mark.parametrize("number", [0, 1])
def test_a_shard_that_lost_a_record_is_named(shards, tmp_path, number):
    torn = shutil.copytree(shards[1], tmp_path / "torn")
    lose(torn, number)
    with pytest.raises(
        RunError, match=f"{torn} lacks the record of target {2 * number + 2}; start its command"
    ):
        merge_runs(tmp_path / "merged", [shards[0], torn])
    with pytest.raises(RunError, match=f"{torn} and {shards[1]} disagree about"):
        merge_runs(tmp_path / "merged", [shards[0], torn, shards[1]])


def test_a_merge_that_was_killed_is_no_obstacle_and_leaves_nothing(shards, tmp_path):
    whole = tmp_path / "whole"
    merge_runs(whole, shards)
    killed = shutil.copytree(whole, tmp_path / "killed")
    (killed / "results.jsonl").unlink()
    merge_runs(killed, shards)
    for name in ("results.jsonl", "poses/0000.sdf"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes()
