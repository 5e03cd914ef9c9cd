"""A folder is a run, a new run, or nobody's business; and one process writes it."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from templ.errors import RunError, StorageError
from templ.runs.run_folder import INPUTS_FOLDER, hold_run_folder, lock_run, run_of


def test_a_new_folder_is_made(tmp_path):
    with hold_run_folder(tmp_path / "deep" / "run"):
        assert [path.name for path in (tmp_path / "deep" / "run").iterdir()] == ["run.lock"]


def test_an_empty_folder_is_taken(tmp_path):
    with hold_run_folder(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["run.lock"]


def test_a_run_killed_before_its_manifest_was_written_is_new(tmp_path):
    (tmp_path / "run.lock").write_text("4711 on node7\n")
    (tmp_path / ".manifest.json.new").write_text('{"form')
    (tmp_path / INPUTS_FOLDER).mkdir()
    with hold_run_folder(tmp_path):
        pass


def test_a_run_is_taken_whatever_else_it_holds(tmp_path):
    for name in ("manifest.json", "results.jsonl", "notes.txt"):
        (tmp_path / name).touch()
    with hold_run_folder(tmp_path):
        pass


def test_somebody_elses_folder_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(RunError, match=f"{tmp_path} is not empty and not a run"), hold_run_folder(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(RunError, match="is a file; a run needs a folder"),
        hold_run_folder(tmp_path / "file"),
    ):
        pass


def test_the_second_holder_is_told_who_the_first_is(tmp_path):
    with lock_run(tmp_path):
        with pytest.raises(RunError, match=f"{tmp_path} is being written by process {os.getpid()} on "):
            lock_run(tmp_path).__enter__()
        with pytest.raises(RunError, match="is being written"), hold_run_folder(tmp_path):
            pass
    with lock_run(tmp_path):
        pass


def test_who_joins_a_run_waits_and_says_for_whom(tmp_path):
    told, held = [], ExitStack()
    held.enter_context(lock_run(tmp_path))

    def on_wait(line):
        told.append(line)
        held.close()

    with hold_run_folder(tmp_path, on_wait):
        assert len(told) == 1
        assert told[0].startswith(f"waiting for process {os.getpid()} on ")
        assert told[0].endswith(f"which writes in {tmp_path}")
        with pytest.raises(RunError, match="is being written"):
            lock_run(tmp_path).__enter__()


def test_a_folder_is_let_go_when_the_block_fails(tmp_path):
    with pytest.raises(ZeroDivisionError), hold_run_folder(tmp_path):
        raise ZeroDivisionError
    with hold_run_folder(tmp_path):
        pass


def test_a_lock_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(StorageError, match=r"run\.lock cannot be written"):
        lock_run(tmp_path / "absent" / "too").__enter__()


def test_the_run_of_poses_is_beside_them():
    assert run_of(Path("a.b/poses.sdf")) == Path("a.b/poses.run")
    assert run_of(Path("mpro.new.sdf")) == Path("mpro.new.run")
