"""Jobs in real processes: done one after the other, stopped, resumed, and gone on with after a restart."""

from __future__ import annotations

import os
import shutil
import signal
import time

import pytest

from templ.errors import InputError, RunError
from templ.evaluation.run import load_run
from templ.sources.queries import queries_table
from templ.web.orders import order_of, suffix_of
from templ.web.web_job import PredictOrder, read_job
from templ.web.workspace import Workspace

AMIDES = [(f"amide-{number}", "C" * number + "NC(=O)Cc1cccnc1") for number in range(1, 7)]


def wait_until(true, workspace, seconds=120):
    """Wait, and let jobs start meanwhile, as the server does."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        workspace.advance()
        time.sleep(0.1)


@pytest.fixture
def order(demo_path):
    return PredictOrder(title="amides", library=demo_path.name.removesuffix(".templ"), queries="queries.csv")


def test_a_job_stopped_in_the_middle_goes_on_after_a_restart(tmp_path, demo_path, order):
    """Even of a server that was killed: what was recorded is not done again."""
    first = Workspace(tmp_path, [demo_path])
    job = first.submit(order, {"queries.csv": queries_table(AMIDES)})
    wait_until(lambda: job.progress["done"] >= 1, first)
    holder = int((job.folder / "job.lock").read_text().split()[0])
    os.killpg(holder, signal.SIGKILL)
    before = {record.id: record.cost for record in load_run(job.run)}
    assert job.ending is None
    assert len(before) < len(AMIDES)

    second = Workspace(tmp_path, [demo_path])  # the first one knows nothing of it any more
    wait_until(lambda: job.ending is not None, second)
    assert second.job(job.id).state == "finished"
    after = {record.id: record.cost for record in load_run(job.run)}
    assert list(after) == [id for id, _ in AMIDES]
    assert {id: after[id] for id in before} == before
    second.close()
    first.close()


def test_stop_and_resume(tmp_path, demo_path, order):
    workspace = Workspace(tmp_path, [demo_path])
    job = workspace.submit(order, {"queries.csv": queries_table(AMIDES[:2])})
    waiting = workspace.submit(order, {"queries.csv": queries_table(AMIDES[:1])})
    assert waiting.state == "waiting"
    workspace.stop(job.id)
    workspace.stop(waiting.id)
    assert (job.state, waiting.state) == ("stopped", "stopped")
    workspace.resume(waiting.id)
    wait_until(lambda: waiting.state == "finished", workspace)
    assert job.state == "stopped"
    assert list(workspace.jobs) == [waiting.id, job.id] or list(workspace.jobs) == [job.id, waiting.id]
    workspace.close()


def test_a_job_that_cannot_be_done_says_why(tmp_path, demo_path, order):
    workspace = Workspace(tmp_path, [demo_path])
    job = workspace.submit(order, {"queries.csv": b"name,mol\na,CCO\n"})
    wait_until(lambda: job.ending is not None, workspace)
    assert job.state == "failed"
    assert "no column 'smiles'" in job.ending["message"]
    workspace.close()


@pytest.mark.parametrize(
    "id", ["..", "../..", "20260101-000000-abcdef", "", "x" * 500, "20260101-000000-ABCDEF"]
)
def test_only_what_the_server_named_is_looked_up(tmp_path, id):
    workspace = Workspace(tmp_path / "web")
    with pytest.raises(RunError, match="no such job"):
        workspace.run_path(id)
    with pytest.raises(InputError, match="drop it once more"):
        workspace.upload(id)


def test_a_folder_that_is_no_job_is_passed_over(tmp_path):
    workspace = Workspace(tmp_path)
    broken = tmp_path / "jobs" / "20260101-000000-abcdef"
    broken.mkdir()
    (broken / "job.json").write_text('{"order": {"kind": "predict", "queries": 1}}')
    (tmp_path / "jobs" / "notes").mkdir()
    assert workspace.jobs == {}
    with pytest.raises(RunError, match="remove the folder"):
        read_job(broken)


def test_uploads_are_few(tmp_path):
    workspace = Workspace(tmp_path)
    ids = [workspace.keep_upload("queries.smi", b"CCO") for _ in range(25)]
    assert len(list((tmp_path / "uploads").iterdir())) == 20
    assert workspace.upload(ids[-1]).read_bytes() == b"CCO"


@pytest.mark.parametrize("name", ["a.exe", "sdf", "a.sdf/../../b", "", ".sdf\0.sh"])
def test_files_of_other_kinds_are_refused(name):
    with pytest.raises(InputError, match=r"\.sdf"):
        suffix_of(name, "queries")


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        ({}, "paste a SMILES"),
        ({"smiles": "C\n" * 300}, "at most 200 lines"),
        ({"smiles": "C" * 30_000}, "more than 20,000"),
        ({"smiles": "C", "queries": "../../etc/passwd"}, "drop it once more"),
        ({"smiles": "C", "receptors": ["a"] * 9}, "at most 8 receptors"),
        ({"smiles": "C", "receptors": "../x"}, "at most 8 receptors"),
        ({"smiles": "C", "seed": -1}, "seed"),
        ({"smiles": "C", "covalent": "there"}, "covalent: expected a residue such as CYS145"),
        ({"kind": "benchmark", "benchmark": "/etc/passwd"}, "benchmark"),
        ({"kind": "benchmark", "benchmark": "demo", "limit": 10**9}, "limit"),
    ],
)
def test_orders_that_are_none(tmp_path, asked, complaint):
    with pytest.raises(InputError, match=complaint):
        order_of(asked, Workspace(tmp_path))


def test_the_residue_of_an_order_in_any_spelling(tmp_path):
    asked = {"smiles": "CCO", "library": "mpro"}
    assert order_of(asked, Workspace(tmp_path))[0].covalent == "auto"
    assert order_of({**asked, "covalent": "cys145"}, Workspace(tmp_path))[0].covalent == "CYS145"


def test_a_library_that_is_not_served(tmp_path):
    workspace = Workspace(tmp_path)
    order, files = order_of({"smiles": "CCO", "library": "../mpro"}, workspace)
    with pytest.raises(InputError, match="libraries that are served"):
        workspace.submit(order, files)
    assert list((tmp_path / "jobs").iterdir()) == []


def test_a_folder_that_is_removed_meanwhile_is_made_anew(tmp_path, demo_path, order):
    workspace = Workspace(tmp_path / "served", [demo_path])
    shutil.rmtree(tmp_path / "served")
    workspace.advance()
    assert workspace.jobs == {}
    job = workspace.submit(order, {"queries.csv": queries_table(AMIDES[:1])})
    assert list(workspace.jobs) == [job.id]
    wait_until(lambda: job.ending is not None, workspace)
    workspace.close()
