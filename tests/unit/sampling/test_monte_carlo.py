from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from rdkit import Chem

from templ.chemistry.conformers import PreparedQuery
from templ.chemistry.geometry import distinct
from templ.chemistry.molecules import parse_smiles, positions
from templ.chemistry.receptor_file import read_receptor
from templ.jobs.target import target_of
from templ.poses.hydrogens import add_hydrogens
from templ.poses.stereo import keeps_stereo
from templ.sampling.core_copying import copy_core
from templ.sampling.monte_carlo import DISTINCT_STARTS, MOVED, SURE, Sampler, rank_placements
from templ.sampling.overlay import overlay_whole
from templ.scoring.pocket import Pocket
from templ.scoring.posterior import clusters
from templ.scoring.terms import TERMS
from templ.scoring.terms.intramolecular_clash import squared_overlap
from templ.scoring.weights import fitted_weights
from templ.settings import PredictionSettings
from templ.sources.demo import demo_files
from templ.templates.frame import Frame
from templ.templates.mcs import mappings
from templ.templates.rule import TemplateRule
from templ.templates.screening import AllowedTemplates, find_templates
from templ.templates.superposition import Fit


@pytest.fixture(scope="module")
def receptor():
    return read_receptor(demo_files().receptor)


@dataclass(frozen=True)
class Docked:
    """A query with its poses as they were placed, and all that sampling from them needs."""

    query: PreparedQuery
    placements: list
    templates: list
    pockets: dict

    def placed(self, whose="other"):
        return rank_placements(self.query, self.placements, self.pockets[whose])

    def sample(self, *, most=10, rounds=0, seed=1, whose="other", placements=None, placed=None):
        settings = PredictionSettings(minimised=most, rounds=rounds, seed=seed)
        sampler = Sampler(self.query, placements or self.placements, self.pockets[whose], settings)
        return sampler.sample(placed or self.placed(whose))


def made_of(query, placements, templates, receptor):
    pockets = {
        whose: Pocket.of(query.mol, templates, 12, Frame(around, own_receptor=whose == "own"))
        for whose, around in (("own", receptor), ("other", receptor), ("none", None))
    }
    return Docked(query, placements, templates, pockets)


@pytest.fixture(scope="module")
def docked(demo_library, receptor):
    """``docked(id)``: one ligand, placed by its three best templates."""
    made = {}

    def dock(id):
        if id not in made:
            target = target_of(demo_library.entry(demo_library.row_of(id)))
            query = PreparedQuery(parse_smiles(target.smiles), 10, 1)
            allowed = AllowedTemplates(target, demo_library, TemplateRule())
            settings = PredictionSettings(screened=10)
            templates = find_templates(query, demo_library, allowed, settings, Frame())
            placements = [
                copy_core(query, template, core, 10)
                for template in templates[:3]
                for core in mappings(template.core, query, template.mol)
            ]
            made[id] = made_of(query, placements, templates, receptor)
        return made[id]

    return dock


@pytest.fixture
def case(docked):
    return docked("Mpro-x10019")


@pytest.fixture
def sure(docked):
    """A ligand whose templates leave no doubt."""
    return docked("Mpro-x0434")


@pytest.fixture
def unsure(docked):
    """A ligand whose poses contradict each other, whatever is done to them."""
    return docked("Mpro-x1093")


@pytest.fixture(scope="module")
def sampled(docked):
    """``sampled(rounds)``: what came of the unsure ligand."""
    made = {}

    def run(rounds):
        if rounds not in made:
            made[rounds] = docked("Mpro-x1093").sample(rounds=rounds)
        return made[rounds]

    return run


def probability(found):
    """Of the first cluster."""
    return next(clusters(found.xyz, found.score)).probability


def gaps(poses, pose):
    return np.sqrt(((poses - pose) ** 2).sum(axis=-1).mean(axis=-1))


def started_from(placed, minimised):
    """Rows of the placed poses that were minimised."""
    return [
        int(np.flatnonzero((placed.placement == placement) & (placed.member == member))[0])
        for placement, member in zip(minimised.placement, minimised.member, strict=True)
    ]


