"""How a command ends: its exit code, what stays on disk, and that no process stays behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from templ.runs.journal import read_records
from templ.runs.pose_shards import read_poses
from templ.sources.demo import demo_files

TEMPL = (sys.executable, "-m", "templ")
PATIENCE_S = 60
"""Only a failing test waits that long."""


@pytest.fixture
def stop(running, tmp_path):
    """Starts a command, stops it once it has `begun`, and returns its exit code and stderr."""

    def stop(command, number, *, begun, **options):
        deadline = time.monotonic() + PATIENCE_S
        with running(command, cwd=tmp_path, stderr=subprocess.PIPE, **options) as process:
            while not begun():
                assert process.poll() is None, process.stderr.read()
                assert time.monotonic() < deadline
                time.sleep(0.01)
            if number == signal.SIGINT:
                os.killpg(process.pid, number)  # as a terminal does: to every process of the command
            else:
                process.send_signal(number)
            _, errors = process.communicate(timeout=PATIENCE_S)
            while members := alive_in_session(process.pid):
                assert time.monotonic() < deadline + PATIENCE_S, members
                time.sleep(0.05)
        return process.returncode, errors

    return stop


def alive_in_session(session):
    """Processes of a session, the server that forks workers and all they started among them."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def read_results(run):
    records = list(read_records(run / "results.jsonl"))
    by_id = {record.id: record for record in records}
    assert len(by_id) == len(records), "a target was recorded twice"
    return by_id


def has_content(path):
    return lambda: path.exists() and path.stat().st_size > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code", "fault"),
    [(signal.SIGINT, 130, "hang"), pytest.param(signal.SIGTERM, 143, "freeze", marks=pytest.mark.slow)],
)
def test_a_stopped_benchmark_keeps_its_results_and_goes_on(
    demo_path, demo_library, helpers, stop, tmp_path, number, code, fault
):
    """One target has no end, so that the run has none before it is stopped; then it is an ordinary one."""
    (tmp_path / "mine.toml").write_text(f'library = "{demo_path}"\n')
    run, words = (
        tmp_path / "run",
        ("benchmark", "run", "mine.toml", "--limit", "8", "--workers", "2", "-o", "run"),
    )
    ended, errors = stop(
        [sys.executable, helpers / "faulty_templ.py", *words],
        number,
        begun=has_content(run / "results.jsonl"),
        env=os.environ | {"FAULTS": json.dumps({list(demo_library)[7]: fault})},
    )
    assert ended == code
    assert errors.splitlines()[-1] == (
        "templ: interrupted; a run goes on when the same command is given again"
    )
    assert "Traceback" not in errors
    before = read_results(run)
    assert 0 < len(before) < 8
    subprocess.run([*TEMPL, *words], cwd=tmp_path, check=True, capture_output=True, timeout=120)
    after = read_results(run)
    assert len(after) == 8
    assert all(after[id].cost == record.cost for id, record in before.items())  # not done again


def test_a_stopped_prediction_keeps_whole_poses(demo_path, stop, tmp_path):
    count = 1000  # takes minutes
    queries = (f"CC(=O)Nc1cnccc1C{'C' * (n % 30)} q{n}\n" for n in range(count))
    (tmp_path / "q.smi").write_text("".join(queries))
    command = (*TEMPL, "predict", "-l", demo_path, "-q", "q.smi", "-o", "p.sdf")
    journal = tmp_path / "p.run" / "results.jsonl"
    ended, errors = stop(command, signal.SIGTERM, begun=has_content(journal))
    assert (ended, "Traceback" in errors) == (143, False)
    records = read_results(tmp_path / "p.run").values()
    assert 0 < len(records) < count
    for record in records:
        poses = read_poses(tmp_path / "p.run", record.address).split("$$$$\n")
        assert [pose.split("\n", 1)[0] for pose in poses] == [record.id] * len(record.poses) + [""]
    assert not (tmp_path / "p.sdf").exists()  # poses and table are written whole, or not at all
    assert not (tmp_path / "p.csv").exists()


def test_a_stopped_build_leaves_no_half_library(stop, tmp_path):
    command = (*TEMPL, "library", "build", "l.templ", *("--ligands", demo_files().ligands) * 100)

    def begun():
        return any(path.name.startswith(".l.templ") for path in tmp_path.iterdir())

    ended, errors = stop(command, signal.SIGINT, begun=begun)
    assert (ended, "Traceback" in errors) == (130, False)
    assert {path.name for path in tmp_path.iterdir()} <= {"l.templ.ledger.csv"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_a_module_is_loaded_ends_at_once(tmp_path, number):
    """One that is written in C++ would abort at an exception, with a traceback and exit code 134."""
    (tmp_path / "stopping.py").write_text(f"import signal\nsignal.raise_signal({int(number)})\n")
    code = (
        "import signal; from templ.cli import _stop\n"
        f"signal.signal({int(number)}, _stop)\n"
        "try: import stopping\n"
        "finally: print('raised')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (128 + number, "")
    assert done.stderr == "templ: interrupted; a run goes on when the same command is given again\n"


@pytest.mark.slow
def test_failures_above_the_allowed_end_with_1(demo_path, demo_library, helpers, tmp_path):
    ids = list(demo_library)[:3]
    (tmp_path / "mine.toml").write_text(f'library = "{demo_path}"\n')
    environment = os.environ | {"FAULTS": json.dumps({ids[1]: "fail money"})}

    def run(*more):
        words = ("benchmark", "run", "mine.toml", "--limit", "3", "-o", "run", *more)
        command = [sys.executable, helpers / "faulty_templ.py", *words]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
        )

    done = run()
    assert done.returncode == 1, done.stderr
    assert "1 failed (error 1)" in done.stdout
    records = read_results(tmp_path / "run")
    statuses = {id: record.status for id, record in records.items()}
    assert statuses == dict(zip(ids, ("posed", "failed", "posed"), strict=True))
    assert records[ids[1]].detail == "ValueError: no money at all"
    assert run("--max-failures", "1").returncode == 0
