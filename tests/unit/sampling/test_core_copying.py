from __future__ import annotations

import numpy as np
import pytest

from templ.chemistry.conformers import PreparedQuery
from templ.chemistry.molecules import parse_smiles, positions, with_coordinates
from templ.evaluation.rmsd import symmetric_rmsd
from templ.poses.hydrogens import add_hydrogens
from templ.poses.stereo import keeps_stereo
from templ.sampling.core_copying import SAME_POSE, copy_core
from templ.scoring.terms.intramolecular_clash import squared_overlap
from templ.templates.mcs import Core, shared_core
from templ.templates.screening import Template

LEADS = ["Mpro-x0072", "Mpro-x10019", "Mpro-x10201", "Mpro-x10876", "Mpro-x0434"]


def prepared(smiles, conformers=30):
    return PreparedQuery(parse_smiles(smiles), conformers, 1)


def template_of(mol):
    return Template(0, "template", mol, 0.5, None)


@pytest.mark.parametrize("id", LEADS)
def test_a_ligand_copied_from_itself_lies_where_it_was(demo_library, id):
    entry = demo_library.entry(demo_library.row_of(id))
    template, query = demo_library[id], prepared(entry.smiles)
    core = shared_core(query, template)
    assert len(core) == entry.heavy_atoms
    placed = copy_core(query, template_of(template), core, 10)
    assert placed.method in ("core", "partial-core")
    best = with_coordinates(query.mol, placed.xyz[0])
    assert symmetric_rmsd(best, template) < 0.6


def test_core_rmsd_is_what_it_says(demo_library):
    template = demo_library["Mpro-x10019"]
    query = prepared(demo_library.entry(demo_library.row_of("Mpro-x10019")).smiles)
    core = shared_core(query, template)
    placed = copy_core(query, template_of(template), core, 5)
    assert dict(placed.pairs) == core.pairs
    atoms = list(core.pairs)
    onto = positions(template)[[core.pairs[atom] for atom in atoms]]
    gap = np.sqrt(((placed.xyz[:, atoms] - onto) ** 2).sum(axis=-1).mean(axis=-1))
    assert placed.core_rmsd == pytest.approx(gap)
    assert placed.onto == pytest.approx(onto)


def test_bond_lengths_and_stereochemistry_are_those_of_the_conformers(demo_library):
    entry = demo_library.entry(demo_library.row_of("Mpro-x10876"))
    query, template = prepared(entry.smiles), demo_library["Mpro-x10876"]
    placed = copy_core(query, template_of(template), shared_core(query, template), 10)
    for bond in query.mol.GetBonds():
        ends = [bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()]
        lengths = np.linalg.norm(np.diff(query.conformers[:, ends], axis=1), axis=-1)
        copied = np.linalg.norm(np.diff(placed.xyz[:, ends], axis=1), axis=-1)
        assert lengths.min() - 1e-6 <= copied.min()
        assert copied.max() <= lengths.max() + 1e-6


def test_atoms_that_cannot_follow_are_dropped():
    """The other enantiomer's template: three arms fit, the fourth cannot."""
    template = prepared("C[C@H](c1ccccc1)C1CCCCC1", 1)
    mol = with_coordinates(template.mol, template.conformers[0])
    query = prepared("C[C@@H](c1ccccc1)C1CCCCC1")
    placed = copy_core(query, template_of(mol), shared_core(query, mol), 5)
    assert placed.method == "partial-core"
    assert 3 <= len(placed.pairs) < query.mol.GetNumAtoms()
    assert keeps_stereo(add_hydrogens(query.mol, placed.xyz[0]), query.mol)


def test_a_template_with_two_atoms_at_one_point_can_be_copied():
    query = prepared("CCOC", 3)
    xyz = np.array([[0.0, 0, 0], [1.5, 0, 0], [1.5, 0, 0], [2, 1.4, 0]])
    core = Core({0: 0, 1: 1, 2: 2, 3: 3}, "CCOC")
    placed = copy_core(query, template_of(with_coordinates(query.mol, xyz)), core, 3)
    assert np.isfinite(placed.xyz).all()
    assert np.isfinite(placed.core_rmsd).all()


def test_no_more_poses_than_asked_and_none_twice(demo_library):
    template = demo_library["Mpro-x10019"]
    query = prepared(demo_library.entry(demo_library.row_of("Mpro-x10019")).smiles)
    xyz = copy_core(query, template_of(template), Core({0: 0, 1: 1, 2: 2}, "CCC"), 4).xyz
    assert len(xyz) == 4
    gaps = [np.sqrt(((a - b) ** 2).sum(axis=1).mean()) for i, a in enumerate(xyz) for b in xyz[:i]]
    assert min(gaps) >= SAME_POSE


@pytest.mark.parametrize(("bent", "best"), [(0.2, "apart"), (1.5, "folded")])
def test_an_overlap_counts_as_much_as_a_tenth_of_it_in_the_core(bent, best):
    """A pose that runs into itself, against one whose core fits a little, or much, worse."""
    query = prepared("CCCCCCCC", 1)
    crystal = np.arange(8)[:, None] * [1.3, 0, 0] + np.arange(8)[:, None] % 2 * [0, 0.8, 0]
    folded, apart = crystal.copy(), crystal.copy()
    folded[7] = folded[0] + [0, 1.2, 1.2]
    apart[1] += [0, bent, 0]
    query.__dict__["conformers"] = np.stack([folded, apart])
    template = template_of(with_coordinates(query.mol, crystal))
    placed = copy_core(query, template, Core({0: 0, 1: 1, 2: 2}, "CCC"), 2)
    overlap = squared_overlap(query, placed.xyz)
    assert sorted(overlap > 0.1) == [False, True]
    assert (best == "folded") == (overlap[0] > 0.1)
    assert (np.diff(placed.core_rmsd + 0.1 * overlap) > 0.05).all()
    assert (np.diff(placed.core_rmsd) > 0).all() == (best == "folded")