def test_placed_poses_are_scored_one_placement_after_the_other(case):
    placed = case.placed()
    sizes = [len(placement.xyz) for placement in case.placements]
    assert len(sizes) > 1
    assert np.array_equal(placed.xyz, np.concatenate([placement.xyz for placement in case.placements]))
    assert placed.placement.tolist() == [row for row, size in enumerate(sizes) for _ in range(size)]
    assert placed.member.tolist() == [member for size in sizes for member in range(size)]
    assert placed.terms["core_rmsd"] == pytest.approx(
        np.concatenate([placement.core_rmsd for placement in case.placements])
    )
    assert not placed.moved.any()


def test_the_order_of_placements_does_not_matter(case):
    there = case.placed()
    back = replace(case, placements=case.placements[::-1]).placed()
    last = len(case.placements) - 1
    for row in range(len(case.placements)):
        own, same = there.score[there.placement == row], back.score[back.placement == last - row]
        assert own == pytest.approx(same)


def test_the_score_is_the_sum_of_its_terms_and_contacts_are_among_them_once_minimised(case):
    assert "contact" not in case.placed().terms
    minimised = case.sample(most=20)
    assert tuple(minimised.terms) == tuple(term.name for term in TERMS if not term.selected)
    weights = fitted_weights().minimised
    total = sum(weights[name] * minimised.terms[name] for name in weights)
    assert minimised.score == pytest.approx(total, abs=1e-3)
    assert minimised.terms["contact"].min() < -0.03
    assert np.ptp(minimised.terms["contact"]) > 0.02
    assert (minimised.terms["intramolecular_clash"] >= 0).all()
    assert all(values.shape == minimised.score.shape for values in minimised.terms.values())


def test_the_best_that_differ_are_minimised(case):
    placed, minimised = case.placed(), case.sample(most=4)
    assert minimised.xyz.shape == (4, case.query.mol.GetNumAtoms(), 3)
    rows = started_from(placed, minimised)
    starts = placed.xyz[rows]
    assert rows[0] == placed.score.argmax()
    assert (np.diff(placed.score[rows]) <= 0).all()
    assert min(gaps(starts[:row], starts[row]).min() for row in range(1, 4)) >= DISTINCT_STARTS
    assert np.abs(minimised.xyz - starts).max() > 0.1


def test_there_may_be_fewer_poses_than_asked_for(case):
    first = case.placements[0]
    one = replace(first, xyz=first.xyz[:1], core_rmsd=first.core_rmsd[:1])
    minimised = replace(case, placements=[one, one]).sample(most=50)
    assert minimised.xyz.shape[0] == 1
    assert np.isfinite(minimised.score).all()


def test_a_receptor_of_another_crystal_moves_poses_less(case):
    own, other = case.sample(whose="own"), case.sample()
    assert np.abs(own.terms["contact"] - other.terms["contact"]).max() > 0.02
    assert np.abs(own.xyz - other.xyz).max() > 0.1


def test_the_core_is_measured_where_it_ends_up(case):
    minimised = case.sample()
    for pose, row, found in zip(
        minimised.xyz, minimised.placement, minimised.terms["core_rmsd"], strict=True
    ):
        placement = case.placements[row]
        gap = pose[list(placement.pairs)] - placement.onto
        assert found == pytest.approx(np.sqrt((gap**2).sum(axis=1).mean()), abs=1e-5)
    rows = started_from(case.placed(), minimised)
    before = case.placed().terms["core_rmsd"][rows]
    assert np.abs(minimised.terms["core_rmsd"] - before).max() > 0.05


def test_a_placement_knows_the_rmsd_of_its_own_poses(case):
    for placement in case.placements:
        own = [placement.rmsd_of(pose) for pose in placement.xyz]
        assert own == pytest.approx(placement.core_rmsd)


