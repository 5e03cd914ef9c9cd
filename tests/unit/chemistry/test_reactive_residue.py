"""Where the reactive atom of a residue can be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from templ.chemistry.reactive_residue import FREE, SIDE_CHAINS, reactive_residues
from templ.chemistry.receptor_file import read_receptor
from templ.sources.demo import demo_files


@pytest.fixture(scope="module")
def receptor():
    return read_receptor(demo_files().receptor)


@pytest.fixture(scope="module")
def residues(receptor):
    return reactive_residues(receptor, receptor.atoms.xyz.astype(np.float64))


def test_every_kind_is_found_with_its_reactive_atom_where_the_crystal_has_it(receptor, residues):
    atoms = receptor.atoms
    assert {residue.kind for residue in residues} == set(SIDE_CHAINS)
    for residue in residues:
        [gap] = np.sort(np.linalg.norm(atoms.xyz - residue.reactive[0], axis=1))[:1]
        assert gap < 1e-4
        assert residue.atom == SIDE_CHAINS[residue.kind][-1]
        assert residue.element == {"S": 16, "O": 8, "N": 7}[residue.atom[0]]


def test_turning_keeps_bond_lengths_and_angles(residues):
    for residue in residues:
        bond = np.linalg.norm(residue.reactive - residue.before, axis=1)
        np.testing.assert_allclose(bond, bond[0], atol=1e-6)
        if residue.kind in ("CYS", "SER", "THR"):
            np.testing.assert_allclose(residue.before, residue.before[[0]].repeat(len(bond), 0), atol=1e-6)


def test_a_position_in_another_residue_is_none(receptor, residues):
    atoms = receptor.atoms
    for residue in residues:
        own = atoms.residues[residue.side_chain[0]]
        others = atoms.xyz[atoms.residues != own]
        gaps = np.linalg.norm(residue.reactive[1:, None] - others, axis=-1)
        assert (gaps >= FREE - 1e-6).all()


def test_the_nearest_comes_first_and_those_out_of_reach_are_left_out(receptor, residues):
    [cysteine] = [residue for residue in residues if residue.is_called("CYS145")]
    near = reactive_residues(receptor, cysteine.reactive[:1] + 0.5, 8.0)
    assert near[0].label == "A:CYS145"
    assert 1 < len(near) < len(residues)


def test_a_residue_is_called_with_and_without_its_chain(residues):
    [cysteine] = [residue for residue in residues if residue.is_called("A:CYS145")]
    assert cysteine.is_called("CYS145")
    assert not cysteine.is_called("B:CYS145")
    assert not cysteine.is_called("CYS14")


def test_a_residue_without_all_its_atoms_is_none(receptor):
    atoms = receptor.atoms
    cut = replace(receptor, atoms=atoms.only(~((atoms.names == "CB") & (atoms.residue_names == "CYS"))))
    found = reactive_residues(cut, atoms.xyz.astype(np.float64))
    assert "CYS" not in {residue.kind for residue in found}
    assert "SER" in {residue.kind for residue in found}
