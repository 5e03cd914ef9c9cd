from __future__ import annotations

import numpy as np
import pytest
from rdkit import Chem

from templ.chemistry.conformers import PreparedQuery
from templ.chemistry.geometry import rotate_about_bond
from templ.chemistry.molecules import parse_smiles, positions
from templ.chemistry.receptor_file import read_receptor
from templ.poses.hydrogens import add_hydrogens
from templ.poses.stereo import keeps_stereo
from templ.sampling.minimise import STEPS, minimise
from templ.scoring.energy_grid import EnergyGrid
from templ.scoring.shape import Shape
from templ.scoring.terms.intramolecular_clash import clash_energy
from templ.sources.demo import demo_files

SMILES = {
    "flexible": "CN(C)c1ccc(N(Cc2ccsc2)C(=O)Cn2nnc3ccccc32)cc1",
    "chiral": "C[C@@H]1CN(C(=O)[C@H](N)CO)C[C@H]1F",
    "chain": "CCCCCCCO",
    "rigid": "c1ccccc1",
    "two atoms": "CO",
    "one atom": "O",
}


def prepared(smiles, conformers=6):
    return PreparedQuery(parse_smiles(smiles), conformers, 1)


def drawn_to(goal, stiffness=1.0):
    """An energy that is least where every atom lies on its goal."""

    def energy(xyz):
        gaps = xyz - goal.astype(np.float32)
        slope = np.float32(2 * stiffness) * gaps
        return (np.float32(stiffness) * (gaps**2).sum(axis=(1, 2))), slope

    return energy


def clashes_of(query):
    return lambda xyz: clash_energy(query, xyz)


def minimised_and_energies(query, poses, *energies):
    """Minimised poses, and the sum of all that acts on them there."""
    energies = clashes_of(query), *energies
    minimised = minimise(query, poses, *energies)
    still = minimised.astype(np.float32)
    return minimised, sum(energy(still)[0] for energy in energies)


def rmsd(poses, goal):
    return np.sqrt(((poses - goal) ** 2).sum(axis=-1).mean(axis=-1))


def inner_distances(query, poses):
    """Between atoms one or two bonds apart: lengths, and with them the angles."""
    first, second = np.nonzero(np.triu(Chem.GetDistanceMatrix(query.mol) <= 2, 1))
    return np.linalg.norm(poses[:, first] - poses[:, second], axis=-1)


def displaced(query, goal):
    """Goal moved by 1 Angstrom, and one torsion turned by 40 degrees."""
    poses = np.repeat(goal[None], len(query.free_rotors), axis=0)
    for row, rotor in enumerate(query.free_rotors):
        one = poses[row : row + 1]
        rotate_about_bond(one, rotor.b, rotor.c, rotor.moving, np.radians([40.0]))
    return poses + np.array([0.6, -0.64, 0.48])


@pytest.fixture(scope="module")
def crystal(demo_library):
    """A crystal's ligand as query, and where it lies."""
    mol = demo_library["Mpro-x10201"]
    return PreparedQuery(mol, 1, 1), positions(mol)


@pytest.fixture(scope="module")
def grids(crystal):
    """Its own density, alone and with another crystal's receptor."""
    query, goal = crystal
    around = goal + np.array([[[-2.0] * 3], [[2.0] * 3]])
    atoms = read_receptor(demo_files().receptor).atoms
    shapes, one = [Shape.of(query.mol)], np.ones(1)
    return {
        "density": EnergyGrid(query, around, shapes, one, None, np.empty(0, np.float32)),
        "receptor": EnergyGrid(query, around, shapes, one, atoms, np.full(len(atoms), 0.3, np.float32)),
    }


@pytest.mark.parametrize("smiles", SMILES.values(), ids=SMILES)
def test_lengths_and_angles_stay(smiles):
    query = prepared(smiles)
    goal = query.conformers[-1] + 1.5
    minimised = minimise(query, query.conformers, clashes_of(query), drawn_to(goal))
    assert np.abs(minimised - query.conformers).max() > 0.5
    assert inner_distances(query, minimised) == pytest.approx(
        inner_distances(query, query.conformers), abs=1e-3
    )


def test_lengths_and_angles_stay_far_from_the_origin():
    query = prepared(SMILES["flexible"])
    poses = query.conformers + 300
    minimised = minimise(query, poses, clashes_of(query), drawn_to(poses[-1] + 1.5))
    assert inner_distances(query, minimised) == pytest.approx(inner_distances(query, poses), abs=1e-3)


def test_rings_stay_as_they_are_and_centres_keep_their_hand():
    query = prepared(SMILES["chiral"])
    minimised = minimise(query, query.conformers, clashes_of(query), drawn_to(query.conformers[-1] + 1.5))
    ring = list(query.mol.GetRingInfo().AtomRings()[0])
    for before, after in zip(query.conformers[:, ring], minimised[:, ring], strict=True):
        shapes = [np.linalg.norm(xyz[:, None] - xyz, axis=-1) for xyz in (before, after)]
        assert shapes[1] == pytest.approx(shapes[0], abs=1e-3)
    assert all(keeps_stereo(add_hydrogens(query.mol, xyz), query.mol) for xyz in minimised)


@pytest.mark.parametrize("smiles", SMILES.values(), ids=SMILES)
def test_energies_are_never_above_the_starts(smiles):
    query = prepared(smiles)
    energy = drawn_to(query.conformers[-1] + 1.5, 0.2)
    _, energies = minimised_and_energies(query, query.conformers, energy)
    first = query.conformers.astype(np.float32)
    start = energy(first)[0] + clash_energy(query, first)[0]
    assert (energies <= start).all()
    assert energies.min() < start.min()


