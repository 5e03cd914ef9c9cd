from __future__ import annotations

import numpy as np
import pytest
from rdkit import Chem

from templ.chemistry.features import FEATURES, atom_features
from templ.chemistry.molecules import parse_smiles


@pytest.mark.parametrize(
    ("smiles", "atom", "names"),
    [
        ("CO", 1, {"donor", "acceptor"}),
        ("CNC", 1, {"donor", "acceptor", "cation"}),
        ("CC(=O)NC", 3, {"donor"}),
        ("CC(=O)NC", 2, {"acceptor"}),
        ("CC(=O)[O-]", 3, {"acceptor", "anion"}),
        ("CC(=O)O", 3, {"donor", "anion"}),
        ("C[N+](C)(C)C", 1, {"cation"}),
        ("c1ccncc1", 3, {"acceptor", "aromatic"}),
        ("c1cc[nH]c1", 3, {"donor", "aromatic"}),
        ("CCC", 1, {"hydrophobic"}),
        ("CC#N", 2, {"acceptor"}),
    ],
)
def test_features_of_known_atoms(smiles, atom, names):
    flags = atom_features(parse_smiles(smiles))[atom]
    assert {name for name, flag in zip(FEATURES, flags, strict=True) if flag} == names


def test_features_follow_the_atoms_when_they_are_renumbered(demo_library):
    mol = demo_library["Mpro-x10019"]
    order = np.random.default_rng(1).permutation(mol.GetNumAtoms()).tolist()
    assert np.array_equal(atom_features(Chem.RenumberAtoms(mol, order)), atom_features(mol)[order])


def test_every_atom_has_a_row_and_every_feature_a_column():
    flags = atom_features(parse_smiles("[He]"))
    assert flags.shape == (1, len(FEATURES))
    assert not flags.any()
