"""``templ benchmark run --validity``: what a run records, and that it is another run without."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from templ.benchmark.builtin import find_benchmark
from templ.benchmark.run import run_benchmark
from templ.cli import app
from templ.errors import InputError, RunError
from templ.evaluation import validity
from templ.settings import RunSettings

pytest.importorskip("posebusters", reason="the extra 'validity' is not installed")


def run(folder, **changes):
    return run_benchmark(
        find_benchmark("demo"),
        folder,
        RunSettings(workers=1),
        prediction={"conformers": 5, "screened": 5},
        limit=2,
        **changes,
    )


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "checked"
    return folder, run(folder, validity=True)


def test_records_and_summary(checked):
    folder, summary = checked
    records = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    assert all(isinstance(record["validity"], list) for record in records)
    assert all(record["cost"]["stages"]["validity"] > 0 for record in records)
    sound = [record for record in records if record["validity"] == []]
    assert (summary.validity.successes, summary.validity.n) == (len(sound), 2)
    assert "| valid and within 2 A |" in (folder / "summary.md").read_text()


def test_it_is_another_run_without(checked):
    folder, _ = checked
    with pytest.raises(RunError, match=r"validity: 'PoseBusters .*' -> 'absent'"):
        run(folder)


def test_without_posebusters_nothing_is_begun(tmp_path, monkeypatch):
    monkeypatch.setattr(validity, "PACKAGE", "no_such_package")
    with pytest.raises(InputError, match="pip install"):
        run(tmp_path / "run", validity=True)
    assert not (tmp_path / "run").exists()


def test_the_option(tmp_path):
    begun = CliRunner().invoke(
        app, ["benchmark", "run", "demo", "-o", str(tmp_path / "run"), "--validity", "--dry-run"]
    )
    assert begun.exit_code == 0, begun.output
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["settings"]["validity"].startswith("PoseBusters ")
