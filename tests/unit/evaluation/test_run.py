"""A run as an object: records, poses, summary and tables, the same for a benchmark and for queries."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
from rdkit import Chem

from templ.errors import InputError, LibraryError, RunError
from templ.evaluation import run as module
from templ.evaluation.run import load_run
from templ.evaluation.run_table import SCHEMA
from templ.runs.identity import Identity
from templ.runs.journal import Journal
from templ.runs.manifest import RunManifest, mark_finished, write_manifest
from templ.runs.memory_log import MemoryLog
from templ.runs.pose_shards import PoseShards
from templ.runs.record import Cost, PoseRecord, Record

POSE = PoseRecord(0.5, 0.75, "core", "x1", ((0, 0), (1, 1)), "CC", 0.1, {"contact": 2.5}, {}, 1.5)
RECORDS = [
    Record(0, "a", "posed", poses=(POSE, replace(POSE, rmsd=0.5)), smiles="CCO", query_atoms=4),
    Record(1, "b", "refused", "peptide", "nine residues", cost=Cost(1.5, 2.5, 99), notes=("one", "two")),
    Record(2, "c & d", "posed", poses=(replace(POSE, rmsd=3.0),), failed_checks=("clash",)),
    Record(3, "a", "failed", "unreadable", "duplicate id: 'a' was read before"),
]


def block(smiles):
    return Chem.MolToMolBlock(Chem.AddHs(Chem.MolFromSmiles(smiles))) + "$$$$\n"


@pytest.fixture
def path(tmp_path, demo_path, demo_library):
    """A finished run of four molecules, two of one name."""
    folder = tmp_path / "poses.run"
    folder.mkdir()
    identity = Identity(settings={}, rule={}, library=demo_library.digest, targets="")
    write_manifest(
        folder,
        RunManifest(
            name="mine <x>",
            identity=identity,
            digest=identity.digest,
            run_settings={},
            library=str(demo_path),
            targets=4,
            missing=["lost"],
        ),
    )
    with PoseShards(folder) as shards, Journal.open(folder / "results.jsonl") as journal:
        for record in RECORDS:
            if record.poses:
                record = record.at(shards.append(record.index, block("CCO") * len(record.poses)))
            journal.append(record)
    mark_finished(folder)
    return folder


def plain(record):
    return record.at(None)


def test_length_and_iteration(path):
    run = load_run(path)
    assert len(run) == 4
    assert list(map(plain, run)) == RECORDS
    assert list(map(plain, run)) == RECORDS, "again"


def test_iteration_holds_one_record_at_a_time(path):
    data = (path / "results.jsonl").read_bytes()
    first = data.index(b"\n") + 1
    (path / "results.jsonl").write_bytes(data[:first] + b"broken\n" + data[first:])
    assert plain(next(iter(load_run(path)))) == RECORDS[0]
    with pytest.raises(RunError, match="line 2"):
        list(load_run(path))


def test_a_record_by_its_id(path):
    run = load_run(str(path))
    assert plain(run["b"]) == RECORDS[1]
    assert plain(run["c & d"]) == RECORDS[2]
    assert plain(run["a"]) == RECORDS[0], "of two of one name the first"
    assert ("b" in run, "nobody" in run, 7 in run) == (True, False, False)
    with pytest.raises(RunError, match=f"{path} has no record of 'nobody'"):
        run["nobody"]


def test_ids_of_one_hash_are_told_apart(path, monkeypatch):
    monkeypatch.setattr(module, "id_hash", lambda id: 5)
    run = load_run(path)
    assert plain(run["c & d"]) == RECORDS[2]
    assert "nobody" not in run


def test_poses_by_id_and_by_record(path):
    run = load_run(path)
    poses = run.poses("a")
    assert [Chem.MolToSmiles(Chem.RemoveHs(mol)) for mol in poses] == ["CCO", "CCO"]
    assert poses[0].GetNumAtoms() == 9, "with hydrogens"
    assert len(run.poses(run["c & d"])) == 1
    assert run.poses("b") == []
    with pytest.raises(RunError, match="no record of 0"):  # a position, where an id is expected
        run[0]
    with pytest.raises(RunError, match="no record of 'nobody'"):
        run.poses("nobody")


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data.replace(b"M  END", b"M  ENT"),
        lambda data: data.replace(b" O  ", b" Q? "),
        lambda data: b"\xff" * len(data),
    ],
)
def test_damaged_poses_are_named(path, damage):
    shard = path / "poses" / "part-0000.sdf"
    shard.write_bytes(damage(shard.read_bytes()))
    with pytest.raises(RunError, match=r"part-0000\.sdf was altered"):
        load_run(path).poses("a")
    shard.unlink()
    with pytest.raises(RunError, match=r"part-0000\.sdf is missing"):
        load_run(path).poses("a")


def test_the_summary(path):
    summary = load_run(path).summary
    assert (summary.overall.attempted, summary.overall.posed) == (4, 2)
    assert (dict(summary.refused), dict(summary.failed)) == ({"peptide": 1}, {"unreadable": 1})
    assert summary.denominators["listed"].n == 5, "the one without data counts"


def test_damage_is_found_and_named(path):
    assert list(load_run(path).damage()) == []
    sound = (path / "results.jsonl").read_bytes()
    (path / "results.jsonl").write_bytes(sound.replace(b'"rmsd":1.5', b'"rmsd":0.5', 1))
    (damaged,) = load_run(path).damage()
    assert damaged == "results.jsonl, line 1: not the record that was written"
    for use in (lambda run: run.summary, lambda run: run.to_arrow(), lambda run: run["b"]):
        with pytest.raises(RunError, match="line 1: not the record that was written"):
            use(load_run(path))
    (path / "results.jsonl").write_bytes(sound[: sound.index(b"\n") + 1])
    assert list(load_run(path).damage()) == ["results.jsonl: 3 records of a finished run are missing"]
    (path / "results.jsonl").write_bytes(sound)
    shard = path / "poses" / "part-0000.sdf"
    shard.write_bytes(shard.read_bytes().replace(b"V2000", b"V2001", 1))
    (damaged,) = load_run(path).damage()
    assert damaged.startswith(f"a: {shard} was altered after byte 0")
    with pytest.raises(RunError, match="was altered"):
        load_run(path).summary  # noqa: B018
    shard.unlink()
    assert [text.partition(":")[0] for text in load_run(path).damage()] == ["a", "c & d"]


def test_the_table(path, monkeypatch):
    table = load_run(path).to_arrow()
    assert table.schema == SCHEMA
    assert table["id"].to_pylist() == ["a", "a", "b", "c & d", "a"]
    assert table["rank"].to_pylist() == [1, 2, None, 1, None]
    assert table["rmsd"].to_pylist() == [1.5, 0.5, None, 3.0, None]
    assert table["status"].to_pylist() == ["posed", "posed", "refused", "posed", "failed"]
    assert table["reason"].to_pylist()[2:] == ["peptide", "", "unreadable"]
    assert table["detail"].to_pylist()[4] == RECORDS[3].detail
    assert table["score_contact"].to_pylist() == [2.5, 2.5, None, 2.5, None]
    assert table["notes"].to_pylist()[2] == "one; two"
    assert table["valid"].to_pylist() == [None, None, None, False, None]
    assert table["cpu_s"].to_pylist()[2] == 1.5
    monkeypatch.setattr(module, "ROWS_A_BATCH", 2)
    assert load_run(path).to_arrow().equals(table)


def test_the_table_for_pandas(path):
    pandas = pytest.importorskip("pandas")
    frame = load_run(path).to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert frame["id"].tolist() == ["a", "a", "b", "c & d", "a"]


def test_without_pandas_it_is_said(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError, match="needs pandas, which is not installed; to_arrow needs nothing"):
        load_run(path).to_pandas()


def test_the_short_form(path):
    run = load_run(path)
    assert repr(run) == f"<Run {path} (mine <x>): 4 of 4, finished>"
    shown = run._repr_html_()
    assert shown.startswith("<b>mine &lt;x&gt;</b>: 4 of 4 done, 2 posed")
    assert "within 2 A" in shown
    assert shown.count("<tr>") == 5  # a head, and a row of each of the four


def test_the_run_behind_the_poses_of_predict(path, tmp_path):
    assert load_run(tmp_path / "poses.sdf").path == path
    assert len(load_run(str(tmp_path / "poses.sdf"))) == 4
    with pytest.raises(RunError, match=r"other\.run is missing: it belongs beside the poses"):
        load_run(tmp_path / "other.sdf")
    with pytest.raises(RunError, match="is not a run"):
        load_run(tmp_path)


def test_a_joined_run_whose_results_are_in_its_parts(path):
    (path / "results.jsonl").unlink()
    (path / "parts" / "0001.1").mkdir(parents=True)
    run = load_run(path)
    for look in (lambda: list(run), lambda: run.summary, lambda: list(run.damage())):
        with pytest.raises(RunError, match=r"results are in their parts until all is done .* with --join"):
            look()


def test_a_run_without_results_yet(path):
    (path / "results.jsonl").unlink()
    run = load_run(path)
    assert len(run) == 0
    assert "0 of 4" in repr(run)
    with pytest.raises(RunError, match="has no results yet; start the same command again"):
        iter(run)


@pytest.mark.parametrize(("lost", "left"), [(1, 4), (7, 3)])
def test_a_torn_last_line_does_not_count_and_a_whole_one_does(path, lost, left):
    journal = path / "results.jsonl"
    journal.write_bytes(journal.read_bytes()[:-lost])
    assert len(load_run(path)) == left
    if left == len(RECORDS):
        assert list(map(plain, load_run(path))) == RECORDS
    else:
        with pytest.raises(RunError, match=f"{journal}: {left} records, but the run was finished with 4; s"):
            list(load_run(path))
    write_manifest(path, load_run(path).manifest.model_copy(update={"finished": None}))
    assert list(map(plain, load_run(path))) == RECORDS[:left]


def test_its_libraries(path, demo_library):
    run = load_run(path)
    with run.templates() as library:
        assert library.digest == demo_library.digest
    with pytest.raises(RunError, match="no crystals to judge its poses by"):
        run.targets()
    with pytest.raises(LibraryError, match="absent"):
        run.templates([path / "absent"])


def test_the_memory_log(path):
    with MemoryLog(path / "memory.jsonl") as log:
        for time in (1, 2):
            log.add({"time": time, "reason": ""})
    assert [sample["time"] for sample in load_run(path).samples()] == [1, 2]
