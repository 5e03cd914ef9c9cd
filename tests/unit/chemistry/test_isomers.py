from __future__ import annotations

import pytest
from rdkit import Chem

from templ.chemistry.isomers import LARGE, MOST_ISOMERS, stereoisomers


def smiles_of(text):
    isomers, note = stereoisomers(Chem.MolFromSmiles(text))
    return [Chem.MolToCXSmiles(isomer) for isomer in isomers], note


@pytest.mark.parametrize("smiles", ["CCO", "C[C@H](N)O", "C/C=C/C", "NC(=N)c1ccccc1", "CN=C(N)N", "C1CC1"])
def test_what_is_defined_or_has_nothing_open_is_itself(smiles):
    mol = Chem.MolFromSmiles(smiles)
    isomers, note = stereoisomers(mol)
    assert (len(isomers), isomers[0] is mol, note) == (1, True, "")


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [
        ("CC(N)O", {"C[C@H](N)O", "C[C@@H](N)O"}),
        ("CC=CC", {"C/C=C/C", "C/C=C\\C"}),
        ("CC=NO", {"C/C=N/O", "C/C=N\\O"}),
        ("C[C@H](N)O |&1:1|", {"C[C@H](N)O", "C[C@@H](N)O"}),
        ("C[C@H](N)O |o1:1|", {"C[C@H](N)O", "C[C@@H](N)O"}),
        ("OC1CC(O)C1", {"O[C@H]1C[C@@H](O)C1", "O[C@H]1C[C@H](O)C1"}),  # and no mirror images of them
        ("C[C@H](F)C(N)O", {"C[C@H](F)[C@H](N)O", "C[C@H](F)[C@@H](N)O"}),
    ],
)
def test_what_is_open_is_told_apart(smiles, expected):
    found, note = smiles_of(smiles)
    assert set(found) == {Chem.CanonSmiles(each) for each in expected}
    assert note == f"stereochemistry left open: each of {len(expected)} isomers is posed"


def test_atoms_keep_their_order():
    mol = Chem.MolFromSmiles("OC(F)CC(Cl)Br")
    for isomer in stereoisomers(mol)[0]:
        assert [a.GetSymbol() for a in isomer.GetAtoms()] == [a.GetSymbol() for a in mol.GetAtoms()]


@pytest.mark.parametrize("carbons", [6, 30, 100])
def test_there_is_a_limit_which_is_said(carbons):
    smiles = "CC(F)C(F)C(F)C(F)C(F)C(F)" + "C" * carbons
    found, note = smiles_of(smiles)
    atoms = Chem.MolFromSmiles(smiles).GetNumAtoms()
    assert len(found) == len(set(found)) == max(2, min(MOST_ISOMERS, LARGE**2 // atoms**2))
    assert note.startswith(
        f"stereochemistry left open: {len(found)} of up to 64 isomers are posed; give the SMILES"
    )