def test_without_a_receptor_the_templates_alone_pull(case):
    placed, minimised = case.placed("none"), case.sample(whose="none")
    assert not minimised.terms["receptor_clash"].any()
    assert not minimised.terms["contact"].any()
    rows = started_from(placed, minimised)
    assert minimised.terms["consensus"].mean() > placed.terms["consensus"][rows].mean()


def test_overlays_have_no_core_to_measure(docked, receptor):
    query = PreparedQuery(parse_smiles("C1C2CC3CC1CC(C2)C3O"), 3, 1)
    bare = [replace(template, core=None) for template in docked("Mpro-x10019").templates[:3]]
    placements = [overlay_whole(query, template, 5) for template in bare]
    minimised = made_of(query, placements, bare, receptor).sample()
    assert placements[0].rmsd_of(minimised.xyz[0]) == 0
    assert not minimised.terms["core_rmsd"].any()
    assert np.isfinite(minimised.score).all()


def test_overlays_are_minimised_though_they_rank_low(case):
    overlaid = overlay_whole(case.query, case.templates[-1], 5)
    mixed = replace(case, placements=[*case.placements, overlaid])
    minimised = mixed.sample(most=2)
    last = len(mixed.placements) - 1
    assert sorted(minimised.member[minimised.placement == last]) == list(range(len(overlaid.xyz)))
    assert 0 < (minimised.placement != last).sum() <= 2


def test_a_core_is_restrained_the_more_its_template_is_like_the_query(case):
    alike, unlike = (
        case.sample(
            placements=[
                replace(placement, template=replace(placement.template, tanimoto=tanimoto))
                for placement in case.placements
            ]
        ).terms["core_rmsd"]
        for tanimoto in (1.0, 0.0)
    )
    assert alike.mean() < unlike.mean() - 0.05


def test_clashes_are_minimised_away(docked):
    case = docked("Mpro-x10876")
    placed, minimised = case.placed("own"), case.sample(whose="own")
    rows = started_from(placed, minimised)
    clash, before = minimised.terms["receptor_clash"], placed.terms["receptor_clash"][rows]
    assert before.max() > 0.1
    assert clash.mean() < before.mean() / 10
    assert squared_overlap(case.query, minimised.xyz).max() < 0.05  # and not by folding up


def test_templates_of_wholly_other_pockets_still_count(case, receptor):
    """Not one residue of any pocket is the query's, which makes all weights small but none NaN."""
    alien = Fit(np.eye(3), np.zeros(3), 100, 1.0, 1.0, 0.3, pocket_identity=0.0)
    templates = [replace(template, fit=alien) for template in case.templates]
    there = made_of(case.query, case.placements, templates, receptor)
    assert np.isfinite(there.placed().score).all()
    assert np.isfinite(there.sample(most=3).score).all()


@pytest.mark.parametrize(("id", "moved"), [("Mpro-6zrt", 0), ("Mpro-6w63", 10)])
def test_stereochemistry_is_kept(docked, id, moved):
    case = docked(id)
    assert Chem.FindMolChiralCenters(case.query.mol)
    found = case.sample(rounds=2)
    assert found.moved.sum() >= moved
    for pose in found.xyz:
        assert keeps_stereo(add_hydrogens(case.query.mol, pose), case.query.mol)


def test_near_the_crystal(demo_library, docked):
    """Copied from its relatives and minimised, the ligand has a pose near its own crystal's."""
    minimised = docked("Mpro-x10201").sample()
    assert gaps(minimised.xyz, positions(demo_library["Mpro-x10201"])).min() < 2


def test_a_sure_case_is_not_moved(sure):
    still, found = sure.sample(), sure.sample(rounds=3)
    assert probability(still) >= SURE
    assert np.array_equal(found.xyz, still.xyz)
    assert not found.moved.any()


