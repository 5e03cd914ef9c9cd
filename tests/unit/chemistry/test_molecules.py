from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rdkit import Chem
from rdkit.Chem import rdDepictor

from templ.chemistry.conformers import PreparedQuery
from templ.chemistry.mol_file import parse_mol_block
from templ.chemistry.molecules import (
    has_3d,
    heavy,
    inchikey,
    largest_fragment,
    ligand_key,
    parse_smiles,
    positions,
    with_coordinates,
)
from templ.errors import InputError
from templ.poses.hydrogens import add_hydrogens


def in_3d(smiles):
    query = PreparedQuery(parse_smiles(smiles), 1, 1)
    return add_hydrogens(query.mol, query.conformers[0])


@pytest.mark.parametrize(
    ("smiles", "message"),
    [
        ("", "'' is not a SMILES"),
        ("  ", "is not a SMILES"),
        ("C1CC", "'C1CC' is not a SMILES"),
        ("CN(C)(C)C", r"not a valid molecule \(Explicit valence for atom # 1 N, 4"),
        ("c1cccc1", r"not a valid molecule \(Can't kekulize"),
        ("X" * 200, r"'X{77}\.\.\.' is not"),
    ],
)
def test_a_smiles_that_is_none_is_refused_with_the_reason(smiles, message):
    with pytest.raises(InputError, match=message):
        parse_smiles(smiles)


@given(st.text(alphabet="CNOcn123()=#[]@H+-/\\.%", max_size=20))
@example("[C@@H](")
@example("C%")
@example("C\0C")
def test_any_text_is_a_molecule_or_an_input_error(text):
    try:
        mol = parse_smiles(text)
    except InputError:
        return
    assert mol.GetNumAtoms() > 0


def test_reading_a_smiles_keeps_its_stereochemistry_and_drops_what_is_none():
    assert Chem.MolToSmiles(parse_smiles("C[C@H](F)Cl")) == "C[C@H](F)Cl"
    assert Chem.MolToSmiles(parse_smiles("C[C@H](C)Cl")) == "CC(C)Cl"


@pytest.mark.parametrize("smiles", ["N[C@@H](C)C(=O)O", "N[C@H](C)C(=O)O", "F/C=C/Cl", "F/C=C\\Cl"])
def test_a_mol_block_in_3d_says_its_own_stereochemistry(smiles):
    mol = in_3d(smiles)
    for atom in mol.GetAtoms():
        atom.SetChiralTag(Chem.ChiralType.CHI_UNSPECIFIED)
    for bond in mol.GetBonds():
        bond.SetStereo(Chem.BondStereo.STEREONONE)
    read = parse_mol_block(Chem.MolToMolBlock(mol))
    assert Chem.MolToSmiles(heavy(read)) == Chem.CanonSmiles(smiles)


def test_a_flag_that_the_double_bond_is_unknown_gives_way_to_coordinates():
    mol = in_3d("F/C=C/Cl")
    lines = Chem.MolToMolBlock(mol).split("\n")
    row = next(i for i, line in enumerate(lines) if line.startswith("  2  3  2"))
    lines[row] = "  2  3  2  3"
    assert Chem.MolToSmiles(heavy(parse_mol_block("\n".join(lines)))) == "F/C=C/Cl"


def test_both_versions_of_mol_blocks_are_read():
    mol = in_3d("CC(=O)Nc1ccccc1")
    old, new = (parse_mol_block(Chem.MolToMolBlock(mol, forceV3000=flag)) for flag in (False, True))
    assert np.allclose(positions(old), positions(new), atol=1e-3)
    assert old.GetNumAtoms() == mol.GetNumAtoms()


