"""What every executor promises, by its protocol alone: one result a task, and a task's trouble is its own."""

from __future__ import annotations

import logging
import os
import pickle
import re
import signal
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from templ.engine.executor import Work, choose_executor
from templ.errors import LibraryError, StorageError, TemplError
from templ.settings import RunSettings

ECHOES = [f"echo {number}" for number in range(8)]
DEADLINE_S = 60.0
SHORT_DEADLINE_S = 4.0
"""For what ends by its deadline alone."""
LARGEST_RESULT = 16 * 2**20
"""Bytes of a result that is carried; a larger one is an error of its task."""
PATIENCE_S = 30.0
"""Only a failing test waits that long."""


@pytest.fixture(scope="module")
def scheduler(helpers):
    """A Dask cluster of real processes, two workers, whose scheduler is reached by its address."""
    distributed = pytest.importorskip("distributed", reason="Dask is not installed (extra: dask)")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(helpers), *filter(None, sys.path)]))
        patch.setenv("DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT", "120s")  # for a crowded machine
        distributed_config = pytest.importorskip("dask").config
        patch.setitem(distributed_config.get("distributed.comm.timeouts"), "connect", "120s")
        options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
        with distributed.LocalCluster(**options, silence_logs=logging.CRITICAL) as cluster:
            yield cluster.scheduler_address.replace("tcp://", "dask://")


@pytest.fixture(params=["local", "dask", "dask, values kept in files"])
def manner(request):
    """Each of the executors, and for Dask both manners of sending; nothing below knows which one it has."""
    return request.param


@pytest.fixture
def where(manner, request):
    """Value of ``--on``."""
    return "" if manner == "local" else request.getfixturevalue("scheduler")


@pytest.fixture
def make_work(manner, engine_work, tmp_path_factory):
    """Makes the work; what it does with values is a matter of the manner."""
    keeper = None
    if "kept" in manner:
        context = {"folder": str(tmp_path_factory.mktemp("kept"))}
        keeper = Work(engine_work.replace("open_work", "keep_in_files"), context)
    return lambda context=None: Work(engine_work, context or {}, keeper=keeper)


def fetched(result):
    """Bring a value that was kept in a file."""
    if isinstance(result.value, Path):
        return replace(result, value=pickle.loads(result.value.read_bytes()))
    return result


@pytest.fixture
def make(where, calm):
    """Makes an executor."""

    def make(workers=2, recycle_after=25, deadline_s=DEADLINE_S, backstop_s=None):
        settings = RunSettings(
            workers=workers,
            memory=8 * 2**30,
            recycle_after=recycle_after,
            deadline_s=deadline_s,
            backstop_s=backstop_s,
            on=where,
        )
        return choose_executor(settings)

    return make


@pytest.fixture
def engine(make, make_work):
    """Makes an executor and has it do tasks."""

    def run(tasks, *, context=None, **settings):
        with closing(make(**settings).run(make_work(context), tasks)) as results:
            for result in results:
                yield fetched(result)

    return run


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_every_task_gives_one_result_with_its_value(engine, workers):
    tasks = [f"echo {number}" for number in range(40)]
    results = list(engine(tasks, workers=workers, recycle_after=7))
    assert sorted(result.task for result in results) == sorted(tasks)
    assert all(result.kind == "done" and result.task == f"echo {result.value}" for result in results)
    assert all(result.uss_bytes > 0 and result.wall_s > 0 and not result.detail for result in results)


def test_work_is_done_in_the_folder_it_was_made_in(engine, monkeypatch, tmp_path):
    """Relative paths are relative to it; a worker of Dask was started in another."""
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        monkeypatch.chdir(folder)
        (found,) = engine(["folder"])
        assert found.value == str(folder)


def test_work_of_a_folder_that_is_not_on_this_machine_is_done(make, make_work):
    (found,) = make().run(replace(make_work(), folder="/none"), ["echo 1"])
    assert fetched(found).value == "1"


def test_no_tasks_give_no_results(engine):
    assert list(engine([])) == []


