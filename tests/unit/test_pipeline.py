from __future__ import annotations

import contextlib
import datetime
import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest
from rdkit import Chem

from templ.chemistry.conformers import PreparedQuery
from templ.chemistry.molecules import parse_smiles, positions
from templ.chemistry.receptor import Atoms
from templ.chemistry.receptor_file import read_receptor
from templ.errors import InputError, LeakageError
from templ.evaluation.rmsd import symmetric_rmsd
from templ.jobs.target import target_of
from templ.library.store import Library
from templ.pipeline import predict
from templ.poses.pose_file import to_sdf
from templ.poses.pose_selection import DISTINCT_POSES
from templ.poses.stereo import keeps_stereo
from templ.prediction import Prediction
from templ.records import Outcome, Target
from templ.scoring.confidence import confidence, evidence, log_odds, prior_confidence
from templ.scoring.posterior import clusters
from templ.scoring.shape import shape_similarity
from templ.scoring.weights import fitted_weights
from templ.settings import PredictionSettings
from templ.sources.demo import demo_files
from templ.templates.rule import TemplateRule
from templ.templates.screening import AllowedTemplates

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
        assert pose.method in ("core", "partial-core")
        assert len(pose.core) >= 3
        assert pose.core_smarts
        assert all(atom.GetNumImplicitHs() == 0 for atom in pose.mol.GetAtoms())
    assert set(outcome.seconds) == {"prepare", "select", "pose", "score", "minimise", "finish"}
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
    chiral = [row for row in range(len(demo_library)) if "@" in demo_library.entry(row).smiles][:20:4]
    assert len(chiral) == 5
    settings = PredictionSettings(conformers=8, screened=4, templates=4, minimised=10, rounds=1)
    for row in chiral:
        target = target_of(demo_library.entry(row))
        found = predict(target, demo_library, settings)
        query = parse_smiles(target.smiles)
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
    first = AllowedTemplates.__init__

    def allow_all(self, *args):
        first(self, *args)
        self.rows[:] = True

    monkeypatch.setattr(AllowedTemplates, "__init__", allow_all)
    target = replace(target_of(demo_library.entry(3)), id="under another name")
    with pytest.raises(LeakageError, match=f"not allowed for target 'under another name': {clause}"):
        predict(target, demo_library, FAST, rule=TemplateRule(**{clause: True}))


@pytest.mark.parametrize("smiles", ["O=C=O", "C1CCCCCCCCCCCC1"])
def test_nothing_shared_is_overlaid_and_said_so(demo_library, smiles):
    found = predict(smiles, demo_library, FAST.model_copy(update={"min_tanimoto": 0.0}))
    assert found.status == "posed"
    assert {pose.method for pose in found.poses} <= {"overlay", "monte-carlo"}
    assert any("whole molecules were overlaid" in note for note in found.notes)
    assert (found.poses[0].core, found.poses[0].core_rmsd) == ({}, 0)


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
    free = parse_smiles("C[C@H](NC(=O)c1cccnc1)c1ccccc1")
    assert found.poses
    assert all(keeps_stereo(pose.mol, free) for pose in found.poses)


def test_nitrogens_with_stereochemistry_are_posed(demo_library):
    """Quinine as PubChem writes it."""
    smiles = "COC1=CC2=C(C=CN=C2C=C1)[C@H]([C@@H]3C[C@@H]4CC[N@]3C[C@@H]4C=C)O"
    assert predict(smiles, demo_library, PredictionSettings(conformers=5, screened=5)).status == "posed"


def test_a_pose_in_the_receptor_costs(demo_library, receptor):
    """Every pose has its clash term with a receptor, none without."""
    smiles = "O=C(Nc1cccnc1)C1CCCc2ccccc21"
    free, bound = (predict(smiles, demo_library, FAST, receptor=given) for given in (None, receptor))
    assert {pose.terms["receptor_clash"] for pose in free.poses} == {0.0}
    assert any(pose.terms["receptor_clash"] > 0 for pose in bound.poses)


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


