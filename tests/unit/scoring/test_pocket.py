from __future__ import annotations

import numpy as np
import pytest

from templ.molecules import positions
from templ.receptor import read_receptor
from templ.scoring.pocket import CONTACT, clash
from templ.sources.demo import demo_files


def test_clash_is_its_definition():
    random = np.random.default_rng(3)
    receptor = random.uniform(-8, 8, (150, 3)).astype(np.float32)
    poses = random.uniform(-6, 6, (100, 7, 3))
    for pose, value in zip(poses, clash(poses, receptor), strict=True):
        nearest = [np.linalg.norm(receptor - atom, axis=1).min() for atom in pose]
        expected = np.mean([max(0.0, CONTACT - distance) ** 2 for distance in nearest])
        assert value == pytest.approx(expected, abs=1e-3)


def test_far_from_everything_nothing_clashes():
    assert clash(np.full((2, 3, 3), 500.0), np.zeros((4, 3), np.float32)).tolist() == [0, 0]


def test_crystal_ligands_fit_their_pocket_and_do_not_fit_beside_it(demo_library):
    receptor = read_receptor(demo_files().receptor).atoms.xyz
    ligands = [positions(demo_library.ligand(row)) for row in range(40)]
    fits = [clash(ligand[None], receptor)[0] for ligand in ligands]
    shifted = [clash(ligand[None] + [3, 0, 0], receptor)[0] for ligand in ligands]
    assert np.median(shifted) > 5 * np.median(fits)
