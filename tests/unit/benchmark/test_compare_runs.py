"""Runs on disk beside each other: which can be compared, what is told of them, and the page."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from templ.benchmark.builtin import find_benchmark
from templ.benchmark.compare_runs import compare_runs, to_markdown
from templ.benchmark.runner import RunOptions, run_benchmark
from templ.checksums import checksum, with_checksum
from templ.cli import app
from templ.errors import RunError
from templ.runs.journal import read_records
from templ.runs.manifest import read_manifest
from templ.settings import RunSettings

FAST = {"conformers": 5, "screened": 5, "top": 2}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The same four targets with two seeds."""
    folder = tmp_path_factory.mktemp("runs")
    for seed in (1, 2):
        options = RunOptions(prediction=FAST | {"seed": seed}, limit=4)
        run_benchmark(find_benchmark("demo-mpro"), folder / f"s{seed}", RunSettings(workers=2), options)
    return folder


@pytest.fixture
def copy(runs, tmp_path):
    return shutil.copytree(runs / "s1", tmp_path / "copy")


def records_of(run):
    return list(read_records(run / "results.jsonl"))


def write_records(run, records):
    (run / "results.jsonl").write_bytes(b"".join(record.to_line() for record in records))


def change_poses(run, change):
    shard = run / "poses" / "0000.sdf"
    text = shard.read_text()
    shard.write_text(change(text))
    assert shard.read_text() != text
    changed = []
    for record in records_of(run):
        data = shard.read_bytes()[record.address.offset :][: record.address.length]
        changed.append(record.at(replace(record.address, checksum=checksum(data))))
    write_records(run, changed)


def change_manifest(run, **changes):
    path = run / "manifest.json"
    path.write_text(json.dumps(with_checksum(json.loads(path.read_text()) | changes)))


def test_a_run_and_itself_are_identical(runs, copy):
    found = compare_runs(runs / "s1", copy)
    assert (found.identical, found.both_posed, found.notes) == (4, 4, ())
    assert found.verdict.startswith("Identical: all 4 targets ended alike in run A")
    assert "Settings, rule and machine are the same." in to_markdown(found)


def test_one_moved_atom_is_seen_and_another_score_is_not(runs, copy):
    change_poses(copy, lambda text: re.sub(r"(>  <score>  \(1\) \n)\d", r"\g<1>9", text))
    assert compare_runs(runs / "s1", copy).identical == 4

    def move(text):
        place = text.rindex("V2000") + len("V2000\n") + 9  # the last digit of the last first coordinate
        return text[:place] + str((int(text[place]) + 1) % 10) + text[place + 1 :]

    change_poses(copy, move)
    moved = compare_runs(runs / "s1", copy)
    assert moved.identical == 3
    assert moved.verdict.startswith("No difference: the same")


def test_two_seeds_differ_in_their_poses_and_the_seed_is_named(runs):
    found = compare_runs(runs / "s1", runs / "s2")
    assert found.identical < 4
    assert "| seed | 1 | 2 |" in to_markdown(found)
    assert "| all processes, peak MB |" in to_markdown(found)


def change_identity(run, **changes):
    identity = read_manifest(run).identity.model_copy(update=changes)
    change_manifest(run, identity=identity.model_dump(mode="json"), digest=identity.digest)


def test_runs_over_different_crystals_are_refused(runs, copy):
    change_identity(copy, truth="0" * 64)
    change_manifest(copy, name="polaris")
    with pytest.raises(
        RunError, match=r"s1 \(demo-mpro\) and .*copy \(polaris\) are judged by different crystals"
    ):
        compare_runs(runs / "s1", copy)
    change_identity(copy, truth="")
    with pytest.raises(RunError, match="copy has no crystals to compare by: it is of queries"):
        compare_runs(runs / "s1", copy)


def test_another_method_and_other_weights_are_named(runs, copy):
    change_identity(copy, method_version=99, weights="abc" * 20)
    text = to_markdown(compare_runs(runs / "s1", copy))
    assert re.search(r"\| method version \| \d+ \| 99 \|", text)
    assert re.search(r"\| weights \| [0-9a-f]{12} \| abcabcabcabc \|", text)


def test_the_targets_of_both_are_compared_and_it_is_said(runs, copy):
    write_records(copy, records_of(copy)[:3])
    change_manifest(copy, finished=None)
    found = compare_runs(runs / "s1", copy)
    assert (found.targets.judged, found.identical) == (3, 3)
    assert found.notes == (
        f"{copy} is not finished: 3 of 4 targets are done.",
        "Only the 3 targets of both runs are compared: run A has 4, run B has 3.",
    )


def test_what_is_not_known_of_a_run_is_said(runs, copy):
    (copy / "memory.jsonl").unlink()
    assert "| not known |" in to_markdown(compare_runs(runs / "s1", copy))


def test_the_command_writes_text_and_a_page_on_which_changed_targets_are_found(runs, copy, tmp_path):
    pytest.importorskip("jinja2", reason="Jinja is not installed")
    first, second, *rest = records_of(copy)
    moved = 9.0 if first.rmsd <= 2 else 0.5
    first = replace(first, poses=tuple(replace(pose, rmsd=moved) for pose in first.poses))
    second = replace(second, status="refused", reason="<script>alert(1)</script>", poses=(), address=None)
    write_records(copy, [first, second, *rest])
    page = tmp_path / "compare.html"
    words = ["benchmark", "compare", str(runs / "s1"), str(copy), "-o", str(page)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith(f"# Run A ({runs / 's1'}) against run B ({copy})\n\nNo difference")
    text = page.read_text()
    assert "<script>alert(1)" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert not re.search(r"(src|href)=\"(?!#)", text)
    links = dict(re.findall(r'<li><a href="#(t\d+)">([^<]+)</a>', text))
    assert first.id in links.values()
    rows = dict(re.findall(r'<tr id="(t\d+)"[^>]*><th scope="row">([^<]+)</th>', text))
    assert len(rows) == 4
    assert links.items() <= rows.items()


def test_what_the_command_refuses(runs, tmp_path):
    run = str(runs / "s1")
    for words, message in (
        ([run, run, "-o", str(tmp_path / "page.txt")], "expected a name that ends in .html"),
        ([run, str(tmp_path)], "is not a run"),
    ):
        done = CliRunner().invoke(app, ["benchmark", "compare", *words])
        assert message in str(done.exception), done.output
        assert done.exception.exit_code == 2
