"""A run killed at any moment and started again gives what an undisturbed one gives, byte for byte."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from dataclasses import replace

import pytest
from rdkit import Chem

from templ.evaluation.run import load_run
from templ.runs.journal import JOURNAL_NAME
from templ.runs.pose_shards import POSES_FOLDER
from templ.runs.record import Cost
from templ.sources.demo import demo_files
from templ.sources.ledger import Ledger
from templ.sources.sdf import read_sdf

TARGETS = 8
KILLS = 3
PATIENCE_S = 120
"""Only a failing test waits that long."""


@pytest.fixture(scope="session")
def start(running):
    """``with start(run, workers) as process``: the real command line."""

    def start(run, workers):
        words = f"-m templ benchmark run demo-mpro --limit {TARGETS} --workers {workers} -o".split()
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
    assert load_run(run).manifest.finished is not None
    records = [replace(record, cost=Cost()) for record in load_run(run)]
    return records, {path.name: path.read_bytes() for path in (run / POSES_FOLDER).iterdir()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, complete):
    run = tmp_path_factory.mktemp("undisturbed") / "run"
    assert complete(run, 2) == 0
    records, poses = outcome(run)
    assert len(records) == TARGETS
    assert any(poses.values())
    return records, poses


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.slow), 2])
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_one_worker_and_two_give_the_same(tmp_path, undisturbed, complete):
    run = tmp_path / "run"
    assert complete(run, 1) == 0
    assert outcome(run) == undisturbed


@pytest.mark.slow
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


# --- queries


@pytest.fixture(scope="module")
def list_queries():
    """Writes a list of demo ligands as queries, with rows that cannot be read and names that come twice."""

    def write(path, count):
        with Ledger() as ledger:
            entries = list(read_sdf(demo_files().ligands, ledger))[:count]
        lines = [f"{Chem.MolToSmiles(Chem.RemoveHs(entry.mol))} {entry.id}" for entry in entries]
        lines[count // 3] = "C1CC ring"
        lines[count // 2] = lines[1]
        path.write_text("\n".join(lines) + "\n")

    return write


@pytest.fixture(scope="module")
def predict(running, demo_path):
    """``with predict(folder) as process``: the real command line on the list in a folder."""

    def start(folder, workers=2):
        words = (
            f"-m templ predict --queries q.smi --top 2 --workers {workers} --max-failures 2 --library".split()
        )
        return running([sys.executable, *words, demo_path], cwd=folder)

    return start


def results(folder):
    """Everything that a finished run of queries has, but for what it cost."""
    run = load_run(folder / "poses.sdf")
    assert run.manifest.finished is not None
    records = [replace(record, cost=Cost()) for record in run]
    return records, *((folder / name).read_bytes() for name in ("poses.sdf", "poses.csv"))


@pytest.mark.slow
@pytest.mark.parametrize(("kills", "queries"), [(3, 12), (20, 60)], ids=["3", "20"])
def test_queries_killed_at_random_moments_end_as_those_never_killed(
    tmp_path, list_queries, predict, kills, queries
):
    """In turn soon after a record, and at any time from the start on: also while the end is written."""
    seed = random.randrange(10**6)
    print("seed", seed)
    moments = random.Random(seed)
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    for folder in (undisturbed, killed):
        folder.mkdir()
        list_queries(folder / "q.smi", queries)
    begin = time.monotonic()
    with predict(undisturbed) as process:
        assert process.wait(20 * PATIENCE_S) == 0
    longest = time.monotonic() - begin
    ended_by_kill = 0
    for done in range(10 * kills):
        before = recorded(killed / "poses.run")
        with predict(killed, workers=moments.choice((1, 2))) as process:
            if done % 2:
                time.sleep(moments.uniform(0, min(longest, 5)))
            else:
                while recorded(killed / "poses.run") <= before and process.poll() is None:
                    time.sleep(0.002)
                time.sleep(moments.uniform(0, 0.1))
            process.kill()
            ended = process.wait()
        assert ended in (0, -signal.SIGKILL), f"seed {seed}"
        ended_by_kill += ended != 0
        if ended_by_kill == kills:
            break
    assert ended_by_kill == kills, f"seed {seed}"
    with predict(killed) as process:
        assert process.wait(20 * PATIENCE_S) == 0, f"seed {seed}"
    assert results(killed) == results(undisturbed), f"seed {seed}"
    records = results(killed)[0]
    assert [record.index for record in records] == list(range(queries))
    assert [record.reason for record in records if record.status == "failed"] == ["unreadable"] * 2
    assert not list(killed.glob(".*")), "no half-written file is left"
