from __future__ import annotations

import datetime
import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest

import templ
from templ.benchmark.definition import target_of
from templ.errors import InputError, LeakageError
from templ.evaluation.rmsd import symmetric_rmsd
from templ.molecules import positions
from templ.pipeline import predict
from templ.posing.finish import keeps_stereo
from templ.query import PreparedQuery
from templ.receptor import read_receptor
from templ.records import Target
from templ.scoring.answers import DISTINCT_POSES
from templ.settings import PredictionSettings
from templ.sources.demo import demo_files
from templ.sources.splits import TemplateRule

FAST = PredictionSettings(conformers=20, screened=20)


@pytest.fixture(scope="module")
def receptor():
    return read_receptor(demo_files().receptor)


@pytest.fixture(scope="module")
def outcome(demo_library, receptor):
    """A prediction that every test may look at; the ligand itself is a template under its own id."""
    smiles = demo_library.entry(demo_library.row_of("Mpro-x10019")).smiles
    return predict(smiles, demo_library, receptor=receptor)


@pytest.mark.parametrize("id", ["Mpro-x10201", "Mpro-x10395", "Mpro-x0434"])
def test_a_ligand_that_is_in_the_library_is_found_again(demo_library, receptor, id):
    smiles = demo_library.entry(demo_library.row_of(id)).smiles
    found = predict(smiles, demo_library, receptor=receptor)
    assert found.status == "posed"
    assert found.best_tanimoto == 1
    assert symmetric_rmsd(found.poses[0].mol, demo_library[id]) < 0.6
    assert found.poses[0].confidence > 0.8


def test_poses_are_ranked_and_differ(outcome):
    assert [pose.rank for pose in outcome.poses] == [1, 2, 3, 4, 5]
    scores = [pose.score for pose in outcome.poses]
    assert scores == sorted(scores, reverse=True)
    heavy = [positions(pose.mol)[: pose.mol.GetNumHeavyAtoms()] for pose in outcome.poses]
    gaps = [np.sqrt(((a - b) ** 2).sum(axis=1).mean()) for i, a in enumerate(heavy) for b in heavy[:i]]
    assert min(gaps) >= DISTINCT_POSES


def test_poses_say_where_they_come_from(demo_library, outcome):
    for pose in outcome.poses:
        assert pose.template_id in demo_library
        assert pose.way in ("core", "partial-core")
        assert pose.mcs_atoms >= 3
        assert pose.mcs_smarts
        assert all(atom.GetNumImplicitHs() == 0 for atom in pose.mol.GetAtoms())
    assert set(outcome.seconds) == {"prepare", "select", "pose", "score", "relax", "finish"}
    assert 1 <= outcome.templates_used <= PredictionSettings().templates
    assert outcome.templates_allowed == len(demo_library)


def test_the_same_seed_gives_the_same_poses_and_another_does_not(demo_library):
    smiles = "O=C(Nc1cccnc1)C1CCCc2ccccc21"
    one, same = (predict(smiles, demo_library, FAST) for _ in range(2))
    other = predict(smiles, demo_library, FAST.model_copy(update={"seed": 2}))
    for a, b in zip(one.poses, same.poses, strict=True):
        assert np.array_equal(positions(a.mol), positions(b.mol))
        assert a.score == b.score
    assert not np.allclose(positions(one.poses[0].mol), positions(other.poses[0].mol))


def test_every_pose_keeps_the_stereochemistry_of_its_query(demo_library):
    chiral = [row for row in range(len(demo_library)) if "@" in demo_library.entry(row).smiles][:20]
    assert len(chiral) == 20
    for row in chiral:
        target = target_of(demo_library.entry(row))
        found = predict(target, demo_library, PredictionSettings(conformers=8, screened=8))
        query = templ.molecules.parse_smiles(target.smiles)
        assert found.poses, target
        assert found.stereo_kept
        assert all(keeps_stereo(pose.mol, query) for pose in found.poses)


def test_salts_are_stripped_and_said_so(demo_library):
    found = predict("CC(=O)Nc1cnccc1C.Cl", demo_library, FAST)
    assert found.notes[0] == "largest fragment kept, left out: Cl"
    assert found.poses[0].mol.GetNumHeavyAtoms() == 11


@pytest.mark.parametrize(
    ("smiles", "reason"),
    [("CC", "too-small"), ("NCC(=O)" * 9 + "O", "peptide"), ("[Fe]OCCO", "unsupported-element")],
)
def test_refusals_are_outcomes(demo_library, smiles, reason):
    found = predict(Target("t", smiles), demo_library, FAST)
    assert (found.id, found.status, found.reason, found.poses) == ("t", "refused", reason, ())
    assert found.detail
    assert found.stereo_kept is None


def test_no_template_is_a_refusal(demo_library):
    target = Target("t", "CC(=O)Nc1cnccc1C", date=datetime.date(2000, 1, 1))
    found = predict(target, demo_library, FAST, rule=TemplateRule(before_date=True))
    assert (found.status, found.reason) == ("refused", "no-template")
    assert found.templates_allowed == 0


def test_a_refusal_for_want_of_similarity_still_says_how_many_were_allowed(demo_library):
    found = predict("OCCOCCOCCO", demo_library, FAST.model_copy(update={"min_tanimoto": 0.9}))
    assert (found.status, found.reason) == ("refused", "no-template")
    assert found.templates_allowed == len(demo_library)


