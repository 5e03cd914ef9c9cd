"""What stands of an earlier start is kept; the rest is done again, and said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from templ.errors import RunError
from templ.runs import final_form, pose_shards
from templ.runs.final_form import finish_run
from templ.runs.journal import Journal, read_records
from templ.runs.pose_shards import PoseShards
from templ.runs.record import Record
from templ.runs.recovery import Recovery

ORDER = range(6)
FAILURES = ("timeout", "out-of-memory", "crash", "error", "unreadable")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Six molecules, two a shard, done from the last to the first."""
    for module in (final_form, pose_shards):
        monkeypatch.setattr(module, "MOLECULES_A_SHARD", 2)
    with PoseShards(tmp_path) as poses, Journal.open(tmp_path / "results.jsonl") as journal:
        for index in reversed(ORDER):
            address = poses.append(index, f"pose {index}\n" * (1 + index))
            journal.append(Record(index, f"m{index}", "posed", address=address))
    return tmp_path


def recover(run, *, retry_failed=True):
    """Return the indices that stand, and what is said."""
    recovery = Recovery(run, ORDER, retry_failed=retry_failed)
    with Journal.open(run / "results.jsonl", recovery) as journal:
        return [index for index in ORDER if index in journal.done], recovery.notes(journal)


def change(path):
    path.write_bytes(path.read_bytes()[:-2] + b"!\n")


def test_a_sound_run_stands_whole_and_nothing_is_said(run):
    before = (run / "results.jsonl").read_bytes()
    assert recover(run) == (list(ORDER), [])
    assert (run / "results.jsonl").read_bytes() == before
    finish_run(run, ORDER)
    assert recover(run) == (list(ORDER), [])


@pytest.mark.parametrize("finished", [False, True])
def test_a_deleted_shard_costs_its_molecules(run, finished):
    if finished:
        finish_run(run, ORDER)
    (run / "poses" / ("0001.sdf" if finished else "part-0001.sdf")).unlink()
    stand, said = recover(run)
    assert stand == [0, 1, 4, 5]
    assert said == ["2 molecules are done again: their poses are missing or damaged"]
    assert [record.index for record in read_records(run / "attempts.jsonl")] in ([2, 3], [3, 2])


@pytest.mark.parametrize("finished", [False, True])
def test_a_changed_digit_in_a_pose_costs_its_molecule(run, finished):
    if finished:
        finish_run(run, ORDER)
    change(run / "poses" / ("0001.sdf" if finished else "part-0001.sdf"))
    stand, said = recover(run)
    assert stand == ([0, 1, 2, 4, 5] if finished else [0, 1, 3, 4, 5])
    assert said == ["1 molecules are done again: their poses are missing or damaged"]


def test_a_changed_number_in_a_record_costs_its_molecule(run):
    path = run / "results.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"rotors":0', b'"rotors":1', 1))
    assert recover(run) == (
        [0, 1, 2, 3, 4],
        [f"1 damaged lines of {path} are left out: their molecules are done again"],
    )


def test_failures_that_may_lie_in_the_machine_are_tried_again(run):
    failed = [Record(index, f"m{index}", "failed", reason) for index, reason in enumerate(FAILURES)]
    path = run / "results.jsonl"
    path.write_bytes(b"".join(record.to_line() for record in failed))
    assert recover(run, retry_failed=False) == ([0, 1, 2, 3, 4], [])
    assert recover(run) == ([3, 4], ["3 molecules that failed before are tried again"])
    assert list(read_records(run / "attempts.jsonl")) == failed[:3]


def test_poses_that_a_killed_end_has_moved_are_found(run):
    """As after a kill between the moving of shards and the writing of results: no pose is computed again."""
    before = (run / "results.jsonl").read_bytes()
    finish_run(run, ORDER)
    finished = (run / "results.jsonl").read_bytes()
    (run / "results.jsonl").write_bytes(before)
    assert recover(run) == (list(ORDER), [])
    finish_run(run, ORDER)
    assert (run / "results.jsonl").read_bytes() == finished
    (run / "results.jsonl").write_bytes(before)
    change(run / "poses" / "0002.sdf")
    assert recover(run)[0] == [0, 1, 2, 3, 4]


def test_a_record_of_no_molecule_of_the_run_does_not_hide_the_others(run):
    stray = next(iter(read_records(run / "results.jsonl")))
    with Journal.open(run / "results.jsonl") as journal:
        journal.append(replace(stray, index=77, address=replace(stray.address, offset=5)))
    assert recover(run)[0] == list(ORDER)


def test_poses_that_cannot_be_read_just_now_are_not_lost(run, monkeypatch):
    before = (run / "results.jsonl").read_bytes()

    def refuse(path, *arguments, **options):
        if path.suffix == ".sdf":
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *arguments, **options)

    opened = Path.open
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(RunError, match=r"part-0002\.sdf cannot be read .Permission denied"):
        recover(run)
    assert (run / "results.jsonl").read_bytes() == before
