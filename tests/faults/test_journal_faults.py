"""A run survives what machines do: SIGKILL at any instant, torn writes, a full disk, two writers."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from templ.errors import RunError, StorageError
from templ.runs import final_form, pose_shards
from templ.runs.final_form import finish_run
from templ.runs.journal import Journal, read_records
from templ.runs.pose_shards import PoseShards, read_poses
from templ.runs.record import Record
from templ.runs.run_folder import lock_run

WRITER = """
import sys
from pathlib import Path
from templ.runs.journal import Journal
from templ.runs.pose_shards import PoseShards
from templ.runs.record import Record

run = Path(sys.argv[1])
with Journal.open(run / "results.jsonl") as journal, PoseShards(run) as poses:
    for number in range(len(journal.done), 1_000_000):
        address = poses.append(number, f"{number}\\n" * 500)
        journal.append(Record(number, str(number), "posed", detail="x" * 5000, address=address))
        print(number, flush=True)
"""

FINISHER = """
import itertools, os, shutil, sys
from pathlib import Path
from templ.runs import final_form, pose_shards
from templ.runs.final_form import finish_run
from templ.runs.journal import Journal
from templ.runs.recovery import Recovery

final_form.MOLECULES_A_SHARD = pose_shards.MOLECULES_A_SHARD = 2

