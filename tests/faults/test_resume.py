"""A benchmark killed at any moment and started again gives what an undisturbed one gives, byte for byte."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time

import pytest

from templ.runlog.journal import JOURNAL_NAME, read_records
from templ.runlog.manifest import read_manifest
from templ.runlog.poses import POSES_FOLDER

TARGETS = 12
KILLS = 3


def start(run, workers):
    command = [sys.executable, "-m", "templ", "benchmark", "run", "demo", "--limit", str(TARGETS)]
    return subprocess.Popen([*command, "-o", str(run), "--workers", str(workers)])


def recorded(run):
    journal = run / JOURNAL_NAME
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def outcome(run):
    """Everything a finished run says, but for what it cost: records in their order, and all pose files."""
    assert read_manifest(run).finished is not None
    records = list(read_records(run / JOURNAL_NAME))
    for record in records:
        del record["cost"]
    return json.dumps(records), {path.name: path.read_bytes() for path in (run / POSES_FOLDER).iterdir()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    run = tmp_path_factory.mktemp("undisturbed") / "run"
    assert start(run, workers=2).wait() == 0
    records, poses = outcome(run)
    assert len(json.loads(records)) == TARGETS
    assert any(poses.values())
    return records, poses


@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_killed_at_random_moments_ends_as_one_never_killed(tmp_path, undisturbed, workers):
    seed = random.randrange(10**6)
    print("seed", seed)
    moments = random.Random(seed)
    run = tmp_path / "run"
    # Each is killed somewhere after its first record, early enough that the next has something left to do.
    for kill in range(KILLS):
        before = recorded(run)
        process = start(run, workers)
        while recorded(run) <= before:
            assert process.poll() is None, f"seed {seed}: ended before kill {kill}"
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.1))
        process.kill()
        assert process.wait() == -signal.SIGKILL, f"seed {seed}, kill {kill}"
        assert before < recorded(run) < TARGETS, f"seed {seed}, kill {kill}"
    assert start(run, workers).wait() == 0
    assert outcome(run) == undisturbed, f"seed {seed}"


def test_one_worker_and_two_give_the_same(tmp_path, undisturbed):
    run = tmp_path / "run"
    assert start(run, workers=1).wait() == 0
    assert outcome(run) == undisturbed


def test_a_finished_run_started_again_changes_nothing(tmp_path, undisturbed):
    run = tmp_path / "run"
    assert start(run, workers=2).wait() == 0
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert start(run, workers=1).wait() == 0
    after = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    del before[run / "run.lock"], after[run / "run.lock"]
    assert after == before