@pytest.mark.parametrize(
    ("bad", "kind", "detail"),
    [
        ("fail money", "error", "ValueError: no money at all"),
        ("unprintable", "error", "engine_work.Unprintable: <exception str() failed>"),
        ("leave", "error", "SystemExit: 3"),
        ("panic", "error", "BaseException: as a Rust library's panic"),
        ("unpicklable", "error", "pickle"),
        ("unreadable", "error", "ValueError: invalid literal for int()"),
        ("memory", "out-of-memory", "beyond the worker's share of memory"),
        ("exit 3", "crash", "the worker died (exit code 3)"),
        ("exit 0", "crash", "the worker died (exit code 0)"),
        (
            f"kill {int(signal.SIGKILL)}",
            "crash",
            "the worker died (SIGKILL, often the kernel when memory runs out)",
        ),
        ("segfault", "crash", "the worker died (SIGSEGV)"),
        ("die-sending", "crash", "the worker died (exit code 9)"),
    ],
)
def test_a_bad_task_costs_only_itself(engine, bad, kind, detail):
    """Three of them, so that each worker meets one, and the first waits for no other."""
    results = list(engine([bad, *ECHOES[:4], bad, *ECHOES[4:], bad]))
    failed = [result for result in results if result.kind != "done"]
    assert [(result.task, result.kind, result.value) for result in failed] == [(bad, kind, None)] * 3
    assert all(detail in result.detail for result in failed)
    assert sorted(result.task for result in results if result.kind == "done") == ECHOES


def test_a_task_that_is_done_costs_no_other_when_its_worker_dies_of_what_it_left(engine):
    results = list(engine(["die-after", *ECHOES[:4], "die-after", *ECHOES[4:]]))
    assert [result for result in results if result.kind != "done"] == []
    assert sorted(result.task for result in results) == sorted(["die-after", "die-after", *ECHOES])


@pytest.mark.parametrize(
    ("bad", "settings", "says"),
    [
        ("hang", {"backstop_s": SHORT_DEADLINE_S}, "stopped after 4 s with 0 of CPU time"),
        ("freeze", {"deadline_s": 2.0}, r"stopped after ([2-9]|\d\d+) CPU seconds"),
        ("hang-rdkit", {"deadline_s": 2.0}, r"stopped after ([2-9]|\d\d+) CPU seconds"),
    ],
)
def test_a_task_without_end_costs_only_itself_at_its_deadline(engine, bad, settings, says):
    """By its CPU time, or where it uses none at the backstop; also one that holds the interpreter's lock."""
    results = list(engine([bad, *ECHOES, bad], **settings))
    failed = [result for result in results if result.kind != "done"]
    assert [(result.task, result.kind) for result in failed] == [(bad, "timeout")] * 2
    assert all(re.fullmatch(says, result.detail) for result in failed)
    assert sorted(result.task for result in results if result.kind == "done") == ECHOES


def test_large_results_and_much_output_block_nobody(engine):
    sizes = [LARGEST_RESULT - 1000, 1, LARGEST_RESULT - 1000]
    tasks = [*(f"huge {size}" for size in sizes), "talk", *ECHOES]
    results = list(engine(tasks))
    assert all(result.kind == "done" for result in results)
    assert sorted(len(result.value) for result in results if result.task.startswith("huge")) == sorted(sizes)
    assert sorted(result.task for result in results) == sorted(tasks)


def test_a_result_too_large_to_send_is_an_error_of_its_task(engine):
    [result] = engine([f"huge {LARGEST_RESULT}"])
    assert (result.kind, result.value) == ("error", None)
    assert f"at most {LARGEST_RESULT} can be sent" in result.detail


def test_an_allocation_beyond_the_share_is_out_of_memory(engine):
    results = list(engine(["allocate 30000000000", *ECHOES]))
    [failed] = [result for result in results if result.kind != "done"]
    assert (failed.task, failed.kind) == ("allocate 30000000000", "out-of-memory")


@pytest.mark.parametrize(("task", "stage"), [("fail-in-program", "own"), ("fail-in-library", "")])
def test_a_failure_names_the_innermost_function_of_this_program(engine, task, stage):
    [result] = engine([task])
    assert (result.kind, result.stage) == ("error", stage)


def test_workers_are_replaced_after_their_number_of_tasks(engine):
    results = list(engine(["pid"] * 12, workers=2, recycle_after=2))
    tasks_of = [result.value for result in results]
    assert os.getpid() not in tasks_of
    # The last tasks may be shared between two workers, so a worker may end before its second task.
    assert max(tasks_of.count(pid) for pid in tasks_of) == 2
    assert len(set(tasks_of)) >= 6


