"""The governor at work in real runs: memory is held, and what cannot be held is recorded."""

from __future__ import annotations

import json
import shutil
import time
from contextlib import suppress

import psutil
import pytest

from templ.benchmark.builtin import find_benchmark
from templ.benchmark.run import run_benchmark
from templ.engine import local, probe
from templ.engine.local import Limits, run_tasks
from templ.engine.pool import Work
from templ.errors import LibraryError
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


def test_a_task_that_takes_the_budget_is_tried_again_alone_and_recorded_with_its_peak(work):
    """Each look finds the tree over 95 %: the largest worker goes, its neighbours' tasks are done."""
    samples = []
    greedy = "hold 450 600"
    tasks = [greedy, *(f"echo {number}" for number in range(30))]
    results = list(run_tasks(work, tasks, Limits(400 * MiB, 2, True), samples.append))
    [failed] = [result for result in results if result.kind != "done"]
    assert (failed.task, failed.kind) == (greedy, "out-of-memory")
    assert "also when it was alone" in failed.detail
    assert failed.uss_bytes > 100 * MiB  # when it was last looked at, on its way up
    assert sorted(result.task for result in results) == sorted(tasks)
    assert [sample["action"] for sample in samples].count("kill") == 2


def test_workers_are_added_as_their_need_becomes_known(work, monkeypatch):
    monkeypatch.setattr("templ.engine.governor.PATIENCE_S", 0.1)
    samples = []
    list(run_tasks(work, ["nap 0.1"] * 60, Limits(4096 * MiB, 3), samples.append))
    counts = [len(sample["workers"]) for sample in samples]
    assert counts[1] <= 1
    assert max(counts) == 3
    assert any("one takes" in sample["reason"] for sample in samples)


def test_no_more_workers_than_the_budget_covers(work, monkeypatch):
    """One holds 150 MiB while it works: three, with what they may yet take, would pass 70 % of the budget."""
    monkeypatch.setattr("templ.engine.governor.PATIENCE_S", 0.1)
    samples = []
    list(run_tasks(work, ["hold 150 2"] * 6, Limits(700 * MiB, 8), samples.append))
    assert max(len(sample["workers"]) for sample in samples) == 2


def test_the_deadline_holds_though_the_clock_is_set_back(work, monkeypatch):
    begin = time.time()
    monkeypatch.setattr(time, "time", lambda: begin - 3600)
    results = list(run_tasks(work, ["hang", "echo 1"], Limits(4096 * MiB, 2, True, deadline_s=4)))
    assert {result.task: result.kind for result in results} == {"hang": "timeout", "echo 1": "done"}


def test_a_run_writes_what_it_saw_of_memory(tmp_path):
    run_benchmark(find_benchmark("demo"), tmp_path / "run", RunSettings(workers=1), limit=4)
    lines = [json.loads(line) for line in (tmp_path / "run" / "memory.jsonl").read_text().splitlines()]
    assert lines
    assert all(line["tree"] > 0 and line["available"] > 0 for line in lines)


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
        entries = [Entry(demo.entry(row).id, demo.ligand(row), f"x#{row}") for row in range(100, 240)]
    build_library(smaller, entries, ledger=Ledger())
    journal = tmp_path / "run" / "results.jsonl"

    def run(**options):
        settings = RunSettings(workers=1, recycle_after=1)
        make = find_benchmark(str(tmp_path / "mine.toml"))
        run_benchmark(make, tmp_path / "run", settings, limit=6, **options)
        return [json.loads(line)["id"] for line in journal.read_text().splitlines()]

    with pytest.raises(LibraryError, match=r"l\.templ was replaced while the run used it") as caught:
        run(on_progress=replace)
    assert caught.value.exit_code == 2
    assert journal.stat().st_size
    shutil.rmtree(library)
    shutil.copytree(demo_path, library)
    ids = run()
    assert len(ids) == len(set(ids)) == 6
