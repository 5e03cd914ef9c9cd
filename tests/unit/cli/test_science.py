"""Science settings on the command line: what is given is used, said, and refused where it makes no sense."""

from __future__ import annotations

import json

import pytest
from program import run_templ as templ
from typer.testing import CliRunner

from templ.cli import app
from templ.cli.science import changed, describe, read_science
from templ.errors import InputError
from templ.evaluation.run import load_run
from templ.settings import PredictionSettings

SMILES = "CC(=O)Nc1cnccc1C"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("conformers = 7\nrounds = 0\n")
    return path


def test_set_goes_before_the_file(file):
    given = read_science(["conformers=9", "states = true"], file, {"top": 2})
    assert given == {"conformers": 9, "rounds": 0, "states": True, "top": 2}
    file.write_text("[settings]\nconformers = 8\n")
    assert read_science([], file) == {"conformers": 8}


@pytest.mark.parametrize(
    ("pairs", "options", "message"),
    [
        (["conformer=3"], {}, "there is no setting 'conformer'; did you mean conformers?"),
        (["conformers"], {}, "--set conformers: expected NAME=VALUE"),
        (
            ["conformers=0"],
            {},
            "conformers=0: conformers is 0: Input should be greater than or equal to 1",
        ),
        (["by=magic"], {}, "Input should be 'sequence', 'embedding' or 'all'"),
        (["top=3"], {"top": 4}, "--set top: there is --top too"),
    ],
)
def test_what_is_no_setting(pairs, options, message):
    with pytest.raises(InputError, match="--set") as caught:
        read_science(pairs, None, options)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"), [("a b", "is not TOML"), ("conformers = 0", "conformers is 0: Input")]
)
def test_what_is_no_file_of_settings(file, text, message):
    file.write_text(text)
    with pytest.raises(InputError, match=message):
        read_science([], file)


def test_only_what_is_not_the_default_is_said():
    assert changed(PredictionSettings()) == []
    assert changed(PredictionSettings(conformers=9)) == ["settings: conformers = 9 (default 40)"]


def test_every_setting_has_its_meaning():
    meanings = describe(PredictionSettings)
    assert meanings.keys() == PredictionSettings.model_fields.keys()
    assert all(meaning.endswith(".") for meaning in meanings.values())


def test_config_shows_values_ranges_and_meanings(file):
    shown = CliRunner().invoke(app, ["config", "--config", str(file), "--set", "top=3"]).stdout
    assert "conformers = 7   (default 40)\n    Free conformers" in shown
    assert "top = 3   (default 5)\n    Poses kept a query. [1 to 100]" in shown
    assert max(map(len, shown.splitlines())) <= 80
    plain = json.loads(CliRunner().invoke(app, ["config", "--json", "--set", "top=3"]).stdout)
    assert (plain["top"]["value"], plain["top"]["default"]) == (3, 5)
    assert plain.keys() == PredictionSettings.model_fields.keys()


def test_predict_uses_them_and_says_so(demo_path, file, tmp_path):
    words = ("predict", "-l", demo_path, "-s", SMILES, "--template", "Mpro-x0072", "--top", "2")
    done = templ(*words, "--config", file, "--set", "templates=1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[0] == (
        "settings: top = 2 (default 5), templates = 1 (default 8), conformers = 7"
    )
    run = load_run(tmp_path / "poses.sdf")
    settings = run.manifest.identity.settings
    assert (settings["conformers"], settings["templates"], settings["top"]) == (7, 1, 2)
    record = run["query"]
    assert (record.templates_allowed, {pose.template for pose in record.poses}) == (1, {"Mpro-x0072"})
    unknown = templ("predict", "-l", demo_path, "-s", SMILES, "--template", "map13", cwd=tmp_path)
    assert (unknown.returncode, "map13" in unknown.stderr) == (2, True)


def test_a_benchmark_uses_them_and_says_so(file, tmp_path):
    words = ("benchmark", "run", "demo-mpro", "--limit", "1", "-o", "run", "--config", file, "--set", "top=1")
    done = templ(*words, "--seed", "3", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "settings: seed = 3 (default 1), top = 1 (default 5), conformers = 7" in done.stderr
    settings = load_run(tmp_path / "run").manifest.identity.settings
    assert (settings["seed"], settings["top"], settings["conformers"], settings["rounds"]) == (3, 1, 7, 0)
