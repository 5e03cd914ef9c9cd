from __future__ import annotations

import pytest

from templ.chemistry.receptor_file import read_receptor
from templ.pipeline import predict
from templ.settings import PredictionSettings
from templ.sources.demo import demo_files

FAST = PredictionSettings(conformers=3, screened=8, top=1, minimised=0)


@pytest.mark.parametrize(
    ("smiles", "name"), [("CC(NC(=O)c1cccnc1)C#N", "a nitrile"), ("C#CCNc1cccnc1", "an alkyne")]
)
def test_a_warhead_near_a_reactive_residue_is_said(demo_library, smiles, name):
    receptor = read_receptor(demo_files().receptor)
    [note] = [note for note in predict(smiles, demo_library, FAST, receptor=receptor).notes if name in note]
    assert note.startswith(f"{name} near ")
    assert "A:CYS145" in note
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
