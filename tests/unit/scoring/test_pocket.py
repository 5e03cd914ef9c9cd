from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from templ.chemistry.conformers import PreparedQuery
from templ.chemistry.molecules import parse_smiles, positions
from templ.chemistry.receptor_file import read_receptor
from templ.jobs.target import target_of
from templ.scoring.pocket import (
    AROUND,
    COVERAGE_POWER,
    IN_DENSITY,
    LEAST_COVERAGE,
    OVERLAP,
    TANIMOTO_WEIGHT,
    UNRELIABLE,
    Pocket,
    reliability,
)
from templ.scoring.terms.atom_density import AtomDensity
from templ.settings import PredictionSettings
from templ.sources.demo import demo_files
from templ.templates.frame import Frame
from templ.templates.mcs import Core
from templ.templates.rule import TemplateRule
from templ.templates.screening import AllowedTemplates, find_templates
from templ.templates.superposition import Fit

ATOM = np.zeros((1, 3), np.float32)
"""A receptor of one atom."""


@pytest.fixture(scope="module")
def receptor():
    return read_receptor(demo_files().receptor)


@pytest.fixture(scope="module")
def case(demo_library):
    """A query and its templates."""
    target = target_of(demo_library.entry(demo_library.row_of("Mpro-x10019")))
    query = PreparedQuery(parse_smiles(target.smiles), 1, 1)
    allowed = AllowedTemplates(target, demo_library, TemplateRule())
    settings = PredictionSettings(screened=30)
    return query, find_templates(query, demo_library, allowed, settings, Frame())


def pocket_of(query, templates, consensus, receptor, *, own):
    return Pocket.of(query.mol, templates, consensus, Frame(receptor, own_receptor=own))


def templates_at(*gaps):
    """Templates of two atoms: the first so far from `ATOM`, the other 1.5 Angstrom farther."""
    return [np.array([[gap, 0, 0], [gap + 1.5, 0, 0]]) for gap in gaps]


@pytest.mark.parametrize("gap", [3.0, 5.0, 12.0])
def test_an_atom_that_no_template_comes_near_is_reliable(gap):
    assert reliability(ATOM, templates_at(*[gap] * 5), np.ones(5)) == [1]


def test_an_atom_that_templates_overlap_with_is_not():
    assert reliability(ATOM, templates_at(*[1.0] * 5), np.ones(5)) == [0]
    assert reliability(ATOM, templates_at(2.5, *[4.0] * 5), np.ones(6)) == [0]  # a sixth is enough


def test_in_between_the_share_of_templates_that_overlap_decides():
    assert reliability(ATOM, templates_at(2.5, *[4.0] * 19), np.ones(20)) == pytest.approx([0.5])
    assert reliability(ATOM, templates_at(2.5, *[4.0] * 39), np.ones(40)) == pytest.approx([0.75])


def test_templates_elsewhere_have_nothing_to_say():
    assert reliability(ATOM, templates_at(2.5, *[8.0] * 39), np.ones(40)) == [0]


@pytest.mark.parametrize(("weight", "expected"), [(0.5, 1 - 0.5 / 19.5 / 0.1), (1, 0.5), (3, 0)])
def test_templates_count_by_their_weights(weight, expected):
    weights = np.array([weight, *[1.0] * 19])
    for scale in (1, 1e-4):
        found = reliability(ATOM, templates_at(2.5, *[4.0] * 19), scale * weights)
        assert found == pytest.approx([expected], abs=1e-5)


def test_reliability_is_its_definition(demo_library, receptor):
    atoms = receptor.atoms.xyz
    templates = [positions(demo_library.ligand(row)) for row in range(40)]
    weights = np.random.default_rng(5).uniform(0.1, 2, 40)
    gaps = np.array([np.linalg.norm(atoms[:, None] - xyz, axis=-1).min(axis=1) for xyz in templates])
    around, over = weights @ (gaps < AROUND), weights @ (gaps < OVERLAP)
    share = np.divide(over, around, out=np.zeros_like(around), where=around > 0)
    found = reliability(atoms, templates, weights)
    assert found == pytest.approx(np.clip(1 - share / UNRELIABLE, 0, 1), abs=1e-5)
    assert (found == 0).any()
    assert ((found > 0) & (found < 1)).any()
    assert (found == 1).mean() > 0.9


