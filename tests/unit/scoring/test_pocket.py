from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from templ.benchmark.definition import target_of
from templ.molecules import parse_smiles, positions
from templ.query import PreparedQuery
from templ.receptor import read_receptor
from templ.scoring.pocket import (
    AROUND,
    CONTACT,
    GIVES,
    OTHER_CONTACT,
    OVERLAP,
    VOTERS,
    Pocket,
    clash,
    firmness,
)
from templ.scoring.precedent import Precedent
from templ.selection.screen import allowed_rows, find_templates
from templ.selection.superpose import Fit
from templ.settings import PredictionSettings
from templ.sources.demo import demo_files
from templ.sources.splits import TemplateRule

ATOM = np.zeros((1, 3), np.float32)
"""A receptor of one atom."""


@pytest.fixture(scope="module")
def receptor():
    return read_receptor(demo_files().receptor).atoms


@pytest.fixture(scope="module")
def case(demo_library):
    """A query and its templates."""
    target = target_of(demo_library.entry(demo_library.row_of("Mpro-x10019")))
    query, rule = PreparedQuery(parse_smiles(target.smiles), 1, 1), TemplateRule()
    allowed = allowed_rows(demo_library, rule, target)
    return query, find_templates(query, target, demo_library, rule, allowed, PredictionSettings(screened=30))


def templates_at(*gaps):
    """Templates of two atoms: the first so far from `ATOM`, the other 1.5 Angstrom farther."""
    return [np.array([[gap, 0, 0], [gap + 1.5, 0, 0]]) for gap in gaps]


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


def test_crystal_ligands_fit_their_pocket_and_do_not_fit_beside_it(demo_library, receptor):
    ligands = [positions(demo_library.ligand(row)) for row in range(40)]
    fits = [clash(ligand[None], receptor.xyz)[0] for ligand in ligands]
    shifted = [clash(ligand[None] + [3, 0, 0], receptor.xyz)[0] for ligand in ligands]
    assert np.median(shifted) > 5 * np.median(fits)


@pytest.mark.parametrize("gap", [3.0, 5.0, 12.0])
def test_an_atom_that_no_template_comes_near_stands_firm(gap):
    assert firmness(ATOM, templates_at(*[gap] * 5), np.ones(5)) == [1]


def test_an_atom_that_templates_sit_in_gives_way():
    assert firmness(ATOM, templates_at(*[1.0] * 5), np.ones(5)) == [0]
    assert firmness(ATOM, templates_at(2.5, *[4.0] * 5), np.ones(6)) == [0]  # a sixth is enough


def test_in_between_it_stands_by_the_share_of_templates_that_overlap():
    assert firmness(ATOM, templates_at(2.5, *[4.0] * 19), np.ones(20)) == pytest.approx([0.5])
    assert firmness(ATOM, templates_at(2.5, *[4.0] * 39), np.ones(40)) == pytest.approx([0.75])


def test_templates_elsewhere_have_nothing_to_say():
    assert firmness(ATOM, templates_at(2.5, *[8.0] * 39), np.ones(40)) == [0]


@pytest.mark.parametrize(("weight", "firm"), [(0.5, 1 - 0.5 / 19.5 / 0.1), (1, 0.5), (3, 0)])
def test_templates_count_by_their_weights(weight, firm):
    weights = np.array([weight, *[1.0] * 19])
    for scale in (1, 1e-4):
        found = firmness(ATOM, templates_at(2.5, *[4.0] * 19), scale * weights)
        assert found == pytest.approx([firm], abs=1e-5)


def test_firmness_is_its_definition(demo_library, receptor):
    templates = [positions(demo_library.ligand(row)) for row in range(40)]
    weights = np.random.default_rng(5).uniform(0.1, 2, 40)
    gaps = np.array([np.linalg.norm(receptor.xyz[:, None] - xyz, axis=-1).min(axis=1) for xyz in templates])
    around, over = weights @ (gaps < AROUND), weights @ (gaps < OVERLAP)
    share = np.divide(over, around, out=np.zeros_like(around), where=around > 0)
    found = firmness(receptor.xyz, templates, weights)
    assert found == pytest.approx(np.clip(1 - share / GIVES, 0, 1), abs=1e-5)
    assert (found == 0).any()
    assert ((found > 0) & (found < 1)).any()
    assert (found == 1).mean() > 0.9


