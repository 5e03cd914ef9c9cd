"""A run on a real Dask cluster: the records and poses of one machine, whatever dies on the way."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import replace

import psutil
import pytest

from templ.benchmark.builtin import find_benchmark
from templ.benchmark.runner import RunOptions, run_benchmark
from templ.engine.chunks import ChunkResult
from templ.errors import InputError, RunError, TemplError
from templ.evaluation.run import load_run
from templ.jobs.binding_site import BindingSite
from templ.jobs.query_run import predict_queries
from templ.runs.identity import refuse_other_software, software_here
from templ.runs.record import Cost
from templ.settings import PredictionSettings, RunSettings

pytest.importorskip("distributed", reason="Dask is not installed (extra: dask)")
dask_executor = pytest.importorskip("templ.engine.dask_executor")

FAST = {"conformers": 5, "minimised": 10, "rounds": 0, "starts": 0, "top": 2}
PATIENCE_S = 90.0
"""Only a failing test waits that long."""
KILL_EVERY_S = 4.0


def processes_below(process):
    """Everything that a process started, its workers and what these started."""
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(process.pid).children(recursive=True)
    return []


def kill(process):
    for each in [*processes_below(process), process]:
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            each.kill()
    process.wait()


class Cluster:
    """A scheduler and its workers, each a process as the commands of Dask start it."""

    def __init__(self, folder):
        self.folder, self.workers, self.port = folder, [], 0
        self.scheduler = None

    def dask(self, *words):
        with (self.folder / "dask.log").open("a") as log:
            command = [sys.executable, "-m", "dask", *words]
            return subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)

    def start_scheduler(self):
        """On the port that it had before, if any: that is where its workers and users look for it."""
        found = self.folder / "scheduler.json"
        found.unlink(missing_ok=True)
        options = ("--host", "127.0.0.1", "--port", str(self.port), "--dashboard-address", "127.0.0.1:0")
        self.scheduler = self.dask("scheduler", *options, "--scheduler-file", str(found))
        end = time.monotonic() + PATIENCE_S
        while not self.port or not found.exists():
            assert time.monotonic() < end
            with suppress(OSError, ValueError):  # it is not there, or being written
                self.port = int(json.loads(found.read_text())["address"].rpartition(":")[2])
            time.sleep(0.1)

    def start_worker(self):
        options = ("--nthreads", "1", "--memory-limit", "4GB", "--no-dashboard", "--death-timeout", "60")
        self.workers.append(self.dask("worker", self.address.replace("dask://", "tcp://"), *options))

    @property
    def address(self):
        return f"dask://127.0.0.1:{self.port}"


@pytest.fixture
def cluster(tmp_path):
    started = Cluster(tmp_path)
    try:
        started.start_scheduler()
        for _ in range(2):
            started.start_worker()
        yield started
    finally:
        for process in filter(None, [*started.workers, started.scheduler]):
            kill(process)


@contextmanager
def killing(cluster):
    """While the block runs, one worker process after the other is killed; its nanny starts another."""
    over = threading.Event()

    def work():
        number = 0
        while not over.wait(KILL_EVERY_S):
            below = processes_below(cluster.workers[number % len(cluster.workers)])
            workers = [each for each in below if "spawn" in " ".join(_command(each))]
            for each in workers[:1]:
                with suppress(psutil.NoSuchProcess):
                    each.kill()
            number += 1

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _command(process):
    with suppress(psutil.Error):
        return process.cmdline()
    return []


def run_loo(folder, kinase_path, on="", limit=None):
    source = find_benchmark("loo", library=kinase_path)
    options = RunOptions(prediction=FAST, limit=limit)
    run_benchmark(source, folder, RunSettings(workers=2, on=on), options)
    return load_run(folder)


def contents(run):
    """Records but for their cost and where their poses are, and the poses."""
    return [(replace(record, cost=Cost(), address=None), run._read_poses(record)) for record in run]


@pytest.fixture(scope="module")
def expected(kinase_path, tmp_path_factory):
    return contents(run_loo(tmp_path_factory.mktemp("here") / "run", kinase_path))


@pytest.mark.slow
def test_records_and_poses_are_those_of_one_machine(cluster, kinase_path, tmp_path, expected):
    run = run_loo(tmp_path / "run", kinase_path, cluster.address)
    assert contents(run) == expected
    assert all(record.cost.cpu_s > 0 for record in run)
    assert run.samples()[-1]["ended"] == len(expected)


@pytest.mark.slow
def test_workers_that_are_killed_cost_nothing(cluster, kinase_path, tmp_path, expected):
    with killing(cluster):
        run = run_loo(tmp_path / "run", kinase_path, cluster.address)
        assert contents(run) == expected
    # What a killed worker had started is gone as well.
    end = time.monotonic() + PATIENCE_S
    while any(_is_orphan(each) for each in psutil.process_iter()):
        assert time.monotonic() < end
        time.sleep(0.1)


def _is_orphan(process):
    with suppress(psutil.Error):
        return "templ.engine.chunks" in " ".join(process.cmdline()) and process.ppid() == 1
    return False


@pytest.mark.slow
def test_queries_go_there_too(cluster, kinase_path, kinase_library, tmp_path):
    queries = [(f"q{row}", kinase_library.entry(row).smiles) for row in range(4)]
    settings = PredictionSettings(**FAST)
    texts = []
    for on in ("", cluster.address):
        out = tmp_path / f"{bool(on)}.sdf"
        predict_queries(queries, BindingSite(kinase_path), out, settings, RunSettings(workers=2, on=on))
        texts.append((out.read_text(), out.with_suffix(".csv").read_text()))
    assert texts[0] == texts[1]


@pytest.mark.slow
def test_a_scheduler_that_is_lost_ends_the_run_and_the_same_command_goes_on(
    cluster, kinase_path, tmp_path, expected
):
    folder = tmp_path / "run"

    def lose():
        end = time.monotonic() + PATIENCE_S
        while not ((folder / "results.jsonl").exists() and len(load_run(folder)) > 1):
            assert time.monotonic() < end
            time.sleep(0.05)
        cluster.scheduler.kill()
        cluster.scheduler.wait()

    thread = threading.Thread(target=lose)
    thread.start()
    with pytest.raises(TemplError, match="is gone: start it, then the same command again"):
        run_loo(folder, kinase_path, cluster.address)
    thread.join()
    kept = len(load_run(folder))
    assert 1 < kept < len(expected)
    cluster.start_scheduler()
    for worker in cluster.workers:
        kill(worker)
    cluster.workers.clear()
    cluster.start_worker()
    assert contents(run_loo(folder, kinase_path, cluster.address)) == expected


@pytest.mark.slow
def test_a_client_that_is_killed_goes_on(cluster, kinase_path, tmp_path):
    """By the command line, whose settings are the defaults; what was out is not recorded twice."""
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "templ", "benchmark", "run", "loo", "--library", str(kinase_path)]
    command += ["--limit", "3", "--on", cluster.address, "-o", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        end = time.monotonic() + PATIENCE_S
        while not ((folder / "results.jsonl").exists() and len(load_run(folder))):
            assert time.monotonic() < end
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"the Dask cluster at 127.0.0.1:{cluster.port}" in done.stderr
    assert len({record.id for record in load_run(folder)}) == len(load_run(folder)) == 3


@pytest.mark.parametrize(
    ("on", "message"),
    [
        ("nowhere", "--on nowhere: expected dask://HOST:PORT or local:N"),
        ("dask://machine", "--on dask://machine: no scheduler is found there"),
        ("local:0", "--on local:0: expected dask://HOST:PORT or local:N"),
        ("dask://127.0.0.1:9", "--on dask://127.0.0.1:9: no scheduler is found there"),
    ],
)
def test_a_place_that_is_none_is_named(kinase_path, tmp_path, on, message, monkeypatch):
    monkeypatch.setattr("templ.engine.dask_executor.CONNECT_S", 1.0)
    with pytest.raises(InputError, match=message):
        run_loo(tmp_path / "run", kinase_path, on, limit=1)


def test_what_listens_and_is_no_scheduler_is_not_waited_for(kinase_path, tmp_path, monkeypatch):
    """Such as the dashboard, whose address is the one that is seen first."""
    monkeypatch.setattr("templ.engine.dask_executor.CONNECT_S", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        on = f"dask://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(InputError, match="no scheduler is found there"):
            run_loo(tmp_path / "run", kinase_path, on, limit=1)


@pytest.mark.slow
def test_a_cluster_of_this_machine(kinase_path, tmp_path, expected):
    assert contents(run_loo(tmp_path / "run", kinase_path, "local:2", limit=4)) == expected[:4]


def test_memory_is_that_of_all_processes(calm):
    """What each held last, added up; a process that does a second chunk is counted once."""
    seen = []
    run = dask_executor._DaskRun(None, None, (), RunSettings(), seen.append)
    for process, tree in (("1 on a", 5), ("2 on a", 7), ("1 on b", 1), ("1 on a", 6)):
        run._tell(ChunkResult([], {"tree": tree, "workers": [tree - 1]}, process))
    assert [sample["tree"] for sample in seen] == [5, 12, 13, 14]
    assert seen[-1]["workers"] == [5, 6, 0]


def test_other_software_is_refused_by_name():
    refuse_other_software(software_here())
    with pytest.raises(RunError, match=r"has other software .*rdkit .* instead of 2001\.1"):
        refuse_other_software(software_here() | {"rdkit": "2001.1"})
    with pytest.raises(RunError, match=r"method .* instead of 1\)"):
        refuse_other_software(software_here() | {"method": "1"})


def test_without_the_extra_nothing_imports_dask(kinase_path):
    code = (
        "import sys; sys.modules['distributed'] = None\n"
        "from templ.engine.executor import choose_executor\n"
        "from templ.settings import RunSettings\n"
        "choose_executor(RunSettings())\n"
        "try: choose_executor(RunSettings(on='local:2'))\n"
        "except Exception as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == (
        "--on local:2 needs Dask, which is not installed: pip install 'templ-pose[dask]'"
    )
