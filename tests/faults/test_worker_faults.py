"""Every fault of a worker, through the real command line: journal, order of the records, and exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise

import pytest

from templ.benchmark.profile import profile_run
from templ.runlog.manifest import read_manifest

TARGETS = 4
DEADLINE_S = 10
"""Far more than a target takes, on a slow machine too."""


@pytest.fixture
def run(tmp_path, demo_path, demo_library, helpers):
    """Runs a benchmark of four targets, with a fault for some of them by their number."""
    (tmp_path / "mine.toml").write_text(f'library = "{demo_path}"\n')
    ids = list(demo_library)[:TARGETS]

    def start(faults, workers=2, **more):
        words = f"benchmark run mine.toml --limit {TARGETS} --workers {workers} --memory 2GiB -o run".split()
        told = {
            "FAULTS": json.dumps({ids[number]: fault for number, fault in faults.items()}),
            "DEADLINE_S": str(DEADLINE_S),
        }
        done = subprocess.run(
            [sys.executable, helpers / "faulty_templ.py", *words],
            cwd=tmp_path,
            env=os.environ | told | more,
            capture_output=True,
            text=True,
            timeout=180,
        )
        assert "xxxx" not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        assert read_manifest(tmp_path / "run").finished, done.stderr
        records = [json.loads(line) for line in (tmp_path / "run" / "results.jsonl").read_text().splitlines()]
        assert [record["id"] for record in records] == ids  # a list: in order, and each once
        failed = {ids.index(r["id"]): r["reason"] for r in records if r["status"] == "failed"}
        return done.returncode, failed

    return start


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("segfault", "crash"),
        ("kill 9", "crash"),
        ("exit 3", "crash"),
        ("die-sending", "crash"),
        ("fail money", "error"),
        ("unprintable", "error"),
        ("unpicklable", "error"),
        ("huge 20000000", "error"),
        ("allocate 30000000000", "out-of-memory"),
    ],
)
def test_a_fault_costs_one_target(run, fault, reason):
    assert run({1: fault}) == (1, {1: reason})


def test_targets_without_end_cost_themselves(run):
    """Asleep; in C that keeps the interpreter's lock; in RDKit's C++."""
    faults = {0: "hang", 1: "freeze", 2: "hang-rdkit"}
    assert run(faults, workers=3) == (1, dict.fromkeys(faults, "timeout"))


def test_much_output_is_no_fault(run):
    assert run({1: "talk"}) == (0, {})


def test_a_clock_set_back_changes_nothing(run, tmp_path):
    assert run({1: "nap 3"}, CLOCK_SET_BACK="yes") == (0, {})
    samples = [json.loads(line) for line in (tmp_path / "run" / "memory.jsonl").read_text().splitlines()]
    assert any(after["time"] < before["time"] for before, after in pairwise(samples))
    assert 2 < profile_run(tmp_path / "run")["seconds"] < 600
