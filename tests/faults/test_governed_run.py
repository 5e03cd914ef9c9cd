"""The governor at work in real runs: memory is held, and what cannot be held is recorded."""

from __future__ import annotations

import json
import shutil
import time
from contextlib import suppress

import psutil
import pytest

from templ.benchmark.builtin import find_benchmark
from templ.benchmark.runner import RunOptions, run_benchmark
from templ.engine import local, probe
from templ.engine.executor import Work
from templ.engine.local import Limits, LocalExecutor
from templ.errors import LibraryError
from templ.jobs.recording import record_all
from templ.runs.identity import Identity
from templ.runs.journal import JOURNAL_NAME, read_records
from templ.runs.manifest import RunManifest, write_manifest
from templ.runs.memory_log import read_samples
from templ.runs.record import Record
from templ.settings import RunSettings

MiB = 2**20


@pytest.fixture
def work(engine_work, calm, monkeypatch):
    """Looked at often; what counts is what it adds, not what the tests' process and its forkserver hold."""

    def children_bytes():
        total = 0
        for process in psutil.Process().children(recursive=True):
            with suppress(ProcessLookupError):
                total += probe.anonymous_bytes(process.pid)
        return total

    before = children_bytes()
    monkeypatch.setattr(probe, "tree_bytes", lambda: max(0, children_bytes() - before))
    monkeypatch.setattr(local, "LOOK_EVERY_S", 0.05)
    return Work(engine_work, {})


def run_tasks(work, tasks, limits, on_memory=lambda sample: None):
    return LocalExecutor(limits).run(work, tasks, on_memory)


def test_a_molecule_put_back_by_memory_pressure_holds_no_other_up(work, tmp_path):
    """The first of forty takes the whole budget: looks find the tree over 95 %, the largest worker goes.

    When it is tried again, alone, all others are on disk; then it is recorded, with its peak.
    """
    identity = Identity(settings={}, rule={}, library="", targets="")
    manifest = RunManifest(
        name="n", identity=identity, digest=identity.digest, run_settings={}, library="", targets=40
    )
    write_manifest(tmp_path, manifest)
    tasks = enumerate(["hold 450 600", *(f"echo {number}" for number in range(39))])
    told = []

    def failure(result):
        index = 0 if result.task.startswith("hold") else 1 + int(result.task.split()[1])
        return Record(index, result.task, "failed", result.kind, result.detail)

    def look(progress):
        on_disk = [record.index for record in read_records(tmp_path / JOURNAL_NAME)]
        assert len(on_disk) == progress.done
        told.append(on_disk)

    executor = LocalExecutor(Limits(400 * MiB, 2, True))
    record_all(tmp_path, manifest, executor, work, tasks, failure, look)
    assert told[-1][-1] == 0, "the one that was put back comes last"
    assert sorted(told[-2]) == list(range(1, 40)), "when all others are on disk"
    samples = read_samples(tmp_path)
    first_kill = next(sample for sample in samples if sample["action"] == "kill")
    assert [sample["action"] for sample in samples].count("kill") == 2
    assert first_kill["ended"] < 40
    records = list(read_records(tmp_path / JOURNAL_NAME))
    assert [record.index for record in records] == list(range(40))
    assert records[0].reason == "out-of-memory"
    assert "also when it was alone" in records[0].detail
    assert records[0].cost.uss_bytes > 100 * MiB  # when it was last looked at, on its way up
    assert {record.reason for record in records[1:]} == {"done"}, "what its worker sent, no fault"


def test_workers_are_added_as_their_need_becomes_known(work, monkeypatch):
    monkeypatch.setattr("templ.engine.governor.PATIENCE_S", 0.1)
    samples = []

    def tasks():
        """Go on until there are three workers; on a slow machine they take long to start."""
        for _ in range(3000):
            yield "nap 0.1"
            if samples and len(samples[-1]["workers"]) == 3:
                return

    list(run_tasks(work, tasks(), Limits(4096 * MiB, 3), samples.append))
    counts = [len(sample["workers"]) for sample in samples]
    assert counts[1] <= 1
    assert max(counts) == 3
    assert any("one takes" in sample["reason"] for sample in samples)