def test_a_pose_says_its_confidence_and_a_query_its_prior_confidence(outcome, demo_library):
    assert all(0 < pose.confidence < 1 for pose in outcome.poses)
    assert outcome.prior_confidence is not None
    poor = predict("OCCOCCOCCO", demo_library, FAST)
    assert poor.prior_confidence is not None
    assert poor.prior_confidence < outcome.prior_confidence
    assert poor.poses[0].confidence < outcome.poses[0].confidence


def test_a_query_is_refused_where_its_confidence_is_less_than_asked(demo_library):
    smiles = "OCCOCCOCCO"
    sure = predict(smiles, demo_library, FAST).poses[0].confidence
    over, under = (
        predict(smiles, demo_library, FAST.model_copy(update={"min_confidence": sure + shift}))
        for shift in (0.01, -0.01)
    )
    assert (over.status, over.reason) == ("refused", "low-confidence")
    assert f"{sure:.2f}" in over.detail
    assert over.prior_confidence is not None
    assert under.status == "posed"


def test_poses_do_not_run_into_the_receptor(outcome, receptor):
    for pose in outcome.poses:
        gaps = np.linalg.norm(positions(pose.mol)[:, None] - receptor.atoms.xyz, axis=-1)
        assert gaps[: pose.mol.GetNumHeavyAtoms()].min() > 0.75 * 2 * 1.5


@pytest.fixture(scope="module")
def unsure(demo_library, receptor):
    """A prediction whose poses are moved out of the receptor, and of which it is open which is right."""
    target = target_of(demo_library.entry(demo_library.row_of("Mpro-x1093")))
    prediction = Prediction(target, demo_library, FAST, receptor=receptor)
    sample = prediction.sample()
    return sample, prediction.select(sample), prediction


def from_file(poses):
    """Coordinates of heavy atoms, and the properties, of poses in an SDF."""
    supplier = Chem.SDMolSupplier()
    supplier.SetData(to_sdf(Outcome("x", "posed", poses=tuple(poses))), removeHs=False)
    return [(positions(mol)[: mol.GetNumHeavyAtoms()], mol.GetPropsAsDict()) for mol in supplier]


def test_terms_describe_the_coordinates_handed_out(demo_library, unsure):
    """Not those before clashes were removed: computed anew, by hand, from what the file holds."""
    sample, poses, _ = unsure
    query, pocket = sample.query, sample.pocket
    for pose, (xyz, properties) in zip(poses, from_file(poses), strict=True):
        own = positions(pose.mol)[: len(xyz)]
        assert xyz == pytest.approx(own, abs=1e-4)
        onto = positions(demo_library[pose.template_id])
        gap = own[list(pose.core)] - onto[list(pose.core.values())]
        core_rmsd = np.sqrt((gap**2).sum(axis=1).mean())
        clash = sum(
            2 * max(0, 3 - np.linalg.norm(own[i] - own[j])) ** 2 / len(own)
            for i, j in zip(*query.far_pairs, strict=True)
        )
        similarity = shape_similarity(own[None], query.features, pocket.shapes)[:, 0]
        assert pose.core_rmsd == pytest.approx(core_rmsd, abs=1e-5)  # of the template that it lies on
        known = {
            "intramolecular_clash": clash,
            "consensus": pocket.template_weights @ similarity,
        }
        for name, value in known.items():
            assert pose.terms[name] == pytest.approx(value, abs=1e-5), name
            assert properties[f"score_{name}"] == pytest.approx(value, abs=6e-5), name
        assert pose.core_rmsd == pytest.approx(core_rmsd)
    before = sample.ranked.xyz
    gaps = [np.abs(positions(pose.mol)[: before.shape[1]] - before).max(axis=(1, 2)).min() for pose in poses]
    assert max(gaps) > 0.05  # some were moved


def test_score_and_confidence_are_those_of_the_cluster(unsure, monkeypatch):
    """Where the network says nothing; what it changes is tested with the selection of poses."""
    sample, _, prediction = unsure
    mute = {kind: {"network": 0.0} for kind in ("own", "other")}
    monkeypatch.setattr(
        "templ.scoring.weights.fitted_weights", lambda: replace(fitted_weights(), selected=mute)
    )
    found = {cluster.score: cluster for cluster in clusters(sample.ranked.xyz, sample.ranked.score)}
    for pose in prediction.select(sample):
        cluster = found[min(found, key=lambda score: abs(score - pose.score))]
        terms = {
            "log_odds": log_odds(cluster.probability),
            "consensus": float(sample.ranked.terms["consensus"][cluster.centre]),
            "network": pose.terms.get("network", 0.0),
            "tanimoto": sample.evidence["tanimoto"],
        }
        assert pose.score == pytest.approx(cluster.score, abs=1e-9)
        assert pose.confidence == pytest.approx(confidence(terms), abs=1e-9)


