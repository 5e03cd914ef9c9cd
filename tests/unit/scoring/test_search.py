from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from rdkit import Chem

from templ.benchmark.definition import target_of
from templ.molecules import parse_smiles, positions
from templ.posing.finish import add_hydrogens, keeps_stereo
from templ.posing.geometry import distinct
from templ.posing.place import copy_core, overlay_whole
from templ.query import PreparedQuery
from templ.receptor import read_receptor
from templ.scoring.choice import choose
from templ.scoring.pocket import Pocket
from templ.scoring.ranking import ENERGIES, TERMS, rank
from templ.scoring.search import DISTINCT_STARTS, SHAKEN, SURE, search
from templ.scoring.weights import fitted_weights
from templ.selection.cores import mappings
from templ.selection.screen import allowed_rows, find_templates
from templ.selection.superpose import Fit
from templ.settings import PredictionSettings
from templ.sources.demo import demo_files
from templ.sources.splits import TemplateRule

RULE = TemplateRule()


@pytest.fixture(scope="module")
def receptor():
    return read_receptor(demo_files().receptor)


@dataclass(frozen=True)
class Docked:
    """A query with its poses as they were placed, and all that a search of them needs."""

    query: PreparedQuery
    placements: list
    sources: list
    hits: list
    pockets: dict

    def ranked(self, whose="other"):
        return rank(self.query, self.placements, self.pockets[whose])

    def search(self, *, most=10, rounds=0, seed=1, whose="other", sources=None):
        return search(
            self.query,
            self.ranked(whose),
            self.placements,
            sources or self.sources,
            self.pockets[whose],
            most=most,
            rounds=rounds,
            seed=seed,
        )


def made_of(query, placements, sources, hits, receptor):
    pockets = {
        "own": Pocket.of(query, hits, 12, receptor.atoms, own=True),
        "other": Pocket.of(query, hits, 12, receptor.atoms, own=False),
        "none": Pocket.of(query, hits, 12, None, own=False),
    }
    return Docked(query, placements, sources, hits, pockets)


@pytest.fixture(scope="module")
def docked(demo_library, receptor):
    """``docked(id)``: one ligand, placed by its three best templates."""
    made = {}

    def dock(id):
        if id not in made:
            target = target_of(demo_library.entry(demo_library.row_of(id)))
            query = PreparedQuery(parse_smiles(target.smiles), 10, 1)
            allowed = allowed_rows(demo_library, RULE, target)
            settings = PredictionSettings(screened=10)
            hits = find_templates(query, target, demo_library, RULE, allowed, settings)
            placements, sources = [], []
            for hit in hits[:3]:
                for core in mappings(hit.core, query, hit.mol):
                    placements.append(copy_core(query, hit.mol, core, 10))
                    sources.append(hit)
            made[id] = made_of(query, placements, sources, hits, receptor)
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
def searched(docked):
    """``searched(rounds)``: what came of the unsure ligand."""
    made = {}

    def run(rounds):
        if rounds not in made:
            made[rounds] = docked("Mpro-x1093").search(rounds=rounds)
        return made[rounds]

    return run


def mass(found):
    """Probability near the first answer."""
    return next(choose(found.xyz, found.score)).mass


def gaps(poses, pose):
    return np.sqrt(((poses - pose) ** 2).sum(axis=-1).mean(axis=-1))


def started_from(ranked, relaxed):
    """Rows of the ranked poses that were relaxed."""
    return [
        int(np.flatnonzero((ranked.origin == origin) & (ranked.within == within))[0])
        for origin, within in zip(relaxed.origin, relaxed.within, strict=True)
    ]


def test_the_score_is_the_sum_of_its_terms_and_energies_are_some_of_them(case):
    assert not any(case.ranked().terms[name].any() for name in ENERGIES)
    relaxed = case.search(most=20)
    assert tuple(relaxed.terms) == TERMS
    weights = fitted_weights().relaxed
    total = sum(weights[name] * relaxed.terms[name] for name in weights)
    assert relaxed.score == pytest.approx(total, abs=1e-3)
    assert relaxed.terms["contact"].min() < -0.03
    assert np.ptp(relaxed.terms["contact"]) > 0.02
    assert (relaxed.terms["strain"] >= 0).all()
    assert all(values.shape == relaxed.score.shape for values in relaxed.terms.values())


def test_the_best_that_differ_are_relaxed(case):
    ranked, relaxed = case.ranked(), case.search(most=4)
    assert relaxed.xyz.shape == (4, case.query.mol.GetNumAtoms(), 3)
    rows = started_from(ranked, relaxed)
    starts = ranked.xyz[rows]
    assert rows[0] == ranked.score.argmax()
    assert (np.diff(ranked.score[rows]) <= 0).all()
    assert min(gaps(starts[:row], starts[row]).min() for row in range(1, 4)) >= DISTINCT_STARTS
    assert np.abs(relaxed.xyz - starts).max() > 0.1