def test_reliability_does_not_depend_on_the_frame():
    """Though squares of coordinates this large leave single precision no hundredth of an Angstrom."""
    directions = np.random.default_rng(6).normal(size=(200, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    atoms = np.concatenate([directions * (OVERLAP - 0.004), directions * (OVERLAP + 0.004)])
    for shift in (0, 300, -300):
        found = reliability((atoms + shift).astype(np.float32), [np.full((1, 3), float(shift))], np.ones(1))
        assert found.tolist() == [0.0] * 200 + [1.0] * 200


def test_weights_are_shares_of_the_consensus(case):
    query, templates = case
    pocket = pocket_of(query, templates, 5, None, own=True)
    assert len(pocket.shapes) == len(pocket.template_weights) == 5
    assert pocket.template_weights.sum() == pytest.approx(1)
    assert (pocket.template_weights > 0).all()
    assert len(pocket_of(query, templates[:3], 5, None, own=True).template_weights) == 3


def test_more_in_common_is_a_larger_weight(case):
    query, templates = case
    core, less = (Core({k: k for k in range(size)}, "C") for size in (8, 5))
    plain = replace(templates[0], tanimoto=0.4, core=core)
    other = Fit(np.eye(3), np.zeros(3), 100, 1.0, 1.0, 0.3, pocket_identity=0.5)
    better = [
        (plain, replace(plain, tanimoto=0.6)),
        (replace(plain, core=less), plain),
        (replace(plain, core=None), plain),
        (replace(plain, fit=other), plain),
    ]
    for worse, best in better:
        weights = pocket_of(query, [worse, best], 2, None, own=True).template_weights
        assert weights[1] > 1.5 * weights[0] > 0


def test_weights_are_by_coverage_similarity_and_pocket(case):
    """By hand: coverage^4 e^(4 Tanimoto) (identity of the pocket)^2."""
    query, templates = case
    size = query.mol.GetNumAtoms()
    fits = [Fit(np.eye(3), np.zeros(3), 100, 1.0, 1.0, 0.3, pocket_identity=share) for share in (1, 0.6, 0.9)]
    cores = [Core({k: k for k in range(atoms)}, "C") for atoms in (size, 6)]
    given = [
        replace(templates[0], tanimoto=tanimoto, core=core, fit=fit)
        for tanimoto, core, fit in zip((0.3, 0.7, 0.5), (*cores, None), fits, strict=True)
    ]
    expected = np.array(
        [
            np.exp(4 * 0.3),
            (6 / size) ** 4 * np.exp(4 * 0.7) * 0.6**2,
            LEAST_COVERAGE**4 * np.exp(4 * 0.5) * 0.9**2,
        ]
    )
    found = pocket_of(query, given, 3, None, own=True).template_weights
    assert found == pytest.approx(expected / expected.sum())
    assert (COVERAGE_POWER, TANIMOTO_WEIGHT) == (4, 4)


def test_the_querys_own_receptor_counts_in_full(case, receptor):
    query, templates = case
    pocket = pocket_of(query, templates, 12, receptor, own=True)
    assert pocket.atoms is receptor.atoms
    assert pocket.atom_weights.tolist() == [1.0] * len(receptor.atoms)
    assert np.array_equal(pocket.excluded_volume, receptor.atoms.xyz)


def test_that_of_another_crystal_does_not_count_where_templates_overlap_with_it(case, receptor):
    query, templates = case
    pocket = pocket_of(query, templates, 12, receptor, own=False)
    assert pocket.atom_weights.shape == (len(receptor.atoms),)
    assert (pocket.atom_weights.min(), pocket.atom_weights.max()) == (0, np.float32(0.4))
    assert np.array_equal(pocket.excluded_volume, receptor.atoms.xyz[pocket.atom_weights > 0])
    assert 0 < len(receptor.atoms) - len(pocket.excluded_volume) < 40
    # All templates tell of it, not only those of the consensus.
    alone = pocket_of(query, templates, 1, receptor, own=False)
    assert np.array_equal(alone.atom_weights, pocket.atom_weights)


@pytest.mark.parametrize("own", [True, False])
def test_without_a_receptor_no_volume_is_excluded(case, own):
    query, templates = case
    pocket = pocket_of(query, templates, 12, None, own=own)
    assert pocket.atoms is None
    assert pocket.excluded_volume.shape == (0, 3)
    assert pocket.atom_weights.shape == (0,)


def test_the_most_alike_are_in_the_density_whether_in_the_consensus_or_not(case):
    query, templates = case
    crystal = positions(templates[0].mol)[None, :1].repeat(query.mol.GetNumAtoms(), axis=1)
    alike = [replace(template, tanimoto=1 - 0.02 * number) for number, template in enumerate(templates)]
    assert len(alike) > IN_DENSITY
    worst_first = pocket_of(query, alike[::-1], 1, None, own=True).atom_density(crystal)
    weights = np.exp([4 * template.tanimoto for template in alike[:IN_DENSITY]])
    expected = AtomDensity(query.mol, alike[:IN_DENSITY], weights)(crystal)
    assert worst_first == pytest.approx(expected, abs=1e-6)
    weights = np.exp([4 * template.tanimoto for template in alike])
    all_of_them = AtomDensity(query.mol, alike, weights)(crystal)
    assert np.abs(worst_first - all_of_them) > 1e-4


def test_templates_of_wholly_other_pockets_still_count(case, receptor):
    """Not one residue of any pocket is the query's, which makes all weights small but none NaN."""
    query, templates = case
    alien = Fit(np.eye(3), np.zeros(3), 100, 1.0, 1.0, 0.3, pocket_identity=0.0)
    here = pocket_of(query, templates, 12, receptor, own=False)
    there = pocket_of(
        query, [replace(template, fit=alien) for template in templates], 12, receptor, own=False
    )
    assert there.template_weights == pytest.approx(here.template_weights)
    assert there.atom_weights == pytest.approx(here.atom_weights, abs=1e-4)
