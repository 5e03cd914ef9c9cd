"""Every fault of a worker, through the real command line: journal, order of the records, and exit code."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from itertools import pairwise

import pytest

from templ.benchmark.memory_profile import profile_run
from templ.evaluation.run import load_run

TARGETS = 4


@pytest.fixture
def faulty(tmp_path, helpers):
    """Runs the command line with a fault for some ids; returns its exit code."""

    def start(words, faults, **more):
        done = subprocess.run(
            [sys.executable, helpers / "faulty_templ.py", *map(str, words)],
            cwd=tmp_path,
            env=os.environ | {"FAULTS": json.dumps(faults)} | more,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert "xxxx" not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.returncode

    return start


@pytest.fixture
def run(tmp_path, demo_path, demo_library, faulty):
    """Runs a benchmark of four targets, with a fault for some of them by their number."""
    (tmp_path / "mine.toml").write_text(f'library = "{demo_path}"\n')

    def start(faults, workers=2, targets=TARGETS, **more):
        ids = list(demo_library)[:targets]
        words = f"benchmark run mine.toml --limit {targets} --workers {workers} --memory 2GiB -o run".split()
        code = faulty(words, {ids[number]: fault for number, fault in faults.items()}, **more)
        assert load_run(tmp_path / "run").manifest.finished
        records = list(load_run(tmp_path / "run"))
        assert [record.id for record in records] == ids  # a list: in order, and each once
        return code, {record.index: record.reason for record in records if record.status == "failed"}

    return start


FAULTS = {
    "segfault": "crash",
    "kill 9": "crash",
    "exit 3": "crash",
    "die-sending": "crash",
    "fail money": "error",
    "unprintable": "error",
    "unpicklable": "error",
    "huge 20000000": "error",
    "allocate 30000000000": "out-of-memory",
}


def test_a_fault_costs_one_target(run):
    """Nine targets of one run each meet another; the three between them are as if nothing was."""
    faults = dict(zip((1, 2, 3, 4, 6, 7, 8, 9, 10), FAULTS, strict=True))
    reasons = {number: FAULTS[fault] for number, fault in faults.items()}
    assert run(faults, targets=12) == (1, reasons)


@pytest.mark.slow
def test_targets_without_end_cost_themselves(run):
    """Asleep; in C that keeps the interpreter's lock; in RDKit's C++."""
    faults = {0: "hang", 1: "freeze", 2: "hang-rdkit"}
    assert run(faults, workers=3) == (1, dict.fromkeys(faults, "timeout"))


@pytest.mark.slow
def test_much_output_is_no_fault(run):
    assert run({1: "talk"}) == (0, {})


@pytest.mark.slow
def test_a_clock_set_back_changes_nothing(run, tmp_path):
    assert run({1: "nap 3"}, CLOCK_SET_BACK="yes") == (0, {})
    samples = [json.loads(line) for line in (tmp_path / "run" / "memory.jsonl").read_text().splitlines()]
    assert any(after["time"] < before["time"] for before, after in pairwise(samples))
    assert 2 < profile_run(tmp_path / "run")["seconds"] < 600


QUERY = "CC(=O)Nc1cnccc1C"


@pytest.mark.slow
def test_a_query_that_hangs_or_brings_its_worker_down_costs_one_record(faulty, demo_path, tmp_path):
    faults = {
        "b": ("hang", "timeout"),
        "c": ("kill 9", "crash"),
        "e": ("allocate 30000000000", "out-of-memory"),
    }
    ids = ["a", "b", "c", "d", "e", "f"]
    (tmp_path / "q.smi").write_text("".join(f"{QUERY}{'C' * n} {id}\n" for n, id in enumerate(ids)))
    words = ["predict", "--library", demo_path, "--queries", "q.smi", "--top", "1", "--workers", "2"]
    assert faulty([*words, "--memory", "2GiB"], {id: fault for id, (fault, _) in faults.items()}) == 1
    run = load_run(tmp_path / "poses.sdf")
    endings = [f"failed: {faults[id][1]}" if id in faults else "posed" for id in ids]
    assert [record.ending for record in run] == endings
    names = [block.split("\n", 1)[0] for block in (tmp_path / "poses.sdf").read_text().split("$$$$\n")[:-1]]
    assert names == ["a", "d", "f"]
    with (tmp_path / "poses.csv").open(newline="") as file:
        assert [(row["id"], row["reason"]) for row in csv.DictReader(file)] == [
            (id, faults[id][1] if id in faults else "") for id in ids
        ]
    as_they_are = [*words, "--memory", "2GiB", "--max-failures", "3", "--no-retry-failed"]
    assert faulty(as_they_are, {}) == 0
    assert [record.ending for record in load_run(tmp_path / "poses.sdf")] == endings, "none is done again"
    assert faulty([*words, "--memory", "2GiB"], {}) == 0
    assert {record.ending for record in load_run(tmp_path / "poses.sdf")} == {"posed"}
    assert (tmp_path / "poses.run" / "attempts.jsonl").read_text().count("\n") == 3
