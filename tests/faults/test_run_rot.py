"""Damage anywhere in a run is found by all who read it, and the same command makes the run whole again."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from damage import damaged
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from program import run_templ

from templ.benchmark.builtin import find_benchmark
from templ.benchmark.compare_runs import compare_runs
from templ.benchmark.runner import RunOptions, run_benchmark
from templ.engine.executor import TaskResult, Work
from templ.errors import RunError
from templ.evaluation.run import load_run
from templ.export.run_export import export_run
from templ.jobs.recording import MoleculeResult, record_all
from templ.runs.journal import read_records
from templ.runs.manifest import read_manifest
from templ.runs.pose_shards import read_poses
from templ.settings import RunSettings

RESULTS = ("results.jsonl", "poses/0000.sdf")
READ = ("manifest.json", *RESULTS)
MUTATIONS = 200


def templ(*words):
    return run_templ(*words, timeout=240)


@pytest.fixture(scope="module")
def sound(tmp_path_factory, fast_benchmark):
    """A finished run of four targets."""
    folder = tmp_path_factory.mktemp("sound") / "run"
    options = RunOptions(limit=4)
    run_benchmark(find_benchmark(str(fast_benchmark)), folder, RunSettings(workers=1), options)
    return folder


@pytest.fixture(scope="module")
def values(sound):
    return values_of(sound, sound)


@pytest.fixture
def run(sound, tmp_path):
    return shutil.copytree(sound, tmp_path / "run")


def content(run):
    return {name: (run / name).read_bytes() for name in RESULTS}


@contextlib.contextmanager
def copy_with_damage(sound, name, choose):
    """A copy of the run with damage in one file; the libraries stay where they are."""
    with tempfile.TemporaryDirectory() as folder:
        run = shutil.copytree(sound, Path(folder) / "run", ignore=shutil.ignore_patterns("inputs"))
        path = run / name
        path.write_bytes(choose.draw(damaged(path.read_bytes())))
        yield run


def values_of(run, sound):
    """Everything that readers make of a run."""
    loaded = load_run(run)
    records = list(loaded)
    with tempfile.TemporaryDirectory() as out:
        export_run(run, out, "csv")
        exported = {path.name: path.read_bytes() for path in Path(out).rglob("*.*")}
    return (
        loaded.manifest,
        [(record, len(loaded.poses(record))) for record in records],
        [loaded[record.id] for record in records],
        loaded.summary,
        loaded.to_arrow(),
        list(loaded.damage()),
        compare_runs(sound, run).identical,
        exported,
    )


FUZZ = settings(max_examples=MUTATIONS, suppress_health_check=list(HealthCheck), database=None)


@pytest.mark.parametrize("name", READ)
@FUZZ
@given(choose=st.data())
def test_readers_give_what_was_written_or_a_sentence(sound, values, name, choose):
    with copy_with_damage(sound, name, choose) as run:
        try:
            found = values_of(run, sound)
        except RunError as error:
            assert str(run) in str(error)
        else:
            assert found == values


@FUZZ
@given(choose=st.data())
def test_of_the_memory_log_damaged_lines_are_left_out(sound, choose):
    samples = load_run(sound).samples()
    with copy_with_damage(sound, "memory.jsonl", choose) as run, contextlib.suppress(RunError):
        assert all(sample in samples for sample in load_run(run).samples())


class Replay:
    """An executor that gives the results of a run that was made before."""

    def __init__(self, run):
        self._run, self._records = run, {record.index: record for record in read_records(run / RESULTS[0])}
        self.done = []

    def run(self, work, tasks, on_memory=lambda sample: None):
        for task in tasks:
            record = self._records[json.loads(task)]
            self.done.append(record.index)
            sdf = "" if record.address is None else read_poses(self._run, record.address)
            cost = record.cost
            value = MoleculeResult(record.at(None), sdf)
            yield TaskResult(task, "done", value, "", "", cost.cpu_s, cost.wall_s, cost.uss_bytes)


@pytest.fixture
def unsynced():
    """Two hundred runs would wait a minute for the disk, and nobody cuts the power here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.mark.usefixtures("unsynced")
@pytest.mark.parametrize("name", RESULTS)
@FUZZ
@given(choose=st.data())
def test_going_on_makes_a_damaged_run_whole(sound, name, choose):
    with copy_with_damage(sound, name, choose) as run:
        manifest, executor = read_manifest(run), Replay(sound)
        tasks = ((index, str(index)) for index in manifest.order)
        try:
            record_all(run, manifest, executor, Work("none", {}), tasks, None, lambda progress: None)
        except RunError as error:  # a line twice, or one of another version
            assert str(run) in str(error)
        else:
            assert content(run) == content(sound)
            assert len(executor.done) <= 4


def test_only_what_is_damaged_is_done_again_and_it_is_said(run, sound, fast_benchmark):
    """By the command line, as a user would."""
    path = run / "results.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"rotors":', b'"rotors":1', 1))
    shard = run / "poses" / "0000.sdf"
    data = bytearray(shard.read_bytes())
    data[-60] ^= 1
    shard.write_bytes(data)
    words = ("benchmark", "verify", run)
    found = templ(*words)
    assert (found.returncode, found.stdout.count("\n")) == (2, 2), found.stderr
    assert "2 records or poses are damaged" in found.stderr
    for other in (
        ("benchmark", "summary", run),
        ("export", run, "-o", run.parent / "out", "--format", "csv"),
        ("report", run),
    ):
        read = templ(*other)
        assert read.returncode == 2, read.stdout
        assert "line 1: not the record that was written" in read.stderr
        assert "Traceback" not in read.stderr
    again = templ("benchmark", "run", fast_benchmark, "--limit", 4, "-o", run)
    assert again.returncode == 0, again.stderr
    assert "1 damaged lines" in again.stderr
    assert "1 molecules are done again: their poses are missing or damaged" in again.stderr
    assert content(run)["poses/0000.sdf"] == content(sound)["poses/0000.sdf"]
    pairs = zip(*(read_records(folder / RESULTS[0]) for folder in (run, sound)), strict=True)
    assert all(replace(one, cost=other.cost) == other for one, other in pairs)
    assert templ(*words).stdout == f"{run}: 4 records, all checksums agree\n"


def test_a_deleted_shard_costs_its_targets_only(run, sound, monkeypatch):
    (run / "poses" / "0000.sdf").unlink()
    assert templ("benchmark", "verify", run).returncode == 2
    manifest, executor = read_manifest(run), Replay(sound)
    tasks = ((index, str(index)) for index in manifest.order)
    said = []
    record_all(
        run, manifest, executor, Work("none", {}), tasks, None, lambda progress: None, on_start=said.append
    )
    assert len(executor.done) == sum(record.address is not None for record in read_records(run / RESULTS[0]))
    assert said[0].startswith(f"{len(executor.done)} molecules are done again")
    assert content(run) == content(sound)
