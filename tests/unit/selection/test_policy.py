from __future__ import annotations

import pytest

from templ.errors import Refusal
from templ.molecules import parse_smiles
from templ.selection.policy import refuse_unfit
from templ.settings import PredictionSettings

SETTINGS = PredictionSettings()


def chain(residues):
    return "NCC(=O)" * residues + "O"


@pytest.mark.parametrize(
    ("smiles", "reason"),
    [
        ("CC", "too-small"),
        ("C" * 121, "too-many-atoms"),
        ("[Fe]OCCO", "unsupported-element"),
        ("CC[Hg]CC", "unsupported-element"),
        (chain(9), "peptide"),
    ],
)
def test_what_is_refused(smiles, reason):
    with pytest.raises(Refusal) as caught:
        refuse_unfit(parse_smiles(smiles), SETTINGS)
    assert caught.value.reason == reason
    assert caught.value.detail


@pytest.mark.parametrize("smiles", ["CCO", "C" * 120, chain(8), "OB(O)c1ccccc1", "C[Si](C)(C)C", "IC=CBr"])
def test_what_is_not(smiles):
    refuse_unfit(parse_smiles(smiles), SETTINGS)


def test_the_limits_are_settings():
    refuse_unfit(parse_smiles(chain(9)), PredictionSettings(max_residues=9))
    with pytest.raises(Refusal, match="4 heavy atoms; at most 3"):
        refuse_unfit(parse_smiles("CCCC"), PredictionSettings(max_heavy_atoms=3))
