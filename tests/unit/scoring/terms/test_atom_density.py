from __future__ import annotations

import numpy as np
import pytest
from rdkit import Chem

from templ.chemistry.conformers import PreparedQuery
from templ.chemistry.molecules import parse_smiles, positions, with_coordinates
from templ.scoring.terms.atom_density import CHUNK, FARTHER, RADIUS, WIDTH, AtomDensity, surroundings
from templ.templates.screening import Template

IDS = ["Mpro-x0072", "Mpro-x10019", "Mpro-x10201"]
HERE, THERE = np.zeros(3), np.array([50.0, 0, 0])


def prepared(smiles):
    return PreparedQuery(parse_smiles(smiles), 1, 1)


def template(mol):
    return Template(0, "template", mol, 0.5, None)


def template_at(smiles, point):
    """A template all of whose atoms lie at one point: no molecule, but the density does not mind."""
    mol = parse_smiles(smiles)
    return template(with_coordinates(mol, np.tile(point, (mol.GetNumAtoms(), 1))))


def density_of(query, templates, weights):
    return AtomDensity(query.mol, templates, weights)


def poses_at(query, *points):
    return np.stack([np.tile(point, (query.mol.GetNumAtoms(), 1)) for point in points]).astype(float)


@pytest.fixture(scope="module")
def real(demo_library):
    """A query with poses about its crystal's, and templates of unlike weights."""
    mol = demo_library[IDS[1]]
    templates = [template(demo_library[id]) for id in IDS]
    templates += [template(demo_library.ligand(row)) for row in range(9)]
    weights = np.random.default_rng(1).uniform(0.1, 3, len(templates))
    shifts = np.random.default_rng(2).normal(size=(2 * CHUNK + 88, 1, 3)) * 2
    return PreparedQuery(mol, 1, 1), templates, weights, positions(mol) + shifts


@pytest.mark.parametrize(
    "smiles", ["Cc1ccncc1", "CC(C)(C)c1ccccc1", "OC(=O)CC(O)=O", "FC(F)(F)C1CCCCC1", "CC"]
)
def test_atoms_that_cannot_be_told_apart_have_the_same_surroundings(smiles):
    mol = parse_smiles(smiles)
    found, ranks = surroundings(mol), list(Chem.CanonicalRankAtoms(mol, breakTies=False))
    assert found.shape == (mol.GetNumAtoms(), RADIUS + 1)
    assert len(set(ranks)) < len(ranks)
    for atom, rank in enumerate(ranks):
        assert np.array_equal(found[atom], found[ranks.index(rank)])


def test_surroundings_differ_from_the_bond_on_at_which_the_molecules_do():
    """A chain that ends in another element: its last carbon sees it over one bond, the first over five."""
    alcohol, amine = surroundings(parse_smiles("CCCCCO")), surroundings(parse_smiles("CCCCCN"))
    same = (alcohol == amine).sum(axis=1)
    assert same.tolist() == [4, 4, 3, 2, 1, 0]
    assert np.array_equal(np.cumprod(alcohol == amine, axis=1), alcohol == amine)


def test_elements_charges_and_rings_are_told_apart():
    first = [
        int(surroundings(parse_smiles(smiles))[0, 0]) for smiles in ("CC", "NC", "C1CC1", "[NH3+]C", "OC")
    ]
    assert len(set(first)) == 5


def test_surroundings_do_not_depend_on_the_order_of_atoms():
    one, other = surroundings(parse_smiles("CC(=O)Nc1ccccc1")), surroundings(parse_smiles("c1ccccc1NC(C)=O"))
    assert sorted(one.tolist()) == sorted(other.tolist())


@pytest.mark.parametrize("smiles", ["O", "[Na+].[Cl-]", "[Zn+2]", "CC(=O)[O-].[Na+]"])
def test_lone_atoms_have_surroundings_too(smiles):
    query = prepared(smiles)
    found = surroundings(query.mol)
    assert found.shape == (query.mol.GetNumAtoms(), RADIUS + 1)
    assert (found[:, 0] > 0).all()
    density = density_of(query, [template_at(smiles, HERE)], np.ones(1))
    assert density(poses_at(query, HERE, THERE)) == pytest.approx([1, 0])


@pytest.mark.parametrize("id", IDS)
def test_a_template_is_dense_at_its_own_pose(demo_library, id):
    query = PreparedQuery(demo_library[id], 1, 1)
    density = density_of(query, [template(query.mol)], np.ones(1))
    assert density(positions(query.mol)[None]) == pytest.approx([1])


def test_it_falls_with_distance(demo_library):
    query = PreparedQuery(demo_library[IDS[1]], 1, 1)
    poses = np.stack([positions(query.mol) + [shift, 0, 0] for shift in (0, 0.5, 1, 2, 4, 40)])
    found = density_of(query, [template(query.mol)], np.ones(1))(poses)
    assert (np.diff(found) < 0).all()
    assert found[-1] == pytest.approx(0, abs=1e-6)


