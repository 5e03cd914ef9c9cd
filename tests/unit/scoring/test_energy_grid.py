from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest

from templ.chemistry.conformers import PreparedQuery
from templ.chemistry.molecules import parse_smiles, positions
from templ.chemistry.receptor_file import read_receptor
from templ.scoring.energy_grid import STEP, EnergyGrid
from templ.scoring.shape import WIDTH, Shape
from templ.scoring.vina import AtomTypes, hydrogen_bond, hydrophobic, ligand_types, receptor_types, steric
from templ.sources.demo import demo_files

SMILES = "CC(=O)Nc1ccc(Br)nc1Cl"
"""No atom of it both gives and takes a hydrogen bond; radii of all three classes."""
ONE = np.ones(1)
NONE = np.empty(0, np.float32)
"""Weights of no receptor."""


@pytest.fixture(scope="module")
def receptor():
    return read_receptor(demo_files().receptor).atoms


@pytest.fixture(scope="module")
def query():
    return PreparedQuery(parse_smiles(SMILES), 3, 1)


@pytest.fixture(scope="module")
def templates(demo_library):
    return [Shape.of(demo_library[id]) for id in ("Mpro-x10019", "Mpro-x0434")]


@pytest.fixture(scope="module")
def lattice(query, templates):
    """Poses all of whose atoms lie on points of the grid; no molecules, but a grid does not mind."""
    middle = np.round(templates[0].xyz.mean(axis=0)).astype(np.float64)
    steps = np.random.default_rng(1).integers(-9, 10, size=(20, query.mol.GetNumAtoms(), 3))
    steps[0, 0], steps[0, 1] = -9, 9  # so that the grid begins on a half, however it is drawn
    return middle + steps * 0.5


@pytest.fixture(scope="module")
def ligand(demo_library):
    """A crystal's ligand; no atom of it both gives and takes either."""
    return PreparedQuery(demo_library["Mpro-x10019"], 1, 1)


@pytest.fixture(scope="module")
def poses(ligand):
    """The crystal's pose and eleven beside it."""
    shifts = np.random.default_rng(2).normal(size=(12, 1, 3)) * 0.3
    shifts[0] = 0
    return positions(ligand.mol) + shifts


def pair_sum(query, poses, receptor, distance_of=lambda distance: distance, its=None):
    """Vina's contacts over all pairs nearer than 6 Angstrom, in double precision."""
    mine, its = ligand_types(query.mol), its or receptor_types(receptor)
    distance = np.linalg.norm(poses[:, :, None] - receptor.xyz.astype(np.float64), axis=-1)
    near, distance = distance <= 6, distance_of(distance)
    classes = np.array([1.7, 1.9, 2.05])
    radius = classes[np.abs(classes - mine.radii[:, None] + 1e-6).argmin(axis=1)][:, None]
    apolar = mine.hydrophobic[:, None] & its.hydrophobic
    polar = (mine.donor[:, None] & its.acceptor) | (mine.acceptor[:, None] & its.donor)
    energy = steric(distance - its.radii - radius)
    energy += apolar * hydrophobic(distance - its.radii - 1.9)
    energy += polar * hydrogen_bond(distance - its.radii - 1.75)
    return np.where(near, energy, 0).sum(axis=(1, 2))


def template_density(query, poses, templates, shares):
    """0.3 of the templates' density at each atom, and 0.15 for each feature shared with it."""
    energy = np.zeros(len(poses))
    for template, share in zip(templates, shares, strict=True):
        gaps = poses[:, :, None] - template.xyz.astype(np.float64)
        density = np.exp(-WIDTH * (gaps**2).sum(axis=-1))
        depth = 0.3 + 0.15 * query.features @ template.features.T
        energy -= share * (density * depth).sum(axis=(1, 2))
    return energy


def blurred(energy, poses):
    """What the spline makes of an energy at points of the grid: 1/8, 3/4, 1/8 along each axis."""
    axis = [(-0.5, 0.125), (0, 0.75), (0.5, 0.125)]
    return sum(
        a * b * c * energy(poses + [x, y, z]) for (x, a), (y, b), (z, c) in itertools.product(axis, repeat=3)
    )


def whole(receptor):
    """Weights of a receptor all of whose contacts count."""
    return np.ones(len(receptor), np.float32)


def single(poses):
    return poses.astype(np.float32)


def in_steps(distance):
    """The middle of the step in which contacts are tabulated."""
    return (np.floor(distance / STEP) + 0.5) * STEP


