"""A benchmark killed at any moment and started again gives what an undisturbed one gives, byte for byte."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time

import pytest

from templ.runlog.journal import JOURNAL_NAME, read_records
from templ.runlog.manifest import read_manifest
from templ.runlog.poses import POSES_FOLDER

TARGETS = 12
KILLS = 3
PATIENCE_S = 120
"""Only a failing test waits that long."""


@pytest.fixture(scope="session")
def start(running):
    """``with start(run, workers) as process``: the real command line."""

    def start(run, workers):
        words = f"-m templ benchmark run demo --limit {TARGETS} --workers {workers} -o".split()
        return running([sys.executable, *words, run])

    return start


@pytest.fixture(scope="session")
def complete(start):
    """Start a run, or go on with it, and wait for its end; returns the exit code."""

    def complete(run, workers):
        with start(run, workers) as process:
            return process.wait(PATIENCE_S)

    return complete


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
def undisturbed(tmp_path_factory, complete):
    run = tmp_path_factory.mktemp("undisturbed") / "run"
    assert complete(run, 2) == 0
    records, poses = outcome(run)
    assert len(json.loads(records)) == TARGETS
    assert any(poses.values())
    return records, poses


@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_killed_at_random_moments_ends_as_one_never_killed(
    tmp_path, undisturbed, start, complete, workers
):
    seed = random.randrange(10**6)
    print("seed", seed)
    moments = random.Random(seed)
    run = tmp_path / "run"
    # Each is killed somewhere after its first record; on a busy machine one may come to its end before.
    kills = 0
    for _ in range(KILLS):
        before = recorded(run)
        with start(run, workers) as process:
            while recorded(run) <= before and process.poll() is None:
                time.sleep(0.002)
            time.sleep(moments.uniform(0, 0.1))
            process.kill()
            ended = process.wait()
        assert ended in (0, -signal.SIGKILL), f"seed {seed}"
        if ended == 0:
            break
        kills += 1
        assert before < recorded(run), f"seed {seed}, kill {kills}"
    assert kills, f"seed {seed}"
    assert complete(run, workers) == 0
    assert outcome(run) == undisturbed, f"seed {seed}"


def test_a_run_killed_while_it_starts_is_no_obstacle(tmp_path, undisturbed, start, complete):
    run = tmp_path / "run"
    seed = random.randrange(10**6)
    moments = random.Random(seed)
    for _ in range(4):
        with start(run, 2) as process:
            time.sleep(moments.uniform(0, 1.5))
            process.kill()
    assert complete(run, 2) == 0, f"seed {seed}"
    assert outcome(run) == undisturbed, f"seed {seed}"


def test_a_second_run_in_the_folder_is_refused_and_the_first_not_disturbed(
    tmp_path, undisturbed, start, complete
):
    run = tmp_path / "run"
    with start(run, 2) as first:
        while not (run / JOURNAL_NAME).exists():
            assert first.poll() is None
            time.sleep(0.002)
        first.send_signal(signal.SIGSTOP)  # at least until the second has come
        assert complete(run, 1) == 2
        first.send_signal(signal.SIGCONT)
        assert first.wait(PATIENCE_S) == 0
    assert outcome(run) == undisturbed


def test_one_worker_and_two_give_the_same(tmp_path, undisturbed, complete):
    run = tmp_path / "run"
    assert complete(run, 1) == 0
    assert outcome(run) == undisturbed


def test_a_finished_run_started_again_changes_nothing_and_one_that_is_torn_is_mended(
    tmp_path, undisturbed, complete
):
    run = tmp_path / "run"
    assert complete(run, 2) == 0
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert complete(run, 1) == 0
    after = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    del before[run / "run.lock"], after[run / "run.lock"]
    assert after == before
    journal = run / JOURNAL_NAME
    os.truncate(journal, journal.stat().st_size - 7)
    assert complete(run, 1) == 0
    assert outcome(run) == undisturbed