def test_tasks_are_read_as_they_are_needed(engine, where):
    """In chunks, where the engine spans machines: these grow while tasks are short."""
    read, ahead = 0, 300 if where else 3 * 2

    def tasks():
        nonlocal read
        for number in range(400):
            read += 1
            yield f"echo {number}"

    for count, _ in enumerate(engine(tasks(), workers=2)):
        assert read <= min(400, count + 1 + ahead)


def test_trouble_in_reading_the_tasks_reaches_the_caller(engine):
    def tasks():
        yield from ECHOES
        raise ZeroDivisionError("no more of them")

    with pytest.raises(ZeroDivisionError, match="no more"):
        list(engine(tasks()))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_disk_that_refuses_a_worker_ends_the_run(engine, workers):
    """The next task would meet it too, and each would be recorded as failed for good."""
    with pytest.raises(StorageError, match="/full cannot be written"):
        list(engine([*ECHOES, "storage", *ECHOES], workers=workers))


def test_work_that_cannot_be_opened_ends_the_run_with_its_reason(engine):
    with pytest.raises(LibraryError, match=r"lib\.templ is absent"):
        list(engine(ECHOES, context={"missing": "lib.templ is absent"}))


def test_workers_that_die_before_their_first_task_end_the_run(engine):
    """Else it would start new ones for ever."""
    with pytest.raises(TemplError, match=r"ended before they were ready \(exit code 5\).*templ doctor"):
        list(engine(ECHOES, context={"exit": 5}))


def test_results_come_while_others_are_at_work(engine, tmp_path):
    """The first is handed over before the last can end: it waits for the caller to have seen it."""
    seen = tmp_path / "seen"
    results = engine([f"wait-for {seen}", "echo 1"])
    assert next(results).value == "1"
    seen.touch()
    assert [result.kind for result in results] == ["done"]


def test_closing_the_results_stops_the_workers(engine, tmp_path):
    results = engine([f"stay {tmp_path}", f"wait-for {tmp_path}"])
    assert next(results).kind == "done"
    [at_work] = [int(path.name) for path in tmp_path.iterdir()]
    assert psutil.pid_exists(at_work)
    end = time.monotonic() + PATIENCE_S
    results.close()
    while psutil.pid_exists(at_work):
        assert time.monotonic() < end
        time.sleep(0.02)


def test_an_executor_can_be_used_again(make, make_work):
    executor = make()
    for context in ({}, {"unused": "value"}):
        values = [fetched(result).value for result in executor.run(make_work(context), ECHOES)]
        assert sorted(values) == [str(number) for number in range(8)]


def test_what_is_seen_of_memory_is_told(make, make_work):
    samples = []
    list(make().run(make_work(), ECHOES, samples.append))
    assert samples
    assert all(sample["tree"] > 0 and sample["available"] > 0 for sample in samples)
    assert all(isinstance(sample["reason"], str) and sample["action"] for sample in samples)


def test_an_executor_says_on_one_line_where_it_works(make):
    assert str(make())
    assert "\n" not in str(make())


@pytest.mark.parametrize("size", [60_000, 400_000, 5_000_000])
def test_a_task_larger_than_a_pipe_arrives_whole(engine, size):
    """Such as a SMILES of 300 kB: the pipe to a worker takes 64 kB at a time."""
    task = "echo " + "x" * size
    results = list(engine([*ECHOES[:3], task, *ECHOES[3:]]))
    assert sorted(result.task for result in results) == sorted([*ECHOES, task])
    assert {result.kind for result in results} == {"done"}


def test_values_are_kept_where_they_are_made_before_they_are_sent_elsewhere(make, make_work, manner):
    values = [result.value for result in make().run(make_work(), [*ECHOES, "fail money"])]
    kept = [value for value in values if isinstance(value, Path)]
    assert len(kept) == (len(ECHOES) if "kept" in manner else 0)
    assert values.count(None) == 1  # of the one that failed


def test_a_disk_that_refuses_to_keep_a_value_ends_the_run(make, make_work, manner):
    work = make_work()
    if work.keeper is None:
        pytest.skip("nothing is kept")
    work = replace(work, keeper=replace(work.keeper, context={"folder": "/proc/none"}))
    with pytest.raises(StorageError, match=r"/proc/none/.* cannot be written"):
        list(make().run(work, ECHOES))
