"""Poses from random starts: they need no template, and find the crystal's pose in its own receptor."""

from __future__ import annotations

import numpy as np
import pytest

from templ.chemistry.conformers import PreparedQuery
from templ.chemistry.geometry import rmsd
from templ.chemistry.molecules import parse_smiles, positions
from templ.jobs.target import target_of
from templ.prediction import Prediction
from templ.sampling import monte_carlo, pose_sources
from templ.sampling.docking import APART, dock, random_starts
from templ.scoring.terms.intramolecular_clash import clash_energy
from templ.settings import PredictionSettings
from templ.templates.rule import TemplateRule


def bowl(middle):
    """Energy that is lowest where all atoms lie at a point."""

    def energy(xyz):
        gap = xyz - np.float32(middle)
        return (gap**2).sum(axis=(1, 2)), 2 * gap

    return energy


@pytest.fixture(scope="module")
def query():
    return PreparedQuery(parse_smiles("C[C@H](O)c1ccc(CCN)cc1"), 10, 1)


def docked(query, seed=1, starts=60, kept=20, middle=(0.0, 0.0, 0.0), site=((0.0, 0.0, 0.0),)):
    energies = (lambda xyz: clash_energy(query, xyz), bowl(middle))

    def start(count, random):
        return random_starts(query, np.array(site), count, random)

    return dock(query, start, energies, starts=starts, kept=kept, seed=seed)


def test_the_best_come_first_and_differ(query):
    poses = docked(query)
    assert 2 < len(poses) <= 20
    values = bowl((0, 0, 0))(poses.astype(np.float32))[0] + clash_energy(query, poses.astype(np.float32))[0]
    assert (np.diff(values) >= -1e-3).all()
    for row, pose in enumerate(poses):
        assert (rmsd(poses[:row], pose) >= APART).all()


def test_the_same_seed_gives_the_same_poses_and_another_others(query):
    np.testing.assert_array_equal(docked(query), docked(query))
    assert docked(query, seed=2).shape != docked(query).shape or not np.allclose(
        docked(query, seed=2), docked(query)
    )


def test_starts_lie_about_the_site_and_go_where_the_energy_is_low(query):
    there = docked(query, site=[[4.0, 0, 0]], middle=(8.0, 0, 0))
    middles = there.mean(axis=1)
    assert (np.linalg.norm(middles - [8, 0, 0], axis=1) < 3).mean() > 0.8


def test_bond_lengths_and_stereochemistry_stay(query):
    own = query.conformers
    bonds = [(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in query.mol.GetBonds()]
    first, second = np.array(bonds).T
    lengths = np.linalg.norm(own[:, first] - own[:, second], axis=-1)
    found = docked(query)
    new = np.linalg.norm(found[:, first] - found[:, second], axis=-1)
    assert (new > lengths.min(axis=0) - 0.01).all()
    assert (new < lengths.max(axis=0) + 0.01).all()
    centre, *around = 1, 0, 2, 3
    handed = [np.sign(np.linalg.det(pose[around] - pose[centre])) for pose in np.concatenate([own, found])]
    assert len(set(handed)) == 1


def prediction(library, row, **changes):
    """Of a ligand in its own receptor, from templates of which none is its own crystal."""
    entry = library.entry(row)
    settings = PredictionSettings(conformers=20, minimised=20, rounds=0, **changes)
    rule = TemplateRule(exclude_same_ligand=True)
    target = target_of(entry)
    return Prediction(target, library, settings, rule, library.receptor(row), own_receptor=True)


@pytest.fixture(autouse=True)
def unlike(monkeypatch):
    """Templates of the kinases say much of each other: here they are searched all the same."""
    monkeypatch.setattr(pose_sources, "UNLIKE", 1.1)


def test_docked_poses_are_a_placement_of_their_own(kinase_library):
    found = prediction(kinase_library, 3, starts=100, docked=15).sample()
    [number] = [index for index, placed in enumerate(found.placements) if placed.method == "docking"]
    rows = found.ranked.placement == number
    assert 0 < rows.sum() <= 15
    assert not found.placements[number].pairs
    alone = prediction(kinase_library, 3, starts=0).sample()
    assert all(placed.method != "docking" for placed in alone.placements)
    same = [len(placed.xyz) for placed in alone.placements]
    assert [len(placed.xyz) for placed in found.placements if placed.method != "docking"] == same


def test_without_a_receptor_nothing_is_docked(kinase_library):
    found = prediction(kinase_library, 3, starts=100, use_receptor=False).sample()
    assert all(placed.method != "docking" for placed in found.placements)


def test_where_it_is_sure_nothing_is_docked(kinase_library, monkeypatch):
    monkeypatch.setattr(monte_carlo, "SURE", 0.0)
    found = prediction(kinase_library, 3, starts=100).sample()
    assert all(placed.method != "docking" for placed in found.placements)


def test_with_a_close_template_nothing_is_docked(kinase_library, monkeypatch):
    monkeypatch.setattr(monte_carlo, "SURE", 2.0)
    for most, docked_too in ((0.0, False), (1.1, True)):
        monkeypatch.setattr(pose_sources, "UNLIKE", most)
        found = prediction(kinase_library, 3, starts=50).sample()
        assert any(placed.method == "docking" for placed in found.placements) == docked_too
        assert found.searched == docked_too


def test_docking_finds_crystal_poses_by_itself(kinase_library, monkeypatch):
    """Of six ligands in their own receptors the best docked pose is near the crystal for most."""
    monkeypatch.setattr(monte_carlo, "SURE", 2.0)
    near = []
    for row in range(len(kinase_library)):
        found = prediction(kinase_library, row, starts=300, docked=60).sample()
        docked_rows = [
            index
            for index, number in enumerate(found.ranked.placement)
            if found.placements[number].method == "docking"
        ]
        truth = kinase_library.ligand(row)
        match = truth.GetSubstructMatch(found.query.mol)
        gaps = rmsd(found.ranked.xyz[docked_rows], positions(truth)[list(match)])
        near.append(gaps.min())
    assert np.median(near) < 2
