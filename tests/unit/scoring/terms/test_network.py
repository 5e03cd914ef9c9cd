"""The network tells crystal poses from others, wherever the crystal lies in its file."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from templ.chemistry.conformers import PreparedQuery
from templ.chemistry.geometry import PrincipalAxes
from templ.chemistry.molecules import positions
from templ.scoring.terms import network as module
from templ.scoring.terms.network import SUREST, TERM, network

pytest.importorskip(module.PACKAGE, reason="rustina is not installed")


@dataclass(frozen=True)
class Pocket:
    """What the term looks at."""

    atoms: object
    axes: PrincipalAxes


@dataclass(frozen=True)
class Poses:
    query: PreparedQuery
    xyz: np.ndarray
    pocket: Pocket


def judged(mol, poses, atoms):
    pocket = Pocket(atoms, PrincipalAxes.of(positions(mol)))
    return network(Poses(PreparedQuery(mol, 1, 1), poses, pocket))


def turned_over(mol):
    """The pose itself, and turned by half a circle about its long axis and across it."""
    xyz = positions(mol)
    middle = xyz.mean(axis=0)
    axes = np.linalg.eigh((xyz - middle).T @ (xyz - middle))[1]
    return [middle + 2 * np.outer((xyz - middle) @ axis, axis) - (xyz - middle) for axis in axes.T]


def test_the_crystal_pose_is_likelier_than_the_same_molecule_turned_over(kinase_library):
    better = total = 0
    for row in range(len(kinase_library)):
        mol = kinase_library.ligand(row)
        found = judged(mol, np.stack([positions(mol), *turned_over(mol)]), kinase_library.receptor(row).atoms)
        better += (found[0] > found[1:]).sum()
        total += len(found) - 1
    assert better > 0.8 * total


def test_how_the_crystal_lies_in_its_file_does_not_matter(kinase_library):
    mol, atoms = kinase_library.ligand(0), kinase_library.receptor(0).atoms
    turn = np.array([[0.0, 0.6, 0.8], [1.0, 0.0, 0.0], [0.0, 0.8, -0.6]])
    poses = np.stack([positions(mol), *turned_over(mol)])
    axes = PrincipalAxes.of(positions(mol))
    moved = PrincipalAxes(axes.middle @ turn + 100, turn.T @ axes.axes)
    query = PreparedQuery(mol, 1, 1)
    here = network(Poses(query, poses, Pocket(atoms, axes)))
    away = replace(atoms, xyz=(atoms.xyz @ turn + 100).astype(np.float32))
    there = network(Poses(query, poses @ turn + 100, Pocket(away, moved)))
    np.testing.assert_allclose(here, there, atol=0.11)


def test_a_pose_is_judged_alone(kinase_library):
    """Not by what else is shown; and the same pose twice is the same."""
    mol, atoms = kinase_library.ligand(1), kinase_library.receptor(1).atoms
    poses = np.stack([positions(mol), *turned_over(mol)])
    together = judged(mol, poses, atoms)
    alone = [judged(mol, pose[None], atoms)[0] for pose in poses]
    np.testing.assert_allclose(together, alone, atol=0.11)
    np.testing.assert_array_equal(together, judged(mol, poses, atoms))


def test_log_odds_are_bounded(kinase_library):
    mol, atoms = kinase_library.ligand(0), kinase_library.receptor(0).atoms
    far = judged(mol, positions(mol)[None] + 500, atoms)
    assert -SUREST <= far[0] <= SUREST


def test_without_a_receptor_or_the_package_it_says_nothing(kinase_library, monkeypatch):
    mol, atoms = kinase_library.ligand(0), kinase_library.receptor(0).atoms
    poses = positions(mol)[None]
    assert judged(mol, poses, None).tolist() == [0]
    monkeypatch.setattr(module, "has_network", lambda: False)
    assert judged(mol, poses, atoms).tolist() == [0]


def test_it_is_asked_about_selected_poses_only():
    assert TERM.selected
