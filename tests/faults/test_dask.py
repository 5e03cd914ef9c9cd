"""A run on a real Dask cluster: the records and poses of one machine, whatever dies on the way."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from types import SimpleNamespace

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
from templ.runs.pose_shards import PoseShards
from templ.runs.record import Cost
from templ.settings import PredictionSettings, RunSettings

distributed = pytest.importorskip("distributed", reason="Dask is not installed (extra: dask)")
dask_executor = pytest.importorskip("templ.engine.dask_executor")

FAST = {"conformers": 5, "minimised": 10, "rounds": 0, "starts": 0, "top": 2}
PATIENCE_S = 90.0
"""Only a failing test waits that long."""
KILL_EVERY_S = 4.0
"""Or longer, where nothing was recorded since: on a crowded machine a run would never end."""


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

    def dask(self, *words, before=()):
        with (self.folder / "dask.log").open("a") as log:
            command = [*before, sys.executable, "-m", "dask", *words]
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

    def start_worker(self, *more, before=()):
        options = ("--nthreads", "1", "--memory-limit", "4GB", "--no-dashboard", "--death-timeout", "60")
        words = (self.address.replace("dask://", "tcp://"), *options, *more)
        self.workers.append(self.dask("worker", *words, before=before))

    @property
    def address(self):
        return f"dask://127.0.0.1:{self.port}"


@pytest.fixture
def cluster(empty_cluster):
    for _ in range(2):
        empty_cluster.start_worker()
    return empty_cluster


@pytest.fixture
def empty_cluster(tmp_path):
    """A scheduler, and no workers yet."""
    started = Cluster(tmp_path)
    try:
        started.start_scheduler()
        yield started
    finally:
        for process in filter(None, [*started.workers, started.scheduler]):
            kill(process)


@contextmanager
def killing(cluster, folder):
    """While the block runs, one worker process after the other is killed; its nanny starts another."""
    over = threading.Event()

    def recorded():
        with suppress(FileNotFoundError):
            return (folder / "results.jsonl").read_bytes().count(b"\n")
        return 0

    def work():
        number, done = 0, 0
        while not over.wait(KILL_EVERY_S):
            if number and recorded() == done:
                continue
            done = recorded()
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
def test_poses_never_pass_through_the_client_where_the_run_folder_is_shared(
    cluster, kinase_path, tmp_path, expected, monkeypatch
):
    def refuse(*_):
        raise AssertionError("poses came here")

    monkeypatch.setattr("templ.jobs.recording.PoseShards.append", refuse)
    run = run_loo(tmp_path / "run", kinase_path, cluster.address)
    assert contents(run) == expected
    assert files(tmp_path / "run") == files_of_a_run()


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("unshare") or os.geteuid(), reason="mounts need root")
def test_a_worker_that_does_not_see_the_run_folder_sends_its_poses(
    empty_cluster, kinase_path, tmp_path, expected, monkeypatch
):
    """The folder of runs is another file system there, as on a node with disks of its own."""
    runs, came = tmp_path / "runs", []
    runs.mkdir()
    # One of the two sees it, so that both manners meet in one run.
    empty_cluster.start_worker()
    hide = f'mount -t tmpfs none {runs} && exec "$@"'
    empty_cluster.start_worker(before=("unshare", "-m", "sh", "-c", hide, "sh"))
    append = PoseShards.append

    def count(shards, position, *rest):
        came.append(position)
        return append(shards, position, *rest)

    monkeypatch.setattr(PoseShards, "append", count)
    wait_for_workers(empty_cluster, 2)
    run = run_loo(runs / "run", kinase_path, empty_cluster.address)
    assert contents(run) == expected
    assert files(runs / "run") == files_of_a_run()
    assert 0 < len(came) < len(expected)


def files(run):
    return sorted(str(path.relative_to(run)) for path in run.rglob("*") if path.is_file())


def files_of_a_run():
    records = ("manifest.json", "memory.jsonl", "results.jsonl", "run.lock", "summary.json", "summary.md")
    return sorted([*records, "poses/0000.sdf"])


def wait_for_workers(cluster, count):
    with distributed.Client(cluster.address.replace("dask://", "tcp://")) as client:
        client.wait_for_workers(count, timeout=PATIENCE_S)


@pytest.mark.slow
def test_a_worker_given_up_for_lost_that_goes_on_does_no_harm(
    impatient, empty_cluster, kinase_path, tmp_path, expected
):
    """Its chunk is done twice, each time to a file of its own, and no record comes twice."""
    for _ in range(2):
        empty_cluster.start_worker("--no-nanny")
    wait_for_workers(empty_cluster, 2)
    folder = tmp_path / "run"
    stopped = empty_cluster.workers[0]

    def stop():
        """Stop Dask's worker alone: the process that does its chunk goes on, and writes poses."""
        end = time.monotonic() + PATIENCE_S
        while not ((folder / "results.jsonl").exists() and len(load_run(folder))):
            assert time.monotonic() < end
            time.sleep(0.05)
        os.kill(stopped.pid, signal.SIGSTOP)
        time.sleep(2 * WORKER_TTL_S)
        os.kill(stopped.pid, signal.SIGCONT)

    thread = threading.Thread(target=stop)
    thread.start()
    run = run_loo(folder, kinase_path, empty_cluster.address)
    thread.join()
    assert contents(run) == expected
    assert files(folder) == files_of_a_run()
    assert "Remove worker" in (tmp_path / "dask.log").read_text()