def test_firmness_does_not_depend_on_the_frame():
    """Though squares of coordinates this large leave single precision no hundredth of an Angstrom."""
    ways = np.random.default_rng(6).normal(size=(200, 3))
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    atoms = np.concatenate([ways * (OVERLAP - 0.004), ways * (OVERLAP + 0.004)])
    for shift in (0, 300, -300):
        found = firmness((atoms + shift).astype(np.float32), [np.full((1, 3), float(shift))], np.ones(1))
        assert found.tolist() == [0.0] * 200 + [1.0] * 200


def test_shares_are_shares_of_the_consensus(case):
    query, hits = case
    pocket = Pocket.of(query, hits, 5, None, own=True)
    assert len(pocket.clouds) == len(pocket.shares) == 5
    assert pocket.shares.sum() == pytest.approx(1)
    assert (pocket.shares > 0).all()
    assert len(Pocket.of(query, hits[:3], 5, None, own=True).shares) == 3


def test_more_in_common_is_a_larger_share(case):
    query, hits = case
    core = tuple((k, k) for k in range(8))
    plain = replace(hits[0], tanimoto=0.4, core=core)
    other = Fit(np.eye(3), np.zeros(3), 100, 1.0, 1.0, 0.3, pocket_identity=0.5)
    better = [
        (plain, replace(plain, tanimoto=0.6)),
        (replace(plain, core=core[:5]), plain),
        (replace(plain, core=None), plain),
        (replace(plain, fit=other), plain),
    ]
    for worse, best in better:
        shares = Pocket.of(query, [worse, best], 2, None, own=True).shares
        assert shares[1] > 1.5 * shares[0] > 0


def test_the_querys_own_receptor_stands_firm(case, receptor):
    query, hits = case
    pocket = Pocket.of(query, hits, 12, receptor, own=True)
    assert pocket.atoms is receptor
    assert pocket.worth.tolist() == [1.0] * len(receptor)
    assert np.array_equal(pocket.walls, receptor.xyz)


def test_that_of_another_crystal_gives_way_where_templates_run_into_it(case, receptor):
    query, hits = case
    pocket = Pocket.of(query, hits, 12, receptor, own=False)
    assert pocket.worth.shape == (len(receptor),)
    assert (pocket.worth.min(), pocket.worth.max()) == (0, np.float32(OTHER_CONTACT))
    assert np.array_equal(pocket.walls, receptor.xyz[pocket.worth > 0])
    assert 0 < len(receptor) - len(pocket.walls) < 40
    # All templates tell of it, not only those of the consensus.
    assert np.array_equal(Pocket.of(query, hits, 1, receptor, own=False).worth, pocket.worth)


@pytest.mark.parametrize("own", [True, False])
def test_without_a_receptor_there_are_no_walls(case, own):
    query, hits = case
    pocket = Pocket.of(query, hits, 12, None, own=own)
    assert pocket.atoms is None
    assert pocket.walls is None
    assert pocket.worth.shape == (0,)


def test_the_most_alike_vote_whether_in_the_consensus_or_not(case):
    query, hits = case
    crystal = positions(hits[0].mol)[None, :1].repeat(query.mol.GetNumAtoms(), axis=1)
    alike = [replace(hit, tanimoto=1 - 0.02 * number) for number, hit in enumerate(hits)]
    assert len(alike) > VOTERS
    worst_first = Pocket.of(query, alike[::-1], 1, None, own=True).precedent(crystal)
    weights = np.exp([4 * hit.tanimoto for hit in alike[:VOTERS]])
    assert worst_first == pytest.approx(Precedent(query, alike[:VOTERS], weights)(crystal), abs=1e-6)
    all_of_them = Precedent(query, alike, np.exp([4 * hit.tanimoto for hit in alike]))(crystal)
    assert np.abs(worst_first - all_of_them) > 1e-4


def test_templates_of_wholly_other_pockets_still_count(case, receptor):
    """Not one residue of any pocket is the query's, which makes all weights small but none NaN."""
    query, hits = case
    alien = Fit(np.eye(3), np.zeros(3), 100, 1.0, 1.0, 0.3, pocket_identity=0.0)
    here = Pocket.of(query, hits, 12, receptor, own=False)
    there = Pocket.of(query, [replace(hit, fit=alien) for hit in hits], 12, receptor, own=False)
    assert there.shares == pytest.approx(here.shares)
    assert there.worth == pytest.approx(here.worth, abs=1e-4)
