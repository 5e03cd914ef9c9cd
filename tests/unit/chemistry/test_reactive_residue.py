"""Where the reactive atom of a residue can be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_receptors import twice

from templ.chemistry.reactive_residue import (
    FREE,
    SIDE_CHAINS,
    is_called,
    reactive_residues,
    turned_side_chain,
)
from templ.chemistry.receptor import without_side_chain
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
        for moved in np.moveaxis(residue.turned[:, 2:][1:], 1, 0):  # each atom that turns, not the last alone
            assert np.linalg.norm(moved[:, None] - others, axis=-1).min(initial=np.inf) >= FREE - 1e-6


def test_the_nearest_comes_first_and_those_out_of_reach_are_left_out(receptor, residues):
    [cysteine] = [residue for residue in residues if is_called(residue.label, "CYS145")]
    near = reactive_residues(receptor, cysteine.reactive[:1] + 0.5, 8.0)
    assert near[0].label == "A:CYS145"
    assert 1 < len(near) < len(residues)


def test_a_residue_is_called_with_and_without_its_chain(residues):
    [cysteine] = [residue for residue in residues if is_called(residue.label, "A:CYS145")]
    assert is_called(cysteine.label, "CYS145")
    assert not is_called(cysteine.label, "B:CYS145")
    assert not is_called(cysteine.label, "CYS14")


def test_a_residue_without_all_its_atoms_is_none(receptor):
    atoms = receptor.atoms
    cut = replace(receptor, atoms=atoms.only(~((atoms.names == "CB") & (atoms.residue_names == "CYS"))))
    found = reactive_residues(cut, atoms.xyz.astype(np.float64))
    assert "CYS" not in {residue.kind for residue in found}
    assert "SER" in {residue.kind for residue in found}


def of_kind(residues, kind):
    """One that can turn."""
    return next(residue for residue in residues if residue.kind == kind and len(residue.reactive) > 2)


@pytest.mark.parametrize("kind", SIDE_CHAINS)
def test_a_side_chain_that_has_turned_is_whole_and_clear_of_other_residues(receptor, residues, kind):
    residue = of_kind(residues, kind)
    position = residue.reactive[2].round(3).tolist()
    turned = turned_side_chain(receptor, residue.label, position).atoms
    before, after = receptor.atoms.xyz, turned.xyz
    own = np.flatnonzero(turned.residues == turned.residues[residue.side_chain[0]])
    [reactive] = [atom for atom in own if turned.names[atom] == residue.atom]
    np.testing.assert_allclose(after[reactive], position, atol=1e-3)
    gaps = [np.linalg.norm(xyz[own, None] - xyz[own], axis=-1) for xyz in (before, after)]
    bonds = (gaps[0] < 1.9).astype(int)
    fixed = bonds @ bonds > 0  # bonded, or with one atom between
    np.testing.assert_allclose(gaps[1][fixed], gaps[0][fixed], atol=5e-3)
    assert gaps[1][~fixed].min() > 2.2, "no atom on another"
    others = np.delete(after, own, axis=0)
    moved = after[residue.rows[2:]]
    assert np.linalg.norm(moved[:, None] - others, axis=-1).min() >= FREE - 1e-3
    np.testing.assert_array_equal(
        np.delete(before, residue.rows[2:], axis=0), np.delete(after, residue.rows[2:], axis=0)
    )


def renamed(receptor, old, new):
    """The same, one residue by the name that a force field gives it."""
    atoms = receptor.atoms
    labels = [
        receptor.residues.label(int(index), str(name)) if index >= 0 else ""
        for index, name in zip(atoms.residues, atoms.residue_names, strict=True)
    ]
    names = np.where(np.array(labels) == old, new, atoms.residue_names)
    return replace(receptor, atoms=replace(atoms, residue_names=names))


def test_a_force_fields_name_is_kept_and_both_names_call_it(receptor):
    """What is told of the bond, and what is turned or left out for it, go by the name in the file."""
    other = renamed(receptor, "A:CYS145", "CYX")
    for name in ("CYS145", "A:CYX145", "CYM145"):
        [residue] = reactive_residues(other, other.atoms.xyz[:1].astype(np.float64), called=name)
        assert (residue.label, residue.kind) == ("A:CYX145", "CYS")
    turned = turned_side_chain(other, residue.label, residue.reactive[1].tolist())
    assert np.abs(turned.atoms.xyz - other.atoms.xyz).max() > 0.1
    assert len(without_side_chain(other, residue.label).atoms) == len(other.atoms) - 2


def test_of_two_residues_of_one_name_the_nearer_turns(receptor, residues):
    """Chains without a name, as molecular dynamics writes them."""
    [cysteine] = [residue for residue in residues if is_called(residue.label, "A:CYS145")]
    away = np.array([200, 0, 0], np.float32)
    both = twice(receptor, away)
    turned = turned_side_chain(both, ":CYS145", cysteine.reactive[1] + away)
    changed = np.flatnonzero((turned.atoms.xyz != both.atoms.xyz).any(axis=1))
    assert changed.tolist() == (cysteine.rows[2:] + len(receptor.atoms)).tolist()


def test_a_reactive_atom_that_is_bonded_already_is_said_by_what(receptor, residues):
    """A disulfide or a metal: what bonds there would have to drive it out."""
    assert not any(residue.held_by for residue in residues)
    [cysteine] = [residue for residue in residues if is_called(residue.label, "A:CYS145")]
    atoms = receptor.atoms
    [other] = [residue for residue in residues if is_called(residue.label, "CYS117")]
    xyz = atoms.xyz.copy()
    xyz[other.rows[2:]] = cysteine.reactive[0] + [0, 0, 2.05]
    bridged = replace(receptor, atoms=replace(atoms, xyz=xyz))
    [held] = reactive_residues(bridged, cysteine.reactive[:1], called="CYS145")
    assert held.held_by == "A:CYS117"
    zinc = replace(
        atoms,
        xyz=np.concatenate([atoms.xyz, (cysteine.reactive[:1] + [0, 0, 2.3]).astype(np.float32)]),
        elements=np.append(atoms.elements, np.uint8(30)),
        residues=np.append(atoms.residues, np.int32(-1)),
        names=np.append(atoms.names, "ZN"),
        residue_names=np.append(atoms.residue_names, "ZN"),
        b_factors=np.append(atoms.b_factors, np.float32(1)),
    )
    [held] = reactive_residues(replace(receptor, atoms=zinc), cysteine.reactive[:1], called="CYS145")
    assert held.held_by == "ZN"


def test_a_base_or_the_end_of_the_chain_activates_a_residue(residues):
    """CYS145 has HIS41, SER1 its own nitrogen, CYS85 HIS163; those beside them nothing."""
    activated = {residue.label for residue in residues if residue.activated}
    assert {"A:CYS145", "A:SER1", "A:CYS85"} <= activated
    assert {"A:SER144", "A:THR25", "A:CYS44", "A:LYS61"}.isdisjoint(activated)
