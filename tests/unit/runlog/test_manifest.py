"""A folder is a run, a new run, or nobody's business; and one process writes it."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from templ import __version__
from templ.errors import RunError, StorageError
from templ.runlog.manifest import (
    Host,
    RunLock,
    RunManifest,
    hold_run_folder,
    mark_finished,
    read_manifest,
    software_versions,
    start_run,
    write_manifest,
)


def manifest(identity="d1", **changes):
    fields = {
        "benchmark": "demo",
        "settings": {"seed": 42, "top": 5, "cutoffs": {"tanimoto": 0.15}},
        "rule": {"before_date": True},
        "run_settings": {"workers": 2},
        "identity": identity,
        "library_path": "/data/mpro.templ",
        "library_digest": "aa",
        "versions": software_versions(),
        "host": Host(name="node7", cores=2, memory_bytes=8_000_000_000, platform="Linux"),
        "targets": 144,
        "created": datetime(2026, 1, 2, tzinfo=UTC),
        "command": ["templ", "benchmark", "run", "demo"],
    }
    return RunManifest(**fields | changes)


@contextmanager
def open_run(folder, manifest):
    with hold_run_folder(folder):
        yield start_run(folder, manifest)


def test_a_new_folder_becomes_a_run(tmp_path):
    with open_run(tmp_path / "deep" / "run", manifest()) as held:
        assert held == manifest()
    assert read_manifest(tmp_path / "deep" / "run") == manifest()


def test_an_empty_folder_becomes_a_run(tmp_path):
    with open_run(tmp_path, manifest()):
        assert read_manifest(tmp_path) == manifest()


def test_a_run_killed_before_its_manifest_was_written_is_new(tmp_path):
    (tmp_path / "run.lock").write_text("4711 on node7\n")
    (tmp_path / ".manifest.json.new").write_text('{"form')
    with open_run(tmp_path, manifest()):
        assert read_manifest(tmp_path) == manifest()


def test_the_same_identity_resumes_and_keeps_the_first_manifest(tmp_path):
    write_manifest(tmp_path, manifest())
    with open_run(tmp_path, manifest(run_settings={"workers": 8}, command=["again"])) as held:
        assert held == manifest()
    assert read_manifest(tmp_path) == manifest()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"settings": {"seed": 43, "top": 6, "cutoffs": {"tanimoto": 0.15}}}, "seed: 42 -> 43"),
        ({"settings": {"seed": 42, "top": 5, "cutoffs": {"tanimoto": 0.2}}}, "cutoffs.tanimoto: 0.15 -> 0.2"),
        ({"settings": {"seed": 42, "cutoffs": {"tanimoto": 0.15}}}, "top: 5 -> 'absent'"),
        ({"rule": {"before_date": False}}, "rule.before_date: True -> False"),
        ({"library_digest": "bb"}, "library: 'aa' -> 'bb'"),
        ({"targets": 10}, "targets: 144 -> 10"),
        ({}, "another list of targets"),
    ],
)
def test_other_settings_are_refused_and_named(tmp_path, changes, message):
    write_manifest(tmp_path, manifest())
    with pytest.raises(RunError) as caught, open_run(tmp_path, manifest("d2", **changes)):
        pass
    assert f"{tmp_path} holds a run with other settings ({message}); choose another folder" in str(
        caught.value
    )
    assert read_manifest(tmp_path) == manifest()


def test_somebody_elses_folder_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with (
        pytest.raises(RunError, match=f"{tmp_path} is not empty and not a run"),
        open_run(tmp_path, manifest()),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(RunError, match="is a file; a run needs a folder"),
        open_run(tmp_path / "file", manifest()),
    ):
        pass


def test_a_folder_without_manifest_is_no_run(tmp_path):
    with pytest.raises(RunError, match=f"{tmp_path} is not a run"):
        read_manifest(tmp_path)


def test_a_newer_format_is_refused_before_its_fields_are_looked_at(tmp_path):
    (tmp_path / "manifest.json").write_text('{"format_version": 2, "unheard": "of"}')
    with pytest.raises(RunError, match=r"newer TEMPL .format 2; this one reads up to 1.: upgrade"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [("{", "no JSON"), ("[]", "valid dictionary"), ('{"x": 1}', "benchmark: Field required")],
)
def test_another_manifest_is_refused(tmp_path, text, reason):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(RunError, match=f"is not the manifest of a run .*{reason}"):
        read_manifest(tmp_path)


def test_the_finished_mark_is_set_once(tmp_path):
    write_manifest(tmp_path, manifest())
    assert read_manifest(tmp_path).finished is None
    first = mark_finished(tmp_path)
    assert first.finished is not None
    assert mark_finished(tmp_path) == first == read_manifest(tmp_path)
    assert first.model_copy(update={"finished": None}) == manifest()


def test_a_manifest_is_json_for_people(tmp_path):
    write_manifest(tmp_path, manifest())
    text = (tmp_path / "manifest.json").read_text()
    assert json.loads(text)["host"]["name"] == "node7"
    assert len(text.splitlines()) > 20


def test_software_versions():
    assert software_versions()["templ"] == __version__
    assert set(software_versions()) == {"templ", "rdkit", "numpy", "python"}


def test_the_second_holder_is_told_who_the_first_is(tmp_path):
    with RunLock(tmp_path):
        with pytest.raises(RunError, match=f"{tmp_path} is being written by process {os.getpid()} on "):
            RunLock(tmp_path).__enter__()
        with pytest.raises(RunError, match="is being written"), open_run(tmp_path, manifest()):
            pass
    with RunLock(tmp_path):
        pass


def test_a_lock_needs_its_folder(tmp_path):
    with pytest.raises(StorageError, match=r"run\.lock cannot be written"):
        RunLock(tmp_path / "absent").__enter__()
