"""A run of a few targets, and copies of it in which something happened."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest


@pytest.fixture(scope="session")
def demo_run(tmp_path_factory):
    """A finished run of five targets."""
    folder = tmp_path_factory.mktemp("report") / "run"
    command = [sys.executable, "-m", "templ", "benchmark", "run", "demo", "--limit", "5", "-o", folder]
    subprocess.run([*map(str, command)], check=True, capture_output=True, timeout=120)
    return folder


@pytest.fixture
def run(demo_run, tmp_path):
    """A copy of the run, to alter."""
    return shutil.copytree(demo_run, tmp_path / "run")


@pytest.fixture
def alter(run):
    """``alter(place, **changes)``: change fields of the record at a place; ``...`` for one takes it away."""

    def change(place, **changes):
        path = run / "results.jsonl"
        records = [json.loads(line) for line in path.read_text().splitlines()]
        changed = records[place] | changes
        records[place] = {name: value for name, value in changed.items() if value is not ...}
        path.write_text("".join(json.dumps(record) + "\n" for record in records))

    return change