# Ends the process, with no clean-up at all, at the given system call that touches the disk.
def kill_at(countdown):
    def wrap(real, halve):
        def call(*args, **kwargs):
            if next(countdown) == 0:
                if halve:
                    real(args[0], args[1][: len(args[1]) // 2], args[2])
                os._exit(9)
            return real(*args, **kwargs)
        return call
    for name in ("pwrite", "fsync", "replace", "unlink", "truncate", "ftruncate"):
        setattr(os, name, wrap(getattr(os, name), name == "pwrite"))

start, work, order = Path(sys.argv[1]), Path(sys.argv[2]), range(int(sys.argv[3]))

def go_on():
    recovery = Recovery(work, order, retry_failed=True)
    with Journal.open(work / "results.jsonl", recovery) as journal:
        assert (len(journal.done), recovery.notes(journal)) == (len(order), []), recovery.notes(journal)
    finish_run(work, order)

for point in itertools.count():
    shutil.copytree(start, work)
    child = os.fork()
    if child == 0:
        kill_at(iter(range(point, -10_000, -1)))
        go_on()
        os._exit(0)
    killed = os.waitpid(child, 0)[1] != 0
    go_on()
    content = {str(p.relative_to(work)): p.read_bytes() for p in sorted(work.rglob("*")) if p.is_file()}
    print(killed, hash(frozenset(content.items())))
    shutil.rmtree(work)
    if not killed:
        break
"""


@pytest.fixture
def python(running):
    """``with python(script, *arguments) as process``: its output is to be read."""

    def start(script, *arguments, **options):
        return running([sys.executable, "-c", script, *arguments], stdout=subprocess.PIPE, **options)

    return start


@pytest.fixture
def small_disk(mount_disk):
    """Too small for what is written to it; the sizes are those of this file alone."""
    return mount_disk("256k")


def test_sigkill_loses_nothing_that_was_reported_as_done(tmp_path, python):
    seed = random.randrange(10**6)
    pause = random.Random(seed)
    reported = -1
    for _ in range(5):
        with python(WRITER, tmp_path) as writer:
            first = writer.stdout.readline()
            time.sleep(pause.uniform(0, 0.1))
            os.kill(writer.pid, signal.SIGKILL)
            numbers = [
                int(line)
                for line in (first + writer.stdout.read()).splitlines(keepends=True)
                if line[-1:] == "\n"
            ]
        assert numbers[0] > reported, seed
        reported = numbers[-1]
        records = list(read_records(tmp_path / "results.jsonl"))
        assert [record.index for record in records] == list(range(len(records))), seed
        assert len(records) > reported, seed
        for record in records:
            assert read_poses(tmp_path, record.address) == f"{record.id}\n" * 500, seed


def padded(number):
    return Record(number, str(number), "refused", detail="x" * 2600)


@pytest.mark.parametrize("lost", [1, 2, 20, 39])
def test_a_torn_last_line_costs_only_its_target(tmp_path, lost):
    path = tmp_path / "results.jsonl"
    records = [Record(number, name, "refused") for number, name in enumerate(("first", "second"))]
    lines = [record.to_line() for record in records]
    path.write_bytes(b"".join(lines)[:-lost])
    with Journal.open(path) as journal:
        assert (1 in journal.done) == (lost == 1)
        if 1 not in journal.done:
            journal.append(records[1])
    assert path.read_bytes() == b"".join(lines)


def test_a_full_disk_leaves_the_journal_whole_and_usable(small_disk):
    path = small_disk / "results.jsonl"
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 150_000)
    written = []
    with Journal.open(path) as journal:
        with pytest.raises(StorageError, match=f"{path} cannot be written .No space left"):
            for number in range(1000):
                journal.append(padded(number))
                written.append(number)
        assert written
        assert [record.index for record in read_records(path)] == written
        assert path.read_bytes().endswith(b"}\n")
        assert len(written) not in journal.done
        ballast.unlink()
        journal.append(padded(len(written)))
    with Journal.open(path) as journal:
        assert len(journal.done) == len(written) + 1


def test_a_full_disk_leaves_the_shards_whole_and_usable(small_disk):
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 150_000)
    addresses = []
    with PoseShards(small_disk) as poses:
        with pytest.raises(StorageError, match=r"part-0000\.sdf cannot be written .No space left"):
            while True:
                addresses.append(poses.append(0, f"{len(addresses)}\n" * 1000))
        ballast.unlink()
        addresses.append(poses.append(0, f"{len(addresses)}\n" * 1000))
    for number, address in enumerate(addresses):
        assert read_poses(small_disk, address) == f"{number}\n" * 1000


def test_a_file_size_limit_is_a_full_disk_too(tmp_path, python):
    script = """
import resource, sys
from pathlib import Path
from templ.errors import StorageError
from templ.runs.journal import Journal
from templ.runs.record import Record

resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
with Journal.open(Path(sys.argv[1])) as journal:
    try:
        for number in range(100):
            journal.append(Record(number, str(number), "refused", detail="x" * 560))
    except StorageError as error:
        print(len(journal.done), error)
"""
    with python(script, tmp_path / "results.jsonl") as writer:
        output = writer.stdout.read()
    assert output.startswith(f"10 {tmp_path / 'results.jsonl'} cannot be written (File too large)")
    assert len(list(read_records(tmp_path / "results.jsonl"))) == 10
    assert (tmp_path / "results.jsonl").read_bytes().endswith(b"}\n")


def test_the_second_process_on_a_run_folder_is_refused_until_the_first_is_gone(tmp_path, python):
    script = """
import sys, time
from pathlib import Path
from templ.runs.run_folder import lock_run

with lock_run(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(600)
"""
    with python(script, tmp_path) as holder:
        assert holder.stdout.readline() == "locked\n"
        with (
            pytest.raises(RunError, match=f"is being written by process {holder.pid} on "),
            lock_run(tmp_path),
        ):
            pass
        holder.kill()
        holder.wait()
    with lock_run(tmp_path):
        pass


def compute(run, indices):
    with PoseShards(run) as poses, Journal.open(run / "results.jsonl") as journal:
        for index in indices:
            address = poses.append(index, f"t{index}\npose\n$$$$\n" * (5 + index))
            journal.append(Record(index, f"t{index}", "posed", address=address))


@pytest.mark.parametrize("state", ["running", "in order", "finished and added to"])
def test_an_end_killed_at_any_system_call_ends_in_the_same_bytes(tmp_path, python, monkeypatch, state):
    for module in (final_form, pose_shards):
        monkeypatch.setattr(module, "MOLECULES_A_SHARD", 2)
    start = tmp_path / "start"
    start.mkdir()
    if state == "running":
        compute(start, [5, 4, 3, 2, 1, 0])
    elif state == "in order":
        compute(start, range(6))
    else:
        compute(start, [5, 4, 3, 2, 1, 0])
        finish_run(start, range(6))
        with Journal.open(start / "results.jsonl", lambda record: record if record.index % 2 else None):
            pass
        compute(start, [0, 4, 2])
    environment = os.environ | {"PYTHONHASHSEED": "0"}
    with python(FINISHER, start, tmp_path / "work", "6", env=environment) as finisher:
        endings = [line.split() for line in finisher.stdout.read().splitlines()]
        assert finisher.wait() == 0
    assert len(endings) > 10, "killed at many points"
    assert {content for _, content in endings} == {endings[-1][1]}
    assert [killed for killed, _ in endings] == ["True"] * (len(endings) - 1) + ["False"]


def test_a_run_is_finished_without_room_for_a_second_copy_of_its_poses(small_disk, monkeypatch):
    for module in (final_form, pose_shards):
        monkeypatch.setattr(module, "MOLECULES_A_SHARD", 2)
    compute_large(small_disk, reversed(range(18)))
    assert sum(path.stat().st_size for path in (small_disk / "poses").iterdir()) > 170_000
    finish_run(small_disk, range(18))
    assert sorted(path.name for path in (small_disk / "poses").iterdir()) == [
        f"{number:04d}.sdf" for number in range(9)
    ]
    records = list(read_records(small_disk / "results.jsonl"))
    assert [read_poses(small_disk, record.address)[:9] for record in records] == [
        f"{n:9d}" for n in range(18)
    ]


def test_an_end_for_which_there_is_no_room_leaves_nothing_and_is_made_later(small_disk, monkeypatch):
    for module in (final_form, pose_shards):
        monkeypatch.setattr(module, "MOLECULES_A_SHARD", 2)
    compute_large(small_disk, reversed(range(18)))
    before = {path: path.read_bytes() for path in small_disk.rglob("*.*")}
    ballast = small_disk / "ballast"
    with suppress(OSError):
        ballast.write_bytes(b"x" * 262_144)
    with pytest.raises(StorageError, match="No space left"):
        finish_run(small_disk, range(18))
    ballast.unlink()
    assert {path: path.read_bytes() for path in small_disk.rglob("*.*")} == before
    finish_run(small_disk, range(18))
    assert [record.index for record in read_records(small_disk / "results.jsonl")] == list(range(18))


def compute_large(run, indices):
    with PoseShards(run) as poses, Journal.open(run / "results.jsonl") as journal:
        for index in indices:
            address = poses.append(index, f"{index:9d}\n" * 1000)
            journal.append(Record(index, f"t{index}", "posed", address=address))
