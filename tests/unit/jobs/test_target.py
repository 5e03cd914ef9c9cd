from __future__ import annotations

import json
import pickle
import subprocess
import sys
from dataclasses import replace

import pytest

from templ.engine.worker import release
from templ.errors import LibraryError
from templ.jobs.target import open_work, target_of
from templ.library.store import open_library
from templ.pipeline import predict
from templ.runs.identity import software_here
from templ.runs.record import Cost, Record
from templ.settings import PredictionSettings
from templ.templates.rule import TemplateRule

FAST = PredictionSettings(conformers=5, screened=10, top=3)
ID = "Mpro-x10019"
TASK = json.dumps([7, ID])


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
        "software": software_here(),
        "rule": TemplateRule(before_date=True, exclude_same_ligand=True).to_json(),
        "settings": FAST.model_dump(mode="json"),
        "validity": False,
        "site": "",
        "receptor": "own",
    }


@pytest.fixture(scope="module")
def result(context):
    return open_work(context)(TASK)


def test_a_result_is_plain_values(result):
    assert Record.from_line(result.record.to_line()) == result.record
    assert pickle.loads(pickle.dumps(result)) == result
    assert len(pickle.dumps(result)) < 100_000


def test_a_result_agrees_with_itself(result):
    record = result.record
    assert (record.index, record.id, record.status, record.stereo_kept) == (7, ID, "posed", True)
    assert len(record.poses) == result.sdf.count("$$$$") == 3
    assert all(pose.rmsd is not None for pose in record.poses)
    scores = [pose.score for pose in record.poses]
    assert scores == sorted(scores, reverse=True)
    assert 0 < record.tanimoto <= 1
    assert 3 <= len(record.first.core) <= record.query_atoms
    assert set(record.cost.stages) == {"prepare", "select", "pose", "score", "minimise", "finish"}


def test_the_same_target_twice_is_the_same_result(context, result):
    again = open_work(context)(TASK)
    assert (replace(again.record, cost=Cost()), again.sdf) == (
        replace(result.record, cost=Cost()),
        result.sdf,
    )


def test_the_rule_of_the_run_holds(demo_library, context, result):
    target = target_of(demo_library.entry(demo_library.row_of(ID)))
    template = demo_library.entry(demo_library.row_of(result.record.first.template))
    assert template.date < target.date
    assert template.inchikey.split("-")[0] != target.ligand_key
    free = open_work(context | {"rule": {}})(TASK)
    assert free.record.templates_allowed == len(demo_library) - 1 > result.record.templates_allowed


def test_the_receptor_of_the_library_is_used(demo_library, context, result):
    """Without it the clash term is zero, and the scores are others."""
    target = target_of(demo_library.entry(demo_library.row_of(ID)))
    blind = predict(target, demo_library, FAST, rule=TemplateRule.from_json(context["rule"]))
    assert [round(pose.score, 5) for pose in blind.poses] != [pose.score for pose in result.record.poses]


def test_the_engine_can_empty_what_the_work_keeps(context):
    work = open_work(context)
    work(TASK)
    receptors = work.release.__self__
    assert receptors._read
    release(work)
    assert not receptors._read


@pytest.mark.parametrize("which", [0, 1])
def test_a_library_that_was_replaced_is_refused(context, which):
    digests = list(context["digests"])
    digests[which] = "0" * 64
    with pytest.raises(LibraryError, match=r"mpro\.templ on .+ is not the library that the run was start"):
        open_work(context | {"digests": digests})


IMPORTS = """
import importlib, json, sys
from templ.jobs.target import PRELOAD, open_work
for name in PRELOAD:
    importlib.import_module(name)
before = set(sys.modules)
work = open_work(json.loads(sys.argv[1]))
print(work(sys.argv[2]).record.status, *sorted(set(sys.modules) - before))
"""


def test_a_worker_loads_no_part_of_the_program_for_itself(context):
    """What workers do not inherit each of them holds in private: RDKit's MolStandardize has 5 MB."""
    command = [sys.executable, "-c", IMPORTS, json.dumps(context), TASK]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    status, *loaded = done.stdout.split()
    assert status == "posed"
    packages = ("templ", "rdkit", "scipy", "numpy", "pandas", "pyarrow", "rustina", "gemmi", "threadpoolctl")
    # A few lines of Python that pyarrow brings along for itself.
    assert [name for name in loaded if name.split(".")[0] in packages and "vendored" not in name] == []


def test_a_target_that_is_not_there_is_named(context):
    with pytest.raises(LibraryError, match="no ligand 'nobody'"):
        open_work(context)(json.dumps([0, "nobody"]))