def test_one_atom_by_hand():
    query = prepared("O")
    poses = poses_at(query, *([gap, 0, 0] for gap in (0, WIDTH, 2 * WIDTH)))
    found = density_of(query, [template_at("O", HERE)], np.array([0.01]))(poses)
    assert found == pytest.approx([1, np.exp(-0.5), np.exp(-2)], abs=1e-6)


def test_it_is_its_definition(real):
    """By loops over atoms and templates."""
    query, templates, weights, poses = real
    found = density_of(query, templates, weights)(poses[:20])
    mine = surroundings(query.mol).tolist()
    expected = np.zeros(20)
    for atom, own in enumerate(mine):
        density, total = np.zeros(20), 0.0
        for template, weight in zip(templates, weights, strict=True):
            shared = []
            for its in surroundings(template.mol).tolist():
                same = [a == b for a, b in zip(own, its, strict=True)]
                shared.append(same.index(False) if False in same else len(same))
            if not max(shared):
                continue
            near = positions(template.mol)[np.array(shared) == max(shared)]
            gap = np.linalg.norm(poses[:20, atom, None] - near, axis=-1).min(axis=1)
            share = weight * FARTHER ** max(shared)
            density += share * np.exp(-(gap**2) / (2 * WIDTH**2))
            total += share
        expected += density / total / len(mine)
    assert found == pytest.approx(expected, abs=1e-5)
    assert np.ptp(found) > 0.1


def test_it_is_a_share(real):
    query, templates, weights, poses = real
    found = density_of(query, templates, weights)(poses)
    assert found.shape == (len(poses),)
    assert found.min() >= 0
    assert 0.1 < found.max() <= 1


def test_heavier_templates_count_more():
    query = prepared("CCO")
    templates = [template_at("CCO", HERE), template_at("CCO", THERE)]
    for scale in (1, 1e-6):
        found = density_of(query, templates, scale * np.array([3.0, 1.0]))(poses_at(query, HERE, THERE))
        assert found == pytest.approx([0.75, 0.25])


def test_more_alike_surroundings_count_more():
    """Of methanol's atoms methylamine has the carbon, alike to no bond, and no oxygen."""
    query = prepared("CO")
    templates = [template_at("CO", HERE), template_at("CN", THERE)]
    found = density_of(query, templates, np.ones(2))(poses_at(query, HERE, THERE))
    assert found == pytest.approx([(16 / 18 + 1) / 2, (2 / 18) / 2])


def test_the_most_alike_atom_of_a_template_counts():
    """Not another that happens to lie nearer."""
    query = prepared("OCCCCCC")
    line = np.arange(7)[:, None] * np.array([[10.0, 0, 0]])
    density = density_of(query, [template(with_coordinates(query.mol, line))], np.ones(1))
    beside = line.copy()
    beside[1] = line[2]  # a carbon like it, but farther from the oxygen
    assert density(np.stack([line, beside])) == pytest.approx([1, 6 / 7])


def test_a_template_without_a_counterpart_does_not_count():
    query = prepared("CF")
    alone = density_of(query, [template_at("CC", HERE)], np.ones(1))
    assert alone(poses_at(query, HERE)) == pytest.approx([0.5])
    # Nor does a template without fluorine speak against the position of one that has some.
    both = density_of(query, [template_at("CF", HERE), template_at("CC", HERE)], np.ones(2))
    assert both(poses_at(query, HERE)) == pytest.approx([1])
    none = density_of(prepared("F"), [template_at("CC", HERE)], np.ones(1))
    assert none(np.zeros((2, 1, 3))).tolist() == [0, 0]


def test_how_many_are_asked_about_together_does_not_matter(real):
    query, templates, weights, poses = real
    density = density_of(query, templates, weights)
    together = density(poses)
    rows = [0, 1, CHUNK - 1, CHUNK, 2 * CHUNK, len(poses) - 1]
    assert [float(density(poses[[row]])[0]) for row in rows] == pytest.approx(together[rows], abs=1e-6)


def test_the_order_of_poses_does_not_matter(real):
    query, templates, weights, poses = real
    density, order = density_of(query, templates, weights), np.random.default_rng(3).permutation(len(poses))
    assert density(poses[order]) == pytest.approx(density(poses)[order], abs=1e-6)


def test_the_order_of_templates_does_not_matter(real):
    query, templates, weights, poses = real
    found = density_of(query, templates[::-1], weights[::-1])(poses[:20])
    assert found == pytest.approx(density_of(query, templates, weights)(poses[:20]), abs=1e-6)


def test_it_does_not_depend_on_the_frame(real):
    query, templates, weights, poses = real
    moved = [template(with_coordinates(one.mol, positions(one.mol) + 3000)) for one in templates]
    there = density_of(query, moved, weights)(poses[:20] + 3000)
    assert there == pytest.approx(density_of(query, templates, weights)(poses[:20]), abs=1e-4)