def test_what_the_templates_tell_is_noted_before_posing(unsure):
    sample, _, prediction = unsure
    assert sample.evidence["tanimoto"] == prediction.outcome.best_tanimoto
    assert prediction.outcome.prior_confidence == prior_confidence(sample.evidence)
    shown = [evidence([each.template], sample.query.mol) for each in sample.placements]
    assert sample.evidence["shared"] >= max(each["shared"] for each in shown) > 0
    assert prediction.outcome.best_identity is None


def test_a_pose_that_was_moved_says_so_and_no_other(unsure):
    sample, poses, _ = unsure
    assert sample.ranked.moved.any()
    for pose in poses:
        gaps = np.abs(sample.ranked.xyz - positions(pose.mol)[: sample.ranked.xyz.shape[1]]).max(axis=(1, 2))
        if gaps.min() < 1e-6:
            index = int(gaps.argmin())
            copied = sample.placements[sample.ranked.placement[index]]
            assert (pose.method == "monte-carlo") == bool(sample.ranked.moved[index])
            xyz = positions(pose.mol)[: sample.ranked.xyz.shape[1]]
            near = {placement.template.id: placement.atoms_near(xyz) for placement in sample.placements}
            assert near[pose.template_id] == max(near.values()) or pose.template_id == copied.template.id


def test_a_smiles_a_molecule_and_a_target_are_predicted_alike(demo_library):
    row = demo_library.row_of("Mpro-x10201")
    smiles = Chem.MolToSmiles(parse_smiles(demo_library.entry(row).smiles))
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    one, two, three = (
        predict(query, demo_library, FAST) for query in (smiles, mol, Target("x", smiles, group="any"))
    )
    assert (one.id, two.id, three.id) == ("query", "query", "x")
    for a, b, c in zip(one.poses, two.poses, three.poses, strict=True):
        assert np.array_equal(positions(a.mol), positions(b.mol))
        assert np.array_equal(positions(a.mol), positions(c.mol))
        assert a.score == b.score == c.score
    assert mol.GetNumConformers() == 0


@pytest.mark.parametrize("smiles", ["OCCOCCOCCO", "CC", "C1CC"])
def test_pages_of_the_library_are_released_however_it_ends(demo_library, monkeypatch, smiles):
    """Else memory grows by what each query looked at."""
    events, most_similar = [], Library.most_similar

    def looked_at(self, *args):
        events.append("looked at")
        return most_similar(self, *args)

    monkeypatch.setattr(Library, "most_similar", looked_at)
    monkeypatch.setattr(Library, "release_pages", lambda self: events.append("released"))
    with contextlib.suppress(InputError):
        predict(smiles, demo_library, FAST)
    assert events[-1] == "released"
    assert (events[0] == "looked at") == (smiles == "OCCOCCOCCO")


def test_without_minimisation_poses_are_selected_as_they_were_placed(demo_library):
    prediction = Prediction(
        Target("t", "O=C(Nc1cccnc1)C1CCCc2ccccc21"), demo_library, FAST.model_copy(update={"minimised": 0})
    )
    sample = prediction.sample()
    assert sample.ranked is sample.placed
    poses = prediction.select(sample)
    assert {pose.method for pose in poses} <= {"core", "partial-core"}
    assert "contact" not in poses[0].terms


