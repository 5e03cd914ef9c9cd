"""Tautomers and protonation states near the pH of blood."""

from __future__ import annotations

import sys

import pytest
from rdkit import Chem

from templ.chemistry.states import states, unlikely_charges
from templ.errors import InputError


def of(smiles, most=16):
    found, note = states(Chem.MolFromSmiles(smiles), most)
    return [Chem.MolToSmiles(mol) for mol in found], note


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [
        ("CC(=O)O", "CC(=O)[O-]"),
        ("CCCN", "CCC[NH3+]"),
        ("NC(=N)c1ccccc1", "NC(=[NH2+])c1ccccc1"),
        ("O=C(NS(C)(=O)=O)c1ccccc1", "CS(=O)(=O)[N-]C(=O)c1ccccc1"),
        ("c1c[nH]cn1", "c1c[nH+]c[nH]1"),
        ("Cc1c[nH]cn1", "Cc1cnc[nH]1"),
        ("Oc1ccccn1", "O=c1cccc[nH]1"),
    ],
)
def test_the_one_that_is_given_comes_first_and_the_likely_one_is_there(smiles, expected):
    found, note = of(smiles)
    assert found[0] == Chem.CanonSmiles(smiles)
    assert expected in found
    assert note == f"tautomers and protonation: each of {len(found)} states is posed"


@pytest.mark.parametrize("smiles", ["Oc1ccccc1", "CC(N)=O", "CCO", "Nc1ccccc1", "C[N+](C)(C)C"])
def test_what_has_one_state_has_one(smiles):
    assert of(smiles) == ([Chem.CanonSmiles(smiles)], "")


def test_stereochemistry_stays():
    found, _ = of("C[C@H](N)C(=O)O")
    assert all("@" in smiles for smiles in found)
    assert all("/" in smiles for smiles in of("C[C@H](Cc1c[nH]cn1)NC(=O)/C=C/c1ccccc1")[0])


def test_there_are_at_most_so_many():
    found, note = of("NCC(N)CC(=O)O", most=2)
    assert len(found) == 2
    assert note.startswith("tautomers and protonation: 2 of ")


def test_without_the_library_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "dimorphite_dl", None)
    with pytest.raises(InputError, match=r"pip install 'templ-pose\[states\]'"):
        of("CCO")


@pytest.mark.parametrize(
    ("smiles", "word"),
    [
        ("CC[O-]", "alcohol"),
        ("C[NH+]=O", ""),
        ("[NH3+]c1ccccc1", "aniline"),
        ("CC(=O)[NH-]", "amide"),
        ("CC(=O)[NH2+]C", "amide"),
        ("C[NH-]", "amine"),
        ("C[OH+]C", "ether"),
        ("CC(C)=[OH+]", "carbonyl"),
        ("C[CH2-]", "carbanion"),
    ],
)
def test_unlikely_charges_are_named(smiles, word):
    found = list(unlikely_charges(Chem.MolFromSmiles(smiles)))
    assert word in " ".join(found)
    assert bool(found) == bool(word)


@pytest.mark.parametrize(
    "smiles",
    [
        "CC(=O)[O-]",
        "CC[NH3+]",
        "C[N+](C)(C)C",
        "C[N+](=O)[O-]",
        "c1cc[n+]([O-])cc1",
        "[C-]#[N+]C",
        "C[N-]S(C)(=O)=O",
        "CP(=O)([O-])[O-]",
        "c1nnn[n-]1",
        "[O-]c1c([N+](=O)[O-])cccc1[N+](=O)[O-]",
        "O=C1[N-]C(=O)CC1",
        "NC(=[NH2+])c1ccccc1",
        "C[NH+]1CCN(c2ccccc2)CC1",
        "CN=[N+]=[N-]",
        "CC(=O)N1CC[NH+](C)CC1",
    ],
)
def test_charges_that_are_likely_or_balanced_are_not(smiles):
    assert not list(unlikely_charges(Chem.MolFromSmiles(smiles)))
