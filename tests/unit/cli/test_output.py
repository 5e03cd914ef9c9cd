"""What the commands tell: their help, how far a run is; and output that nobody takes."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from program import run_templ as templ
from typer.testing import CliRunner

from templ.checksums import with_checksum
from templ.cli import app
from templ.cli.options import progress
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
        (("report", finished, "-o", "file/page.html"), "file", in_the_way),
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
    for command in ("verify", "summary", "status"):  # a run may be named by its poses
        by_poses = templ("benchmark", command, "new/p.sdf", cwd=tmp_path)
        assert (by_poses.returncode, by_poses.stderr.count("error")) == (0, 0)


def test_a_report_makes_the_folder_of_its_page(finished, tmp_path):
    assert templ("report", finished, "-o", "new/er/page.html", cwd=tmp_path).returncode == 0
    assert (tmp_path / "new/er/page.html").stat().st_size > 10_000


def test_a_run_ends_in_five_lines_at_80_columns(finished, tmp_path):
    run = shutil.copytree(finished, tmp_path / "run")
    words = ("benchmark", "run", "demo-mpro", "--limit", "2", "-o", "run")
    done = templ(*words, cwd=tmp_path)
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    begun = [line for line in lines if not line.startswith("  ")]
    assert len(begun) == 5
    assert re.match(r"\d+\.\d% of 2 targets within 2 A", begun[0])
    assert begun[2] == "2 of 2 posed, 0 refused, 0 failed"
    assert begun[4] == "tables: run/summary.md; next: templ report run"
    assert "demo-mpro: 2 of 2, 0 s" in done.stderr
    assert len((run / "summary.md").read_text().splitlines()) > 40
    quiet = templ(*words, "--quiet", cwd=tmp_path)
    assert (quiet.stdout, quiet.stderr) == ("", "")
    plain = json.loads(templ(*words, "--json", cwd=tmp_path).stdout)
    assert (plain["run"], plain["overall"]["posed"]) == ("run", 2)
    assert json.loads(templ("benchmark", "summary", "run", "--json", cwd=tmp_path).stdout) == plain
    (status,) = json.loads(templ("benchmark", "status", "run", "--json", cwd=tmp_path).stdout)
    assert (status["path"], status["state"], status["done"]) == ("run", "finished", 2)


@pytest.mark.parametrize("colour", [True, False])
def test_a_bar_on_a_terminal_has_times_and_no_colour_where_none_is_wanted(tmp_path, colour):
    script = (
        "import time\nfrom templ.cli.options import progress\n"
        "with progress('posing') as show:\n"
        "    show(1, 4, '1 refused, 2 failed')\n    time.sleep(0.5)\n    show(2, 4, '1 refused, 2 failed')\n"
    )
    ours, theirs = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    environment |= {"TERM": "xterm", "COLUMNS": "80"} | ({} if colour else {"NO_COLOR": "1"})
    with subprocess.Popen([sys.executable, "-c", script], stderr=theirs, env=environment) as process:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # how the end of a terminal reads
            while read := os.read(ours, 10_000):
                shown += read
    os.close(ours)
    assert process.returncode == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert re.search(r"posing .*2/4 0:00:0\d left \S+ 1 refused, 2 failed", text)
    assert bool(re.search(rb"\x1b\[[0-9;]*3\d", shown)) == colour


def test_piped_progress_has_its_total_and_times(capsys, monkeypatch):
    clock = iter(range(0, 1000, 6))
    monkeypatch.setattr("templ.cli.options.time.monotonic", lambda: next(clock))
    with progress("reading") as show:
        for done in range(4):
            show(done, None, "")
    assert capsys.readouterr().err.splitlines()[-1].startswith("reading: 3, ")
    with progress("posed") as show:
        for done in range(4):
            show(done, 4, "1 refused")
    assert re.search(r"posed: \d of 4, \d+ s, \d+ s left, 1 refused", capsys.readouterr().err)


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
        *[
            (name,)
            for name in ("predict", "library", "benchmark", "report", "export", "demo", "doctor", "config")
        ],
        *[("library", name) for name in ("build", "info", "verify", "get", "export")],
        *[("benchmark", name) for name in ("run", "summary", "merge", "profile", "compare")],
    ],
    ids=" ".join,
)
def test_every_command_has_help(words):
    shown = CliRunner().invoke(app, [*words, "--help"])
    assert (shown.exit_code, shown.stderr) == (0, "")
    assert f"{' '.join(words)} [OPTIONS]" in shown.stdout
    assert CliRunner().invoke(app, [*words, "-h"]).stdout == shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80


@pytest.mark.parametrize("words", [(), ("library",), ("benchmark",), ("cluster",)], ids=" ".join)
def test_what_a_command_does_is_told_whole_in_the_list_of_commands(words):
    shown = CliRunner().invoke(app, [*words, "--help"])
    assert "..." not in shown.stdout.partition("Commands:")[2]


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("compare", "Did you mean 'benchmark compare'?"),
        ("merge", "Did you mean 'library merge' or 'benchmark merge'?"),
        ("predikt", "Did you mean 'predict'?"),
        ("nothing", "No such command 'nothing'."),
    ],
)
def test_a_command_that_is_none_is_told_what_was_meant(word, meant):
    shown = CliRunner().invoke(app, [word, "a", "b"])
    assert (shown.exit_code, meant in shown.stderr) == (2, True)


def test_a_shell_completes_commands(tmp_path):
    environment = os.environ | {
        "_TEMPL_COMPLETE": "complete_bash",
        "COMP_WORDS": "templ pre",
        "COMP_CWORD": "1",
    }
    done = subprocess.run(
        ["templ"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split() == ["predict"]


def test_doctor_names_what_a_user_may_lack_and_nothing_for_developers(tmp_path):
    lines = templ("doctor", cwd=tmp_path).stdout.splitlines()
    extras = [line.split()[1] for line in lines if line.startswith("extra ")]
    assert {"report", "esm", "states"} <= set(extras)
    assert not {"test", "dev", "docs"} & set(extras)
    assert len(extras) == len(set(extras))
    assert not any("pytest" in line or "mkdocs" in line for line in lines)
