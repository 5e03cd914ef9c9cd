from __future__ import annotations

import pytest
from rdkit import Chem

from templ.chemistry.conformers import PreparedQuery
from templ.chemistry.molecules import parse_smiles, positions
from templ.poses.hydrogens import add_hydrogens
from templ.poses.stereo import keeps_stereo


def prepared(smiles, conformers=30):
    return PreparedQuery(parse_smiles(smiles), conformers, 1)


def test_stereochemistry_that_is_not_the_querys_is_seen():
    one, other = prepared("C[C@H](F)Cl", 2), prepared("C[C@@H](F)Cl", 2)
    pose = add_hydrogens(one.mol, one.conformers[0])
    assert keeps_stereo(pose, one.mol)
    assert not keeps_stereo(pose, other.mol)
    assert keeps_stereo(pose, parse_smiles("CC(F)Cl"))


def test_double_bonds_count_as_stereochemistry():
    cis, trans = prepared("F/C=C\\Cl", 1), prepared("F/C=C/Cl", 1)
    assert not keeps_stereo(add_hydrogens(cis.mol, cis.conformers[0]), trans.mol)


ODD_STEREO = {
    "ring": "C[C@H]1CC[C@@H](C)CC1",
    "sulfoxide": "C[S@](=O)c1ccccc1",
    "sulfoximine": "C[S@](=N)(=O)c1ccccc1",
    "phosphinate": "C[P@](=O)(O)c1ccccc1",
    "ammonium": "C[N@+](CC)(CCC)c1ccccc1",
    "bridged": "CN1[C@H]2CC[C@@H]1C[C@@H](C2)OC(=O)c1ccccc1",
    "oxime": "C/C(=N/O)c1ccccc1",
    "imine": "[H]/N=C(/C)c1ccccc1",
    "deuterium": "[2H][C@H](C)c1ccccc1",
    "penicillin": "CC1(C)S[C@@H]2[C@H](NC(=O)Cc3ccccc3)C(=O)N2[C@H]1C(=O)O",
    "azo": "c1ccccc1/N=N\\c1ccccc1",
    "meso": "O[C@H](C(=O)O)[C@@H](O)C(=O)O",
    "aziridine": "C[N@]1C[C@@H]1F",
    "quinuclidine": "C[C@H]1C[N@]2CC[C@H]1CC2",
    "diene": "F/C=C/C=C\\Cl",
}


@pytest.mark.parametrize("smiles", ODD_STEREO.values(), ids=ODD_STEREO)
def test_right_stereochemistry_is_never_taken_for_wrong(smiles):
    query = prepared(smiles, 3)
    for xyz in query.conformers:
        assert keeps_stereo(add_hydrogens(query.mol, xyz), query.mol)


def test_it_agrees_with_what_rdkit_sees_in_crystals(demo_library):
    """Each crystal ligand, and its mirror image, against the labels of the crystal."""
    checked = 0
    for row in range(0, len(demo_library), 2):
        smiles, mol = demo_library.entry(row).smiles, demo_library.ligand(row)
        if "@" not in smiles and "/" not in smiles:
            continue
        query = parse_smiles(smiles)
        for mirror in (1, -1):
            seen = add_hydrogens(query, positions(mol) * [1, 1, mirror])
            ours = keeps_stereo(seen, query)
            Chem.AssignStereochemistryFrom3D(seen)
            assert ours == Chem.RemoveHs(seen).HasSubstructMatch(query, useChirality=True), (row, mirror)
            checked += 1
    assert checked > 20


@pytest.mark.parametrize("name", ["ring", "bridged", "meso"])
def test_a_molecule_that_is_its_own_mirror_image_is_right_both_ways(name):
    query = prepared(ODD_STEREO[name], 1)
    assert keeps_stereo(add_hydrogens(query.mol, query.conformers[0] * [1, 1, -1]), query.mol)


@pytest.mark.parametrize("name", [name for name in ODD_STEREO if name not in ("ring", "bridged", "meso")])
def test_a_mirror_image_or_other_side_is_never_taken_for_right(name):
    """Mirrors turn centres round; double bonds are compared with their other isomer."""
    smiles = ODD_STEREO[name]
    query = prepared(smiles, 1)
    if "@" in smiles:
        wrong = query.conformers[0] * [1, 1, -1]
        assert not keeps_stereo(add_hydrogens(query.mol, wrong), query.mol)
    else:
        last = max(smiles.rfind("/"), smiles.rfind("\\"))
        other = smiles[:last] + ("\\" if smiles[last] == "/" else "/") + smiles[last + 1 :]
        assert not keeps_stereo(add_hydrogens(query.mol, query.conformers[0]), parse_smiles(other))
