from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from rdkit import Chem

from templ.chemistry.conformers import PreparedQuery
from templ.chemistry.molecules import parse_smiles, with_coordinates
from templ.templates.mcs import (
    MAX_MAPPINGS,
    MIN_CORE,
    MOST_CPU_S,
    TIMEOUT_S,
    connected_cores,
    mappings,
    shared_core,
)


def prepared(smiles):
    return PreparedQuery(parse_smiles(smiles), 1, 1)


def template(smiles):
    """A molecule with coordinates."""
    query = prepared(smiles)
    return with_coordinates(query.mol, query.conformers[0])


@pytest.mark.parametrize(
    ("query", "other", "size"),
    [
        ("c1ccccc1CC(=O)O", "c1ccccc1CC(=O)N", 9),
        ("CC(=O)Nc1ccccc1", "CC(=O)Nc1ccccc1Cl", 10),
        ("c1ccncc1CN", "c1ccccc1CN", 3),  # rings are matched whole or not at all; c-C-N is left
        ("C1CCCCC1C", "c1ccccc1C", 0),  # aromatic with aromatic only
        ("CC1CCCCC1", "CC1CCCCCC1", 0),  # nor part of a ring that is no aromatic one
        ("c1ccccc1CCOCF", "c1ccccc1CCNCF", 8),  # a piece of two atoms is a coincidence
        ("CCCO", "N#N", 0),
    ],
)
def test_size_of_the_shared_core(query, other, size):
    core = shared_core(prepared(query), template(other))
    assert (len(core) if core else 0) == size


def test_the_mapping_joins_equal_atoms():
    query, other = prepared("CC(=O)Nc1ccc(F)cc1"), template("CC(=O)Nc1ccc(Cl)cc1")
    core = shared_core(query, other)
    assert all(
        query.mol.GetAtomWithIdx(a).GetAtomicNum() == other.GetAtomWithIdx(t).GetAtomicNum()
        for a, t in core.pairs.items()
    )
    assert len(set(core.pairs.values())) == len(core) == 10


def test_pieces_on_both_sides_of_a_changed_linker_are_kept_where_they_fit():
    query = prepared("c1ccccc1COCc1ccncc1")
    assert len(shared_core(query, template("c1ccccc1CNCc1ccncc1"))) >= 12


def test_a_piece_that_the_query_cannot_reach_is_left_out():
    """The rings are in both, but ten atoms apart in one and one apart in the other."""
    near, far = prepared("c1ccccc1Oc1ccncc1"), template("c1ccccc1C#CC#CC#CC#CC#Cc1ccncc1")
    assert len(shared_core(near, far)) == 6


def test_other_mappings_of_the_core_lay_the_query_differently():
    """A substituent in meta can point to either side of the ring, one in para cannot."""
    other = template("Cc1ccccc1CO")
    meta, para = prepared("Clc1cccc(CO)c1"), prepared("Clc1ccc(CO)cc1")
    assert len(list(mappings(shared_core(meta, other), meta, other))) == 2
    assert len(list(mappings(shared_core(para, other), para, other))) == 1


def test_atoms_that_cannot_be_told_apart_make_no_new_mapping():
    for smiles in ("c1ccccc1", "CC(C)(C)C", "FC(F)(F)c1ccccc1"):
        query, other = prepared(smiles), template(smiles)
        assert len(list(mappings(shared_core(query, other), query, other))) == 1


FULLERENE = (
    "c12c3c4c5c1c1c6c7c2c2c8c3c3c9c4c4c%10c5c5c1c1c6c6c%11c7c2c2c7c8c3c3c8c9c4c4c9c%10c5c5c1c1c6c6c%11c2c2c7c3"
    "c3c8c4c4c9c5c1c1c6c2c3c41"
)

SYMMETRIC = {
    "peg": "COCCOCCOCCOCCOCCOCCOCCOC",
    "alkane": "CCCCCCCCCCCCCCCCCC",
    "polyphenyl": "c1ccc(cc1)c1ccc(cc1)c1ccc(cc1)c1ccccc1",
    "peptide": "NCC(=O)NCC(=O)NCC(=O)NCC(=O)NCC(=O)O",
    "perfluoro": "FC(F)(F)C(F)(F)C(F)(F)C(F)(F)C(F)(F)C(F)(F)F",
    "polyol": "OCC(CO)(CO)COCC(CO)(CO)COCC(CO)(CO)CO",
    "cubane": "C12C3C4C1C5C2C3C45",
    "spirocycles": "C1CC2(C1)CCC1(CC2)CCC2(CCC2)CC1",
}


@pytest.mark.parametrize("smiles", SYMMETRIC.values(), ids=SYMMETRIC)
def test_symmetric_pairs_end_and_their_mappings_are_few(smiles):
    query, other = prepared(smiles), template(smiles)
    core = shared_core(query, other)
    found = list(mappings(core, query, other))
    assert 1 <= len(found) <= MAX_MAPPINGS
    assert all(len(set(mapping.pairs.values())) == len(mapping) for mapping in found)


