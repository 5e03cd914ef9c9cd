from __future__ import annotations

import numpy as np
import pytest
from rdkit import Chem

from templ.chemistry.conformers import CLASH_BONDS, PreparedQuery
from templ.chemistry.molecules import parse_smiles
from templ.errors import Refusal
from templ.poses.hydrogens import add_hydrogens
from templ.poses.stereo import keeps_stereo

ODD = {
    "macrocycle": "O=C1CCCCCCCCCCCCCO1",
    "spiro": "C1CC2(C1)CCNC2",
    "cubane": "C12C3C4C1C5C2C3C45",
    "allene": "CC=C=CC",
    "nitrile": "N#Cc1ccc(C#N)cc1",
    "charged": "C[N+](C)(C)CC(=O)[O-]",
    "sulfonamide": "NS(=O)(=O)c1ccc(Br)cc1",
    "boronic acid": "OB(O)c1ccccc1",
    "phosphate": "OP(O)(=O)OCC1OC(O)C(O)C1O",
    "stereocentres": "C[C@@H]1CN(C(=O)[C@H](N)CO)C[C@H]1F",
}


@pytest.mark.parametrize("smiles", ODD.values(), ids=ODD)
def test_conformers_of_odd_molecules(smiles):
    query = PreparedQuery(parse_smiles(smiles), 4, 1)
    assert query.conformers.shape == (len(query.conformers), query.mol.GetNumAtoms(), 3)
    assert 1 <= len(query.conformers) <= 4
    assert np.isfinite(query.conformers).all()
    assert all(keeps_stereo(add_hydrogens(query.mol, xyz), query.mol) for xyz in query.conformers)


def test_the_seed_decides_the_conformers():
    one, same, other = (PreparedQuery(parse_smiles("CCCCCO"), 3, seed).conformers for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.allclose(one, other)


@pytest.mark.parametrize("seed", [0, 2**31 - 1])
def test_seeds_that_rdkit_takes_for_none_give_different_conformers_too(seed):
    conformers = PreparedQuery(parse_smiles("CCCCCCO"), 5, seed).conformers
    assert len({round(float(np.linalg.norm(xyz[0] - xyz[-1])), 3) for xyz in conformers}) == 5


def test_contradictory_stereochemistry_is_refused():
    with pytest.raises(Refusal) as caught:
        _ = PreparedQuery(parse_smiles("[C@]12(F)C[C@](F)(C1)C2"), 2, 1).conformers
    assert caught.value.reason == "no-conformer"


def test_rotors_move_the_smaller_side():
    query = PreparedQuery(parse_smiles("CCCCCCc1ccccc1"), 1, 1)
    assert len(query.rotors) == 5
    assert all(2 * len(rotor.moving) <= 12 for rotor in query.rotors)
    for rotor in query.rotors:
        assert rotor.c in rotor.moving
        assert rotor.b not in rotor.moving


def test_rings_and_ends_do_not_turn():
    assert PreparedQuery(parse_smiles("c1ccccc1C"), 1, 1).rotors == ()
    assert PreparedQuery(parse_smiles("C=CC=C"), 1, 1).rotors[0].b in (1, 2)


def test_atoms_four_bonds_apart_may_clash():
    query = PreparedQuery(parse_smiles("CCCCCC"), 1, 1)
    bonds = Chem.GetDistanceMatrix(query.mol)
    assert np.array_equal(query.may_clash, bonds >= CLASH_BONDS)
    assert query.may_clash.sum() == 6
    assert list(zip(*query.far_pairs, strict=True)) == [(0, 4), (0, 5), (1, 5)]


@pytest.mark.parametrize("smiles", ODD.values(), ids=ODD)
def test_bounds_hold_for_the_conformers(smiles):
    query = PreparedQuery(parse_smiles(smiles), 3, 1)
    upper = np.triu_indices(query.mol.GetNumAtoms(), 1)
    for xyz in query.conformers:
        distance = np.linalg.norm(xyz[upper[0]] - xyz[upper[1]], axis=1)
        assert (distance <= query.bounds[upper] + 0.5).all()
        assert (distance >= query.bounds.T[upper] - 0.5).all()


def test_symmetric_atoms_share_a_rank():
    ranks = PreparedQuery(parse_smiles("FC(F)(F)c1ccccc1"), 1, 1).ranks
    assert ranks[0] == ranks[2] == ranks[3]
    assert ranks[5] == ranks[9]
    assert len(set(ranks)) == 6