def test_there_may_be_fewer_poses_than_asked_for(case):
    first = case.placements[0]
    one = replace(first, xyz=first.xyz[:1], core_rmsd=first.core_rmsd[:1])
    relaxed = replace(case, placements=[one, one], sources=case.sources[:2]).search(most=50)
    assert relaxed.xyz.shape[0] == 1
    assert np.isfinite(relaxed.score).all()


def test_a_receptor_that_gives_way_moves_poses_less(case):
    own, other = case.search(whose="own"), case.search()
    assert np.abs(own.terms["contact"] - other.terms["contact"]).max() > 0.02
    assert np.abs(own.xyz - other.xyz).max() > 0.1


def test_the_core_is_measured_where_it_ends_up(case):
    relaxed = case.search()
    for pose, origin, found in zip(relaxed.xyz, relaxed.origin, relaxed.terms["core_rmsd"], strict=True):
        placed = case.placements[origin]
        gap = pose[list(placed.atoms)] - placed.onto
        assert found == pytest.approx(np.sqrt((gap**2).sum(axis=1).mean()), abs=1e-5)
    before = [case.placements[o].core_rmsd[w] for o, w in zip(relaxed.origin, relaxed.within, strict=True)]
    assert np.abs(relaxed.terms["core_rmsd"] - before).max() > 0.05


def test_a_placement_knows_the_rmsd_of_its_own_poses(case):
    for placed in case.placements:
        assert [placed.rmsd_of(pose) for pose in placed.xyz] == pytest.approx(placed.core_rmsd)


def test_without_a_receptor_the_templates_alone_pull(case):
    ranked, relaxed = case.ranked("none"), case.search(whose="none")
    assert not relaxed.terms["clash"].any()
    assert not relaxed.terms["contact"].any()
    rows = started_from(ranked, relaxed)
    assert relaxed.terms["consensus"].mean() > ranked.terms["consensus"][rows].mean()


def test_overlays_have_no_core_to_measure(docked, receptor):
    query = PreparedQuery(parse_smiles("C1C2CC3CC1CC(C2)C3O"), 3, 1)
    bare = [replace(hit, core=None) for hit in docked("Mpro-x10019").hits[:3]]
    placements = [overlay_whole(query, hit.mol, 5) for hit in bare]
    relaxed = made_of(query, placements, bare, bare, receptor).search()
    assert placements[0].rmsd_of(relaxed.xyz[0]) == 0
    assert not relaxed.terms["core_rmsd"].any()
    assert np.isfinite(relaxed.score).all()


def test_overlays_are_relaxed_though_they_rank_low(case):
    overlaid = overlay_whole(case.query, case.hits[-1].mol, 5)
    mixed = replace(case, placements=[*case.placements, overlaid], sources=[*case.sources, case.hits[-1]])
    relaxed = mixed.search(most=2)
    last = len(mixed.placements) - 1
    assert sorted(relaxed.within[relaxed.origin == last]) == list(range(len(overlaid.xyz)))
    assert 0 < (relaxed.origin != last).sum() <= 2


def test_a_core_is_held_the_more_its_template_is_like_the_query(case):
    alike, unlike = (
        case.search(sources=[replace(hit, tanimoto=tanimoto) for hit in case.sources]).terms["core_rmsd"]
        for tanimoto in (1.0, 0.0)
    )
    assert alike.mean() < unlike.mean() - 0.05


def test_clashes_are_relaxed_away(docked):
    case = docked("Mpro-x10876")
    ranked, relaxed = case.ranked("own"), case.search(whose="own")
    rows = started_from(ranked, relaxed)
    clash, before = relaxed.terms["clash"], ranked.terms["clash"][rows]
    assert before.max() > 0.1
    assert clash.mean() < before.mean() / 10
    assert relaxed.terms["bump"].max() < 0.05  # and not by folding up


def test_templates_of_wholly_other_pockets_still_count(case, receptor):
    """Not one residue of any pocket is the query's, which makes all weights small but none NaN."""
    alien = Fit(np.eye(3), np.zeros(3), 100, 1.0, 1.0, 0.3, pocket_identity=0.0)
    hits = [replace(hit, fit=alien) for hit in case.hits]
    there = made_of(case.query, case.placements, case.sources, hits, receptor)
    assert np.isfinite(there.ranked().score).all()
    assert np.isfinite(there.search(most=3).score).all()


@pytest.mark.parametrize(("id", "shaken"), [("Mpro-6zrt", 0), ("Mpro-6w63", 10)])
def test_stereochemistry_is_kept(docked, id, shaken):
    case = docked(id)
    assert Chem.FindMolChiralCenters(case.query.mol)
    found = case.search(rounds=2)
    assert found.shaken.sum() >= shaken
    for pose in found.xyz:
        assert keeps_stereo(add_hydrogens(case.query.mol, pose), case.query.mol)


