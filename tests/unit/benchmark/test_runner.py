from __future__ import annotations

import html
import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from templ.benchmark.builtin import find_benchmark
from templ.benchmark.definition import Benchmark
from templ.benchmark.runner import RunOptions, run_benchmark, shard_order, write_summary
from templ.cli import app
from templ.errors import InputError
from templ.evaluation.both_receptors import folder_of, in_both_receptors
from templ.evaluation.markdown import WHOSE_RECEPTOR
from templ.evaluation.run import load_run
from templ.library.store import open_library
from templ.report.run_report import write_report
from templ.settings import RunSettings
from templ.sources.demo import DEMO_SETS
from templ.templates.rule import TemplateRule


@dataclass(frozen=True)
class Listed:
    """Targets in an order of their own, one of which is nowhere."""

    library: Path
    listed: tuple[str, ...]

    def make(self, inputs: Path) -> Benchmark:
        rule = TemplateRule(exclude_same_ligand=True)
        return Benchmark("listed", self.library, self.library, rule, listed=self.listed)


def test_what_is_planned_and_told(tmp_path, demo_library):
    ids = list(demo_library)[:5]
    source = Listed(demo_library.path, (ids[3], "nobody", ids[1], ids[0]))
    told: list[str] = []
    planned = run_benchmark(
        source,
        str(tmp_path / "run"),
        options=RunOptions(prediction={"seed": 7}, dry_run=True),
        on_start=told.extend,
    )
    assert planned is None
    assert told[0] == "1 of 4 targets listed are not in the library: nobody"
    assert "memory for all" in told[1]
    assert told[2] == "3 targets, 0 of them done"
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert (manifest["name"], manifest["targets"], manifest["missing"]) == ("listed", 3, ["nobody"])
    assert manifest["identity"]["settings"]["seed"] == 7


def test_records_are_in_the_order_of_the_benchmark_whatever_their_cost(tmp_path, demo_library):
    sizes = {demo_library.entry(row).id: demo_library.entry(row).heavy_atoms for row in range(20)}
    ids = sorted(sizes, key=sizes.__getitem__)
    chosen = (ids[0], ids[-1], ids[10])
    seen: list[str] = []
    summary = run_benchmark(
        Listed(demo_library.path, chosen),
        tmp_path / "run",
        RunSettings(workers=1),
        RunOptions(prediction={"conformers": 5, "screened": 5, "minimised": 0}),
        on_progress=lambda state: seen.append(state.latest.id) if state.latest else None,
    )
    assert sizes[ids[0]] < sizes[ids[10]] < sizes[ids[-1]]
    assert seen == [ids[-1], ids[10], ids[0]]  # the largest first
    assert [record.id for record in load_run(tmp_path / "run")] == list(chosen)
    assert summary.overall.attempted == 3
    assert json.loads((tmp_path / "run" / "summary.json").read_text()) == json.loads(
        json.dumps(summary.to_dict())
    )


def test_shards_share_out_all_targets():
    shares = [list(shard_order(10, index, 3)) for index in (1, 2, 3)]
    assert shares == [[0, 3, 6, 9], [1, 4, 7], [2, 5, 8]]
    with pytest.raises(InputError, match="there is no shard 4/3; expected 1/3 to 3/3"):
        shard_order(10, 4, 3)
    with pytest.raises(InputError, match="shard 3/3 is empty: there are only 2 targets"):
        shard_order(2, 3, 3)


def test_the_command_line_passes_on_what_it_was_told(tmp_path, demo_path):
    out = tmp_path / "run"
    run = ["benchmark", "run", "loo", "--library", str(demo_path), "-o", str(out), "--dry-run"]
    done = CliRunner().invoke(
        app,
        [*run, "--max-identity", "0.5", "--seed", "3", "--min-confidence", "0.2", "--limit", "6"]
        + ["--shard", "2/2", "--workers", "1", "--memory", "2GiB", "--recycle-after", "7"],
    )
    assert done.exit_code == 0, done.output
    manifest = json.loads((out / "manifest.json").read_text())
    rule, settings = manifest["identity"]["rule"], manifest["identity"]["settings"]
    assert rule["exclude_same_ligand"]
    assert rule["max_identity"] == 0.5
    assert (settings["seed"], settings["min_confidence"]) == (3, 0.2)
    assert (manifest["targets"], manifest["shard"]) == (3, [2, 2])
    machine = manifest["run_settings"]
    assert (machine["workers"], machine["memory"], machine["recycle_after"]) == (1, 2 * 2**30, 7)


FAST = {"conformers": 5, "minimised": 10, "rounds": 0, "top": 2}


def test_a_known_site_is_for_complexes_and_part_of_the_identity(tmp_path, kinase_path, fast_benchmark):
    with pytest.raises(InputError, match="has one frame, and all know the site"):
        run_benchmark(find_benchmark(str(fast_benchmark)), tmp_path / "a", options=RunOptions(site="own"))
    for site, said in (("own", "own"), ("none", "")):
        options = RunOptions(site=site, prediction=FAST, limit=2)
        source = find_benchmark("loo", library=kinase_path)
        run_benchmark(source, tmp_path / site, RunSettings(workers=1), options)
        run = load_run(tmp_path / site)
        assert run.manifest.identity.site == said
        assert [record.status for record in run] == ["posed", "posed"]


def run_kinase(folder, kinase_path, receptor):
    source = find_benchmark("loo", library=kinase_path, receptor=receptor)
    options = RunOptions(prediction=FAST | {"receptors": 1}, limit=2)
    run_benchmark(source, folder, RunSettings(workers=1), options)
    return load_run(folder)


