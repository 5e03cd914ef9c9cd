"""Poses stay where they are made if the run folder is seen from there, and only then."""

from __future__ import annotations

from dataclasses import replace

import pytest

from templ.engine.executor import Work
from templ.errors import StorageError
from templ.jobs.keeping import TOKEN_NAME, keeping_poses, open_keeper
from templ.jobs.recording import MoleculeResult
from templ.runs.pose_shards import POSES_FOLDER, read_poses
from templ.runs.record import Record

RESULT = MoleculeResult(Record(3, "m3", "posed"), "m3\n$$$$\n")


@pytest.fixture
def context(tmp_path):
    """What workers are told while a run is done by other machines."""
    with keeping_poses(tmp_path, Work("none", {"library": "x"}), elsewhere=True) as work:
        assert (work.function, dict(work.context)) == ("none", {"library": "x"})
        yield work.keeper.context


def names(run):
    folder = run / POSES_FOLDER
    return [path.name for path in folder.iterdir()] if folder.exists() else []


def test_poses_are_on_disk_and_a_record_says_where(tmp_path, context):
    keep = open_keeper(context)
    found = [keep(RESULT), keep(replace(RESULT, sdf="other\n$$$$\n"))]
    assert [result.sdf for result in found] == ["", ""]
    assert [read_poses(tmp_path, result.record.address) for result in found] == [RESULT.sdf, "other\n$$$$\n"]
    assert found[0].record.at(None) == RESULT.record
    assert len(names(tmp_path)) == 1


def test_a_record_of_poses_kept_there_can_be_read_again(context):
    record = open_keeper(context)(RESULT).record
    assert Record.from_line(record.to_line()) == record


def test_two_processes_never_write_in_one_file(tmp_path, context):
    """Such as one that was given up for lost, and the one that does its chunk again."""
    found = [open_keeper(context)(RESULT) for _ in range(2)]
    assert len({result.record.address.shard for result in found}) == len(names(tmp_path)) == 2


def test_what_has_no_poses_is_sent_as_it_is(context):
    refused = MoleculeResult(Record(3, "m3", "refused", "peptide"))
    assert open_keeper(context)(refused) is refused


@pytest.mark.parametrize("there", [None, b"of another run", b"\xff"])
def test_a_folder_of_this_name_on_another_file_system_is_not_the_run(tmp_path, context, there):
    (tmp_path / TOKEN_NAME).unlink()
    if there is not None:
        (tmp_path / TOKEN_NAME).write_bytes(there)
    assert open_keeper(context)(RESULT) is RESULT
    assert names(tmp_path) == []


def test_a_folder_in_which_nothing_can_be_written_is_only_seen(tmp_path, context):
    (tmp_path / POSES_FOLDER).write_text("in the way")
    assert open_keeper(context)(RESULT) is RESULT


def test_what_comes_when_the_run_is_over_leaves_nothing_behind(tmp_path, context):
    """As of a worker that was given up for lost and goes on."""
    keep = open_keeper(context)
    [shard] = (tmp_path / POSES_FOLDER).iterdir()
    shard.unlink()
    assert keep(RESULT) is RESULT
    assert names(tmp_path) == []


def test_a_disk_that_is_full_later_is_an_error(context, monkeypatch):
    keep = open_keeper(context)

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.pwrite", refuse)
    with pytest.raises(StorageError, match="No space left"):
        keep(RESULT)


def test_the_token_is_there_while_it_is_done_and_new_each_time(tmp_path):
    tokens = []
    for _ in range(2):
        with keeping_poses(tmp_path, Work("none", {}), elsewhere=True) as work:
            tokens.append((tmp_path / TOKEN_NAME).read_text())
            assert work.keeper.context["token"] == tokens[-1]
        assert not (tmp_path / TOKEN_NAME).exists()
    assert len(set(tokens)) == 2


def test_where_this_machine_does_it_nothing_changes_and_no_token_is_left(tmp_path):
    """Of a run on a cluster that was killed, and then goes on here."""
    (tmp_path / TOKEN_NAME).write_text("left")
    work = Work("none", {})
    with keeping_poses(tmp_path, work, elsewhere=False) as same:
        assert same is work
    assert not (tmp_path / TOKEN_NAME).exists()