def test_every_isomer_that_is_left_open_is_posed_and_named(demo_library):
    found = predict("CC(C(=O)Nc1cccnc1)c1cccc(Cl)c1", demo_library, FAST)
    assert found.notes[0] == "stereochemistry left open: each of 2 isomers is posed"
    posed = {pose.smiles for pose in found.poses}
    assert posed <= {"C[C@H](C(=O)Nc1cccnc1)c1cccc(Cl)c1", "C[C@@H](C(=O)Nc1cccnc1)c1cccc(Cl)c1"}
    assert len(found.poses) == FAST.top
    assert [pose.rank for pose in found.poses] == list(range(1, FAST.top + 1))
    confidences = [pose.confidence for pose in found.poses]
    assert confidences == sorted(confidences, reverse=True)
    for smiles in posed:  # what each alone gives is what is merged
        alone = predict(smiles, demo_library, FAST)
        assert alone.notes == ()
        assert {pose.smiles for pose in alone.poses} == {smiles}
    assert found.stereo_kept


def test_a_pose_names_the_template_that_it_lies_on(unsure):
    sample, poses, _ = unsure
    for pose in poses:
        xyz = positions(pose.mol)[: sample.ranked.xyz.shape[1]]
        own = next(
            placement
            for placement in sample.placements
            if placement.template.id == pose.template_id and dict(placement.pairs) == pose.core
        )
        assert pose.core_rmsd == pytest.approx(own.rmsd_of(xyz), abs=1e-6)


def test_states_are_posed_and_the_pose_says_which(demo_library):
    settings = FAST.model_copy(update={"states": True, "top": 20})
    outcome = predict("OC(=O)Cc1ccncc1", demo_library, settings)
    assert any("states is posed" in note for note in outcome.notes)
    assert len({pose.smiles for pose in outcome.poses}) > 1
    alone = predict("OC(=O)Cc1ccncc1", demo_library, FAST)
    assert {pose.smiles for pose in alone.poses} == {"O=C(O)Cc1ccncc1"}


def test_an_unlikely_charge_is_noted(demo_library):
    notes = predict("[NH3+]c1ccc(C)cc1", demo_library, FAST).notes
    assert "an aniline with a proton more: a charge that is unlikely at pH 7" in notes


def test_a_ligand_in_the_way_is_noted(demo_library, receptor):
    """The receptor still has a ligand where the templates lie."""
    ligand = demo_library[next(iter(demo_library))]
    count = ligand.GetNumAtoms()
    atoms = receptor.atoms
    more = {
        "xyz": positions(ligand).astype(np.float32),
        "elements": np.full(count, 6, np.uint8),
        "residues": np.full(count, -1, np.int32),
        "names": np.full(count, "C"),
        "residue_names": np.full(count, "LIG"),
        "b_factors": np.zeros(count, np.float32),
    }
    joined = Atoms(*(np.concatenate([getattr(atoms, name), more[name]]) for name in atoms.__slots__))
    note = "LIG lies where the templates do, as part of the receptor; if it is a ligand: --site LIG"
    query = "CC(=O)Nc1cnccc1C"
    assert note in predict(query, demo_library, FAST, receptor=replace(receptor, atoms=joined)).notes
    assert note not in predict(query, demo_library, FAST, receptor=receptor).notes


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"query": None}, "query is None; expected a SMILES, an RDKit molecule"),
        ({"query": ["CCO"]}, r"query is \['CCO'\]; .* a list or a file is for templ.predict_queries"),
        ({"library": "mpro.templ"}, r"library is 'mpro.templ'; .* templ.open_library\(PATH\)"),
        ({"receptor": "r.pdb"}, r"receptor is 'r.pdb'; .* templ.read_receptor\(PATH\)"),
        ({"receptor": {"a": "r.pdb"}}, "receptor is 'r.pdb'; "),
        ({"settings": {"top": 1}}, r"settings is \{'top': 1\}; expected templ.PredictionSettings"),
    ],
    ids=str,
)
def test_an_argument_of_another_kind_is_told_what_makes_it(demo_library, wrong, expected):
    with pytest.raises(InputError, match=expected):
        predict(**{"query": "CCO", "library": demo_library} | wrong)


def test_a_pose_in_the_void_is_impossible(demo_library, receptor):
    away = replace(receptor, atoms=replace(receptor.atoms, xyz=receptor.atoms.xyz + np.float32(100)))
    outcome = predict("CC(=O)Nc1cnccc1C", demo_library, FAST, receptor=away)
    assert (outcome.status, outcome.reason) == ("refused", "no-contact")
    assert "it must be in the frame of the library's ligands; superpose it" in outcome.detail