def test_near_the_crystal(demo_library, docked):
    """Copied from its relatives and relaxed, the ligand has a pose near its own crystal's."""
    relaxed = docked("Mpro-x10201").search()
    assert gaps(relaxed.xyz, positions(demo_library["Mpro-x10201"])).min() < 2


def test_a_sure_case_is_not_shaken(sure):
    still, searched = sure.search(), sure.search(rounds=3)
    assert mass(still) >= SURE
    assert np.array_equal(searched.xyz, still.xyz)
    assert not searched.shaken.any()


def test_an_unsure_case_is_shaken_and_the_new_poses_are_marked(searched):
    still, once = searched(0), searched(1)
    assert mass(still) < SURE
    assert not still.shaken.any()
    first = len(still.xyz)
    assert np.array_equal(once.xyz[:first], still.xyz)
    assert np.array_equal(once.score[:first], still.score)
    assert once.shaken.tolist() == [False] * first + [True] * (len(once.xyz) - first)
    assert 0 < once.shaken.sum() <= first
    assert max(gaps(still.xyz, pose).min() for pose in once.xyz[first:]) > 1


def test_rounds_bound_the_shaking(searched):
    once, twice = searched(1), searched(2)
    assert mass(once) < SURE
    assert np.array_equal(twice.xyz[: len(once.xyz)], once.xyz)
    assert np.array_equal(twice.shaken[: len(once.xyz)], once.shaken)
    assert 0 < len(twice.xyz) - len(once.xyz) <= SHAKEN
    assert twice.shaken[len(once.xyz) :].all()


def test_each_round_shakes_anew(searched):
    """The same numbers in every round would throw what stayed among the best to where they did before."""
    once, twice = searched(1), searched(2)
    first, last = once.xyz[once.shaken], twice.xyz[len(once.xyz) :]
    assert min(gaps(first, pose).min() for pose in last) > 1e-3


def test_shaken_poses_are_scored_like_all_others(unsure, searched):
    found, weights = searched(2), fitted_weights().relaxed
    total = sum(weights[name] * found.terms[name] for name in weights)
    assert found.score == pytest.approx(total, abs=1e-3)
    of = [unsure.placements[origin] for origin in found.origin]
    rmsd = [placed.rmsd_of(pose) for placed, pose in zip(of, found.xyz, strict=True)]
    assert found.terms["core_rmsd"] == pytest.approx(rmsd, abs=1e-5)


def test_shaken_poses_come_from_what_they_were_thrown_from(unsure, searched):
    """They keep what nothing turns: the lengths and angles of the conformer that they were made of."""
    still, once = searched(0), searched(1)
    known = list(zip(still.origin, still.within, strict=True))
    new = list(zip(once.origin[once.shaken], once.within[once.shaken], strict=True))
    best = np.argsort(-still.score, kind="stable")
    best = best[distinct(still.xyz[best], DISTINCT_STARTS, SHAKEN)]
    assert new == [known[row] for row in best]
    assert len(set(new)) > 1
    near = np.nonzero(np.triu(Chem.GetDistanceMatrix(unsure.query.mol) <= 2, 1))
    for (origin, within), pose in zip(new, once.xyz[once.shaken], strict=True):
        start = unsure.placements[origin].xyz[within]
        own, its = (np.linalg.norm(xyz[near[0]] - xyz[near[1]], axis=1) for xyz in (pose, start))
        assert own == pytest.approx(its, abs=5e-3)


def test_the_seed_alone_decides_how_they_are_shaken(unsure, searched):
    one, same, other = searched(1), unsure.search(rounds=1), unsure.search(rounds=1, seed=2)
    assert np.array_equal(one.xyz, same.xyz)
    assert np.array_equal(one.score, same.score)
    assert np.array_equal(one.xyz[~one.shaken], other.xyz[~other.shaken])
    assert other.shaken.tolist() == one.shaken.tolist()
    assert gaps(one.xyz[one.shaken], other.xyz[other.shaken]).max() > 1


def test_the_poses_given_are_not_changed(unsure):
    ranked = unsure.ranked()
    kept = ranked.xyz.copy()
    given = unsure.query, ranked, unsure.placements, unsure.sources, unsure.pockets["other"]
    search(*given, most=3, rounds=1, seed=1)
    assert np.array_equal(ranked.xyz, kept)


def test_shaking_finds_what_copying_does_not(demo_library, docked):
    gained = []
    for id in ("Mpro-x0967", "Mpro-x0395"):
        crystal = positions(demo_library[id])
        without, with_rounds = (
            gaps(docked(id).search(rounds=rounds).xyz, crystal).min() for rounds in (0, 3)
        )
        assert with_rounds <= without
        gained.append(without - with_rounds)
    assert max(gained) > 1


def test_shaking_needs_no_receptor(docked):
    found = docked("Mpro-x1093").search(rounds=1, whose="none")
    assert found.shaken.any()
    assert np.isfinite(found.score).all()
    assert not found.terms["contact"].any()
