"""A run of a few targets, and copies of it in which something happened."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
from program import run_templ

from templ.checksums import with_checksum
from templ.runs.journal import read_records


@pytest.fixture(scope="session")
def demo_run(once):
    """A finished run of five targets."""

    def make(folder):
        words = ("benchmark", "run", "demo-mpro", "--limit", "5", "-o", folder / "run")
        run_templ(*words).check_returncode()

    return once("report", make) / "run"


@pytest.fixture
def run(demo_run, tmp_path):
    """A copy of the run, to alter."""
    return shutil.copytree(demo_run, tmp_path / "run")


@pytest.fixture
def alter(run):
    """``alter(index, **changes)``: change fields of a record; ``poses=()`` takes the address as well."""

    def change(index, **changes):
        path = run / "results.jsonl"
        records = list(read_records(path))
        if changes.get("poses") == ():
            changes["address"] = None
        records[index] = replace(records[index], **changes)
        path.write_bytes(b"".join(record.to_line() for record in records))

    return change


@pytest.fixture
def alter_manifest(run):
    """``alter_manifest(**changes)``: change fields of the manifest."""

    def change(**changes):
        path = run / "manifest.json"
        path.write_text(json.dumps(with_checksum(json.loads(path.read_text()) | changes)))

    return change


@pytest.fixture
def replace_in_manifest():
    """``replace_in_manifest(run, old, new)``: as if the run had been made with another path."""

    def change(run, old, new):
        path = run / "manifest.json"
        path.write_text(json.dumps(with_checksum(json.loads(path.read_text().replace(old, new)))))

    return change


@pytest.fixture(scope="session")
def predicted_once(demo_path, tmp_path_factory):
    folder = tmp_path_factory.mktemp("predicted")
    (folder / "q.csv").write_text(
        "name,SMILES\na,Cc1ccncc1NC(=O)Cc1cccc(Cl)c1\niron,[Fe]OCCO\nsalt,CC(=O)Nc1cnccc1C.Cl\nbad,C1CC\n"
    )
    words = (
        "predict",
        "-l",
        demo_path,
        "-q",
        "q.csv",
        "-o",
        "poses.sdf",
        "--top",
        "2",
        "--max-failures",
        "1",
    )
    run_templ(*words, cwd=folder).check_returncode()
    return folder


@pytest.fixture
def predicted(predicted_once, tmp_path):
    """What `templ predict` wrote of four queries: posed, refused, posed with a note, unreadable."""
    return shutil.copytree(predicted_once, tmp_path / "predicted") / "poses.sdf"
