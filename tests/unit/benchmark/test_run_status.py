"""How far runs are: real runs, one of them at work, stopped and gone on with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from templ.benchmark.builtin import find_benchmark
from templ.benchmark.run_status import RunStatus, status_of, to_text
from templ.benchmark.runner import RunOptions, run_benchmark
from templ.checksums import with_checksum
from templ.cli import app
from templ.errors import RunError
from templ.runs.manifest import read_manifest, write_manifest
from templ.runs.run_folder import lock_run
from templ.settings import RunSettings

FAST = {"conformers": 5, "minimised": 10, "rounds": 0, "top": 1}


def run_some(folder, kinase_path, limit=2, **options):
    source = find_benchmark("loo", library=kinase_path)
    run_benchmark(source, folder, RunSettings(workers=1), RunOptions(prediction=FAST, limit=limit, **options))
    return folder


def status(*runs):
    done = CliRunner().invoke(app, ["benchmark", "status", *map(str, runs)])
    return done.exit_code, done.output


def test_a_finished_run(tmp_path, kinase_path):
    found = status_of(run_some(tmp_path / "a", kinase_path))
    assert found == RunStatus(tmp_path / "a", "finished", 2, 2, 2, 0, 0, None)
    assert found.seconds_left == 0
    code, text = status(tmp_path / "a")
    assert code == 0
    assert text.splitlines()[1].split() == [
        str(tmp_path / "a"),
        "finished",
        "2",
        "2",
        "2",
        "0",
        "0",
        "-",
        "0",
        "s",
    ]


def test_a_run_that_was_planned_or_is_none(tmp_path, kinase_path):
    planned = run_some(tmp_path / "a", kinase_path, dry_run=True)
    assert status_of(planned) == RunStatus(planned, "stopped", 2, 0, 0, 0, 0, None)
    assert status_of(planned).seconds_left is None
    assert status(planned)[0] == 1
    with pytest.raises(RunError, match="is not a run"):
        status_of(tmp_path / "nothing")


@pytest.mark.parametrize("words", [(), ("--join",)], ids=["alone", "joined"])
def test_a_run_at_work_and_one_that_was_killed(tmp_path, kinase_path, words):
    """Several together are as far as the one that takes longest; a killed process is at nothing."""
    finished = run_some(tmp_path / "b", kinase_path, limit=1)
    folder = tmp_path / "a"
    command = [sys.executable, "-m", "templ", "benchmark", "run", "loo", "--library", str(kinase_path)]
    with subprocess.Popen(
        [*command, "--workers", "1", "-o", str(folder), *words],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    ) as process:
        try:
            deadline = time.monotonic() + 60
            while not ((folder / "manifest.json").exists() and status_of(folder).done):
                assert time.monotonic() < deadline
                time.sleep(0.1)
            os.kill(process.pid, signal.SIGSTOP)  # so it holds its lock, and does not end too soon
            code, text = status(finished, folder)
            assert (code, text.splitlines()[2].split()[1]) == (4, "running")
            assert text.splitlines()[3].split()[:2] == ["all", "running"]
        finally:
            process.kill()
    left = status_of(folder)
    assert (left.state, left.done) == ("stopped", left.posed)
    assert left.done
    assert status(finished, folder)[0] == 1


def test_a_run_whose_parts_are_put_together_at_that_moment(tmp_path, monkeypatch, kinase_path):
    """They are deleted as soon as the run is finished, and then all is in the run itself."""
    folder = run_some(tmp_path / "a", kinase_path)
    manifest = read_manifest(folder)
    write_manifest(folder, manifest.model_copy(update={"finished": None}))

    def finish(run):
        write_manifest(folder, manifest)
        return {1: folder / "parts" / "0001.1"}

    monkeypatch.setattr("templ.benchmark.run_status.latest_attempts", finish)
    found = status_of(folder)
    assert (found.state, found.done) == ("finished", 2)


def test_a_list_of_queries_by_the_name_of_its_poses(tmp_path, kinase_path):
    run_some(tmp_path / "poses.run", kinase_path, dry_run=True)
    assert status_of(tmp_path / "poses.sdf").state == "stopped"
    with lock_run(tmp_path / "poses.run"):
        assert status_of(tmp_path / "poses.sdf").state == "running"


def test_speed_is_that_of_the_last_minutes_since_it_was_started(tmp_path, monkeypatch, kinase_path):
    folder = run_some(tmp_path / "a", kinase_path, dry_run=True)
    times = [(0.0, 0), (100.0, 50), (5000.0, 0), (5500.0, 400), (6000.0, 700), (6050.0, 730)]
    samples = [{"time": at, "monotonic": at, "ended": ended, "reason": ""} for at, ended in times]
    (folder / "memory.jsonl").write_text("".join(json.dumps(with_checksum(s)) + "\n" for s in samples))
    monkeypatch.setattr("templ.benchmark.run_status.is_locked", lambda path: True)
    found = status_of(folder)
    assert found.speed == pytest.approx((730 - 400) / 550)
    assert found.seconds_left == pytest.approx(2 / found.speed)


def test_several_together(tmp_path):
    one = RunStatus(tmp_path / "1", "running", 1200, 200, 190, 7, 3, 0.5)
    other = replace(one, path=tmp_path / "2", done=1100, speed=1.0)
    *_, last = to_text([one, other])
    assert last.split() == ["all", "running", "1,300", "2,400", "380", "14", "6", "90.0", "33", "min"]
    *_, last = to_text([one, replace(other, state="stopped", speed=None)])
    assert last.split()[:2] == ["all", "stopped"]
    assert last.endswith("?")