@pytest.mark.parametrize("clause", ["before_date", "exclude_same_ligand"])
def test_a_screen_that_lets_everything_through_ends_in_a_leakage_error(demo_library, monkeypatch, clause):
    monkeypatch.setattr(
        "templ.selection.screen.allowed_rows",
        lambda library, rule, target, splits: np.ones(len(library), np.bool_),
    )
    target = replace(target_of(demo_library.entry(3)), id="under another name")
    with pytest.raises(LeakageError, match=f"not allowed for target 'under another name': {clause}"):
        predict(target, demo_library, FAST, rule=TemplateRule(**{clause: True}))


@pytest.mark.parametrize("smiles", ["C1CCC1", "O=C=O", "C1CCCCCCCCCCCC1"])
def test_nothing_shared_is_overlaid_and_said_so(demo_library, smiles):
    """The ring of four is overlaid with a zinc complex among others."""
    found = predict(smiles, demo_library, FAST.model_copy(update={"min_tanimoto": 0.0}))
    assert found.status == "posed"
    assert {pose.way for pose in found.poses} <= {"overlay", "search"}
    assert "whole molecules were overlaid" in found.notes[0]
    assert (found.poses[0].mcs_atoms, found.poses[0].core_rmsd) == (0, 0)


def test_a_smiles_that_cannot_be_read_names_its_target(demo_library):
    with pytest.raises(InputError, match="t7: 'C1CC' is not a SMILES"):
        predict(Target("t7", "C1CC"), demo_library)


def test_nothing_of_a_target_is_left_when_it_is_done(demo_library, monkeypatch):
    made = []
    first = PreparedQuery.__init__

    def remember(self, *args):
        made.append(weakref.ref(self))
        first(self, *args)

    monkeypatch.setattr(PreparedQuery, "__init__", remember)
    found = predict("CC(=O)Nc1cnccc1C", demo_library, FAST)
    gc.collect()
    assert found.poses
    assert [ref() for ref in made] == [None]


def test_a_salt_of_a_chiral_query_keeps_its_stereochemistry(demo_library):
    found = predict("Cl.C[C@H](NC(=O)c1cccnc1)c1ccccc1", demo_library, FAST)
    free = templ.molecules.parse_smiles("C[C@H](NC(=O)c1cccnc1)c1ccccc1")
    assert found.poses
    assert all(keeps_stereo(pose.mol, free) for pose in found.poses)


def test_nitrogens_with_stereochemistry_are_posed(demo_library):
    """Quinine as PubChem writes it."""
    smiles = "COC1=CC2=C(C=CN=C2C=C1)[C@H]([C@@H]3C[C@@H]4CC[N@]3C[C@@H]4C=C)O"
    assert predict(smiles, demo_library, PredictionSettings(conformers=5, screened=5)).status == "posed"


def test_a_pose_in_the_receptor_costs(demo_library, receptor):
    """Every pose has its clash term with a receptor, none without."""
    smiles = "O=C(Nc1cccnc1)C1CCCc2ccccc21"
    free, walled = (predict(smiles, demo_library, FAST, receptor=wall) for wall in (None, receptor))
    assert {pose.parts["clash"] for pose in free.poses} == {0.0}
    assert any(pose.parts["clash"] > 0 for pose in walled.poses)


def test_odd_molecules_do_not_crash(demo_library):
    for smiles in (
        "O=C1CCCCCCCCCCCCCO1",
        "C[N+](C)(C)CC(=O)[O-]",
        "C12C3C4C1C5C2C3C45",
        "CC=C=CC",
        "N#Cc1ccccc1",
    ):
        found = predict(smiles, demo_library, FAST)
        assert found.status in ("posed", "refused")


def test_the_number_of_poses_is_a_setting(demo_library):
    found = predict("O=C(Nc1cccnc1)C1CCCc2ccccc21", demo_library, FAST.model_copy(update={"top": 2}))
    assert len(found.poses) == 2


def test_a_pose_says_how_sure_it_is_and_a_query_how_good_its_prospects_are(outcome, demo_library):
    assert all(0 < pose.confidence < 1 for pose in outcome.poses)
    assert outcome.prospect is not None
    poor = predict("OCCOCCOCCO", demo_library, FAST)
    assert poor.prospect is not None
    assert poor.prospect < outcome.prospect
    assert poor.poses[0].confidence < outcome.poses[0].confidence


def test_a_query_is_refused_where_it_is_less_sure_than_asked(demo_library):
    smiles = "OCCOCCOCCO"
    sure = predict(smiles, demo_library, FAST).poses[0].confidence
    over, under = (
        predict(smiles, demo_library, FAST.model_copy(update={"min_confidence": sure + shift}))
        for shift in (0.01, -0.01)
    )
    assert (over.status, over.reason) == ("refused", "low-confidence")
    assert f"{sure:.2f}" in over.detail
    assert over.prospect is not None
    assert under.status == "posed"


def test_poses_do_not_run_into_the_receptor(outcome, receptor):
    for pose in outcome.poses:
        gaps = np.linalg.norm(positions(pose.mol)[:, None] - receptor.atoms.xyz, axis=-1)
        assert gaps[: pose.mol.GetNumHeavyAtoms()].min() > 0.75 * 2 * 1.5
