from __future__ import annotations

import numpy as np
import pytest
from rdkit import Chem

from templ.molecules import parse_smiles, positions
from templ.posing.finish import add_hydrogens, keeps_stereo
from templ.posing.geometry import rotate_about_bond
from templ.posing.relax import relax
from templ.query import PreparedQuery
from templ.receptor import read_receptor
from templ.scoring.field import Field
from templ.scoring.overlay import Cloud
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


def relaxed_and_energies(query, poses, *energies):
    """Relaxed poses, and the sum of all that acts on them there."""
    relaxed = relax(query, poses, *energies)
    still = relaxed.astype(np.float32)
    return relaxed, sum(energy(still)[0] for energy in (query.strain, *energies))


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
def fields(crystal):
    """Its own pull, alone and with another crystal's receptor."""
    query, goal = crystal
    around = goal + np.array([[[-2.0] * 3], [[2.0] * 3]])
    atoms = read_receptor(demo_files().receptor).atoms
    clouds, one = [Cloud.of(query.mol)], np.ones(1)
    return {
        "pull": Field(query, around, clouds, one, None, np.empty(0, np.float32)),
        "receptor": Field(query, around, clouds, one, atoms, np.full(len(atoms), 0.3, np.float32)),
    }


@pytest.mark.parametrize("smiles", SMILES.values(), ids=SMILES)
def test_lengths_and_angles_stay(smiles):
    query = prepared(smiles)
    goal = query.conformers[-1] + 1.5
    relaxed = relax(query, query.conformers, drawn_to(goal))
    assert np.abs(relaxed - query.conformers).max() > 0.5
    assert inner_distances(query, relaxed) == pytest.approx(
        inner_distances(query, query.conformers), abs=1e-3
    )


def test_lengths_and_angles_stay_far_from_the_origin():
    query = prepared(SMILES["flexible"])
    poses = query.conformers + 300
    relaxed = relax(query, poses, drawn_to(poses[-1] + 1.5))
    assert inner_distances(query, relaxed) == pytest.approx(inner_distances(query, poses), abs=1e-3)


def test_rings_stay_as_they_are_and_centres_keep_their_hand():
    query = prepared(SMILES["chiral"])
    relaxed = relax(query, query.conformers, drawn_to(query.conformers[-1] + 1.5))
    ring = list(query.mol.GetRingInfo().AtomRings()[0])
    for before, after in zip(query.conformers[:, ring], relaxed[:, ring], strict=True):
        shapes = [np.linalg.norm(xyz[:, None] - xyz, axis=-1) for xyz in (before, after)]
        assert shapes[1] == pytest.approx(shapes[0], abs=1e-3)
    assert all(keeps_stereo(add_hydrogens(query.mol, xyz), query.mol) for xyz in relaxed)


@pytest.mark.parametrize("smiles", SMILES.values(), ids=SMILES)
def test_energies_are_never_above_the_starts(smiles):
    query = prepared(smiles)
    energy = drawn_to(query.conformers[-1] + 1.5, 0.2)
    _, energies = relaxed_and_energies(query, query.conformers, energy)
    first = query.conformers.astype(np.float32)
    start = energy(first)[0] + query.strain(first)[0]
    assert (energies <= start).all()
    assert energies.min() < start.min()


def test_a_pose_that_lies_best_stays():
    """The first step goes uphill from there, and what is handed back is the best that was met."""
    query = prepared("c1ccccc1")
    goal = query.conformers[0]
    relaxed, energies = relaxed_and_energies(query, goal[None], drawn_to(goal))
    assert relaxed[0] == pytest.approx(goal, abs=1e-3)
    assert energies == pytest.approx([0], abs=1e-3)


@pytest.mark.parametrize("name", ["flexible", "chiral", "chain"])
def test_a_displaced_pose_comes_back(name):
    query = prepared(SMILES[name], 1)
    goal = query.conformers[0]
    poses = displaced(query, goal)
    relaxed = relax(query, poses, drawn_to(goal, 3.0))
    before, after = rmsd(poses, goal), rmsd(relaxed, goal)
    assert before.min() > 0.9
    assert after.max() < 0.35
    assert np.median(after) < 0.1


@pytest.mark.parametrize(("name", "most"), [("pull", 0.15), ("receptor", 0.5)])
def test_a_displaced_pose_comes_back_in_the_field(crystal, fields, name, most):
    query, goal = crystal
    poses = displaced(query, goal)
    relaxed = relax(query, poses, fields[name])
    assert rmsd(poses, goal).min() > 1
    assert rmsd(relaxed, goal).max() < most


def test_single_atoms_and_rigid_molecules_come_back():
    for smiles in ("O", "CO", "c1ccccc1"):
        query = prepared(smiles, 1)
        assert query.rotors == ()
        goal = query.conformers[0]
        relaxed = relax(query, goal[None] + [0.6, -0.64, 0.48], drawn_to(goal))
        assert rmsd(relaxed, goal) < 0.1


def test_poses_that_run_into_themselves_unfold():
    """Nothing outside acts: what is left is the query's own strain."""
    query = prepared("CCCCCCCO", 1)
    folded = query.conformers.copy()
    for rotor in query.rotors:
        rotate_about_bond(folded, rotor.b, rotor.c, rotor.moving, np.radians([110.0]))
    free = drawn_to(folded[0], 0.0)
    start = query.strain(folded.astype(np.float32))[0]
    _, energies = relaxed_and_energies(query, folded, free)
    assert start > 0.5
    assert energies < start / 4


def test_it_is_deterministic_and_changes_nothing_given(crystal, fields):
    query, goal = crystal
    field = fields["receptor"]
    poses = displaced(query, goal)
    kept = poses.copy()
    first, second = relax(query, poses, field), relax(query, poses, field)
    assert np.array_equal(poses, kept)
    assert not np.shares_memory(first, poses)
    assert np.array_equal(first, second)


@pytest.mark.parametrize("name", ["pull", "receptor"])
def test_each_pose_goes_its_own_way(crystal, fields, name):
    query, goal = crystal
    poses, energy = displaced(query, goal), fields[name]
    together, energies = relaxed_and_energies(query, poses, energy)
    for row in range(len(poses)):
        alone, value = relaxed_and_energies(query, poses[[row]], energy)
        assert alone[0] == pytest.approx(together[row], abs=1e-3)
        assert value[0] == pytest.approx(energies[row], abs=1e-3)


def test_energies_are_asked_for_in_single_precision():
    """A stray double doubles the time of every step."""
    query, asked = prepared(SMILES["chain"]), []

    def energy(xyz):
        asked.append(xyz.dtype)
        return drawn_to(query.conformers[0] + 1)(xyz)

    relaxed = relax(query, query.conformers, energy)
    assert set(asked) == {np.dtype(np.float32)}
    assert relaxed.dtype == np.float64


def test_energies_are_added(crystal):
    """Two halves act as the whole; none leaves the query's own strain."""
    query, goal = crystal
    poses = displaced(query, goal)
    half = drawn_to(goal, 0.5)
    one, energy = relaxed_and_energies(query, poses, drawn_to(goal))
    two, both = relaxed_and_energies(query, poses, half, half)
    assert two == pytest.approx(one, abs=1e-3)
    assert both == pytest.approx(energy, abs=1e-3)
    _, own = relaxed_and_energies(query, poses)
    assert (own <= query.strain(poses.astype(np.float32))[0]).all()
