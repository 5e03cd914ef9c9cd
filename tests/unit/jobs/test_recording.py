"""Results of any executor go to disk as they come, each once, and end in the order of the list."""

from __future__ import annotations

import pytest

from templ.engine.executor import TaskResult, Work
from templ.errors import StorageError
from templ.jobs.recording import MoleculeResult, Progress, record_all
from templ.runs.journal import Journal, read_records
from templ.runs.manifest import RunManifest, read_manifest, start_run
from templ.runs.pose_shards import PoseShards, read_poses
from templ.runs.record import Cost, PoseRecord, Record

POSE = PoseRecord(0.5, 0.5, "core", "x1", (), "", 0.1, rmsd=1.5)
FAR = PoseRecord(0.5, 0.5, "core", "x1", (), "", 0.1, rmsd=2.5)


class Scripted:
    """An executor in this process: does tasks from the last to the first, and keeps the books."""

    def __init__(self, stop_after=10**9):
        self.done, self.closed, self.stop_after = [], False, stop_after

    def run(self, work, tasks, on_memory=lambda sample: None):
        on_memory({"time": 1, "reason": "", "action": "run", "tree": 2**30, "workers": [5, 6]})
        try:
            for task in reversed(list(tasks)):
                if len(self.done) == self.stop_after:
                    raise StorageError("/full cannot be written")
                self.done.append(task)
                yield result_of(task)
        finally:
            self.closed = True


def result_of(task):
    index = int(task)
    if index % 4 == 3:
        return TaskResult(task, "timeout", None, "stopped after 4 s", "pose", 0.5, 4.123456, 77)
    record = Record(index, f"m{task}", "refused", "peptide", cost=Cost(stages={"prepare": 0.25}))
    sdf = ""
    if index % 4:
        record = Record(index, f"m{task}", "posed", poses=(POSE if index % 4 == 1 else FAR,))
        sdf = f"m{task}\n$$$$\n"
    return TaskResult(task, "done", MoleculeResult(record, sdf), "", "", 1.234567, 2.345678, 99)


def failure(result):
    return Record(int(result.task), f"m{result.task}", "failed", result.kind, result.detail, result.stage)


@pytest.fixture
def record(tmp_path, manifest):
    """Records eight molecules."""

    def run(executor, on_progress=lambda progress: None, **options):
        held = start_run(tmp_path, manifest)
        tasks = ((index, str(index)) for index in range(8))
        record_all(tmp_path, held, executor, Work("none", {}), tasks, failure, on_progress, **options)
        return list(read_records(tmp_path / "results.jsonl"))

    return run


@pytest.fixture
def manifest():
    from templ.runs.identity import Identity

    identity = Identity(settings={}, rule={}, library="", targets="")
    return RunManifest(
        name="n", identity=identity, digest=identity.digest, run_settings={}, library="", targets=8
    )


def test_records_are_in_the_order_of_the_list_with_poses_and_cost(record, tmp_path):
    executor = Scripted()
    records = record(executor)
    assert executor.done == [str(index) for index in reversed(range(8))]
    assert [r.index for r in records] == list(range(8))
    assert [r.status for r in records] == ["refused", "posed", "posed", "failed"] * 2
    for found in records:
        assert (found.address is not None) == (found.status == "posed")
        if found.address:
            assert read_poses(tmp_path, found.address) == f"{found.id}\n$$$$\n"
    assert records[0].cost == Cost(1.2346, 2.3457, 99, {"prepare": 0.25})
    assert read_manifest(tmp_path).finished is not None
    assert (tmp_path / "memory.jsonl").read_text().count("\n") == 1


def test_what_a_worker_could_not_do_is_recorded_with_reason_and_cost(record):
    found = record(Scripted())[3]
    assert (found.status, found.reason, found.detail) == ("failed", "timeout", "stopped after 4 s")
    assert (found.stage, found.cost) == ("pose", Cost(0.5, 4.1235, 77))


def test_each_is_on_disk_when_its_progress_is_told(record, tmp_path):
    told = []

    def look(progress):
        on_disk = list(read_records(tmp_path / "results.jsonl"))
        assert len(on_disk) == progress.done
        if progress.latest is not None:
            assert on_disk[-1] == progress.latest
            if progress.latest.address:
                assert read_poses(tmp_path, progress.latest.address)
        told.append(progress.done)

        assert (progress.workers, progress.tree) == ((2, 2**30) if progress.done else (0, 0))

    record(Scripted(), look)
    assert told == list(range(9))


