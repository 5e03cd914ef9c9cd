"""``templ benchmark run --validity``: what a run records, and that it is another run without."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from templ.benchmark.builtin import find_benchmark
from templ.benchmark.runner import RunOptions, run_benchmark
from templ.cli import app
from templ.errors import InputError, RunError
from templ.evaluation import validity
from templ.runs.journal import read_records
from templ.runs.manifest import read_manifest
from templ.settings import RunSettings

pytest.importorskip("posebusters", reason="the extra 'validity' is not installed")


def run(folder, **changes):
    return run_benchmark(
        find_benchmark("demo-mpro"),
        folder,
        RunSettings(workers=1),
        RunOptions(prediction={"conformers": 5, "screened": 5}, limit=2, **changes),
    )


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "checked"
    return folder, run(folder, validity=True)


def test_records_and_summary(checked):
    folder, summary = checked
    records = list(read_records(folder / "results.jsonl"))
    assert all(isinstance(record.failed_checks, tuple) for record in records)
    assert all(record.cost.stages["validity"] > 0 for record in records)
    sound = [record for record in records if record.failed_checks == ()]
    assert (summary.validity.successes, summary.validity.n) == (len(sound), 2)
    assert "| valid and within 2 A |" in (folder / "summary.md").read_text()


def test_it_is_another_run_without(checked):
    folder, _ = checked
    with pytest.raises(RunError, match=r"validity: 'PoseBusters .*' -> ''"):
        run(folder)


def test_without_posebusters_nothing_is_begun(tmp_path, monkeypatch):
    monkeypatch.setattr(validity, "PACKAGE", "no_such_package")
    with pytest.raises(InputError, match="pip install"):
        run(tmp_path / "run", validity=True)
    assert not (tmp_path / "run").exists()


def test_the_option(tmp_path):
    begun = CliRunner().invoke(
        app, ["benchmark", "run", "demo-mpro", "-o", str(tmp_path / "run"), "--validity", "--dry-run"]
    )
    assert begun.exit_code == 0, begun.output
    assert read_manifest(tmp_path / "run").identity.validity.startswith("PoseBusters ")