WORKER_TTL_S = 6
"""After so long without a sign of life from a worker the scheduler does its chunks elsewhere; 300 s else."""


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL", f"{WORKER_TTL_S}s")


@pytest.mark.slow
def test_workers_that_are_paused_for_memory_go_on_when_there_is_some(
    empty_cluster, kinase_path, tmp_path, expected
):
    """Both are full when the run begins, so that it waits; then one gets memory back, and does it all."""
    for _ in range(2):
        empty_cluster.start_worker("--memory-limit", "1000MB")
    folder = tmp_path / "run"

    def hold():
        import builtins

        builtins.held = b"x" * 750_000_000  # paused from 80 % of the limit on, ended by its nanny from 95 %

    def let_go():
        import builtins

        del builtins.held

    def states(dask_scheduler):
        return sorted(worker.status.name for worker in dask_scheduler.workers.values())

    with distributed.Client(empty_cluster.address.replace("dask://", "tcp://")) as client:
        client.wait_for_workers(2, timeout=PATIENCE_S)
        client.run(hold)

        def wait_until(expected_states):
            end = time.monotonic() + PATIENCE_S
            while client.run_on_scheduler(states) != expected_states:
                assert time.monotonic() < end
                time.sleep(0.1)

        wait_until(["paused", "paused"])
        before = []

        def help_one():
            end = time.monotonic() + PATIENCE_S
            while not (folder / "results.jsonl").exists() and time.monotonic() < end:
                time.sleep(0.05)
            time.sleep(3)
            before.append((folder / "results.jsonl").read_bytes())
            client.run(let_go, workers=[next(iter(client.nthreads()))])

        thread = threading.Thread(target=help_one)
        thread.start()
        run = run_loo(folder, kinase_path, empty_cluster.address)
        thread.join()
        assert before == [b""]
        assert contents(run) == expected
        wait_until(["paused", "running"])


@pytest.mark.slow
def test_workers_that_are_killed_cost_nothing(cluster, kinase_path, tmp_path, expected):
    with killing(cluster, tmp_path / "run"):
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
        ("local:" + "9" * 5000, "99: expected dask://HOST:PORT or local:N"),
        ("local:999999999", "--on local:999999999: 0 MiB for each worker are not enough, at least 384 MiB"),
        ("dask://[::1]:9", r"--on dask://\[::1\]:9: no scheduler is found there .*refused|Cannot assign"),
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
def test_a_cluster_of_this_machine(kinase_path, tmp_path, expected, request):
    """Also where another run is there already, which has the port that Dask takes first."""
    with suppress(OSError):
        request.addfinalizer(socket.create_server(("", 8787)).close)
    assert contents(run_loo(tmp_path / "run", kinase_path, "local:2", limit=4)) == expected[:4]


