from __future__ import annotations

import numpy as np
import pytest

from templ.chemistry.molecules import positions
from templ.chemistry.receptor_file import read_receptor
from templ.export.pdb import to_pdb
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


def test_what_the_receptor_lacks_of_the_pocket_is_said(kinase_library, tmp_path):
    whole, entry = kinase_library.receptor(0), kinase_library.entry(0)
    site = positions(kinase_library.ligand(0))
    gaps = np.linalg.norm(whole.residues.ca[:, None] - site, axis=-1).min(axis=1)
    lost = {int(number) for number in whole.residues.numbers[np.argsort(gaps)[:8]]}

    def lacking(left_out):
        lines = [line for line in to_pdb(whole).splitlines() if not line.startswith(("ATOM", "HETATM"))
                 or int(line[22:26]) not in left_out]  # fmt: skip
        (tmp_path / "r.pdb").write_text("\n".join(lines))
        notes = predict(entry.smiles, kinase_library, FAST, receptor=read_receptor(tmp_path / "r.pdb")).notes
        return [note for note in notes if "of the pocket's residues, as other crystals" in note]

    assert lacking(set()) == []
    [note] = lacking(lost)
    assert 15 <= int(note.partition("%")[0]) <= 60