def test_an_unsure_case_is_moved_and_the_new_poses_are_marked(sampled):
    still, once = sampled(0), sampled(1)
    assert probability(still) < SURE
    assert not still.moved.any()
    first = len(still.xyz)
    assert np.array_equal(once.xyz[:first], still.xyz)
    assert np.array_equal(once.score[:first], still.score)
    assert once.moved.tolist() == [False] * first + [True] * (len(once.xyz) - first)
    assert 0 < once.moved.sum() <= first
    assert max(gaps(still.xyz, pose).min() for pose in once.xyz[first:]) > 1


def test_rounds_bound_the_moves(sampled):
    once, twice = sampled(1), sampled(2)
    assert probability(once) < SURE
    assert np.array_equal(twice.xyz[: len(once.xyz)], once.xyz)
    assert np.array_equal(twice.moved[: len(once.xyz)], once.moved)
    assert 0 < len(twice.xyz) - len(once.xyz) <= MOVED
    assert twice.moved[len(once.xyz) :].all()


def test_each_round_moves_anew(sampled):
    """The same numbers in every round would move what stayed among the best to where they did before."""
    once, twice = sampled(1), sampled(2)
    first, last = once.xyz[once.moved], twice.xyz[len(once.xyz) :]
    assert min(gaps(first, pose).min() for pose in last) > 1e-3


def test_moved_poses_are_scored_like_all_others(unsure, sampled):
    found, weights = sampled(2), fitted_weights().minimised
    total = sum(weights[name] * found.terms[name] for name in weights)
    assert found.score == pytest.approx(total, abs=1e-3)
    copied = [unsure.placements[row] for row in found.placement]
    rmsd = [placement.rmsd_of(pose) for placement, pose in zip(copied, found.xyz, strict=True)]
    assert found.terms["core_rmsd"] == pytest.approx(rmsd, abs=1e-5)


def test_moved_poses_come_from_what_was_moved(unsure, sampled):
    """They keep what nothing turns: the lengths and angles of the conformer that they were made of."""
    still, once = sampled(0), sampled(1)
    known = list(zip(still.placement, still.member, strict=True))
    new = list(zip(once.placement[once.moved], once.member[once.moved], strict=True))
    best = np.argsort(-still.score, kind="stable")
    best = best[distinct(still.xyz[best], 0.5, 60)]
    assert new == [known[row] for row in best]
    assert len(set(new)) > 1
    near = np.nonzero(np.triu(Chem.GetDistanceMatrix(unsure.query.mol) <= 2, 1))
    for (row, member), pose in zip(new, once.xyz[once.moved], strict=True):
        start = unsure.placements[row].xyz[member]
        own, its = (np.linalg.norm(xyz[near[0]] - xyz[near[1]], axis=1) for xyz in (pose, start))
        assert own == pytest.approx(its, abs=5e-3)


def test_the_seed_alone_decides_how_they_are_moved(unsure, sampled):
    one, same, other = sampled(1), unsure.sample(rounds=1), unsure.sample(rounds=1, seed=2)
    assert np.array_equal(one.xyz, same.xyz)
    assert np.array_equal(one.score, same.score)
    assert np.array_equal(one.xyz[~one.moved], other.xyz[~other.moved])
    assert other.moved.tolist() == one.moved.tolist()
    assert gaps(one.xyz[one.moved], other.xyz[other.moved]).max() > 1


def test_the_poses_given_are_not_changed(unsure):
    placed = unsure.placed()
    kept = placed.xyz.copy()
    unsure.sample(most=3, rounds=1, placed=placed)
    assert np.array_equal(placed.xyz, kept)


def test_moves_find_what_copying_does_not(demo_library, docked):
    gained = []
    for id in ("Mpro-x0967", "Mpro-x0395"):
        crystal = positions(demo_library[id])
        without, with_rounds = (
            gaps(docked(id).sample(rounds=rounds).xyz, crystal).min() for rounds in (0, 3)
        )
        assert with_rounds <= without
        gained.append(without - with_rounds)
    assert max(gained) > 1


def test_moves_need_no_receptor(docked):
    found = docked("Mpro-x1093").sample(rounds=1, whose="none")
    assert found.moved.any()
    assert np.isfinite(found.score).all()
    assert not found.terms["contact"].any()