def test_no_more_workers_than_the_budget_covers(work, monkeypatch):
    """One holds 150 MiB while it works: three, with what they may yet take, would pass 70 % of the budget."""
    monkeypatch.setattr("templ.engine.governor.PATIENCE_S", 0.1)
    samples = []

    def tasks():
        """Four more once there are two workers: time for a third."""
        for _ in range(100):
            yield "hold 150 1"
            if samples and len(samples[-1]["workers"]) >= 2:
                break
        yield from ["hold 150 1"] * 4

    list(run_tasks(work, tasks(), Limits(700 * MiB, 8), samples.append))
    assert max(len(sample["workers"]) for sample in samples) == 2


def test_the_deadline_holds_though_the_clock_is_set_back(work, monkeypatch):
    begin = time.time()
    monkeypatch.setattr(time, "time", lambda: begin - 3600)
    results = list(run_tasks(work, ["hang", "echo 1"], Limits(4096 * MiB, 2, True, backstop_s=4)))
    assert {result.task: result.kind for result in results} == {"hang": "timeout", "echo 1": "done"}


def test_a_run_writes_what_it_saw_of_memory(tmp_path, fast_benchmark):
    benchmark = find_benchmark(str(fast_benchmark))
    run_benchmark(benchmark, tmp_path / "run", RunSettings(workers=1), RunOptions(limit=2))
    lines = [json.loads(line) for line in (tmp_path / "run" / "memory.jsonl").read_text().splitlines()]
    assert lines
    assert all(line["tree"] > 0 and line["available"] > 0 for line in lines)


@pytest.mark.slow
def test_a_library_that_is_replaced_under_a_run_is_refused(tmp_path, demo_path):
    library = tmp_path / "l.templ"
    shutil.copytree(demo_path, library)
    (tmp_path / "mine.toml").write_text('library = "l.templ"\nfirst_date = 2020-06-01\n')

    def replace(state):
        if state.done == 1:
            shutil.rmtree(library)
            shutil.copytree(smaller, library)

    from templ.library.build import build_library
    from templ.library.store import open_library
    from templ.records import Entry
    from templ.sources.ledger import Ledger

    smaller = tmp_path / "smaller.templ"
    with open_library(demo_path) as demo:
        entries = [Entry(demo.entry(row).id, demo.ligand(row), f"x#{row}") for row in range(100, len(demo))]
    build_library(smaller, entries, ledger=Ledger())
    journal = tmp_path / "run" / "results.jsonl"

    def run(**options):
        settings = RunSettings(workers=1, recycle_after=1)
        make = find_benchmark(str(tmp_path / "mine.toml"))
        run_benchmark(make, tmp_path / "run", settings, RunOptions(limit=6), **options)
        return [json.loads(line)["id"] for line in journal.read_text().splitlines()]

    with pytest.raises(LibraryError, match=r"l\.templ on .+ is not the library that") as caught:
        run(on_progress=replace)
    assert caught.value.exit_code == 2
    assert journal.stat().st_size
    shutil.rmtree(library)
    shutil.copytree(demo_path, library)
    ids = run()
    assert len(ids) == len(set(ids)) == 6


def test_memory_that_a_neighbour_takes_and_returns_costs_no_task(work, monkeypatch):
    """While it has nearly all nothing is begun and nobody killed; then the run goes on."""
    limit, looks, samples = 1500 * MiB, iter(range(10**9)), []
    monkeypatch.setattr(probe, "memory_limit", lambda: limit)
    monkeypatch.setattr(
        probe, "available_memory", lambda: 5 * MiB if 20 <= next(looks) < 60 else limit - 100 * MiB
    )
    tasks = [f"nap 0.0{number}" for number in range(1, 10)] * 20
    results = list(run_tasks(work, tasks, Limits(2048 * MiB, 2, True), samples.append))
    assert sorted(result.task for result in results) == sorted(tasks)
    assert {result.kind for result in results} == {"done"}
    waited = [sample for sample in samples if "other processes" in sample["reason"]]
    assert waited
    assert {sample["action"] for sample in samples} <= {"run", "hold", "barrier", "release", "grow"}
    ended = [sample["ended"] for sample in samples if sample["available"] == 5 * MiB]
    assert ended[-1] - ended[0] <= 2  # what was at work when it came


def test_many_workers_wanted_at_once_start_as_memory_allows(work):
    samples = []
    tasks = ["hold 40 0.3"] * 12
    results = list(run_tasks(work, tasks, Limits(400 * MiB, 12, True), samples.append))
    assert {result.kind for result in results} == {"done"}
    assert max(sample["tree"] for sample in samples) <= 400 * MiB