def test_contacts_are_the_sum_over_pairs(query, lattice, templates, receptor):
    full = EnergyGrid(query, lattice, templates, np.ones(2), receptor, whole(receptor))(single(lattice))[0]
    free = EnergyGrid(query, lattice, templates, np.ones(2), None, NONE)(single(lattice))[0]
    stepwise = blurred(lambda poses: pair_sum(query, poses, receptor, in_steps), lattice)
    assert full - free == pytest.approx(stepwise, rel=1e-5, abs=1e-4)
    # The steps themselves cost next to nothing, though these poses lie inside the protein.
    exact = blurred(lambda poses: pair_sum(query, poses, receptor), lattice)
    assert full - free == pytest.approx(exact, rel=0.01)


def test_template_density_is_a_sum_of_gaussians(query, lattice, templates):
    energy, _ = EnergyGrid(query, lattice, templates, np.array([3, 1]), None, NONE)(single(lattice))
    expected = blurred(lambda poses: template_density(query, poses, templates, (0.75, 0.25)), lattice)
    assert energy == pytest.approx(expected, abs=1e-4)
    assert energy.min() < -1


def test_between_its_points_the_grid_is_near_the_sum(ligand, poses, templates, receptor):
    """A spline over round hollows costs up to a tenth of a kcal/mol an atom."""
    energy, _ = EnergyGrid(ligand, poses, templates[:1], ONE, None, NONE)(single(poses))
    assert energy == pytest.approx(template_density(ligand, poses, templates[:1], ONE), rel=0.05)
    full, _ = EnergyGrid(ligand, poses, templates[:1], ONE, receptor, whole(receptor))(single(poses))
    assert full - energy == pytest.approx(pair_sum(ligand, poses, receptor), abs=0.1 * poses.shape[1])


def test_the_gradient_is_that_of_the_energy(query, lattice, templates, receptor):
    """Inside a cell the energy is a parabola along each axis, so that wide steps are exact."""
    grid = EnergyGrid(query, lattice, templates, np.ones(2), receptor, whole(receptor))
    pose, step = lattice[3] + [0.1, -0.12, 0.15], 0.1
    moves = step * np.eye(pose.size).reshape(pose.size, *pose.shape)
    slope = (grid(single(pose + moves))[0] - grid(single(pose - moves))[0]) / (2 * step)
    gradient = grid(single(pose)[None])[1][0]
    assert np.abs(gradient).max() > 1
    assert gradient.ravel() == pytest.approx(slope, rel=1e-3, abs=2e-3)


def test_without_a_receptor_or_weight_of_contacts_only_the_density_is_left(
    ligand, poses, templates, receptor
):
    bare, weightless, full = (
        EnergyGrid(ligand, poses, templates, np.ones(2), atoms, weight)(single(poses))
        for atoms, weight in ((None, NONE), (receptor, 0 * whole(receptor)), (receptor, whole(receptor)))
    )
    for one, other in zip(bare, weightless, strict=True):
        assert np.array_equal(one, other)
    assert np.abs(full[0] - bare[0]).max() > 0.5


def test_contacts_count_by_their_weight(ligand, poses, templates, receptor):
    bare, half, full = (
        EnergyGrid(ligand, poses, templates, np.ones(2), receptor, share * whole(receptor))(single(poses))[0]
        for share in (0, 0.5, 1)
    )
    assert half - bare == pytest.approx((full - bare) / 2, rel=1e-4, abs=1e-4)


def test_each_atom_of_the_receptor_has_a_weight_of_its_own(ligand, poses, templates, receptor):
    """Atoms that count for nothing may as well not be there."""
    carbon = receptor.elements == 6
    kept = receptor.only(carbon)
    carbons, some, full = (
        EnergyGrid(ligand, poses, templates, np.ones(2), atoms, weight)(single(poses))[0]
        for atoms, weight in (
            (kept, whole(kept)),
            (receptor, carbon.astype(np.float32)),
            (receptor, whole(receptor)),
        )
    )
    assert some == pytest.approx(carbons, abs=1e-4)
    assert np.abs(full - carbons).max() > 0.1


def test_only_the_ratio_of_weights_counts_and_none_means_none(ligand, poses, templates):
    once, twice = (
        EnergyGrid(ligand, poses, templates, weights, None, NONE)(single(poses))[0]
        for weights in (np.array([1e-6, 3e-6]), np.array([10, 30]))
    )
    assert once == pytest.approx(twice, abs=1e-5)
    alone = EnergyGrid(ligand, poses, templates[:1], ONE, None, NONE)(single(poses))[0]
    assert EnergyGrid(ligand, poses, templates, np.array([5, 0]), None, NONE)(single(poses))[
        0
    ] == pytest.approx(alone, abs=1e-5)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("side", [-1, 1])
