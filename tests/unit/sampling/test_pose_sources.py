from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from templ.chemistry.conformers import PreparedQuery
from templ.chemistry.molecules import parse_smiles
from templ.sampling import pose_sources
from templ.sampling.pose_sources import (
    CONFORMERS,
    OVERLAID,
    POSES_A_MAPPING,
    POSES_AN_OVERLAY,
    conformers_needed,
    place_query,
)
from templ.settings import PredictionSettings
from templ.templates.mcs import Core
from templ.templates.screening import Template
from templ.templates.superposition import Fit

SIZE = 10
SETTINGS = PredictionSettings(templates=3, consensus=5)


@pytest.fixture
def query():
    return PreparedQuery(parse_smiles("C" * SIZE), 1, 1)


@pytest.fixture(autouse=True)
def stubs(monkeypatch):
    """What would be placed: by which source, on which template, how many poses; two mappings a core."""
    monkeypatch.setattr(pose_sources, "mappings", lambda core, query, mol: [core, core])
    monkeypatch.setattr(pose_sources, "copy_core", lambda query, own, core, most: ("core", own.id, most))
    monkeypatch.setattr(pose_sources, "overlay_whole", lambda query, own, most: ("overlay", own.id, most))


def templates_of(*cores, tanimoto=None):
    """Templates a, b, c ... with cores of these sizes, 0 for none."""
    return [
        Template(
            row,
            "abcdefgh"[row],
            None,
            0.5 if tanimoto is None else tanimoto[row],
            Core({k: k for k in range(size)}, "C") if size else None,
        )
        for row, size in enumerate(cores)
    ]


def test_cores_of_the_first_templates_are_copied_by_every_mapping(query):
    placements, notes = place_query(query, templates_of(9, 0, 4, 9), SETTINGS, has_receptor=True)
    assert placements == [("core", id, POSES_A_MAPPING) for id in "aacc"]
    assert notes == []


@pytest.mark.parametrize("has_receptor", [True, False])
def test_without_a_core_whole_molecules_are_overlaid_and_it_is_said(query, has_receptor):
    placements, notes = place_query(query, templates_of(0, 0, 0, 9), SETTINGS, has_receptor=has_receptor)
    assert placements == [("overlay", id, POSES_A_MAPPING) for id in "abc"]
    assert notes == ["no template shares a core with the query: whole molecules were overlaid"]


@pytest.mark.parametrize(("largest", "has_receptor", "more"), [(4, True, 3), (5, True, 0), (4, False, 0)])
def test_small_cores_are_not_trusted_where_a_receptor_will_tell(query, largest, has_receptor, more):
    placements, notes = place_query(query, templates_of(3, largest, 0), SETTINGS, has_receptor=has_receptor)
    overlaid = [placement for placement in placements if placement[0] == "overlay"]
    assert len(overlaid) == more == (OVERLAID if more else 0)
    assert placements[:4] == [("core", id, POSES_A_MAPPING) for id in "aabb"]
    assert notes == []


def test_the_most_similar_of_the_consensus_are_overlaid(query):
    templates = templates_of(4, 4, 4, 0, 0, 0, tanimoto=[0.1, 0.4, 0.2, 0.5, 0.3, 0.9])
    placements, _ = place_query(query, templates, SETTINGS, has_receptor=True)
    assert placements[6:] == [("overlay", id, POSES_AN_OVERLAY) for id in "dbe"]


def test_of_other_pockets_templates_are_less_similar(query):
    other = Fit(np.eye(3), np.zeros(3), 100, 1.0, 1.0, 0.3, pocket_identity=0.5)
    templates = templates_of(4, 4, 4, 0, 0, tanimoto=[0.1, 0.4, 0.2, 0.5, 0.3])
    templates[3] = replace(templates[3], fit=other)
    placements, _ = place_query(query, templates, SETTINGS, has_receptor=True)
    assert placements[6:] == [("overlay", id, POSES_AN_OVERLAY) for id in "bec"]


@pytest.mark.parametrize(
    ("smiles", "core", "expected"),
    [
        ("c1ccc(cc1)-c1ccccn1", range(12), CONFORMERS[0]),
        ("c1ccc(cc1)-c1ccccn1", range(6), CONFORMERS[1]),
        ("c1ccc(cc1)C1CCCCC1", range(12), CONFORMERS[1]),  # the ring's shape is never copied
        ("c1ccc(cc1)C1CCCCC1", range(6), CONFORMERS[2]),
        ("c1ccc(cc1)CCCC", range(6), 40),  # three bonds and more
        ("c1ccc(cc1)-c1ccccn1", range(5), 40),  # a small core: whole molecules will be overlaid
        ("c1ccc(cc1)-c1ccccn1", (), 40),
    ],
)
def test_conformers_are_made_for_what_no_template_shows(smiles, core, expected):
    asked = PreparedQuery(parse_smiles(smiles), 40, 1)
    pairs = {atom: atom for atom in core}
    copied = [Template(0, "a", None, 0.5, Core(pairs, "C") if pairs else None)]
    assert conformers_needed(asked, copied, 40) == expected
    assert conformers_needed(asked, copied, 5) == 5
    asked.make_at_most(expected)
    asked.make_at_most(99)
    assert len(asked.conformers) == expected
