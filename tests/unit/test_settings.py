from __future__ import annotations

import pytest
from pydantic import ValidationError

from templ.settings import PredictionSettings, RunSettings


@pytest.mark.parametrize("kind", [PredictionSettings, RunSettings])
def test_settings_survive_json_unchanged(kind):
    assert kind.model_validate_json(kind().model_dump_json()) == kind()


@pytest.mark.parametrize("kind", [PredictionSettings, RunSettings])
def test_a_misspelt_setting_is_an_error(kind):
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        kind(sed=1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"seed": -1},  # RDKit takes a negative seed for "another each time"
        {"seed": 2**31},  # and a C int
        {"top": 0},
        {"conformers": 0},
        {"min_tanimoto": 1.5},
        {"max_residues": 0},
        {"covalent": "145"},
        {"covalent": 145},
    ],
)
def test_science_settings_out_of_range(wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        PredictionSettings(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [{"workers": 0}, {"workers": "many"}, {"memory": 0}, {"deadline_s": 0}, {"max_failures": -1}],
)
def test_machine_settings_out_of_range(wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        RunSettings(**wrong)


def test_settings_cannot_change_under_a_run():
    with pytest.raises(ValidationError, match="frozen"):
        PredictionSettings().seed = 2


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("cys145", "CYS145"),
        (" A:Cys145", "A:CYS145"),
        ("a:CYS145a", "a:CYS145A"),
        ("A-2:LYS-5", "A-2:LYS-5"),
        ("AUTO", "auto"),
    ],
)
def test_a_residue_may_be_spelled_as_one_likes_but_for_its_chain(given, kept):
    assert PredictionSettings(covalent=given).covalent == kept