def test_poses_outside_are_pushed_back(ligand, poses, templates, receptor, axis, side):
    """Though the edge may lie in the midst of the protein, whose atoms push them out."""
    grid = EnergyGrid(ligand, poses, templates, np.ones(2), receptor, whole(receptor))
    away = np.zeros(3)
    away[axis] = side
    near, far = single(poses + 40 * away), single(poses + 41 * away)
    (energy, gradient), (higher, _) = grid(near), grid(far)
    assert gradient[..., axis] == pytest.approx(2.0 * side)
    assert higher - energy == pytest.approx(2.0 * ligand.mol.GetNumAtoms(), rel=1e-3)


def test_a_stray_pose_does_not_make_the_grid_large(ligand, poses, templates, receptor):
    stray = np.concatenate([poses, poses[:1] - 5000, poses[:1] + 5000])
    tracemalloc.start()
    try:
        grid = EnergyGrid(ligand, stray, templates, np.ones(2), receptor, whole(receptor))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 150e6
    near = template_density(ligand, poses, templates, (0.5, 0.5)) + pair_sum(ligand, poses, receptor)
    assert grid(single(stray))[0][:-2] == pytest.approx(near, abs=0.15 * poses.shape[1])
    assert grid(single(stray))[0][-2:].min() > 1000


def test_far_from_the_origin_it_is_the_same(ligand, poses, templates, receptor):
    energy, gradient = EnergyGrid(ligand, poses, templates, np.ones(2), receptor, whole(receptor))(
        single(poses)
    )
    moved = receptor.only(np.ones(len(receptor), np.bool_))
    moved.xyz[:] += np.float32(300)
    shapes = [Shape(shape.xyz + np.float32(300), shape.features) for shape in templates]
    there, slope = EnergyGrid(ligand, poses + 300, shapes, np.ones(2), moved, whole(moved))(
        single(poses + 300)
    )
    assert there == pytest.approx(energy, abs=1e-2)
    assert np.median(np.abs(slope - gradient)) < 1e-2  # a few atoms lie at the edge of a cell


def test_a_pose_does_not_depend_on_the_others_asked_about(ligand, poses, templates, receptor):
    grid = EnergyGrid(ligand, poses, templates, np.ones(2), receptor, whole(receptor))
    energy, gradient = grid(single(poses))
    for row in (0, 5):
        one, slope = grid(single(poses[row])[None])
        assert one[0] == pytest.approx(energy[row], abs=1e-5)
        assert slope[0] == pytest.approx(gradient[row], abs=1e-5)


def test_it_stays_in_single_precision(ligand, poses, templates, receptor):
    energy, gradient = EnergyGrid(ligand, poses, templates, np.ones(2), receptor, whole(receptor))(
        single(poses)
    )
    assert energy.dtype == gradient.dtype == np.float32
    assert energy.shape == (len(poses),)
    assert gradient.shape == poses.shape


@pytest.mark.parametrize(
    ("smiles", "element", "name", "residue", "gap"),
    [
        ("[Cl-]", 6, "CB", "ALA", 4.0),  # hydrophobic contact
        ("[NH4+]", 8, "O", "ALA", 3.0),  # the ligand gives
        ("C[O-]", 7, "N", "ALA", 3.0),  # the ligand takes
    ],
)
def test_kinds_of_contact(receptor, templates, smiles, element, name, residue, gap):
    """A single pair, which gains more than its steric part."""
    ligand = PreparedQuery(parse_smiles(smiles), 1, 1)
    size = ligand.mol.GetNumAtoms()
    chosen = (receptor.names == name) & (receptor.residue_names == residue) & (receptor.elements == element)
    atom = receptor.only(chosen).only(np.arange(chosen.sum()) == 0)
    atom.xyz[:] = 0
    pose = np.full((1, size, 3), 8.0)
    pose[0, -1] = [gap, 0, 0]  # makes the contact; an atom before it is out of reach
    found = EnergyGrid(ligand, pose, templates, np.ones(2), atom, whole(atom))(single(pose))[0]
    found -= EnergyGrid(ligand, pose, templates, np.ones(2), None, NONE)(single(pose))[0]
    assert found == pytest.approx(
        blurred(lambda poses: pair_sum(ligand, poses, atom, in_steps), pose), abs=1e-5
    )
    other = receptor_types(atom)
    plain = AtomTypes(other.radii, *np.zeros((3, 1), np.bool_))
    assert found[0] < blurred(lambda poses: pair_sum(ligand, poses, atom, its=plain), pose)[0] - 0.01


def test_contacts_alone_leave_the_templates_out(ligand, poses, templates, receptor):
    grid = EnergyGrid(ligand, poses, templates, np.ones(2), receptor, whole(receptor))
    free = EnergyGrid(ligand, poses, templates, np.ones(2), None, NONE)
    contacts = grid.contacts(single(poses))
    assert contacts == pytest.approx(grid(single(poses))[0] - free(single(poses))[0], abs=1e-3)
    assert np.abs(contacts).max() > 0.5
    assert not free.contacts(single(poses)).any()