def test_only_what_has_no_record_is_done(record, tmp_path):
    with pytest.raises(StorageError):
        record(Scripted(stop_after=3))
    assert len(list(read_records(tmp_path / "results.jsonl"))) == 3
    told, executor = [], Scripted()
    again = record(
        executor,
        lambda progress: told.append((progress.done, progress.latest is None)),
        retry_failed=False,
    )
    assert executor.done == ["4", "3", "2", "1", "0"]
    assert told[0] == (3, True)
    assert [r.index for r in again] == list(range(8))


def test_the_executor_is_closed_when_the_caller_stops(record):
    def stop(progress):
        if progress.done == 2:
            raise KeyboardInterrupt

    executor = Scripted()
    with pytest.raises(KeyboardInterrupt):
        record(executor, stop)
    assert executor.closed
    assert len(executor.done) == 2


def test_poses_without_a_record_are_thrown_away(record, tmp_path, manifest):
    with PoseShards(tmp_path) as shards, Journal.open(tmp_path / "results.jsonl") as journal:
        address = shards.append(5, "m5\n$$$$\n")
        journal.append(Record(5, "m5", "posed", poses=(POSE,), address=address))
        shards.append(5, "poses whose record was never written")
    found = []
    shard = tmp_path / address.shard
    record(Scripted(), lambda progress: found.append(shard.read_text()) if progress.done == 1 else None)
    assert found == ["m5\n$$$$\n"], "before anything is done"
    text = "".join(path.read_text() for path in (tmp_path / "poses").iterdir())
    assert text == "".join(f"m{index}\n$$$$\n" for index in (1, 2, 5, 6))


def test_a_finished_run_is_done_again_without_work(record, tmp_path):
    record(Scripted())
    before = (tmp_path / "results.jsonl").read_bytes(), read_manifest(tmp_path)
    executor = Scripted()
    record(executor, retry_failed=False)
    assert executor.done == []
    assert ((tmp_path / "results.jsonl").read_bytes(), read_manifest(tmp_path)) == before


def test_what_failed_in_the_machine_or_was_damaged_since_is_done_again_and_said(record, tmp_path):
    record(Scripted())
    before = (tmp_path / "results.jsonl").read_bytes()
    (tmp_path / "results.jsonl").write_bytes(before.replace(b'"m4"', b'"m9"'))
    shard = tmp_path / "poses" / "0000.sdf"
    poses = shard.read_bytes()
    shard.write_bytes(poses.replace(b"m5", b"m6"))
    said, executor = [], Scripted()
    record(executor, on_start=said.append)
    assert executor.done == ["7", "5", "4", "3"]
    assert [line.split()[0] for line in said] == ["2", "1", "1"]
    assert (tmp_path / "results.jsonl").read_bytes() == before
    assert shard.read_bytes() == poses


def test_progress_counts():
    progress = Progress(9)
    assert str(progress) == ""
    for found in (
        Record(0, "a", "posed", poses=(POSE,)),
        Record(1, "b", "posed", poses=(FAR,)),
        Record(2, "c", "refused", "peptide"),
        Record(3, "d", "failed", "timeout"),
    ):
        progress.add(found)
        assert progress.latest is found
    assert (progress.done, progress.judged, progress.within, progress.refused, progress.failed) == (
        4,
        4,
        1,
        1,
        1,
    )
    assert str(progress) == "within 2 A so far: 25%, 1 refused, 1 failed"
    progress.add(Record(4, "e", "posed", poses=(PoseRecord(1, 1, "core", "t", (), "", 0),)))
    assert (progress.judged, progress.within) == (4, 1)
    progress.see_memory({"tree": 3 * 2**29, "workers": [2**28, 2**28, 2**29]})
    assert str(progress) == "within 2 A so far: 25%, 1 refused, 1 failed, 3 workers, 1.5 GiB"


def test_progress_without_a_crystal_tells_faults_only():
    progress = Progress(2)
    progress.add(Record(0, "e", "posed", poses=(PoseRecord(1, 1, "core", "t", (), "", 0),)))
    assert str(progress) == ""
    progress.add(Record(1, "d", "failed", "timeout"))
    assert str(progress) == "1 failed"
