from __future__ import annotations

import numpy as np
import pytest
from rdkit import Chem

from templ.chemistry.molecules import heavy, positions
from templ.errors import InputError
from templ.library import codec


def test_molecule_and_coordinates_come_back(molecules):
    for mol in map(heavy, molecules.values()):
        smiles, xyz = codec.encode(mol)
        restored = codec.decode(smiles, xyz)
        match = restored.GetSubstructMatch(mol, useChirality=True)
        assert len(match) == mol.GetNumAtoms() == restored.GetNumAtoms()
        order = list(mol.GetPropsAsDict(True, True)["_smilesAtomOutputOrder"])
        assert np.array_equal(
            positions(restored).astype(np.float32), positions(mol)[order].astype(np.float32)
        )


def test_stereochemistry_of_the_coordinates_is_that_of_the_smiles(molecules):
    for name in ("ibuprofen", "glucose", "tamoxifen"):
        restored = codec.decode(*codec.encode(heavy(molecules[name])))
        written = Chem.MolToSmiles(restored)
        Chem.AssignStereochemistryFrom3D(restored)
        assert Chem.MolToSmiles(restored) == written


def test_cage_whose_canonical_smiles_are_not_unique_is_kept():
    mol = Chem.MolFromSmiles("C1[C@H]2[C@H]([C@H]3C[C@@H]1C[C@@H](C2)C3)N")
    mol.AddConformer(Chem.Conformer(mol.GetNumAtoms()))
    written, _ = codec.encode(mol)
    assert Chem.MolToSmiles(Chem.MolFromSmiles(written)) != written, "no longer a case of this kind"


def test_molecule_that_reads_back_as_another_is_refused():
    # Five-valent carbon: SMILES can write it and nobody can read it.
    mol = Chem.MolFromSmiles("CC(C)(C)(C)C", sanitize=False)
    mol.UpdatePropertyCache(strict=False)
    mol.AddConformer(Chem.Conformer(mol.GetNumAtoms()))
    with pytest.raises(InputError, match="does not survive SMILES: 'CC"):
        codec.encode(mol)


def test_inverted_centre_is_noticed(molecules, monkeypatch):
    mol = heavy(molecules["ibuprofen"])
    right = codec.decode

    def mirror(smiles, xyz):
        return right(smiles.replace("@@", "@") if "@@" in smiles else smiles.replace("@", "@@"), xyz)

    monkeypatch.setattr(codec, "decode", mirror)
    with pytest.raises(InputError, match="does not survive SMILES"):
        codec.encode(mol)


@pytest.mark.parametrize(("smiles", "values"), [("C1CC", 9), ("CCO", 6), ("CCO", 12), ("", 3)])
def test_data_that_do_not_fit_together_give_none(smiles, values):
    assert codec.decode(smiles, np.zeros(values, dtype=np.float32)) is None
