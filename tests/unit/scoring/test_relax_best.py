from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rdkit import Chem

from templ.benchmark.definition import target_of
from templ.molecules import parse_smiles, positions
from templ.posing.finish import add_hydrogens, keeps_stereo
from templ.posing.place import copy_core, overlay_whole
from templ.query import PreparedQuery
from templ.receptor import read_receptor
from templ.scoring.ranking import DISTINCT_STARTS, ENERGIES, TERMS, rank, relax_best
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


@pytest.fixture(scope="module")
def docked(demo_library, receptor):
    """``docked(id)``: query, ranked poses, placements, their sources and consensus of one ligand."""
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
            made[id] = query, rank(query, placements, hits, receptor.atoms.xyz), placements, sources, hits
        return made[id]

    return dock


@pytest.fixture
def case(docked):
    return docked("Mpro-x10019")


def started_from(ranked, relaxed):
    """Rows of the ranked poses that were relaxed."""
    return [
        int(np.flatnonzero((ranked.origin == origin) & (ranked.within == within))[0])
        for origin, within in zip(relaxed.origin, relaxed.within, strict=True)
    ]


def test_the_score_is_the_sum_of_its_terms_and_energies_are_some_of_them(case, receptor):
    query, ranked, placements, sources, hits = case
    assert not any(ranked.terms[name].any() for name in ENERGIES)
    relaxed = relax_best(query, ranked, placements, sources, hits, receptor, most=20, own=True)
    assert tuple(relaxed.terms) == TERMS
    weights = fitted_weights().relaxed
    total = sum(weights[name] * relaxed.terms[name] for name in weights)
    assert relaxed.score == pytest.approx(total, abs=1e-4)
    assert relaxed.terms["contact"].min() < -0.05
    assert np.ptp(relaxed.terms["contact"]) > 0.05
    assert (relaxed.terms["hold"] <= 0).all()
    assert (relaxed.terms["strain"] >= 0).all()
    assert all(values.shape == relaxed.score.shape for values in relaxed.terms.values())


def test_the_best_that_differ_are_relaxed(case, receptor):
    query, ranked, placements, sources, hits = case
    relaxed = relax_best(query, ranked, placements, sources, hits, receptor, most=4, own=True)
    assert relaxed.xyz.shape == (4, query.mol.GetNumAtoms(), 3)
    rows = started_from(ranked, relaxed)
    starts = ranked.xyz[rows]
    assert rows[0] == ranked.score.argmax()
    assert (np.diff(ranked.score[rows]) <= 0).all()
    gaps = [np.sqrt(((a - b) ** 2).sum(axis=1).mean()) for i, a in enumerate(starts) for b in starts[:i]]
    assert min(gaps) >= DISTINCT_STARTS
    assert np.abs(relaxed.xyz - starts).max() > 0.1
    assert relaxed.terms["cover"] == pytest.approx(ranked.terms["cover"][rows])


def test_there_may_be_fewer_poses_than_asked_for(case, receptor):
    query, ranked, placements, sources, hits = case
    one = replace(placements[0], xyz=placements[0].xyz[:1], core_rmsd=placements[0].core_rmsd[:1])
    ranked = rank(query, [one, one], hits, receptor.atoms.xyz)
    relaxed = relax_best(query, ranked, [one, one], sources[:2], hits, receptor, most=50, own=True)
    assert relaxed.xyz.shape[0] == 1
    assert np.isfinite(relaxed.score).all()


def test_the_querys_own_receptor_counts_for_more(case, receptor):
    query, ranked, placements, sources, hits = case
    own, other = (
        relax_best(query, ranked, placements, sources, hits, receptor, most=10, own=whose)
        for whose in (True, False)
    )
    assert np.abs(own.terms["contact"] - other.terms["contact"]).max() > 0.02
    assert np.abs(own.xyz - other.xyz).max() > 0.1


def test_the_core_is_measured_where_it_ends_up(case, receptor):
    query, ranked, placements, sources, hits = case
    relaxed = relax_best(query, ranked, placements, sources, hits, receptor, most=10, own=False)
    for pose, origin, found in zip(relaxed.xyz, relaxed.origin, relaxed.terms["core_rmsd"], strict=True):
        placed = placements[origin]
        gap = pose[list(placed.atoms)] - placed.onto
        assert found == pytest.approx(np.sqrt((gap**2).sum(axis=1).mean()), abs=1e-5)
    before = [placements[o].core_rmsd[w] for o, w in zip(relaxed.origin, relaxed.within, strict=True)]
    assert np.abs(relaxed.terms["core_rmsd"] - before).max() > 0.05


def test_a_placement_knows_the_rmsd_of_its_own_poses(case):
    for placed in case[2]:
        assert [placed.rmsd_of(pose) for pose in placed.xyz] == pytest.approx(placed.core_rmsd)