@pytest.mark.slow
def test_a_script_is_not_run_again_by_the_workers_of_a_cluster_of_this_machine(tmp_path, helpers):
    """It needs no ``if __name__ == "__main__":``."""
    (tmp_path / "script.py").write_text(
        "import sys\n"
        "print('begins', flush=True)\n"
        f"sys.path.insert(0, {str(helpers)!r})\n"
        "from templ.engine.executor import Work, choose_executor\n"
        "from templ.settings import RunSettings\n"
        "executor = choose_executor(RunSettings(on='local:1', memory=2**30))\n"
        "tasks = ['echo 1', 'echo 2']\n"
        "print([result.kind for result in executor.run(Work('engine_work:open_work', {}), tasks)])\n"
        "print(sys.modules['__main__'].__file__)\n"
    )
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(helpers), *filter(None, sys.path)])},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.splitlines() == ["begins", "['done', 'done']", str(tmp_path / "script.py")], (
        done.stderr
    )


def test_memory_is_that_of_all_processes(calm):
    """What each held last, added up; a process that does a second chunk is counted once."""
    seen = []
    run = dask_executor._DaskRun(None, None, (), RunSettings(), seen.append)
    run._threads = {"tcp://a": 2, "tcp://b": 1}
    processes = ("tcp://a 1 on a", "tcp://a 2 on a", "tcp://b 1 on b")
    for process, tree in zip([*processes, processes[0]], (5, 7, 1, 6), strict=True):
        run._tell(ChunkResult([], {"tree": tree, "workers": [tree - 1]}, process, 1.0))
    assert [sample["tree"] for sample in seen] == [5, 12, 13, 14]
    assert seen[-1]["workers"] == [5, 6, 0]
    run._threads = {"tcp://b": 1, "tcp://c": 1}  # a worker was lost, and another took its place
    run._tell(ChunkResult([], {"tree": 2, "workers": [1]}, "tcp://c 1 on c", 1.0))
    assert seen[-1]["tree"] == 3


def test_a_scheduler_that_is_lost_as_a_chunk_is_sent_is_named(monkeypatch):
    def refuse():
        raise distributed.comm.CommClosedError("Connection reset by peer")

    client = SimpleNamespace(nthreads=refuse)
    run = dask_executor._DaskRun(client, None, ("a",), RunSettings(on="dask://a:1"), None)
    with pytest.raises(TemplError, match="the scheduler of dask://a:1 is gone: start it, then the same"):
        list(run.results())


class KilledFuture:
    """A chunk that Dask has given up, for the workers that had it died."""

    status = "error"

    def exception(self):
        return distributed.KilledWorker("chunk", SimpleNamespace(address="tcp://a"), 3)


def test_a_task_is_not_blamed_for_workers_that_others_kill(monkeypatch):
    """A chunk that was given up is done task by task, and one that is given up alone is tried again."""
    run, sent = dask_executor._DaskRun(None, None, (), RunSettings(), None), []
    monkeypatch.setattr(run, "_send", sent.append)
    run._size = 64
    assert list(run._ended_chunk(KilledFuture(), ("a", "b"))) == []
    assert (sent, run._size) == ([("a",), ("b",)], 1)
    for _ in range(dask_executor.ALONE - 1):
        assert list(run._ended_chunk(KilledFuture(), ("a",))) == []
    [result] = run._ended_chunk(KilledFuture(), ("a",))
    assert (result.task, result.kind) == ("a", "crash")
    assert sent[2:] == [("a",)] * (dask_executor.ALONE - 1)


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
