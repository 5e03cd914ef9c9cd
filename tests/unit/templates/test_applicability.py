from __future__ import annotations

import pytest

from templ.chemistry.molecules import parse_smiles
from templ.errors import Refusal
from templ.settings import PredictionSettings
from templ.templates.applicability import refuse_unfit, sugar_rings

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


def glucan(units):
    """Glucose, maltose, maltotriose, ... by their rings."""
    smiles = "O"
    for ring in range(1, units + 1):
        smiles = f"OC{ring}OC(CO)C({smiles})C(O)C{ring}O"
    return smiles


@pytest.mark.parametrize(
    ("name", "smiles", "rings"),
    [
        ("ribose", "OC[C@H]1OC(O)[C@H](O)[C@@H]1O", 1),
        ("deoxyribose", "OCC1OC(O)CC1O", 1),
        ("thymidine", "Cc1cn(C2CC(O)C(CO)O2)c(=O)[nH]c1=O", 1),
        ("fructose, furanose", "OCC1(O)OC(CO)C(O)C1O", 1),
        ("glucose", "OCC1OC(O)C(O)C(O)C1O", 1),
        ("xylose", "OC1COC(O)C(O)C1O", 1),
        ("N-acetylglucosamine", "CC(=O)NC1C(O)OC(CO)C(O)C1O", 1),
        ("glucuronic acid", "OC1OC(C(=O)O)C(O)C(O)C1O", 1),
        ("AMP", "Nc1ncnc2c1ncn2C1OC(COP(=O)(O)O)C(O)C1O", 1),
        ("cyclic AMP", "Nc1ncnc2c1ncn2C1OC2COP(=O)(O)OC2C1O", 1),
        ("NAD", "NC(=O)c1ccc[n+](c1)C1OC(COP(=O)([O-])OP(=O)(O)OCC2OC(C(O)C2O)n2cnc3c(N)ncnc23)C(O)C1O", 2),
        ("sucrose", "OCC1OC(OC2(CO)OC(CO)C(O)C2O)C(O)C(O)C1O", 2),
        ("maltose", "OCC1OC(OC2C(O)C(O)C(O)OC2CO)C(O)C(O)C1O", 2),
        ("cyclohexane diol", "OC1CCCCC1O", 0),
        ("inositol", "OC1C(O)C(O)C(O)C(O)C1O", 0),
        ("tetrahydropyran", "C1CCOCC1", 0),
        ("morpholine", "C1COCCN1", 0),
        ("tetrahydropyran-4-amine", "NC1CCOCC1", 0),
        ("tetrahydropyran, two substituents", "OC1CCOCC1N", 0),
        ("dioxane", "OC1OCCOC1O", 0),
        ("furan", "OCc1oc(CO)c(O)c1O", 0),
        ("gluconolactone", "OCC1OC(=O)C(O)C(O)C1O", 0),
        ("benzene", "Oc1cccc(O)c1O", 0),
    ],
)
def test_sugar_rings(name, smiles, rings):
    assert sugar_rings(parse_smiles(smiles)) == rings, name


def test_saccharides_of_more_than_three_rings_are_refused():
    for units in range(1, 4):
        assert sugar_rings(parse_smiles(glucan(units))) == units
        refuse_unfit(parse_smiles(glucan(units)), SETTINGS)
    with pytest.raises(Refusal, match="a saccharide of 4 rings; at most 3 are tried") as caught:
        refuse_unfit(parse_smiles(glucan(4)), SETTINGS)
    assert caught.value.reason == "saccharide"
    refuse_unfit(parse_smiles(glucan(4)), PredictionSettings(max_sugar_rings=4))
