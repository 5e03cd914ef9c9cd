from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from templ.chemistry.conformers import PreparedQuery
from templ.chemistry.geometry import PrincipalAxes
from templ.chemistry.molecules import parse_smiles
from templ.scoring.score_term import PosesToScore
from templ.scoring.terms.contact import contact


def test_it_is_the_energy_an_atom_in_the_axes_of_the_pocket_and_no_worse_than_a_bound():
    query = PreparedQuery(parse_smiles("CCO"), 1, 1)
    axes = PrincipalAxes.of(np.random.default_rng(1).normal(size=(9, 3)) + 5)
    poses, asked = np.stack([query.conformers[0]] * 3), []

    def contacts(xyz):
        asked.append(xyz)
        return np.array([-0.6, 1.2, 300.0], np.float32)

    grid, pocket = SimpleNamespace(contacts=contacts), SimpleNamespace(axes=axes)
    found = contact(PosesToScore(query, poses, np.zeros(3), pocket, grid))
    assert found == pytest.approx([-0.2, 0.4, 0.5])
    assert asked[0] == pytest.approx(axes.inward(poses), abs=1e-5)
    assert asked[0].dtype == np.float32
