from __future__ import annotations

import numpy as np
import pytest
from rdkit import Chem

from templ.errors import Refusal
from templ.molecules import parse_smiles
from templ.posing.finish import add_hydrogens, keeps_stereo
from templ.query import BUMP_BONDS, PreparedQuery

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


def test_bumps_are_squared_overlaps_of_distant_atoms():
    query = PreparedQuery(parse_smiles("CCCCCC"), 1, 1)
    apart = np.arange(6)[:, None] * np.array([[4.0, 0, 0]])
    assert query.bumps(apart[None])[0] == 0
    close = apart.copy()
    close[5] = close[0] + [0, 0, 2.0]
    distances = Chem.GetDistanceMatrix(query.mol)
    expected = sum(
        max(0.0, 3.0 - float(np.linalg.norm(close[i] - close[j]))) ** 2
        for i in range(6)
        for j in range(i)
        if distances[i, j] >= BUMP_BONDS
    )
    assert expected == 1
    assert query.bumps(close[None])[0] == pytest.approx(expected)
