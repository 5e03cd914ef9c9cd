from __future__ import annotations

import numpy as np
import pytest
from rdkit import Chem

from templ.evaluation.rmsd import symmetric_rmsd
from templ.molecules import parse_smiles, positions
from templ.posing.finish import add_hydrogens, keeps_stereo
from templ.posing.place import SAME_POSE, copy_core, overlay_whole, with_coordinates
from templ.query import PreparedQuery
from templ.selection.cores import Core, shared_core

LEADS = ["Mpro-x0072", "Mpro-x10019", "Mpro-x10201", "Mpro-x10876", "Mpro-x0434"]


def prepared(smiles, conformers=30):
    return PreparedQuery(parse_smiles(smiles), conformers, 1)


@pytest.mark.parametrize("id", LEADS)
def test_a_ligand_copied_from_itself_lies_where_it_was(demo_library, id):
    entry = demo_library.entry(demo_library.row_of(id))
    template, query = demo_library[id], prepared(entry.smiles)
    core = shared_core(query, template)
    assert len(core) == entry.heavy_atoms
    placed = copy_core(query, template, core, 10)
    assert placed.way in ("core", "partial-core")
    best = with_coordinates(query.mol, placed.xyz[0])
    assert symmetric_rmsd(best, template) < 0.6


def test_core_rmsd_is_what_it_says(demo_library):
    template = demo_library["Mpro-x10019"]
    query = prepared(demo_library.entry(demo_library.row_of("Mpro-x10019")).smiles)
    core = shared_core(query, template)
    placed = copy_core(query, template, core, 5)
    assert placed.core_atoms == len(core)
    atoms = list(core.pairs)
    onto = positions(template)[[core.pairs[atom] for atom in atoms]]
    gap = np.sqrt(((placed.xyz[:, atoms] - onto) ** 2).sum(axis=-1).mean(axis=-1))
    assert placed.core_rmsd == pytest.approx(gap)


def test_bond_lengths_and_stereochemistry_are_those_of_the_conformers(demo_library):
    entry = demo_library.entry(demo_library.row_of("Mpro-x10876"))
    query, template = prepared(entry.smiles), demo_library["Mpro-x10876"]
    placed = copy_core(query, template, shared_core(query, template), 10)
    for bond in query.mol.GetBonds():
        ends = [bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()]
        lengths = np.linalg.norm(np.diff(query.conformers[:, ends], axis=1), axis=-1)
        copied = np.linalg.norm(np.diff(placed.xyz[:, ends], axis=1), axis=-1)
        assert lengths.min() - 1e-6 <= copied.min()
        assert copied.max() <= lengths.max() + 1e-6


def test_atoms_that_cannot_follow_are_let_go():
    """The other enantiomer's template: three arms fit, the fourth cannot."""
    template = prepared("C[C@H](c1ccccc1)C1CCCCC1", 1)
    mol = with_coordinates(template.mol, template.conformers[0])
    query = prepared("C[C@@H](c1ccccc1)C1CCCCC1")
    placed = copy_core(query, mol, shared_core(query, mol), 5)
    assert placed.way == "partial-core"
    assert 3 <= placed.core_atoms < query.mol.GetNumAtoms()
    assert keeps_stereo(add_hydrogens(query.mol, placed.xyz[0]), query.mol)


def test_without_a_core_whole_molecules_are_overlaid(demo_library):
    template, query = demo_library["Mpro-x10019"], prepared("C1C2CC3CC1CC(C2)C3")
    placed = overlay_whole(query, template, 5)
    assert (placed.way, placed.core_atoms, placed.smarts) == ("overlay", 0, "")
    assert np.linalg.norm(placed.xyz[0].mean(axis=0) - positions(template).mean(axis=0)) < 5


def test_stereochemistry_that_is_not_the_querys_is_seen():
    one, other = prepared("C[C@H](F)Cl", 2), prepared("C[C@@H](F)Cl", 2)
    pose = add_hydrogens(one.mol, one.conformers[0])
    assert keeps_stereo(pose, one.mol)
    assert not keeps_stereo(pose, other.mol)
    assert keeps_stereo(pose, parse_smiles("CC(F)Cl"))


def test_double_bonds_count_as_stereochemistry():
    cis, trans = prepared("F/C=C\\Cl", 1), prepared("F/C=C/Cl", 1)
    assert not keeps_stereo(add_hydrogens(cis.mol, cis.conformers[0]), trans.mol)


def test_hydrogens_are_complete_and_leave_the_heavy_atoms():
    query = prepared("CC(=O)Nc1ccccc1", 1)
    mol = add_hydrogens(query.mol, query.conformers[0])
    assert mol.GetNumAtoms() == 19
    assert np.allclose(positions(mol)[: query.mol.GetNumAtoms()], query.conformers[0])


@pytest.mark.parametrize("smiles", ["C[Zn]C", "[Fe]OCC", "N[Pt]Cl", "C[Si](C)C", "CB(O)O", "C[Se]C"])
def test_a_template_with_a_metal_can_be_overlaid(smiles):
    """RDKit's shapes know no radius for metals and raise ValueError."""
    mol = parse_smiles(smiles)
    xyz = np.random.default_rng(1).normal(size=(mol.GetNumAtoms(), 3)) * 2
    template = with_coordinates(mol, xyz)
    placed = overlay_whole(prepared("C1C2CC3CC1CC(C2)C3", 3), template, 2)
    assert np.isfinite(placed.xyz).all()
    assert parse_smiles(smiles).HasSubstructMatch(template)  # which is left as it was


def test_a_template_with_two_atoms_in_one_place_can_be_copied():
    query = prepared("CCOC", 3)
    xyz = np.array([[0.0, 0, 0], [1.5, 0, 0], [1.5, 0, 0], [2, 1.4, 0]])
    placed = copy_core(query, with_coordinates(query.mol, xyz), Core({0: 0, 1: 1, 2: 2, 3: 3}, "CCOC"), 3)
    assert np.isfinite(placed.xyz).all()
    assert np.isfinite(placed.core_rmsd).all()


def test_no_more_poses_than_asked_and_none_twice(demo_library):
    template = demo_library["Mpro-x10019"]
    query = prepared(demo_library.entry(demo_library.row_of("Mpro-x10019")).smiles)
    xyz = copy_core(query, template, Core({0: 0, 1: 1, 2: 2}, "CCC"), 4).xyz
    assert len(xyz) == 4
    gaps = [np.sqrt(((a - b) ** 2).sum(axis=1).mean()) for i, a in enumerate(xyz) for b in xyz[:i]]
    assert min(gaps) >= SAME_POSE


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
    for row in range(len(demo_library)):
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
    assert checked > 40


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
