from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from templ.chemistry.conformers import PreparedQuery
from templ.chemistry.molecules import parse_smiles, positions, with_coordinates
from templ.chemistry.receptor_file import read_receptor
from templ.jobs.target import target_of
from templ.scoring.energy_grid import EnergyGrid
from templ.scoring.pocket import Pocket
from templ.scoring.ranking import rank
from templ.scoring.score_term import PosesToScore
from templ.scoring.terms import TERMS
from templ.scoring.weights import fitted_weights
from templ.settings import PredictionSettings
from templ.sources.demo import demo_files
from templ.templates.frame import Frame
from templ.templates.rule import TemplateRule
from templ.templates.screening import AllowedTemplates, Template, find_templates

AS_PLACED = [term.name for term in TERMS if not (term.minimised or term.selected)]


@pytest.fixture(scope="module")
def case(demo_library):
    """A real query with its crystal pose, and its templates."""
    row = demo_library.row_of("Mpro-x10019")
    target = target_of(demo_library.entry(row))
    query = PreparedQuery(parse_smiles(target.smiles), 1, 1)
    allowed = AllowedTemplates(target, demo_library, TemplateRule())
    templates = find_templates(query, demo_library, allowed, PredictionSettings(), Frame())
    return query, templates[:12], positions(demo_library.ligand(row))


@pytest.fixture(scope="module")
def receptor():
    return read_receptor(demo_files().receptor)


def pocket_of(query, templates, receptor=None, *, own=True):
    """What the templates show; without any receptor unless one is given."""
    return Pocket.of(query.mol, templates, 12, Frame(receptor, own_receptor=own))


def ranked(query, pocket, *poses, core_rmsd=0.0, grid=None, **options):
    xyz = np.stack(poses)
    to_score = PosesToScore(query, xyz, np.broadcast_to(core_rmsd, len(xyz)), pocket, grid)
    return rank(to_score, np.zeros(len(xyz), np.intp), np.arange(len(xyz)), **options)


def only_at(receptor, points):
    """A receptor of six atoms at these points."""
    atoms = receptor.atoms.only(np.arange(len(receptor.atoms)) < 6)
    atoms.xyz[:] = points
    return replace(receptor, atoms=atoms)


def test_the_score_is_the_sum_of_its_weighted_terms(case):
    query, templates, crystal = case
    pocket = pocket_of(query, templates)
    found = ranked(query, pocket, crystal, crystal + 1, crystal + 2, core_rmsd=[0, 0, 0.5])
    weights = fitted_weights().placed
    total = sum(weights[name] * found.terms[name] for name in weights)
    assert found.score == pytest.approx(total, abs=1e-4)
    assert found.placement.tolist() == [0, 0, 0]
    assert found.member.tolist() == [0, 1, 2]
    assert found.terms["core_rmsd"] == pytest.approx([0, 0, 0.5])


def test_minimised_poses_have_weights_and_terms_of_their_own(case, receptor):
    query, templates, crystal = case
    pocket = pocket_of(query, templates, receptor, own=False)
    inward = pocket.axes.inward
    atoms = replace(receptor.atoms, xyz=inward(receptor.atoms.xyz).astype(np.float32))
    shapes = [replace(shape, xyz=inward(shape.xyz).astype(np.float32)) for shape in pocket.shapes]
    poses = crystal, crystal + [0.5, 0, 0], crystal + [3, 0, 0]
    grid = EnergyGrid(
        query, inward(np.stack(poses)), shapes, pocket.template_weights, atoms, pocket.atom_weights
    )
    found = ranked(query, pocket, *poses, grid=grid, moved=True)
    weights = fitted_weights().minimised
    assert found.score == pytest.approx(sum(weights[name] * found.terms[name] for name in weights), abs=1e-3)
    assert tuple(found.terms) == tuple(term.name for term in TERMS if not term.selected)
    assert found.moved.tolist() == [True] * 3
    size = query.mol.GetNumAtoms()
    energy = grid.contacts(inward(np.stack(poses)).astype(np.float32)) / size
    assert found.terms["contact"] == pytest.approx(np.minimum(energy, 0.5))
    assert energy.min() < 0.5 < energy.max()  # what lies in the protein is capped


def test_the_crystal_pose_beats_one_that_leaves_the_consensus(case):
    query, templates, crystal = case
    found = ranked(query, pocket_of(query, templates), crystal, crystal + [4, 0, 0])
    assert found.score[0] > found.score[1] + 0.1


def test_a_pose_inside_the_receptor_ranks_lower(case, receptor):
    query, templates, crystal = case
    near = only_at(receptor, crystal[:6] + [0.5, 0, 0])
    free, blocked = (ranked(query, pocket_of(query, templates, some), crystal) for some in (None, near))
    assert (free.terms["receptor_clash"], blocked.terms["receptor_clash"] > 0.5) == ([0], [True])
    assert blocked.score < free.score - 0.2


def test_atoms_that_are_not_reliable_do_not_count(case, receptor):
    """The same atoms of another crystal, which templates overlap with."""
    query, templates, crystal = case
    near = only_at(receptor, positions(templates[0].mol)[:6])
    own, other = (
        ranked(query, pocket_of(query, templates, near, own=whose), crystal) for whose in (True, False)
    )
    assert (own.terms["receptor_clash"] > 0.1, other.terms["receptor_clash"]) == ([True], [0])


def test_a_pose_that_runs_into_itself_ranks_lower(case):
    query, templates, crystal = case
    squeezed = crystal.mean(axis=0) + (crystal - crystal.mean(axis=0)) * 0.5
    found = ranked(query, pocket_of(query, templates), crystal, squeezed)
    assert found.terms["intramolecular_clash"][1] > found.terms["intramolecular_clash"][0]
    assert found.score[1] < found.score[0]


def test_a_core_that_fits_worse_ranks_lower(case):
    query, templates, crystal = case
    found = ranked(query, pocket_of(query, templates), crystal, crystal, core_rmsd=[0, 1.0])
    assert found.score[1] < found.score[0]


def test_templates_that_explain_more_count_more(case):
    """A pose on the best template beats one as far off it as that template is from the rest."""
    query, templates, crystal = case
    near = next(template for template in templates if template.core)
    moved = Template(-1, "moved", with_coordinates(near.mol, positions(near.mol) + [6, 0, 0]), 0.0, None)
    found = ranked(query, pocket_of(query, [near, moved]), crystal, crystal + [6, 0, 0])
    assert found.score[0] > found.score[1]


def test_nothing_placed_was_moved_and_every_term_of_placed_poses_is_there(case):
    query, templates, crystal = case
    found = ranked(query, pocket_of(query, templates), crystal, crystal + 1)
    assert list(found.terms) == AS_PLACED
    assert found.moved.tolist() == [False, False]


def test_scored_poses_are_joined_one_after_the_other(case):
    query, templates, crystal = case
    pocket = pocket_of(query, templates)
    one = ranked(query, pocket, crystal, crystal + 1)
    other = ranked(query, pocket, crystal + 2, moved=True)
    both = one.joined(other)
    assert np.array_equal(both.xyz, np.stack([crystal, crystal + 1, crystal + 2]))
    assert both.score.tolist() == [*one.score, *other.score]
    assert both.placement.tolist() == [0, 0, 0]
    assert both.member.tolist() == [0, 1, 0]
    assert both.moved.tolist() == [False, False, True]
    assert list(both.terms) == AS_PLACED
    assert all(
        values.tolist() == [*one.terms[name], *other.terms[name]] for name, values in both.terms.items()
    )