def test_a_pair_with_too_many_bonds_to_compare_shares_nothing_at_once():
    """C60 with itself: 90 bonds on 90, every one like every other."""
    query = prepared(FULLERENE)
    xyz = np.random.default_rng(1).normal(size=(60, 3)) * 5
    start = time.process_time()
    assert shared_core(query, with_coordinates(query.mol, xyz)) is None
    assert time.process_time() - start < 2 * MOST_CPU_S


def test_pairs_of_a_long_chain_end_in_time():
    chain, other = prepared("C" * 60), template("C" * 50)
    start = time.process_time()
    shared_core(chain, other)
    assert time.process_time() - start < 4 * MOST_CPU_S


PEPTIDES = """
import sys
from templ.chemistry.conformers import PreparedQuery
from templ.chemistry.molecules import parse_smiles, with_coordinates
from templ.templates.mcs import shared_core

query = PreparedQuery(parse_smiles("NC(C(C)C)C(=O)NC(CC(C)C)C(=O)" * 3 + "O"), 1, 1)
template = parse_smiles("NC(CC(C)C)C(=O)NC(C(C)CC)C(=O)" * 3 + "O")
template = with_coordinates(template, PreparedQuery(template, 1, 1).conformers[0])
print("begun", flush=True)
core = shared_core(query, template)
print(core and sorted(core.pairs.items()))
"""


@pytest.mark.parametrize("stopped_s", [0, TIMEOUT_S + 0.5])
def test_a_slow_pair_shares_the_same_however_long_it_waits_for_its_core(stopped_s):
    """A tenth of a CPU second, in the midst of which the process stands still."""
    with subprocess.Popen([sys.executable, "-c", PEPTIDES], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "begun\n"
        time.sleep(0.02)
        if stopped_s:
            os.kill(process.pid, signal.SIGSTOP)
            time.sleep(stopped_s)
            os.kill(process.pid, signal.SIGCONT)
        pairs = process.stdout.read()
    assert pairs.count("(") > 30


def test_every_mapping_can_be_reached_and_joins_equal_atoms(demo_library):
    checked = 0
    for row in range(0, 60, 6):
        query = prepared(demo_library.entry(row).smiles)
        for other, _ in demo_library.nearest(query.mol, 3):
            mol = demo_library[other]
            core = shared_core(query, mol)
            laid = list(mappings(core, query, mol)) if core else []
            assert len(laid) <= MAX_MAPPINGS
            seen = {frozenset((query.ranks[a], t) for a, t in mapping.pairs.items()) for mapping in laid}
            assert len(seen) == len(laid)
            for mapping in laid:
                checked += 1
                assert len(mapping) >= MIN_CORE
                assert len(set(mapping.pairs.values())) == len(mapping)
                for a, t in mapping.pairs.items():
                    one, two = query.mol.GetAtomWithIdx(a), mol.GetAtomWithIdx(t)
                    assert one.GetAtomicNum() == two.GetAtomicNum()
                    assert one.GetIsAromatic() == two.GetIsAromatic()
    assert checked > 30


def test_the_core_does_not_change_from_call_to_call(demo_library):
    query = prepared(demo_library.entry(3).smiles)
    mol = demo_library.ligand(7)
    assert shared_core(query, mol) == shared_core(query, mol)


def test_real_pairs_have_plausible_cores(demo_library):
    sizes = []
    for id in list(demo_library)[:12]:
        query = prepared(demo_library.entry(demo_library.row_of(id)).smiles)
        for other, _ in demo_library.nearest(query.mol, 4):
            core = shared_core(query, demo_library[other])
            sizes.append(len(core) / query.mol.GetNumAtoms() if core else 0.0)
    assert np.mean(sizes) > 0.5
    assert max(sizes) == 1.0


@pytest.mark.parametrize(
    ("smiles", "other", "size", "how_many"),
    [
        ("Cc1ccccc1C(=O)Nc1ccncc1", "Clc1ccccc1C(=O)Nc1ccncc1", 15, 4),  # each ring either way round
        ("c1ccccc1COCc1ccncc1", "c1ccccc1CNCc1ccncc1", 7, 2),  # one piece: the other half is left out
        ("O=C([O-])c1ccccc1", "O=C(O)c1ccccc1", 9, 2),
        ("CCO", "c1ccccc1", 0, 0),
        ("CCCO", "N#N", 0, 0),
    ],
)
def test_connected_cores_lie_on_both_molecules_in_every_way(smiles, other, size, how_many):
    mol, other = Chem.MolFromSmiles(smiles), Chem.MolFromSmiles(other)
    cores = connected_cores(mol, other)
    assert [len(core) for core in cores] == [size] * how_many
    for core in cores:
        assert len(set(core.values())) == len(core)
        for a, b in core.items():
            assert mol.GetAtomWithIdx(a).GetAtomicNum() == other.GetAtomWithIdx(b).GetAtomicNum()
        bonds = [
            bond
            for bond in mol.GetBonds()
            if {bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()} <= core.keys()
            and other.GetBondBetweenAtoms(core[bond.GetBeginAtomIdx()], core[bond.GetEndAtomIdx()])
        ]
        piece = Chem.PathToSubmol(mol, [bond.GetIdx() for bond in bonds])
        assert (piece.GetNumAtoms(), len(Chem.GetMolFrags(piece))) == (size, 1)
