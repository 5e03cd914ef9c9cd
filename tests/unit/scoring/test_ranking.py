from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from templ.benchmark.definition import target_of
from templ.molecules import parse_smiles, positions
from templ.posing.place import Placed, with_coordinates
from templ.query import PreparedQuery
from templ.receptor import read_receptor
from templ.scoring.pocket import Pocket
from templ.scoring.ranking import TERMS, rank
from templ.scoring.weights import fitted_weights
from templ.selection.screen import TemplateHit, allowed_rows, find_templates
from templ.settings import PredictionSettings
from templ.sources.demo import demo_files
from templ.sources.splits import TemplateRule


@pytest.fixture(scope="module")
def case(demo_library):
    """A real query with its crystal pose, that pose shifted, and its templates."""
    row = demo_library.row_of("Mpro-x10019")
    target = target_of(demo_library.entry(row))
    query = PreparedQuery(parse_smiles(target.smiles), 1, 1)
    rule = TemplateRule()
    allowed = allowed_rows(demo_library, rule, target)
    hits = find_templates(query, target, demo_library, rule, allowed, PredictionSettings())
    crystal = positions(demo_library.ligand(row))
    return query, hits[:12], crystal


def bare(query, hits):
    """What the templates show, without any receptor."""
    return Pocket.of(query, hits, 12, None, own=True)


def placed(*poses, core_rmsd=0.0, core_atoms=10):
    return Placed(
        np.stack(poses), np.full(len(poses), core_rmsd), "core", core_atoms, "C", (), np.empty((0, 3))
    )


def test_the_score_is_the_sum_of_its_weighted_terms(case):
    query, hits, crystal = case
    ranked = rank(
        query, [placed(crystal, crystal + 1), placed(crystal + 2, core_rmsd=0.5)], bare(query, hits)
    )
    weights = fitted_weights().placed
    total = sum(weights[name] * ranked.terms[name] for name in weights)
    assert ranked.score == pytest.approx(total, abs=1e-4)
    assert ranked.origin.tolist() == [0, 0, 1]
    assert ranked.within.tolist() == [0, 1, 0]
    assert ranked.terms["core_rmsd"] == pytest.approx([0, 0, 0.5])


def test_the_crystal_pose_beats_one_that_leaves_the_consensus(case):
    query, hits, crystal = case
    ranked = rank(query, [placed(crystal, crystal + [4, 0, 0])], bare(query, hits))
    assert ranked.score[0] > ranked.score[1] + 0.1


def test_a_pose_inside_the_receptor_ranks_lower(case):
    query, hits, crystal = case
    atoms = read_receptor(demo_files().receptor).atoms
    wall = atoms.only(np.arange(len(atoms)) < 6)
    wall.xyz[:] = crystal[:6] + [0.5, 0, 0]
    free, blocked = (
        rank(query, [placed(crystal)], Pocket.of(query, hits, 12, around, own=True))
        for around in (None, wall)
    )
    assert (free.terms["clash"], blocked.terms["clash"] > 0.5) == ([0], [True])
    assert blocked.score < free.score - 0.2


def test_walls_that_give_way_do_not_count(case):
    """The same atoms of another crystal, which templates sit in."""
    query, hits, crystal = case
    atoms = read_receptor(demo_files().receptor).atoms
    wall = atoms.only(np.arange(len(atoms)) < 6)
    wall.xyz[:] = positions(hits[0].mol)[:6]
    own, other = (
        rank(query, [placed(crystal)], Pocket.of(query, hits, 12, wall, own=whose)) for whose in (True, False)
    )
    assert (own.terms["clash"] > 0.1, other.terms["clash"]) == ([True], [0])


def test_a_pose_that_runs_into_itself_ranks_lower(case):
    query, hits, crystal = case
    squeezed = crystal.mean(axis=0) + (crystal - crystal.mean(axis=0)) * 0.5
    ranked = rank(query, [placed(crystal, squeezed)], bare(query, hits))
    assert ranked.terms["bump"][1] > ranked.terms["bump"][0]
    assert ranked.score[1] < ranked.score[0]


def test_a_core_that_fits_worse_ranks_lower(case):
    query, hits, crystal = case
    ranked = rank(query, [placed(crystal), placed(crystal, core_rmsd=1.0)], bare(query, hits))
    assert ranked.score[1] < ranked.score[0]


def test_templates_that_explain_more_count_more(case):
    """A pose on the best template beats one as far off it as that template is from the rest."""
    query, hits, crystal = case
    near = next(hit for hit in hits if hit.core)
    moved = TemplateHit(-1, "moved", with_coordinates(near.mol, positions(near.mol) + [6, 0, 0]), 0.0, None)
    ranked = rank(query, [placed(crystal, crystal + [6, 0, 0])], bare(query, [near, moved]))
    assert ranked.score[0] > ranked.score[1]


def test_the_order_of_placements_does_not_matter(case):
    query, hits, crystal = case
    one, two = placed(crystal), placed(crystal + 1)
    there, back = rank(query, [one, two], bare(query, hits)), rank(query, [two, one], bare(query, hits))
    assert there.score == pytest.approx(back.score[::-1])


def test_nothing_placed_was_shaken_and_every_term_is_there(case):
    query, hits, crystal = case
    ranked = rank(query, [placed(crystal, crystal + 1)], bare(query, hits))
    assert tuple(ranked.terms) == TERMS
    assert ranked.shaken.tolist() == [False, False]


def test_rankings_are_joined_one_after_the_other(case):
    query, hits, crystal = case
    pocket = bare(query, hits)
    one = rank(query, [placed(crystal, crystal + 1)], pocket)
    other = replace(rank(query, [placed(crystal + 2)], pocket), shaken=np.array([True]))
    both = one.joined(other)
    assert np.array_equal(both.xyz, np.stack([crystal, crystal + 1, crystal + 2]))
    assert both.score.tolist() == [*one.score, *other.score]
    assert both.origin.tolist() == [0, 0, 0]
    assert both.within.tolist() == [0, 1, 0]
    assert both.shaken.tolist() == [False, False, True]
    assert tuple(both.terms) == TERMS
    assert all(
        values.tolist() == [*one.terms[name], *other.terms[name]] for name, values in both.terms.items()
    )
