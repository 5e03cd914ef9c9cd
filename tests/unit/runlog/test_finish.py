"""The final form of a run does not tell how it was computed."""

from __future__ import annotations

import json
import os
import random
from dataclasses import asdict
from pathlib import Path

import pytest

from templ.errors import RunError
from templ.runlog.finish import finish_run
from templ.runlog.journal import Journal, read_records
from templ.runlog.poses import PoseAddress, PoseShards, read_poses

ORDER = [f"target-{number}" for number in range(12)]
SMALL = 200


def compute(run, targets, *, per_shard_bytes=SMALL):
    """Record `targets` as a run does, every third of them without poses."""
    with (
        PoseShards(run, per_shard_bytes=per_shard_bytes) as poses,
        Journal.open(run / "results.jsonl") as journal,
    ):
        for target in targets:
            place = None
            if int(target.split("-")[1]) % 3:
                place = asdict(poses.append(f"{target}\npose\n$$$$\n" * 4)) | {"count": 4}
            journal.append({"id": target, "poses": place, "status": "posed" if place else "refused"})


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
    assert [record["id"] for record in records] == ORDER
    for record in records:
        if address := PoseAddress.of(record):
            assert read_poses(run, address) == f"{record['id']}\npose\n$$$$\n" * 4
            assert record["poses"]["count"] == 4
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
    again = [json.loads(line)["id"] for line in lines[4:7]]
    journal.write_bytes(b"".join(lines[:4] + lines[7:]))
    compute(run, reversed(again))
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
    compute(tmp_path, ["target-9", "target-3"])
    finish_run(tmp_path, ["target-3", "target-9"])
    assert [record["id"] for record in read_records(tmp_path / "results.jsonl")] == ["target-3", "target-9"]


def test_a_target_without_record_stops_the_end(tmp_path):
    compute(tmp_path, ORDER[:4])
    before = content(tmp_path)
    with pytest.raises(RunError, match=r"8 of 12 targets have no record yet .the first is 'target-4'"):
        finish_run(tmp_path, ORDER)
    assert content(tmp_path) == before


def test_a_record_of_no_target_stops_the_end(tmp_path):
    compute(tmp_path, ORDER[:4])
    with pytest.raises(RunError, match="'target-3' is not a target of this run"):
        finish_run(tmp_path, ORDER[:3])


def test_absent_poses_stop_the_end(tmp_path):
    compute(tmp_path, ORDER[:4])
    (tmp_path / "poses" / "part-0000.sdf").unlink()
    with pytest.raises(RunError, match=r"part-0000\.sdf cannot be read"):
        finish_run(tmp_path, ORDER[:4])


def test_cost_is_kept_with_its_target(tmp_path):
    with Journal.open(tmp_path / "results.jsonl") as journal:
        journal.append({"id": "b", "poses": None, "cost": {"cpu_s": 1.5}})
        journal.append({"id": "a", "poses": None, "cost": {"cpu_s": 2.5}})
    finish_run(tmp_path, ["a", "b"])
    assert [record["cost"]["cpu_s"] for record in read_records(tmp_path / "results.jsonl")] == [2.5, 1.5]
