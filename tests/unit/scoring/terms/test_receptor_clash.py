from __future__ import annotations

import numpy as np
import pytest

from templ.chemistry.molecules import positions
from templ.chemistry.receptor_file import read_receptor
from templ.scoring.terms.receptor_clash import CONTACT, overlap_with
from templ.sources.demo import demo_files


@pytest.fixture(scope="module")
def receptor():
    return read_receptor(demo_files().receptor).atoms


def test_it_is_its_definition():
    random = np.random.default_rng(3)
    receptor = random.uniform(-8, 8, (150, 3)).astype(np.float32)
    poses = random.uniform(-6, 6, (100, 7, 3))
    for pose, value in zip(poses, overlap_with(receptor, poses), strict=True):
        nearest = [np.linalg.norm(receptor - atom, axis=1).min() for atom in pose]
        expected = np.mean([max(0.0, CONTACT - distance) ** 2 for distance in nearest])
        assert value == pytest.approx(expected, abs=1e-3)


def test_heavy_atoms_nearer_than_3_2_angstrom_overlap():
    poses = np.array([[[0, 0, gap]] for gap in (3.0, 3.1, 3.2, 3.3)])
    found = overlap_with(np.zeros((1, 3), np.float32), poses)
    assert found == pytest.approx([0.04, 0.01, 0, 0], abs=1e-5)


def test_far_from_everything_nothing_clashes():
    assert overlap_with(np.zeros((4, 3), np.float32), np.full((2, 3, 3), 500.0)).tolist() == [0, 0]


def test_crystal_ligands_fit_their_pocket_and_do_not_fit_beside_it(demo_library, receptor):
    ligands = [positions(demo_library.ligand(row)) for row in range(40)]
    fits = [overlap_with(receptor.xyz, ligand[None])[0] for ligand in ligands]
    shifted = [overlap_with(receptor.xyz, ligand[None] + [3, 0, 0])[0] for ligand in ligands]
    assert np.median(shifted) > 5 * np.median(fits)
