from __future__ import annotations

import datetime
from dataclasses import replace
from pathlib import Path

import pytest

from templ.benchmark.custom import TomlBenchmark
from templ.benchmark.definition import list_targets
from templ.errors import InputError
from templ.jobs.target import target_of
from templ.settings import PredictionSettings
from templ.templates.rule import TemplateRule

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
    benchmark = TomlBenchmark(tmp_path / "mine.toml").make(tmp_path / "inputs")
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
        ("name = 'x'", "library is missing"),
        ("library = 'a'\nlibary = 'b'", "libary"),
        ("library = 'a'\n[settings]\nconformers = 0", r"settings\.conformers"),
        ("library = 'a'\n[rule]\nbefore = true", r"bad\.toml: .*unknown before"),
        ("library = 'a'\nfirst_date = 'soon'", "first_date"),
    ],
)
def test_a_slip_is_named(tmp_path, text, message):
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(InputError, match=message):
        TomlBenchmark(tmp_path / "bad.toml").make(tmp_path / "inputs")


def test_targets_by_date_choice_and_number(tmp_path, demo_path):
    (tmp_path / "mine.toml").write_text(WHOLE.replace("mpro.templ", str(demo_path)))
    benchmark = TomlBenchmark(tmp_path / "mine.toml").make(tmp_path / "inputs")
    found = list_targets(benchmark).sizes
    assert len(found) == 144
    assert all(size >= 8 for size in found.values())
    last, first = list(found)[-1], next(iter(found))
    assert list(list_targets(benchmark, only=[last, first]).sizes) == [first, last]
    assert list(list_targets(benchmark, limit=3).sizes) == list(found)[:3]
    with pytest.raises(InputError, match=r"'nobody' is not a target of the benchmark mine \(1 of 2"):
        list_targets(benchmark, only=[first, "nobody"])


def test_rule_and_settings_survive_the_file(tmp_path):
    rule = TemplateRule(before_date=True, groups={"sars": ("sars",), "mers": ("mers", "sars")})
    (tmp_path / "mine.toml").write_text(
        """
        name = "time split"
        library = "sub/a.templ"
        targets = "/data/b.templ"
        [rule]
        before_date = true
        [rule.groups]
        sars = ["sars"]
        mers = ["mers", "sars"]
        [settings]
        seed = 9
        min_tanimoto = 0.25
        """
    )
    benchmark = TomlBenchmark(tmp_path / "mine.toml").make(tmp_path / "inputs")
    assert benchmark.name == "time split"
    assert benchmark.library == tmp_path / "sub" / "a.templ"
    assert benchmark.targets == Path("/data/b.templ")
    assert benchmark.rule == rule == TemplateRule.from_json(rule.to_json())
    assert benchmark.settings == PredictionSettings(seed=9, min_tanimoto=0.25)


def test_a_file_that_is_missing_or_no_text_is_named(tmp_path):
    with pytest.raises(InputError, match=r"absent\.toml"):
        TomlBenchmark(tmp_path / "absent.toml").make(tmp_path / "inputs")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"binary\.toml is not a benchmark in TOML"):
        TomlBenchmark(tmp_path / "binary.toml").make(tmp_path / "inputs")


def test_a_benchmark_without_targets_says_so(tmp_path, demo_path):
    (tmp_path / "late.toml").write_text(f"library = '{demo_path}'\nfirst_date = 2099-01-01")
    benchmark = TomlBenchmark(tmp_path / "late.toml").make(tmp_path / "inputs")
    with pytest.raises(InputError, match=r"late has no targets left to run: .* dated 2099-01-01 or later"):
        list_targets(benchmark)
    listed = replace(benchmark, first_date=None, listed=("1abc", "2abc"))
    with pytest.raises(InputError, match="none of its 2 ids, such as 1abc, is in "):
        list_targets(listed)


def test_a_target_is_described_without_its_pose(demo_library):
    entry = demo_library.entry(0)
    target = target_of(entry)
    assert (target.id, target.smiles, target.date) == (entry.id, entry.smiles, entry.date)
    assert target.ligand_key == entry.inchikey.split("-")[0]
