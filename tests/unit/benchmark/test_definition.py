from __future__ import annotations

import datetime

import pytest

from templ.benchmark.builtin import find_benchmark
from templ.benchmark.definition import list_targets, read_benchmark
from templ.errors import InputError

WHOLE = """
library = "mpro.templ"
first_date = 2020-06-01
[rule]
before_date = true
exclude_same_ligand = true
[settings]
conformers = 7
"""


def test_a_file_says_it_all_with_paths_relative_to_it(tmp_path):
    (tmp_path / "mine.toml").write_text(WHOLE)
    benchmark = read_benchmark(tmp_path / "mine.toml")
    assert benchmark.name == "mine"
    assert benchmark.library == benchmark.targets == tmp_path / "mpro.templ"
    assert benchmark.first_date == datetime.date(2020, 6, 1)
    assert benchmark.rule.before_date
    assert benchmark.rule.exclude_same_ligand
    assert benchmark.settings.conformers == 7


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("library = ", "is not a benchmark in TOML"),
        ("name = 'x'", "library: Field required"),
        ("library = 'a'\nlibary = 'b'", "libary"),
        ("library = 'a'\n[settings]\nconformers = 0", r"settings\.conformers"),
        ("library = 'a'\n[rule]\nbefore = true", r"bad\.toml: .*unknown before"),
        ("library = 'a'\nfirst_date = 'soon'", "first_date"),
    ],
)
def test_a_slip_is_named(tmp_path, text, message):
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(InputError, match=message):
        read_benchmark(tmp_path / "bad.toml")


def test_targets_by_date_choice_and_number(tmp_path, demo_path):
    (tmp_path / "mine.toml").write_text(WHOLE.replace("mpro.templ", str(demo_path)))
    benchmark = read_benchmark(tmp_path / "mine.toml")
    found = list_targets(benchmark)
    assert len(found) == 144
    assert all(size >= 8 for size in found.values())
    last, first = list(found)[-1], next(iter(found))
    assert list(list_targets(benchmark, only=[last, first])) == [first, last]
    assert list(list_targets(benchmark, limit=3)) == list(found)[:3]
    with pytest.raises(InputError, match=r"'nobody' is not a target of the benchmark mine \(1 of 2"):
        list_targets(benchmark, only=[first, "nobody"])


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("polaris", False, "needs --data"),
        ("demo", True, "takes no --data"),
        ("nope", False, "'nope' is no benchmark; expected demo, polaris or a TOML file"),
    ],
)
def test_benchmarks_by_name(tmp_path, name, data, message):
    with pytest.raises(InputError, match=message):
        find_benchmark(name, tmp_path if data else None)
