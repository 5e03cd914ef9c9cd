from __future__ import annotations

import json
import pickle

import pytest

from templ.benchmark.definition import target_of
from templ.benchmark.work import _receptor, describe, failure, open_work
from templ.engine.worker import release
from templ.errors import LibraryError
from templ.library.store import open_library
from templ.pipeline import predict
from templ.records import Outcome, Target
from templ.settings import PredictionSettings
from templ.sources.splits import TemplateRule

FAST = PredictionSettings(conformers=5, screened=10, top=3)
ID = "Mpro-x10019"


@pytest.fixture(scope="module")
def context(demo_path):
    """What a run sends to its workers."""
    with open_library(demo_path) as library:
        digest = library.digest
    return {
        "library": str(demo_path),
        "targets": str(demo_path),
        "splits": None,
        "digests": [digest, digest],
        "rule": TemplateRule(before_date=True, exclude_same_ligand=True).to_json(),
        "settings": FAST.model_dump(mode="json"),
        "validity": False,
    }


@pytest.fixture(scope="module")
def result(context):
    return open_work(context)(ID)


def test_a_result_is_plain_values(result):
    assert json.loads(json.dumps(result.record)) == result.record
    assert pickle.loads(pickle.dumps(result)) == result
    assert len(pickle.dumps(result)) < 100_000


def test_a_result_agrees_with_itself(result):
    record = result.record
    assert (record["id"], record["status"], record["stereo_kept"]) == (ID, "posed", True)
    assert len(record["rmsd"]) == len(record["scores"]) == result.sdf.count("$$$$") == 3
    assert record["scores"] == sorted(record["scores"], reverse=True)
    assert 0 < record["tanimoto"] <= 1
    assert 3 <= record["mcs_atoms"] <= record["query_atoms"]
    assert set(result.stages) == {"prepare", "select", "pose", "score", "relax", "finish"}


def test_the_same_target_twice_is_the_same_result(context, result):
    again = open_work(context)(ID)
    assert (again.record, again.sdf) == (result.record, result.sdf)


def test_the_rule_of_the_run_holds(demo_library, context, result):
    target = target_of(demo_library.entry(demo_library.row_of(ID)))
    template = demo_library.entry(demo_library.row_of(result.record["template"]))
    assert template.date < target.date
    assert template.inchikey.split("-")[0] != target.ligand_key
    free = open_work(context | {"rule": {}})(ID)
    assert free.record["templates_allowed"] == len(demo_library) - 1 > result.record["templates_allowed"]


def test_the_receptor_of_the_library_is_used(demo_library, context, result):
    """Without it the clash term is zero, and the scores are others."""
    target = target_of(demo_library.entry(demo_library.row_of(ID)))
    blind = predict(target, demo_library, FAST, rule=TemplateRule.from_json(context["rule"]))
    assert [round(pose.score, 5) for pose in blind.poses] != result.record["scores"]


def test_the_engine_can_empty_what_the_work_keeps(context):
    work = open_work(context)
    work(ID)
    assert _receptor.cache_info().currsize
    release(work)
    assert not _receptor.cache_info().currsize


@pytest.mark.parametrize("place", [0, 1])
def test_a_library_that_was_replaced_is_refused(context, place):
    digests = list(context["digests"])
    digests[place] = "0" * 64
    with pytest.raises(LibraryError, match=r"mpro\.templ was replaced while the run used it"):
        open_work(context | {"digests": digests})


def test_a_target_that_is_not_there_is_named(context):
    with pytest.raises(LibraryError, match="no ligand 'nobody'"):
        open_work(context)("nobody")


def test_refusals_faults_and_poses_have_the_same_keys(result):
    target = Target("t", "CCO", "sars")
    refused = describe(Outcome("t", "refused", "peptide", "nine residues"), target, None)
    failed = failure(target, "timeout", "over 180 s", "pose")
    assert list(refused) == list(failed) == list(result.record)
    assert (refused["status"], refused["reason"], refused["stage"]) == ("refused", "peptide", "")
    assert (failed["status"], failed["reason"], failed["stage"]) == ("failed", "timeout", "pose")
    for record in (refused, failed):
        assert (record["rmsd"], record["scores"], record["way"], record["group"]) == (None, [], "", "sars")
        assert record["stereo_kept"] is None
