from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest

from templ.benchmark.builtin import find_benchmark
from templ.benchmark.merge import _undivided, is_merged, merge_runs
from templ.benchmark.runner import RunOptions, run_benchmark, shard_order
from templ.checksums import with_checksum
from templ.errors import InputError, RunError
from templ.report.collect import read_results
from templ.runs.journal import read_records
from templ.runs.manifest import read_manifest
from templ.runs.record import Cost
from templ.settings import RunSettings


@pytest.fixture(scope="session")
def run(fast_benchmark):
    """``run(folder, shard, **settings)``: five targets, or a shard of them."""

    def start(folder, shard=None, **changes):
        options = RunOptions(prediction=changes, limit=5, shard=shard)
        return run_benchmark(find_benchmark(str(fast_benchmark)), folder, RunSettings(workers=2), options)

    return start


@pytest.fixture(scope="module")
def runs(tmp_path_factory, run):
    """The same five targets in two shards, and undivided."""
    folder = tmp_path_factory.mktemp("runs")
    for shard in (1, 2):
        run(folder / f"s{shard}", (shard, 2))
    run(folder / "whole")
    return folder


def without_cost(path):
    return [replace(record, cost=Cost()) for record in read_records(path)]


def test_the_shards_together_are_the_undivided_run(runs, tmp_path):
    summary = merge_runs(tmp_path / "merged", [runs / "s2", runs / "s1"])
    assert summary.overall.attempted == 5
    merged, whole = tmp_path / "merged", runs / "whole"
    assert without_cost(merged / "results.jsonl") == without_cost(whole / "results.jsonl")
    assert (merged / "poses" / "0000.sdf").read_bytes() == (whole / "poses" / "0000.sdf").read_bytes()
    manifest = read_manifest(merged)
    assert (manifest.shard, manifest.targets) == (None, 5)
    assert manifest.identity == read_manifest(whole).identity
    assert manifest.finished is not None
    assert is_merged(manifest)
    assert not is_merged(read_manifest(whole))
    assert read_results(merged).notes == []  # its memory log is that of the shards, and not missing


def test_the_command_of_a_merged_run_does_the_whole():
    words = ["templ", "benchmark", "run", "demo", "--shard", "1/2", "-o", "s1"]
    assert (
        _undivided(words) == _undivided([*words[:4], "--shard=1/2", *words[6:]]) == [*words[:4], *words[6:]]
    )


def test_a_shard_given_twice_must_say_the_same(runs, tmp_path):
    shutil.copytree(runs / "s1", tmp_path / "again")
    merge_runs(tmp_path / "merged", [runs / "s1", tmp_path / "again", runs / "s2"])
    results = tmp_path / "again" / "results.jsonl"
    first, *others = read_records(results)
    altered = [replace(first, status="refused"), *others]
    results.write_bytes(b"".join(record.to_line() for record in altered))
    with pytest.raises(RunError, match="disagree about"):
        merge_runs(tmp_path / "other", [runs / "s1", tmp_path / "again", runs / "s2"])


def test_what_cannot_be_merged(runs, run, tmp_path):
    with pytest.raises(RunError, match="shard 2/2 is missing"):
        merge_runs(tmp_path / "m", [runs / "s1"])
    with pytest.raises(RunError, match="is not a shard"):
        merge_runs(tmp_path / "m", [runs / "whole"])
    run(tmp_path / "seed2", (2, 2), seed=2)
    with pytest.raises(RunError, match="settings differ"):
        merge_runs(tmp_path / "m", [runs / "s1", tmp_path / "seed2"])
    shutil.copytree(runs / "s2", tmp_path / "unfinished")
    manifest = tmp_path / "unfinished" / "manifest.json"
    manifest.write_text(json.dumps(with_checksum(json.loads(manifest.read_text()) | {"finished": None})))
    with pytest.raises(RunError, match="is not finished"):
        merge_runs(tmp_path / "m", [runs / "s1", tmp_path / "unfinished"])
    with pytest.raises(RunError, match="holds a run already"):
        merge_runs(runs / "whole", [runs / "s1", runs / "s2"])


def test_a_shard_is_not_resumed_as_another(runs, run):
    with pytest.raises(RunError, match=r"shard: \(1, 2\) -> \(2, 2\)"):
        run(runs / "s1", (2, 2))


def test_shards_share_the_targets_out():
    shards = [shard_order(7, index, 3) for index in (1, 2, 3)]
    assert [list(shard) for shard in shards] == [[0, 3, 6], [1, 4], [2, 5]]
    for index, count in ((0, 3), (4, 3), (1, 0)):
        with pytest.raises(InputError, match="there is no shard"):
            shard_order(7, index, count)
    with pytest.raises(InputError, match="is empty"):
        shard_order(1, 2, 2)


def test_a_shard_numbers_its_targets_as_the_whole_run_does(runs):
    found = {name: [r.index for r in read_records(runs / name / "results.jsonl")] for name in ("s1", "s2")}
    assert found == {"s1": [0, 2, 4], "s2": [1, 3]}
    whole = {r.index: r.id for r in read_records(runs / "whole" / "results.jsonl")}
    for name in ("s1", "s2"):
        for record in read_records(runs / name / "results.jsonl"):
            assert whole[record.index] == record.id
