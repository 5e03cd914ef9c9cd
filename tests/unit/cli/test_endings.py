"""How a command ends: its exit code, what stays on disk, and that no process stays behind."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from templ.benchmark.builtin import demo_benchmark
from templ.benchmark.definition import list_targets
from templ.sources.demo import demo_files

TEMPL = (sys.executable, "-m", "templ")
SIGNALS = pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])


def stop(command, cwd, number, *, begun):
    """Start a command in a session of its own and stop it once it has `begun`; its exit code and stderr."""
    with subprocess.Popen(
        command, cwd=cwd, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        while not begun():
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.01)
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # as a terminal does: to every process of the command
        else:
            process.send_signal(number)
        _, errors = process.communicate(timeout=30)
    deadline = time.monotonic() + 10
    while members := alive_in_session(process.pid):
        assert time.monotonic() < deadline, members
        time.sleep(0.05)
    return process.returncode, errors


def alive_in_session(session):
    """Processes of a session, the server that forks workers and all they started among them."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def read_results(run):
    lines = (run / "results.jsonl").read_text().splitlines()
    return {record["id"]: record for record in map(json.loads, lines)}


def has_content(path):
    return lambda: path.exists() and path.stat().st_size > 0


@SIGNALS
def test_a_stopped_benchmark_keeps_its_results_and_goes_on(tmp_path, number, code):
    run, command = tmp_path / "run", (*TEMPL, "benchmark", "run", "demo", "--limit", "8", "-o", "run")
    ended, errors = stop(command, tmp_path, number, begun=has_content(run / "results.jsonl"))
    assert ended == code
    assert errors.splitlines()[-1] == (
        "templ: interrupted; a benchmark goes on when the same command is given again"
    )
    assert "Traceback" not in errors
    before = read_results(run)
    assert 0 < len(before) < 8
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=120)
    after = read_results(run)
    assert len(after) == 8
    assert all(after[id]["cost"] == record["cost"] for id, record in before.items())  # not done again


def test_a_stopped_prediction_keeps_whole_poses(demo_path, tmp_path):
    (tmp_path / "q.smi").write_text("".join(f"CC(=O)Nc1cnccc1C{'C' * n} q{n}\n" for n in range(30)))
    command = (*TEMPL, "predict", "-l", demo_path, "-q", "q.smi", "-o", "p.sdf")
    ended, errors = stop(command, tmp_path, signal.SIGTERM, begun=has_content(tmp_path / "p.csv"))
    assert (ended, "Traceback" in errors) == (143, False)
    poses = (tmp_path / "p.sdf").read_text()
    with (tmp_path / "p.csv").open() as file:
        rows = [row["id"] for row in csv.DictReader(file)]
    names = [record.split("\n", 1)[0] for record in poses.split("$$$$\n")[:-1]]
    assert poses.endswith("$$$$\n")
    assert 0 < len(rows) <= len(names) < 30 * 5
    assert names[: len(rows)] == rows


def test_a_stopped_build_leaves_no_half_library(tmp_path):
    command = (*TEMPL, "library", "build", "l.templ", *("--ligands", demo_files().ligands) * 20)

    def begun():
        return any(path.name.startswith(".l.templ") for path in tmp_path.iterdir())

    ended, errors = stop(command, tmp_path, signal.SIGINT, begun=begun)
    assert (ended, "Traceback" in errors) == (130, False)
    assert {path.name for path in tmp_path.iterdir()} <= {"l.templ.ledger.csv"}


FAILING_WORK = """
from templ.benchmark.work import open_work as real

def open_work(context):
    work = real(context)
    def failing(id):
        if id == "FAILING":
            raise ValueError("on purpose")
        return work(id)
    return failing
"""
PROGRAM = """
import sys
import templ.benchmark.run
from templ.cli import main

if __name__ == "__main__":
    templ.benchmark.run.FUNCTION = "failing_work:open_work"
    main()
"""


def test_failures_above_the_allowed_end_with_1(tmp_path):
    ids = list(list_targets(demo_benchmark(tmp_path / "inputs")))[:3]
    (tmp_path / "failing_work.py").write_text(FAILING_WORK.replace("FAILING", ids[1]))
    (tmp_path / "program.py").write_text(PROGRAM)

    def run(*more):
        command = [sys.executable, "program.py", "benchmark", "run", "demo", "--limit", "3", "-o", "run"]
        return subprocess.run([*command, *more], cwd=tmp_path, capture_output=True, text=True, timeout=120)

    done = run()
    assert done.returncode == 1, done.stderr
    assert "| failed: error | 1 |" in done.stdout
    records = read_results(tmp_path / "run")
    statuses = {id: record["status"] for id, record in records.items()}
    assert statuses == dict(zip(ids, ("posed", "failed", "posed"), strict=True))
    assert records[ids[1]]["detail"] == "ValueError: on purpose"
    assert run("--max-failures", "1").returncode == 0