def test_each_receptor_is_a_run_of_its_own(tmp_path, kinase_path):
    """Own, nearest, none and a file: records name what targets were posed in, and are judged in its frame."""
    file = tmp_path / "receptor.pdb"
    file.write_bytes(dict(DEMO_SETS["structures"]())["3qzh.pdb"])
    runs = {
        str(receptor): run_kinase(tmp_path / str(number), kinase_path, receptor)
        for number, receptor in enumerate(("own", "nearest", "none", file))
    }
    own, nearest, none, given = (list(run) for run in runs.values())
    ids = [record.id for record in own]
    assert [record.receptor for record in own] == ids
    assert [record.receptor for record in given] == ["receptor.pdb"] * 2
    for records in (nearest, none):
        assert all(record.receptor in set(open_library(kinase_path)) - {record.id} for record in records)
    assert [record.receptor for record in none] == [record.receptor for record in nearest]
    for record in (*own, *nearest, *none, *given):  # all in the pocket: another frame is 20 A and more away
        assert record.rmsd < 12
    assert all(record.first.terms["contact"] == 0 for record in none)
    assert all(record.first.terms["contact"] != 0 for record in (*own, *nearest, *given))
    assert len({run.manifest.digest for run in runs.values()}) == 4
    assert runs[str(file)].manifest.receptors == [str(file)]


def test_both_receptors_are_shown_side_by_side(tmp_path, kinase_path):
    """One command makes two runs; each of them, and its report, shows the other while they ask the same."""
    command = ["benchmark", "run", "loo", "--library", str(kinase_path), "--limit", "2", "--workers", "1"]
    done = CliRunner().invoke(app, [*command, "--receptor", "both", "-o", str(tmp_path / "loo")])
    assert done.exit_code == 0, done.output
    runs = {whose: load_run(folder_of(tmp_path / "loo", whose)) for whose in ("own", "nearest")}
    assert runs["nearest"].path == tmp_path / "loo-nearest"
    summaries = {whose: run.summary for whose, run in runs.items()}
    expected = {whose: summary.overall for whose, summary in summaries.items()}
    for whose, run in runs.items():
        assert in_both_receptors(run, summaries[whose]) == expected
        for text in ((run.path / "summary.md").read_text(), report_of(run.path)):
            for label in WHOSE_RECEPTOR.values():
                assert label in html.unescape(text)
            assert "not run" not in text
    run_benchmark(
        find_benchmark("loo", library=kinase_path),
        tmp_path / "seed",
        RunSettings(workers=1),
        RunOptions(prediction=FAST, limit=2),
    )
    (tmp_path / "loo-nearest").rename(tmp_path / "seed-nearest")
    for name in ("loo", "seed"):  # none beside it, and one with other settings
        run = load_run(tmp_path / name)
        assert in_both_receptors(run, run.summary) == {"own": run.summary.overall, "nearest": None}
        write_summary(run.path)
        assert "not run" in (run.path / "summary.md").read_text()


def report_of(folder):
    write_report(folder, folder / "report.html")
    return (folder / "report.html").read_text()


def test_one_frame_has_no_other_side(tmp_path, demo_path):
    source = find_benchmark("loo", library=demo_path)
    run_benchmark(source, tmp_path / "a", RunSettings(workers=1), RunOptions(prediction=FAST, limit=1))
    run = load_run(tmp_path / "a")
    assert in_both_receptors(run, run.summary) == {}


def test_cross_is_leave_one_out_in_the_receptor_of_another_crystal(tmp_path, kinase_path):
    cross = find_benchmark("cross", library=kinase_path).make(tmp_path)
    loo = find_benchmark("loo", library=kinase_path, receptor="nearest").make(tmp_path)
    assert (cross.name, cross.receptor) == ("cross", "nearest")
    assert replace(cross, name="loo") == loo


@pytest.mark.parametrize(
    ("receptor", "site", "message"),
    [
        ("nearst", "none", "--receptor nearst: no such file; expected own, nearest, none or a structure"),
        ("nearest", "own", "--site own is the pocket of each target's own receptor"),
    ],
)
def test_a_receptor_that_is_none_is_named(tmp_path, kinase_path, receptor, site, message):
    source = find_benchmark("loo", library=kinase_path, receptor=receptor)
    with pytest.raises(InputError, match=message):
        run_benchmark(source, tmp_path / "a", options=RunOptions(site=site))


def test_templates_of_one_frame_have_no_receptors_to_choose_from(tmp_path, demo_path):
    source = find_benchmark("loo", library=demo_path, receptor="nearest")
    with pytest.raises(InputError, match="has no receptors to choose from"):
        run_benchmark(source, tmp_path / "a")
    options = RunOptions(prediction=FAST, limit=1)
    source = find_benchmark("loo", library=demo_path, receptor="none")
    run_benchmark(source, tmp_path / "b", RunSettings(workers=1), options)
    [record] = load_run(tmp_path / "b")
    assert (record.receptor, record.first.terms["receptor_clash"]) == ("", 0)


def test_a_site_that_is_no_mode_is_an_error(tmp_path):
    done = CliRunner().invoke(app, ["benchmark", "run", "demo", "--site", "A", "-o", str(tmp_path / "x")])
    assert str(done.exception) == "--site A: expected own or none"


def test_the_name_of_a_benchmark_is_told_what_finds_it(tmp_path):
    with pytest.raises(InputError, match=r"benchmark demo: expected templ.find_benchmark\('demo'\)"):
        run_benchmark("demo", tmp_path / "run")
