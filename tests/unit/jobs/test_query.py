from __future__ import annotations

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
from rdkit import Chem

from templ.chemistry.molecules import positions
from templ.errors import LibraryError
from templ.jobs.query import UNREADABLE, open_work, unread
from templ.runs.identity import software_here
from templ.runs.record import Cost, Record
from templ.settings import PredictionSettings
from templ.sources.queries import QueryReference

FAST = PredictionSettings(conformers=5, screened=10, top=2)
SMILES = "CC(=O)Nc1cnccc1C"


@pytest.fixture(scope="module")
def context(demo_path, demo_library):
    """What a run sends to its workers."""
    return {
        "library": str(demo_path),
        "digest": demo_library.digest,
        "receptors": [],
        "rule": {},
        "group": "",
        "site": None,
        "protein": [],
        "extra_poses": None,
        "embeddings": [],
        "software": software_here(),
        "settings": FAST.model_dump(mode="json"),
    }


@pytest.fixture(scope="module")
def work(context):
    return open_work(context)


@pytest.fixture(scope="module")
def result(work):
    return work(task(3, "mine", SMILES))


def task(index, id, smiles, **more):
    return QueryReference(index, id, smiles, "q.smi", line=index + 1, **more).to_json()


def test_a_result_is_plain_values(result):
    assert Record.from_line(result.record.to_line()) == result.record
    assert pickle.loads(pickle.dumps(result)) == result
    assert len(pickle.dumps(result)) < 100_000


def test_a_result_agrees_with_itself_and_its_query(result):
    record = result.record
    assert (record.index, record.id, record.smiles, record.status) == (3, "mine", SMILES, "posed")
    assert len(record.poses) == result.sdf.count("$$$$") == 2
    assert all(pose.rmsd is None for pose in record.poses)
    assert result.sdf.startswith("mine\n")
    assert set(record.cost.stages) == {"prepare", "select", "pose", "score", "minimise", "finish"}


def test_the_same_query_twice_is_the_same_result(context, result):
    again = open_work(context)(task(3, "mine", SMILES))
    assert again.sdf == result.sdf
    assert replace(again.record, cost=Cost()) == replace(result.record, cost=Cost())


def test_a_query_named_like_a_template_may_use_it(work, demo_library):
    """It is the user's, not the library's: no template is its own crystal."""
    id = "Mpro-x10019"
    smiles = demo_library.entry(demo_library.row_of(id)).smiles
    found = work(task(0, id, smiles))
    assert found.record.templates_allowed == len(demo_library)
    assert found.record.tanimoto == 1
    first = Chem.MolFromMolBlock(found.sdf.split("$$$$")[0])
    offset = positions(first).mean(axis=0) - positions(demo_library[id]).mean(axis=0)
    assert np.linalg.norm(offset) < 1


@pytest.mark.parametrize(
    ("reference", "detail"),
    [
        (QueryReference(1, "bad", "C1CC", "q.smi", 2), "q.smi, line 2: 'C1CC' is not a SMILES"),
        (QueryReference(1, "bad", "CCO", "q.smi", 2, 0, "duplicate id: x"), "q.smi, line 2: duplicate id: x"),
        (QueryReference(1, "bad", "", "absent.sdf", 0, 99), "absent.sdf does not exist"),
    ],
)
def test_a_query_that_cannot_be_read_is_a_record(work, reference, detail):
    found = work(reference.to_json())
    assert (found.record.status, found.record.reason, found.sdf) == ("failed", UNREADABLE, "")
    assert (found.record.index, found.record.id, found.record.smiles) == (1, "bad", reference.smiles)
    assert detail in found.record.detail


def test_a_refusal_is_a_record(work):
    found = work(task(0, "peptide", "C" * 130))
    assert (found.record.status, found.sdf) == ("refused", "")
    assert found.record.reason == "too-many-atoms"


def test_only_the_templates_of_the_rule_are_used(context):
    ids = ["Mpro-x10019"]
    found = open_work(context | {"rule": {"ids": ids}})(task(0, "mine", SMILES))
    assert found.record.templates_allowed == 1
    assert {pose.template for pose in found.record.poses} == set(ids)


def test_another_library_in_its_place_is_refused(context):
    """As another machine may have it."""
    with pytest.raises(LibraryError, match=r"mpro\.templ on .+ is not the library that the run was started"):
        open_work(context | {"digest": "0" * 64})


def test_a_library_that_is_gone_is_refused(context, tmp_path):
    with pytest.raises(LibraryError, match="does not exist"):
        open_work(context | {"library": str(tmp_path / "gone.templ")})


def test_what_could_not_be_done_is_a_record_of_its_query():
    reference = QueryReference(4, "id", "CCO", "q.smi", 5)
    assert unread(reference, "crash", "the worker died", "pose") == Record(
        4, "id", "failed", "crash", "the worker died", "pose", smiles="CCO"
    )
    assert json.loads(reference.to_json())["index"] == 4
