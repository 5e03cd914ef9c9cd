"""The final form of a run does not tell how it was computed."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from templ.errors import RunError
from templ.runs import final_form, pose_shards
from templ.runs.final_form import finish_run
from templ.runs.journal import Journal, read_records
from templ.runs.pose_shards import PoseShards, read_poses
from templ.runs.record import Cost, Record

ORDER = range(12)


@pytest.fixture(autouse=True)
def four_molecules_a_shard(monkeypatch):
    for module in (final_form, pose_shards):
        monkeypatch.setattr(module, "MOLECULES_A_SHARD", 4)


def compute(run, indices, order=ORDER):
    """Record molecules as a run does, every third of them without poses."""
    with PoseShards(run) as poses, Journal.open(run / "results.jsonl") as journal:
        for index in indices:
            record = Record(index, f"target-{index}", "refused")
            if index % 3:
                address = poses.append(order.index(index), f"target-{index}\npose\n$$$$\n" * index)
                record = Record(index, f"target-{index}", "posed", address=address)
            journal.append(record)


def content(run):
    return {str(path.relative_to(run)): path.read_bytes() for path in run.rglob("*") if path.is_file()}


@pytest.fixture
def final(tmp_path):
    run = tmp_path / "in-order"
    run.mkdir()
    compute(run, ORDER)
    finish_run(run, ORDER)
    return content(run)


def test_results_are_in_target_order_and_point_to_their_poses(final, tmp_path):
    run = tmp_path / "in-order"
    records = list(read_records(run / "results.jsonl"))
    assert [record.index for record in records] == list(ORDER)
    assert [record.address is not None for record in records] == [index % 3 != 0 for index in ORDER]
    for record in records:
        if record.address:
            assert read_poses(run, record.address) == f"{record.id}\npose\n$$$$\n" * record.index
    assert sorted(final) == ["poses/0000.sdf", "poses/0001.sdf", "poses/0002.sdf", "results.jsonl"]


@pytest.mark.parametrize("seed", range(5))
def test_any_order_of_completion_gives_the_same_bytes(final, tmp_path, seed):
    run = tmp_path / "shuffled"
    run.mkdir()
    shuffled = random.Random(seed).sample(ORDER, len(ORDER))
    compute(run, shuffled[:5])
    with PoseShards(run) as poses:
        poses.append(3, "poses whose record was never written")
    compute(run, shuffled[5:])
    finish_run(run, ORDER)
    assert content(run) == final


def test_finishing_again_writes_nothing(final, tmp_path):
    run = tmp_path / "in-order"
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*.*")}
    finish_run(run, ORDER)
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*.*")} == before


def test_targets_done_again_after_the_end_get_their_place(final, tmp_path):
    run = tmp_path / "in-order"
    journal = run / "results.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:4] + lines[7:]))
    compute(run, [6, 5, 4])
    assert (run / "poses" / "part-0001.sdf").exists()
    finish_run(run, ORDER)
    assert content(run) == final


def test_new_shards_are_on_disk_before_the_results_point_to_them(tmp_path, monkeypatch):
    compute(tmp_path, reversed(ORDER))
    synced, replaced_after = [], []
    fsync, replace = os.fsync, os.replace

    def watch_fsync(descriptor):
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    def watch_replace(old, new):
        if Path(new).name == "results.jsonl":
            replaced_after.extend(synced)
        replace(old, new)

    monkeypatch.setattr(os, "fsync", watch_fsync)
    monkeypatch.setattr(os, "replace", watch_replace)
    finish_run(tmp_path, ORDER)
    assert {".0000.sdf.new", ".0001.sdf.new", ".0002.sdf.new", "poses", ".results.jsonl.new"} <= set(
        replaced_after
    )


def test_a_run_without_any_pose_is_put_in_order(tmp_path):
    compute(tmp_path, [9, 3], range(3, 10, 6))
    finish_run(tmp_path, range(3, 10, 6))
    assert [record.index for record in read_records(tmp_path / "results.jsonl")] == [3, 9]


def test_the_order_of_a_shard_is_kept(tmp_path):
    compute(tmp_path, [7, 1, 4], range(1, 8, 3))
    finish_run(tmp_path, range(1, 8, 3))
    assert [record.index for record in read_records(tmp_path / "results.jsonl")] == [1, 4, 7]


def test_a_target_without_record_stops_the_end(tmp_path):
    compute(tmp_path, ORDER[:4])
    before = content(tmp_path)
    with pytest.raises(
        RunError, match=r"8 of 12 molecules have no record yet .the first is number 5.; start"
    ):
        finish_run(tmp_path, ORDER)
    assert content(tmp_path) == before


def test_a_record_of_no_target_stops_the_end(tmp_path):
    compute(tmp_path, ORDER[:4])
    with pytest.raises(RunError, match="'target-3' is no molecule of this run; remove its line"):
        finish_run(tmp_path, ORDER[:3])


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_text(path.read_text().lower()[:-1])])
def test_absent_and_damaged_poses_stop_the_end(tmp_path, damage):
    compute(tmp_path, reversed(ORDER[:4]))
    damage(tmp_path / "poses" / "part-0000.sdf")
    before = content(tmp_path)
    with pytest.raises(RunError, match=r"part-0000\.sdf .*start the command of the run again"):
        finish_run(tmp_path, ORDER[:4])
    assert content(tmp_path) == before


def test_shards_that_came_in_order_are_renamed(tmp_path, final):
    run = tmp_path / "another"
    run.mkdir()
    compute(run, [*ORDER[:5], 6, 5, *ORDER[7:]])
    nodes = {path.name: path.stat().st_ino for path in (run / "poses").iterdir()}
    finish_run(run, ORDER)
    assert content(run) == final
    kept = [(run / "poses" / f"000{n}.sdf").stat().st_ino == nodes[f"part-000{n}.sdf"] for n in range(3)]
    assert kept == [True, True, True], "6 has no poses"
    compute(tmp_path, [1, 2, 5, 4, 3, 0, *ORDER[6:]])
    nodes = {path.name: path.stat().st_ino for path in (tmp_path / "poses").iterdir()}
    finish_run(tmp_path, ORDER)
    kept = [(tmp_path / "poses" / f"000{n}.sdf").stat().st_ino == nodes[f"part-000{n}.sdf"] for n in range(3)]
    assert kept == [True, False, True]


def test_the_end_never_holds_more_than_one_shard_twice(tmp_path, monkeypatch):
    compute(tmp_path, reversed(ORDER))
    most, replace = [], os.replace

    def watch(*names):
        most.append(sum(path.stat().st_size for path in (tmp_path / "poses").iterdir()))
        replace(*names)

    poses = sum(path.stat().st_size for path in (tmp_path / "poses").iterdir())
    largest = max(path.stat().st_size for path in (tmp_path / "poses").iterdir())
    monkeypatch.setattr(os, "replace", watch)
    finish_run(tmp_path, ORDER)
    assert poses < max(most) <= poses + largest
    assert len(most) == 4


def test_a_shard_that_has_lost_its_poses_is_deleted(tmp_path, final):
    run = tmp_path / "in-order"
    with Journal.open(run / "results.jsonl", lambda record: record if record.index > 3 else None):
        pass
    with Journal.open(run / "results.jsonl") as journal:
        for index in range(4):
            journal.append(Record(index, f"target-{index}", "refused"))
    finish_run(run, ORDER)
    assert sorted(path.name for path in (run / "poses").iterdir()) == ["0001.sdf", "0002.sdf"]


def test_cost_is_kept_with_its_target(tmp_path):
    with Journal.open(tmp_path / "results.jsonl") as journal:
        journal.append(Record(1, "b", "refused", cost=Cost(1.5)))
        journal.append(Record(0, "a", "refused", cost=Cost(2.5)))
    finish_run(tmp_path, range(2))
    assert [record.cost.cpu_s for record in read_records(tmp_path / "results.jsonl")] == [2.5, 1.5]
