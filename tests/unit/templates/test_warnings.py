from __future__ import annotations

import pytest
from rdkit import Chem

from templ.chemistry.receptor_file import read_receptor
from templ.pipeline import predict
from templ.settings import PredictionSettings
from templ.sources.demo import demo_files
from templ.templates.warnings import WARHEADS

FAST = PredictionSettings(conformers=3, screened=8, top=1, minimised=0)

EXAMPLES = {
    "acrylamide": "C=CC(=O)Nc1ccccc1",
    "propiolamide": "CC#CC(=O)Nc1ccccc1",
    "haloacetamide": "ClCC(=O)Nc1ccccc1",
    "vinyl sulfone": "C=CS(=O)(=O)c1ccccc1",
    "aldehyde": "O=Cc1ccccc1",
    "ketoamide": "CC(=O)C(=O)NCc1ccccc1",
    "nitrile": "CC(NC(=O)c1ccccc1)C#N",
    "epoxide": "c1ccccc1OCC1CO1",
    "aziridine": "c1ccccc1C1CN1",
    "boronic acid": "OB(O)c1ccccc1",
    "beta-lactam": "O=C1CCN1c1ccccc1",
    "sulfonyl fluoride": "O=S(=O)(F)c1ccccc1",
}
HARMLESS = ["CC(=O)Nc1cnccc1C", "N#Cc1ccccc1", "CCS(=O)(=O)c1ccccc1", "CC(=O)c1ccccc1", "C1COCCN1c1ccccc1"]


def test_each_warhead_is_found_by_its_own_pattern():
    patterns = {name: Chem.MolFromSmarts(smarts) for name, smarts, _ in WARHEADS}
    assert patterns.keys() == EXAMPLES.keys()
    for name, smiles in EXAMPLES.items():
        mol = Chem.MolFromSmiles(smiles)
        assert [other for other, pattern in patterns.items() if mol.HasSubstructMatch(pattern)] == [name]
    for smiles in HARMLESS:
        mol = Chem.MolFromSmiles(smiles)
        assert not any(mol.HasSubstructMatch(pattern) for pattern in patterns.values()), smiles


@pytest.mark.parametrize(("smiles", "name"), [("ClCC(=O)Nc1cccnc1", "a haloacetamide")])
def test_a_warhead_near_a_reactive_residue_is_said(demo_library, smiles, name):
    receptor = read_receptor(demo_files().receptor)
    [note] = [note for note in predict(smiles, demo_library, FAST, receptor=receptor).notes if name in note]
    assert note.startswith(f"{name} near ")
    assert "CYS 145" in note
    assert not any("may bond" in note for note in predict("CC(=O)Nc1cccnc1", demo_library, FAST).notes)


def test_a_ligand_that_the_library_has_is_said(demo_library):
    smiles = demo_library.entry(demo_library.row_of("Mpro-x0072")).smiles
    notes = predict(smiles, demo_library, FAST).notes
    assert any(
        note.startswith("the library has this ligand itself: ") and "Mpro-x0072" in note for note in notes
    )
    assert not any(
        "this ligand itself" in note for note in predict("CC(=O)NCC1CC1", demo_library, FAST).notes
    )
