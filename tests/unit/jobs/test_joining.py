"""Processes that join a run share its parts out, and end with what one process alone gives."""

from __future__ import annotations

import os
import shutil
import threading
from contextlib import ExitStack
from dataclasses import replace

import pytest

from templ.engine.executor import TaskResult, Work
from templ.errors import RunError, StorageError
from templ.jobs import joining
from templ.jobs.joining import record_run
from templ.jobs.recording import MoleculeResult
from templ.runs import parts
from templ.runs.identity import Identity
from templ.runs.journal import read_records
from templ.runs.manifest import RunManifest, read_manifest, start_run, write_manifest
from templ.runs.record import Cost, PoseRecord, Record
from templ.runs.run_folder import hold_run_folder
from templ.settings import RunSettings

MOLECULES = 20
POSE = PoseRecord(0.5, 0.5, "core", "x1", (), "", 0.1, rmsd=1.5)


class Scripted:
    """An executor in this process that keeps the books; `before` is told of each task before it is done."""

    def __init__(self, before=lambda number: None):
        self.done, self.before = [], before

    def run(self, work, tasks, on_memory=lambda sample: None):
        on_memory(
            {
                "time": 1,
                "monotonic": 1,
                "ended": 0,
                "reason": "",
                "action": "run",
                "tree": 2**30,
                "workers": [5, 6],
            }
        )
        for task in tasks:
            self.before(len(self.done))
            self.done.append(int(task))
            yield result_of(task)


def result_of(task):
    if int(task) % 4 == 3:
        return TaskResult(task, "timeout", None, "stopped after 4 s")
    record = Record(int(task), f"m{task}", "posed", poses=(POSE,))
    return TaskResult(task, "done", MoleculeResult(record, f"m{task}\n$$$$\n"))


def failure(result):
    return Record(int(result.task), f"m{result.task}", "failed", result.kind, result.detail)


@pytest.fixture
def do(manifest):
    """``do(folder, executor)``: one process at the run of a folder; returns what it says."""

    def run(folder, executor, on_progress=lambda progress: None, join=True):
        said = []
        with ExitStack() as held:
            held.enter_context(hold_run_folder(folder, said.append if join else None))
            started = start_run(folder, manifest)
            record_run(
                folder,
                held,
                started,
                executor,
                Work("none", {}),
                lambda order: ((index, str(index)) for index in reversed(order)),
                failure,
                on_progress,
                machine=RunSettings(join=join),
                on_start=said.append,
            )
        return said

    return run


@pytest.fixture
def manifest():
    identity = Identity(settings={}, rule={}, library="", targets="")
    return RunManifest(
        name="n", identity=identity, digest=identity.digest, run_settings={}, library="", targets=MOLECULES
    )


@pytest.fixture
def expected(do, tmp_path):
    do(tmp_path / "alone", Scripted(), join=False)
    return outcome(tmp_path / "alone")


def outcome(run):
    assert read_manifest(run).finished is not None
    records = [replace(record, cost=Cost()) for record in read_records(run / "results.jsonl")]
    return records, {path.name: path.read_bytes() for path in (run / "poses").iterdir()}


def names(run):
    return {path.name for path in run.iterdir()}


def test_one_process_that_joins_gives_what_one_alone_gives(do, tmp_path, expected):
    told, executor = [], Scripted()
    assert do(tmp_path / "run", executor, lambda progress: told.append(progress.done)) == []
    assert outcome(tmp_path / "run") == expected
    assert sorted(executor.done) == list(range(MOLECULES))
    assert told == list(range(MOLECULES + 1))
    assert names(tmp_path / "run") == names(tmp_path / "alone") - {"memory.jsonl"} | {"processes"}
    (process,) = (tmp_path / "run/processes").iterdir()
    assert names(process) == {"memory.jsonl", "run.lock"}
    assert f"-{os.getpid()}-" in process.name
    do(tmp_path / "run", idle := Scripted())
    assert idle.done == []
    do(tmp_path / "run", again := Scripted(), join=False)
    assert sorted(again.done) == [3, 7, 11, 15, 19]  # what failed is tried again, as of any run
    assert outcome(tmp_path / "run") == expected


