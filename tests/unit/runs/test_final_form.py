"""The final form of a run does not tell how it was computed."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from templ.errors import RunError
from templ.runs.final_form import finish_run
from templ.runs.journal import Journal, read_records
from templ.runs.pose_shards import PoseShards, read_poses
from templ.runs.record import Cost, Record

ORDER = range(12)
SMALL = 200


def compute(run, indices, *, per_shard_bytes=SMALL):
    """Record molecules as a run does, every third of them without poses."""
    with (
        PoseShards(run, per_shard_bytes=per_shard_bytes) as poses,
        Journal.open(run / "results.jsonl") as journal,
    ):
        for index in indices:
            record = Record(index, f"target-{index}", "refused")
            if index % 3:
                address = poses.append(f"target-{index}\npose\n$$$$\n" * 4)
                record = Record(index, f"target-{index}", "posed", address=address)
            journal.append(record)


def content(run):
    return {str(path.relative_to(run)): path.read_bytes() for path in run.rglob("*") if path.is_file()}


@pytest.fixture
def final(tmp_path):
    run = tmp_path / "in-order"
    run.mkdir()
    compute(run, ORDER)
    finish_run(run, ORDER, per_shard_bytes=SMALL)
    return content(run)


def test_results_are_in_target_order_and_point_to_their_poses(final, tmp_path):
    run = tmp_path / "in-order"
    records = list(read_records(run / "results.jsonl"))
    assert [record.index for record in records] == list(ORDER)
    assert [record.address is not None for record in records] == [index % 3 != 0 for index in ORDER]
    for record in records:
        if record.address:
            assert read_poses(run, record.address) == f"{record.id}\npose\n$$$$\n" * 4
    assert sorted(final) == ["poses/0000.sdf", "poses/0001.sdf", "poses/0002.sdf", "results.jsonl"]


@pytest.mark.parametrize("seed", range(5))
def test_any_order_of_completion_gives_the_same_bytes(final, tmp_path, seed):
    run = tmp_path / "shuffled"
    run.mkdir()
    shuffled = random.Random(seed).sample(ORDER, len(ORDER))
    compute(run, shuffled[:5], per_shard_bytes=30)
    with PoseShards(run) as poses:
        poses.append("poses whose record was never written")
    compute(run, shuffled[5:], per_shard_bytes=10_000)
    finish_run(run, ORDER, per_shard_bytes=SMALL)
    assert content(run) == final


def test_finishing_again_writes_nothing(final, tmp_path):
    run = tmp_path / "in-order"
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*.*")}
    finish_run(run, ORDER, per_shard_bytes=SMALL)
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*.*")} == before


def test_targets_done_again_after_the_end_get_their_place(final, tmp_path):
    run = tmp_path / "in-order"
    journal = run / "results.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:4] + lines[7:]))
    compute(run, [6, 5, 4])
    finish_run(run, ORDER, per_shard_bytes=SMALL)
    assert content(run) == final


def test_new_shards_are_on_disk_before_the_results_point_to_them(tmp_path, monkeypatch):
    compute(tmp_path, ORDER)
    synced, replaced_after = [], []
    fsync, replace = os.fsync, os.replace

    def watch_fsync(descriptor):
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    def watch_replace(*names):
        replaced_after.extend(synced)
        replace(*names)

    monkeypatch.setattr(os, "fsync", watch_fsync)
    monkeypatch.setattr(os, "replace", watch_replace)
    finish_run(tmp_path, ORDER, per_shard_bytes=SMALL)
    assert {"0000.sdf", "0001.sdf", "0002.sdf", "poses", ".results.jsonl.new"} <= set(replaced_after)


def test_a_run_without_any_pose_is_put_in_order(tmp_path):
    compute(tmp_path, [9, 3])
    finish_run(tmp_path, range(3, 10, 6))
    assert [record.index for record in read_records(tmp_path / "results.jsonl")] == [3, 9]


def test_the_order_of_a_shard_is_kept(tmp_path):
    compute(tmp_path, [7, 1, 4])
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


def test_absent_poses_stop_the_end(tmp_path):
    compute(tmp_path, ORDER[:4])
    (tmp_path / "poses" / "part-0000.sdf").unlink()
    with pytest.raises(RunError, match=r"part-0000\.sdf cannot be read"):
        finish_run(tmp_path, ORDER[:4])


def test_cost_is_kept_with_its_target(tmp_path):
    with Journal.open(tmp_path / "results.jsonl") as journal:
        journal.append(Record(1, "b", "refused", cost=Cost(1.5)))
        journal.append(Record(0, "a", "refused", cost=Cost(2.5)))
    finish_run(tmp_path, range(2))
    assert [record.cost.cpu_s for record in read_records(tmp_path / "results.jsonl")] == [2.5, 1.5]