def test_without_a_receptor_the_templates_alone_pull(case):
    query, ranked, placements, sources, hits = case
    relaxed, same = (
        relax_best(query, ranked, placements, sources, hits, None, most=10, own=own) for own in (True, False)
    )
    assert not relaxed.terms["clash"].any()
    assert not relaxed.terms["contact"].any()
    assert np.array_equal(relaxed.xyz, same.xyz)
    rows = started_from(ranked, relaxed)
    assert relaxed.terms["consensus"].mean() > ranked.terms["consensus"][rows].mean()


def test_overlays_have_no_core_to_measure(demo_library, receptor, docked):
    *_, hits = docked("Mpro-x10019")
    query = PreparedQuery(parse_smiles("C1C2CC3CC1CC(C2)C3O"), 3, 1)
    bare = [replace(hit, core=None) for hit in hits[:3]]
    placements = [overlay_whole(query, hit.mol, 5) for hit in bare]
    ranked = rank(query, placements, bare, receptor.atoms.xyz)
    relaxed = relax_best(query, ranked, placements, bare, bare, receptor, most=10, own=True)
    assert placements[0].rmsd_of(relaxed.xyz[0]) == 0
    assert not relaxed.terms["core_rmsd"].any()
    assert np.isfinite(relaxed.score).all()


def test_a_core_is_held_the_more_its_template_is_like_the_query(case, receptor):
    query, ranked, placements, sources, hits = case
    alike, unlike = (
        relax_best(
            query,
            ranked,
            placements,
            [replace(hit, tanimoto=tanimoto) for hit in sources],
            hits,
            receptor,
            most=10,
            own=True,
        ).terms["core_rmsd"]
        for tanimoto in (1.0, 0.0)
    )
    assert alike.mean() < unlike.mean() - 0.05


@pytest.mark.parametrize("own", [True, False])
def test_clashes_are_relaxed_away(docked, receptor, own):
    query, ranked, placements, sources, hits = docked("Mpro-x10876")
    relaxed = relax_best(query, ranked, placements, sources, hits, receptor, most=10, own=own)
    rows = started_from(ranked, relaxed)
    clash, before = relaxed.terms["clash"], ranked.terms["clash"][rows]
    assert before.min() > 0.1
    assert (clash < before).all()
    assert clash.mean() < before.mean() / (10 if own else 2)
    assert relaxed.terms["bump"].max() < 0.05  # and not by folding up


def test_it_is_deterministic(case, receptor):
    query, ranked, placements, sources, hits = case
    kept = ranked.xyz.copy()
    one, two = (
        relax_best(query, ranked, placements, sources, hits, receptor, most=10, own=True) for _ in range(2)
    )
    assert np.array_equal(one.xyz, two.xyz)
    assert np.array_equal(one.score, two.score)
    assert np.array_equal(ranked.xyz, kept)


def test_templates_of_wholly_other_pockets_still_count(case, receptor):
    """Not one residue of any pocket is the query's, which makes all weights small but none NaN."""
    query, _, placements, sources, hits = case
    alien = Fit(np.eye(3), np.zeros(3), 100, 1.0, 1.0, 0.3, pocket_identity=0.0)
    hits = [replace(hit, fit=alien) for hit in hits]
    ranked = rank(query, placements, hits, receptor.atoms.xyz)
    relaxed = relax_best(query, ranked, placements, sources, hits, receptor, most=3, own=True)
    assert np.isfinite(ranked.score).all()
    assert np.isfinite(relaxed.score).all()


def chiral(library):
    """Three ligands of the demo with most stereochemistry in their SMILES."""
    smiles = {library.entry(row).id: library.entry(row).smiles for row in range(len(library))}
    return sorted(smiles, key=lambda id: (-smiles[id].count("@"), id))[:3]


def test_stereochemistry_is_kept(demo_library, docked, receptor):
    poses = 0
    for id in chiral(demo_library):
        query, ranked, placements, sources, hits = docked(id)
        assert Chem.FindMolChiralCenters(query.mol)
        relaxed = relax_best(query, ranked, placements, sources, hits, receptor, most=15, own=True)
        for pose in relaxed.xyz:
            assert keeps_stereo(add_hydrogens(query.mol, pose), query.mol), id
            poses += 1
    assert poses > 5


def test_near_the_crystal(demo_library, docked, receptor):
    """Copied from its relatives and relaxed, the ligand has a pose near its own crystal's."""
    query, ranked, placements, sources, hits = docked("Mpro-x10201")
    relaxed = relax_best(query, ranked, placements, sources, hits, receptor, most=10, own=False)
    crystal = positions(demo_library["Mpro-x10201"])
    gaps = np.sqrt(((relaxed.xyz - crystal) ** 2).sum(axis=-1).mean(axis=-1))
    assert gaps.min() < 2