def test_several_at_a_time_share_the_parts_out(do, tmp_path, expected):
    executors, go = [Scripted() for _ in range(3)], threading.Barrier(3)
    for executor in executors:
        executor.before = lambda number: number or go.wait(60)  # each has a part before any goes on
    threads = [threading.Thread(target=do, args=(tmp_path / "run", executor)) for executor in executors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert outcome(tmp_path / "run") == expected
    assert sorted(task for executor in executors for task in executor.done) == list(range(MOLECULES))
    assert all(executor.done for executor in executors)


def test_what_a_process_leaves_is_gone_on_with(do, tmp_path, expected):
    def fail(number):
        if number == 10:
            raise StorageError("/full cannot be written")

    first, second = Scripted(fail), Scripted()
    with pytest.raises(StorageError):
        do(tmp_path / "run", first)
    assert not (tmp_path / "run/results.jsonl").exists()
    (said,) = [line for line in do(tmp_path / "run", second) if "taken over" in line]
    assert said == "part 2 of 3 is taken over from one that ended"
    again = set(first.done) & set(second.done)
    assert again == {index for index in first.done if index % 4 == 3 and index % 3 == 1}  # what failed there
    assert outcome(tmp_path / "run") == expected


def test_the_results_of_a_lost_lease_are_refused(do, tmp_path, expected, monkeypatch):
    """A process is stopped in the middle of a part; another does all and merges it meanwhile."""

    def sleep(number):
        if number == 4:
            monkeypatch.setattr(parts, "EXPIRED_S", -1)  # the other sees no sign of life
            do(tmp_path / "run", other)

    asleep, other = Scripted(sleep), Scripted()
    (said,) = do(tmp_path / "run", asleep)
    assert said.startswith("part 1 of 3 was taken over by another process")
    assert len(asleep.done) > 4
    assert set(other.done) | set(asleep.done[:4]) == set(range(MOLECULES))
    assert outcome(tmp_path / "run") == expected


def test_who_lost_a_part_may_get_it_back(do, tmp_path, expected, monkeypatch):
    def sleep(number):
        if number == 4:
            with monkeypatch.context() as patched:
                patched.setattr(parts, "EXPIRED_S", -1)
                other = parts.Parts(tmp_path / "run", 3, "other")
                for lease in [other.claim({1})[1], other.claim({1})[1], other.claim({2, 3})[1]]:
                    lease.give_up()

    said = do(tmp_path / "run", asleep := Scripted(sleep))
    assert "its results from here are not taken" in said[0]
    over = [line for line in said if "taken over from" in line]
    assert over == [f"part {part} of 3 is taken over from one that ended" for part in (1, 2, 3)]
    assert asleep.done.count(6) == 2  # it was under way
    assert outcome(tmp_path / "run") == expected


def test_a_damaged_part_is_found_and_done_again(do, tmp_path, expected, monkeypatch):
    def damage(run, shards, molecules):
        monkeypatch.undo()
        journal = shards[1] / "results.jsonl"
        journal.write_bytes(journal.read_bytes().replace(b'"m4"', b'"m5"'))
        merge(run, shards, molecules)

    merge = joining.merge_shards
    monkeypatch.setattr(joining, "merge_shards", damage)
    said = do(tmp_path / "run", executor := Scripted())
    assert said[0] == f"{tmp_path / 'run/parts/0002.1'} is damaged: what of it is damaged is done again"
    assert sorted(executor.done[MOLECULES:]) == [4, 7, 19]  # the others failed, and are tried again
    assert outcome(tmp_path / "run") == expected


def test_what_is_no_damage_of_a_part_ends_the_merge(do, tmp_path, monkeypatch):
    def fail(run, shards, molecules):
        raise RunError("poses cannot be read")

    monkeypatch.setattr(joining, "merge_shards", fail)
    with pytest.raises(RunError, match="poses cannot be read"):
        do(tmp_path / "run", Scripted())


def test_a_merge_that_was_killed_is_done_again(do, tmp_path, expected, monkeypatch):
    monkeypatch.setattr(parts, "remove_parts", lambda run: None)
    do(tmp_path / "run", Scripted())
    assert (tmp_path / "run/parts").exists()
    monkeypatch.undo()
    kept = tmp_path / "kept"
    shutil.copytree(tmp_path / "run", kept)
    do(tmp_path / "run", Scripted())
    assert outcome(tmp_path / "run") == expected
    assert not (tmp_path / "run/parts").exists()
    manifest = read_manifest(kept).model_copy(update={"finished": None})
    write_manifest(kept, manifest)
    (kept / "results.jsonl").unlink()
    do(kept, idle := Scripted())
    assert idle.done == []
    assert outcome(kept) == expected


def test_a_run_is_done_alone_or_together(do, tmp_path):
    def fail(number):
        raise StorageError("/full cannot be written")

    for join in (True, False):
        folder = tmp_path / str(join)
        with pytest.raises(StorageError):
            do(folder, Scripted(fail), join=join)
        with pytest.raises(RunError, match="without --join" if not join else "with --join"):
            do(folder, Scripted(), join=not join)
        do(folder, Scripted(), join=join)