def test_a_pose_that_lies_best_stays():
    """The first step goes uphill from there, and what is handed back is the best that was met."""
    query = prepared("c1ccccc1")
    goal = query.conformers[0]
    minimised, energies = minimised_and_energies(query, goal[None], drawn_to(goal))
    assert minimised[0] == pytest.approx(goal, abs=1e-3)
    assert energies == pytest.approx([0], abs=1e-3)


@pytest.mark.parametrize("name", ["flexible", "chiral", "chain"])
def test_a_displaced_pose_comes_back(name):
    query = prepared(SMILES[name], 1)
    goal = query.conformers[0]
    poses = displaced(query, goal)
    minimised = minimise(query, poses, clashes_of(query), drawn_to(goal, 3.0))
    before, after = rmsd(poses, goal), rmsd(minimised, goal)
    assert before.min() > 0.9
    assert after.max() < 0.35
    assert np.median(after) < 0.1


@pytest.mark.parametrize(("name", "most"), [("density", 0.15), ("receptor", 0.5)])
def test_a_displaced_pose_comes_back_on_the_grid(crystal, grids, name, most):
    query, goal = crystal
    poses = displaced(query, goal)
    minimised = minimise(query, poses, clashes_of(query), grids[name])
    assert rmsd(poses, goal).min() > 1
    assert rmsd(minimised, goal).max() < most


def test_single_atoms_and_rigid_molecules_come_back():
    for smiles in ("O", "CO", "c1ccccc1"):
        query = prepared(smiles, 1)
        assert query.rotors == ()
        goal = query.conformers[0]
        start = goal[None] + [0.6, -0.64, 0.48]
        minimised = minimise(query, start, clashes_of(query), drawn_to(goal))
        assert rmsd(minimised, goal) < 0.1


def test_poses_that_run_into_themselves_unfold():
    """Nothing outside acts: what is left are the query's own clashes."""
    query = prepared("CCCCCCCO", 1)
    folded = query.conformers.copy()
    for rotor in query.rotors:
        rotate_about_bond(folded, rotor.b, rotor.c, rotor.moving, np.radians([110.0]))
    free = drawn_to(folded[0], 0.0)
    start = clash_energy(query, folded.astype(np.float32))[0]
    _, energies = minimised_and_energies(query, folded, free)
    assert start > 0.5
    assert energies < start / 4


def test_it_is_deterministic_and_changes_nothing_given(crystal, grids):
    query, goal = crystal
    poses = displaced(query, goal)
    kept = poses.copy()
    energies = clashes_of(query), grids["receptor"]
    first, second = (minimise(query, poses, *energies) for _ in range(2))
    assert np.array_equal(poses, kept)
    assert not np.shares_memory(first, poses)
    assert np.array_equal(first, second)


@pytest.mark.parametrize("name", ["density", "receptor"])
def test_each_pose_is_minimised_by_itself(crystal, grids, name):
    query, goal = crystal
    poses, energy = displaced(query, goal), grids[name]
    together, energies = minimised_and_energies(query, poses, energy)
    for row in range(len(poses)):
        alone, value = minimised_and_energies(query, poses[[row]], energy)
        assert alone[0] == pytest.approx(together[row], abs=1e-3)
        assert value[0] == pytest.approx(energies[row], abs=1e-3)


def test_energies_are_asked_for_in_single_precision():
    """A stray double doubles the time of every step."""
    query, asked = prepared(SMILES["chain"]), []

    def energy(xyz):
        asked.append(xyz.dtype)
        return drawn_to(query.conformers[0] + 1)(xyz)

    minimised = minimise(query, query.conformers, clashes_of(query), energy)
    assert set(asked) == {np.dtype(np.float32)}
    assert minimised.dtype == np.float64


def test_energies_are_added(crystal):
    """Two halves act as the whole; none leaves the query's own clashes."""
    query, goal = crystal
    poses = displaced(query, goal)
    half = drawn_to(goal, 0.5)
    one, energy = minimised_and_energies(query, poses, drawn_to(goal))
    two, both = minimised_and_energies(query, poses, half, half)
    assert two == pytest.approx(one, abs=1e-3)
    assert both == pytest.approx(energy, abs=1e-3)
    _, own = minimised_and_energies(query, poses)
    assert (own <= clash_energy(query, poses.astype(np.float32))[0]).all()


def test_of_each_pose_the_best_that_was_met_is_returned_not_the_last():
    """The energy is least at the third look for one pose, at the first for the other, and rises later."""
    query, looks = prepared(SMILES["chain"], 2), []

    def energy(xyz):
        look = len(looks)
        looks.append(xyz.copy())
        values = np.array([abs(look - 2), look], np.float32)
        return values, np.ones_like(xyz)

    minimised = minimise(query, query.conformers, energy)
    assert len(looks) == STEPS + 1
    assert np.array_equal(minimised[0], looks[2][0])
    assert np.array_equal(minimised[1], looks[0][1])
    assert np.abs(looks[-1] - minimised).max(axis=(1, 2)).min() > 0.1


def test_steps_shrink_to_a_twentieth_of_the_first():
    """Under a force that is always the same, each step is as long as steps are by then."""
    query, looks = prepared("c1ccccc1", 1), []

    def energy(xyz):
        looks.append(xyz.mean(axis=1)[0])
        return np.zeros(len(xyz), np.float32), np.ones_like(xyz)

    minimise(query, query.conformers, energy)
    length = np.linalg.norm(np.diff(looks, axis=0), axis=1)
    assert (np.diff(length) < 0).all()
    assert length[0] == pytest.approx(np.sqrt(3) * 0.15, rel=0.02)
    assert length[-1] / length[0] == pytest.approx(0.05, abs=0.002)