def test_a_wedge_counts_in_a_drawing():
    mol = parse_smiles("C[C@H](F)Cl")
    rdDepictor.Compute2DCoords(mol)
    assert Chem.MolToSmiles(parse_mol_block(Chem.MolToMolBlock(mol))) == "C[C@H](F)Cl"


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ("", "malformed"),
        ("no block\nat all\n", "malformed"),
        (Chem.MolToMolBlock(Chem.Mol()), "has no atoms"),
        (Chem.MolToMolBlock(Chem.MolFromSmiles("CC(C)(C)(C)C", sanitize=False), kekulize=False), "valence"),
    ],
)
def test_a_block_that_is_none_is_refused_with_the_reason(block, message):
    with pytest.raises(InputError, match=message):
        parse_mol_block(block)


def test_every_truncation_of_a_block_is_refused_or_a_molecule():
    block = Chem.MolToMolBlock(in_3d("CC(=O)O"))
    for length in range(0, len(block), 7):
        try:
            mol = parse_mol_block(block[:length])
        except InputError:
            continue
        assert mol.GetNumAtoms() == 8


@pytest.mark.parametrize(
    ("xyz", "real"),
    [
        ([[0, 0, 0], [1.5, 0, 0], [2, 1, 0.5]], True),
        ([[0, 0, 7], [1.5, 0, 7], [2, 1, 7]], True),  # a planar molecule away from z = 0
        ([[0, 0, 0], [1.5, 0, 0], [2, 1, 0]], False),
        ([[5, 5, 5], [5, 5, 5], [5, 5, 5]], False),
        ([[0, 0, 0], [1.5, 0, 0], [np.nan, 1, 0.5]], False),
        ([[0, 0, 0], [1.5, 0, 0], [np.inf, 1, 0.5]], False),
    ],
)
def test_a_drawing_is_told_from_a_structure(xyz, real):
    assert has_3d(with_coordinates(parse_smiles("CCO"), np.array(xyz))) is real


def test_without_coordinates_nothing_is_3d():
    assert not has_3d(parse_smiles("CCO"))


def test_the_largest_fragment_is_by_heavy_atoms_and_keeps_coordinates():
    mol = in_3d("CC(=O)O")
    salt = Chem.CombineMols(in_3d("CC"), mol)  # as many atoms, fewer heavy ones
    kept, note = largest_fragment(salt)
    assert Chem.MolToSmiles(heavy(kept)) == "CC(=O)O"
    assert np.allclose(positions(kept), positions(mol))
    assert note == "largest fragment kept, left out: CC"


def test_of_equal_fragments_the_first_is_kept_and_all_others_are_named():
    kept, note = largest_fragment(parse_smiles("CCO.CCN.Cl.[Na+]"))
    assert Chem.MolToSmiles(kept) == "CCO"
    assert note.endswith("left out: CCN.Cl.[Na+]")


def test_a_salt_keeps_the_stereochemistry_of_its_ligand():
    kept, _ = largest_fragment(parse_smiles("Cl.C[C@H](N)c1ccccc1"))
    assert Chem.MolToSmiles(kept) == Chem.CanonSmiles("C[C@H](N)c1ccccc1")


def test_one_fragment_is_handed_back_as_it_is():
    mol = parse_smiles("CCO")
    assert largest_fragment(mol) == (mol, "")


def test_hydrogens_that_carry_meaning_stay():
    assert heavy(parse_smiles("[H][H]")).GetNumAtoms() == 2
    assert heavy(Chem.AddHs(parse_smiles("CO"))).GetNumAtoms() == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CC(=O)O", "CC(=O)[O-]"),
        ("C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O"),
        ("F/C=C/Cl", "F/C=C\\Cl"),
        ("CC(=O)N", "OC(C)=N"),
        ("CCO", "OCC"),
    ],
)
def test_the_same_ligand_has_the_same_key(one, other):
    assert ligand_key(parse_smiles(one)) == ligand_key(parse_smiles(other))


def test_another_ligand_has_another_key():
    assert ligand_key(parse_smiles("CCO")) != ligand_key(parse_smiles("COC"))


def test_what_inchi_cannot_name_has_its_smiles_as_key():
    assert inchikey(parse_smiles("*CCO")) == "SMILES:*CCO"
    assert ligand_key(parse_smiles("*CCO")) == "SMILES:*CCO"
