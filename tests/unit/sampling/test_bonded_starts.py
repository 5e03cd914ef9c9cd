"""Random starts that hang on a residue: bonded from the first, and all around the bond."""

from __future__ import annotations

import numpy as np
import pytest

from templ.chemistry.conformers import PreparedQuery
from templ.chemistry.molecules import parse_smiles
from templ.chemistry.reactive_residue import is_called, reactive_residues
from templ.chemistry.receptor_file import read_receptor
from templ.sampling.bonded_starts import bonded_starts
from templ.scoring.bond_restraint import BondRestraint
from templ.sources.demo import demo_files


@pytest.fixture(scope="module")
def cysteine():
    receptor = read_receptor(demo_files().receptor)
    every = reactive_residues(receptor, receptor.atoms.xyz.astype(np.float64))
    return next(residue for residue in every if is_called(residue.label, "CYS145"))


@pytest.mark.parametrize(
    ("smiles", "atom"),
    [
        ("CC(=O)Nc1ccccc1", 0),  # one neighbour
        ("OCc1ccccc1", 1),  # two, tetrahedral
        ("N=Cc1ccccc1", 1),  # two, flat
        ("CC(O)C(=O)NC", 1),  # three
    ],
)
def test_starts_have_the_bond_s_length_and_angles_and_lie_on_all_sides(cysteine, smiles, atom):
    query = PreparedQuery(parse_smiles(smiles), 5, 1)
    bond = BondRestraint.of(query.mol, query.conformers[0], atom, cysteine)
    poses = bonded_starts(query, bond, 60, np.random.default_rng(1))
    geometry = bond.geometry(poses)
    assert geometry.sound.mean() > 0.8
    middles = poses.mean(axis=1) - poses[:, atom]
    assert np.linalg.eigvalsh(np.cov(middles.T)).min() > 0.1, "not all to one side"


def test_the_same_seed_gives_the_same_starts(cysteine):
    query = PreparedQuery(parse_smiles("CC(=O)Nc1ccccc1"), 5, 1)
    bond = BondRestraint.of(query.mol, query.conformers[0], 0, cysteine)
    first, second = (bonded_starts(query, bond, 10, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
