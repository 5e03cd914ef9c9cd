"""What the commands tell: their help, how far a run is; and output that nobody takes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from program import run_templ as templ
from typer.testing import CliRunner

from templ.checksums import with_checksum
from templ.cli import app
from templ.runs.journal import read_records

FULL = Path("/dev/full")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of two targets."""
    folder = tmp_path_factory.mktemp("finished")
    done = templ("benchmark", "run", "demo-mpro", "--limit", "2", "-o", "run", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "run"


def test_a_run_refuses_what_it_is_less_sure_of_than_asked(finished, tmp_path):
    words = ("benchmark", "run", "demo-mpro", "--limit", "2", "--min-confidence", "1", "-o", "run")
    done = templ(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    records = list(read_records(tmp_path / "run" / "results.jsonl"))
    assert {record.reason for record in records} == {"low-confidence"}
    sure = [record.prior_confidence for record in read_records(finished / "results.jsonl")]
    assert [record.prior_confidence for record in records] == sure
    assert None not in sure


@pytest.mark.parametrize("command", ["export", "info"])
def test_a_reader_that_leaves_is_no_failure(demo_path, tmp_path, command):
    """As with `| head`: the reader is gone before the first line, however much would have come."""
    words = [sys.executable, "-m", "templ", "library", command, str(demo_path)]
    with subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        program.stdout.close()
        errors = program.stderr.read()
    assert (program.returncode, errors) == (0, b"")


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("command", ["export", "info"])
def test_output_that_the_disk_refuses_is_an_error(demo_path, tmp_path, command):
    words = [sys.executable, "-m", "templ", "library", command, str(demo_path)]
    with FULL.open("w") as full:
        done = subprocess.run(words, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("templ: error: the output: No space left on device; ")
    assert done.stderr.count("\n") == 1


def test_a_place_for_results_that_is_none_is_named_with_its_own_mend(finished, demo_path, tmp_path):
    (tmp_path / "file").touch()
    predict = ("predict", "--library", demo_path, "--smiles", "CC(=O)Nc1cnccc1C", "-o")
    in_the_way = "move the file that is in the way"
    for words, named, mend in (
        ((*predict, "file/p.sdf"), "file/p.run", in_the_way),
        (("benchmark", "run", "demo-mpro", "-o", "file/run"), "file/run", in_the_way),
        (("demo", "mpro", "file/data"), "file/data", in_the_way),
        (("report", finished, "-o", "absent/page.html"), "absent/page.html", "make the folder first"),
    ):
        done = templ(*words, cwd=tmp_path)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert done.stderr.startswith(f"templ: error: {named} cannot be written")
        assert mend in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_predict_makes_the_folder_of_its_results_as_a_benchmark_does(demo_path, tmp_path):
    words = ("predict", "--library", demo_path, "--smiles", "CC(=O)Nc1cnccc1C", "-o", "new/p.sdf")
    assert templ(*words, cwd=tmp_path).returncode == 0
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"p.sdf", "p.csv", "p.run"}


def test_the_summary_of_a_finished_run_is_the_one_it_ended_with(finished, tmp_path):
    run = shutil.copytree(finished, tmp_path / "run")
    before = (run / "summary.md").read_text()
    (run / "summary.md").unlink()
    done = templ("benchmark", "summary", "run", cwd=tmp_path)
    assert (done.returncode, "not finished" in done.stderr) == (0, False)
    assert done.stdout.rstrip() == before.rstrip()
    assert (run / "summary.md").read_text() == before


def test_the_summary_of_an_unfinished_run_says_how_far_it_is(finished, tmp_path):
    run = shutil.copytree(finished, tmp_path / "run")
    manifest = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps(with_checksum(manifest | {"finished": None})))
    first, _ = (run / "results.jsonl").read_bytes().splitlines(keepends=True)
    (run / "results.jsonl").write_bytes(first)
    done = templ("benchmark", "summary", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "| attempted | 1 |" in done.stdout
    assert done.stderr.splitlines()[-1] == "run is not finished: 1 of 2 targets are done"
    assert json.loads((run / "summary.json").read_text())["overall"]["attempted"] == 1
    assert (run / "results.jsonl").read_bytes() == first


def test_a_run_without_results_has_no_summary_yet(finished, tmp_path):
    run = shutil.copytree(finished, tmp_path / "run")
    (run / "results.jsonl").unlink()
    done = templ("benchmark", "summary", "run", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "templ: error: run has no results yet; start the same command again to go on\n"


@pytest.mark.parametrize(
    "words",
    [
        *[(name,) for name in ("predict", "library", "benchmark", "report", "export", "demo", "doctor")],
        *[("library", name) for name in ("build", "info", "verify", "get", "export")],
        *[("benchmark", name) for name in ("run", "summary", "merge", "profile", "compare")],
    ],
    ids=" ".join,
)
def test_every_command_has_help(words):
    shown = CliRunner().invoke(app, [*words, "--help"])
    assert (shown.exit_code, shown.stderr) == (0, "")
    assert f"{' '.join(words)} [OPTIONS]" in shown.stdout
