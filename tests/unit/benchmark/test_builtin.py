from __future__ import annotations

import dataclasses
import datetime
import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from templ.benchmark.builtin import (
    BUILT_IN,
    RECIPE,
    DemoBenchmark,
    MproBenchmark,
    PolarisBenchmark,
    TimeSplit,
    find_benchmark,
)
from templ.benchmark.definition import list_targets
from templ.checksums import with_checksum
from templ.cli import app
from templ.errors import InputError, RunError
from templ.library.store import open_library


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """The demo benchmark's inputs; tests change nothing in them."""
    inputs = tmp_path_factory.mktemp("run") / "inputs"
    MproBenchmark().make(inputs)
    return inputs


def test_the_demo_of_mpro_is_a_strict_time_split(inputs):
    benchmark = MproBenchmark().make(inputs)
    assert (benchmark.name, benchmark.first_date) == ("demo-mpro", datetime.date(2020, 6, 1))
    assert benchmark.rule.before_date
    assert benchmark.rule.exclude_same_ligand
    assert benchmark.library == benchmark.targets
    assert len(list_targets(benchmark).sizes) == 144
    with open_library(benchmark.library) as library:
        assert library.receptor_path() is not None


def test_the_demo_of_complexes_is_a_strict_time_split(tmp_path):
    benchmark = DemoBenchmark().make(tmp_path / "inputs")
    assert (benchmark.name, benchmark.first_date) == ("demo", datetime.date(2012, 1, 1))
    assert benchmark.rule.before_date
    assert benchmark.rule.exclude_same_ligand
    assert len(list_targets(benchmark).sizes) == 44
    assert not (tmp_path / "inputs" / "complexes").exists()
    with open_library(benchmark.library) as library:
        assert (len(library), library.has_receptors) == (232, True)


def test_inputs_are_made_once(inputs):
    before = {path: path.stat().st_mtime_ns for path in inputs.rglob("*")}
    MproBenchmark().make(inputs)
    assert {path: path.stat().st_mtime_ns for path in inputs.rglob("*")} == before


def test_what_an_interruption_left_is_made_anew(tmp_path):
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    (inputs / "library.templ").write_text("half")
    with open_library(MproBenchmark().make(inputs).library) as library:
        assert len(library) == 235
    assert (inputs / RECIPE).exists()


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("library.templ/fingerprints.npy", lambda data: data[:5000] + bytes([data[5000] ^ 4]) + data[5001:]),
        ("library.templ/ligands.arrow", lambda data: data[:-1]),
        ("library.templ/manifest.json", lambda data: data[:40]),
        (RECIPE, lambda data: data.replace(b'"notes"', b'"motes"')),
        (RECIPE, lambda data: b"[" * 10**5),
    ],
)
def test_inputs_that_are_damaged_are_made_again_and_are_the_same(inputs, tmp_path, name, damage):
    copy = shutil.copytree(inputs, tmp_path / "inputs")
    (copy / name).write_bytes(damage((copy / name).read_bytes()))
    made = MproBenchmark().make(copy)
    with open_library(made.library) as library, open_library(inputs / "library.templ") as sound:
        library.verify()
        assert library.digest == sound.digest


def test_inputs_of_other_files_are_refused(tmp_path):
    inputs = tmp_path / "inputs"
    MproBenchmark().make(inputs)
    recipe = json.loads((inputs / RECIPE).read_text())
    name = next(iter(recipe["files"]))
    recipe["files"][name] = "0" * 64
    (inputs / RECIPE).write_text(json.dumps(with_checksum(recipe)))
    with pytest.raises(RunError, match=f"{tmp_path} was started with another {name}; choose another folder"):
        MproBenchmark().make(inputs)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("polaris", {}, "the benchmark polaris needs --data"),
        ("demo-mpro", {"data": Path()}, "the benchmark demo-mpro takes no --data"),
        ("mine.toml", {"data": Path()}, r"mine\.toml takes no --data"),
        ("mine.toml", {"max_identity": 0.5}, r"mine\.toml takes no --max-identity"),
        (
            "nope",
            {},
            "'nope' is no benchmark; expected demo, demo-mpro, polaris, loo, cross, timesplit or a",
        ),
        ("", {}, "'' is no benchmark"),
        (
            "demo-mpro",
            {"exclude_same_ligand": False},
            "the benchmark demo-mpro takes no --exclude-same-ligand",
        ),
        ("polaris", {"data": None}, "the benchmark polaris needs --data"),
        ("loo", {}, "loo needs --library"),
        ("loo", {"library": Path(), "exclude_same_ligand": True}, "loo takes no --exclude-same-ligand"),
        ("timesplit", {"library": Path()}, "timesplit needs --splits"),
        (
            "timesplit",
            {"library": Path(), "splits": Path("s"), "split": "dev"},
            "--split dev: expected train",
        ),
        (
            "timesplit",
            {"library": Path(), "splits": Path("s"), "rule": "none"},
            "--rule none: expected split",
        ),
    ],
)
def test_a_name_that_is_none_or_options_that_do_not_fit(name, options, message):
    with pytest.raises(InputError, match=message):
        find_benchmark(name, **options)


def test_the_options_of_a_benchmark_are_its_fields():
    assert find_benchmark("timesplit", library="l", splits="s", rule="both", max_identity=None) == TimeSplit(
        "l", "s", rule="both"
    )
    assert find_benchmark("demo-mpro", library=None, max_identity=None) == MproBenchmark()


def test_every_option_of_a_benchmark_is_one_of_the_command_line():
    shown = CliRunner().invoke(app, ["benchmark", "run", "--help"], terminal_width=200).output
    options = {field.name for kind in BUILT_IN for field in dataclasses.fields(kind)}
    assert len(options) == 8
    assert all(f"--{option.replace('_', '-')} " in shown for option in options)
    assert all(kind.name in shown for kind in BUILT_IN)


def test_a_toml_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(InputError, match=r"absent\.toml"):
        find_benchmark(str(tmp_path / "absent.toml")).make(tmp_path / "inputs")


def test_a_toml_file_becomes_its_benchmark(tmp_path):
    (tmp_path / "mine.toml").write_text("library = 'a.templ'\ntargets = 'b.templ'")
    benchmark = find_benchmark(tmp_path / "mine.toml").make(tmp_path / "inputs")
    assert (benchmark.name, benchmark.library) == ("mine", tmp_path / "a.templ")
    assert benchmark.targets == tmp_path / "b.templ"
    assert not (tmp_path / "inputs").exists()


def test_polaris_without_its_files_is_an_input_error(tmp_path):
    with pytest.raises(InputError):
        PolarisBenchmark(tmp_path).make(tmp_path / "inputs")
    assert not (tmp_path / "inputs" / RECIPE).exists()


def test_polaris_targets_see_their_own_frame(tmp_path, shared):
    benchmark = PolarisBenchmark(str(shared / "data" / "polaris")).make(tmp_path / "inputs")
    with open_library(benchmark.library) as library:
        groups = set(library.columns["group"].to_pylist())
    with open_library(benchmark.targets) as targets:
        labels = set(targets.columns["group"].to_pylist())
    assert labels <= set(benchmark.rule.groups)
    assert {name for names in benchmark.rule.groups.values() for name in names} <= groups
    assert benchmark.targets != benchmark.library
    assert benchmark.notes
