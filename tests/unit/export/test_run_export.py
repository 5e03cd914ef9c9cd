"""Exports agree with the run, and the programs they are for read them."""

from __future__ import annotations

import base64
import csv
import gzip
import io
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from urllib.parse import quote, unquote

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rdkit import Chem
from typer.testing import CliRunner

from templ.benchmark.builtin import find_benchmark
from templ.benchmark.runner import RunOptions, run_benchmark
from templ.checksums import with_checksum
from templ.chemistry.receptor_file import read_receptor
from templ.cli import app
from templ.errors import InputError, RunError, StorageError
from templ.evaluation.rmsd import symmetric_rmsd
from templ.export.run_export import LONGEST_NAME, export_run, file_name
from templ.export.table_formats import FORMATS
from templ.jobs.binding_site import BindingSite
from templ.jobs.query_run import predict_queries
from templ.library.build import build_library
from templ.library.store import open_library
from templ.runs.journal import read_records
from templ.runs.manifest import read_manifest
from templ.runs.pose_shards import read_poses
from templ.settings import PredictionSettings, RunSettings
from templ.sources.demo import demo_files
from templ.sources.ledger import Ledger
from templ.sources.sdf import read_sdf

BUST = [sys.executable, "-c", "from posebusters.cli import main; main()"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of three targets."""
    folder = tmp_path_factory.mktemp("run") / "demo"
    settings = {"conformers": 5, "screened": 5, "top": 2}
    options = RunOptions(prediction=settings, limit=3)
    run_benchmark(find_benchmark("demo-mpro"), folder, RunSettings(workers=2), options)
    return folder


@pytest.fixture
def unfinished(run, tmp_path):
    """Two of the targets and no mark: one of known confidence and checked, the other refused."""
    copy = shutil.copytree(run, tmp_path / "unfinished")
    first, second, _ = records_of(run)
    poses = tuple(replace(pose, confidence=c) for pose, c in zip(first.poses, (0.9, 0.25), strict=True))
    checks = ("bond_lengths", "bond_angles")
    first = replace(first, poses=poses, prior_confidence=0.5, failed_checks=checks)
    second = replace(second, status="refused", reason="peptide", poses=(), address=None)
    (copy / "results.jsonl").write_bytes(first.to_line() + second.to_line())
    change_manifest(copy, finished=None)
    return copy


def change_manifest(run, **changes):
    path = run / "manifest.json"
    path.write_text(json.dumps(with_checksum(json.loads(path.read_text()) | changes)))


def records_of(run):
    return list(read_records(run / "results.jsonl"))


def poses_of(run):
    """Molecules of each target, in order."""
    return {record.id: read_mols(read_poses(run, record.address)) for record in records_of(run)}


def read_mols(sdf):
    return list(Chem.ForwardSDMolSupplier(io.BytesIO(sdf.encode()), removeHs=False))


def rows_of(table):
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


def coordinates(mol):
    return mol.GetConformer().GetPositions().tolist()


def test_a_table_has_every_pose_with_its_numbers(run, tmp_path):
    done = export_run(run, tmp_path / "out", "csv")
    rows = iter(rows_of(done.table))
    for record in records_of(run):
        for position, pose in enumerate(poses_of(run)[record.id]):
            row = next(rows)
            assert (row["id"], int(row["rank"])) == (record.id, position + 1)
            assert float(row["rmsd"]) == record.poses[position].rmsd
            assert float(row["score"]) == record.poses[position].score
            assert float(row["score"]) == pytest.approx(float(pose.GetProp("score")), abs=1e-4)
            for name in ("template", "placement_method", "core_atoms", "core_smarts"):
                assert row[name] == pose.GetProp(name)
            assert float(row["prior_confidence"]) == record.prior_confidence
            assert float(row["cpu_s"]) == record.cost.cpu_s
            assert row["valid"] == ""
        sdf = (tmp_path / "out" / row["ligand_file"]).read_text()
        assert sdf == read_poses(run, record.address)
    assert next(rows, None) is None
    assert (done.targets, done.poses, done.unposed, done.planned) == (3, 6, 0, 3)


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_duckdb_reads_the_tables(run, tmp_path, format):
    duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed")
    table = export_run(run, tmp_path / "out", format).table
    wanted = [(record.id, record.best_rmsd) for record in records_of(run)]
    found = duckdb.sql(f"select id, min(rmsd) from '{table}' group by id order by id").fetchall()
    assert found == sorted(wanted)
    assert (
        duckdb.sql(f"select typeof(rank), typeof(stereo_kept) from '{table}' limit 1").fetchall()[0][1]
        == "BOOLEAN"
    )


def test_plinder_gets_its_columns_a_file_a_pose_and_the_receptor(run, tmp_path):
    table = export_run(run, tmp_path / "out", "plinder").table
    header = "id,reference_system_id,receptor_file,rank,confidence,ligand_file"
    assert table.read_text().splitlines()[0].replace('"', "") == header
    rows = rows_of(table)
    assert [(row["id"], row["rank"]) for row in rows[:3]] == [
        (records_of(run)[0].id, "1"),
        (records_of(run)[0].id, "2"),
        (records_of(run)[1].id, "1"),
    ]
    for row in rows:
        assert row["ligand_file"] == f"poses/{row['id']}/{row['rank']}.sdf"
        (mol,) = read_mols((table.parent / row["ligand_file"]).read_text())
        assert coordinates(mol) == coordinates(poses_of(run)[row["id"]][int(row["rank"]) - 1])
        receptor = (table.parent / row["receptor_file"]).read_bytes()
        assert receptor == gzip.decompress(demo_files().receptor.read_bytes())


@pytest.mark.slow
def test_posebusters_runs_on_its_table_and_sees_the_same_rmsd(run, tmp_path):
    pytest.importorskip("posebusters", reason="PoseBusters is not installed")
    table = export_run(run, tmp_path / "out", "posebusters").table
    lines = table.read_text().splitlines()
    table.write_text("\n".join([lines[0], *lines[1::2]]))  # first poses only: PoseBusters takes its time
    words = [*BUST, "-t", table.name, "--outfmt", "csv"]
    done = subprocess.run(words, cwd=table.parent, capture_output=True, text=True, timeout=300)
    checks = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["mol_pred_loaded"] for row in checks] == ["True"] * 3, done.stderr
    assert all(row["mol_true_loaded"] == row["mol_cond_loaded"] == "True" for row in checks)
    assert all(row["molecular_bonds"] == row["tetrahedral_chirality"] == "True" for row in checks)
    within = [str(record.rmsd <= 2) for record in records_of(run)]
    assert [row["rmsd_≤_2å"] for row in checks] == within


def test_the_crystal_pose_is_the_one_that_poses_were_judged_by(run, tmp_path):
    table = export_run(run, tmp_path / "out", "posebusters").table
    rmsd = iter([pose.rmsd for record in records_of(run) for pose in record.poses])
    for row in rows_of(table):
        (pose,) = read_mols((table.parent / row["mol_pred"]).read_text())
        (truth,) = read_mols((table.parent / row["mol_true"]).read_text())
        assert symmetric_rmsd(pose, truth) == pytest.approx(next(rmsd), abs=2e-4)


def test_polaris_gets_the_first_pose_of_every_target_in_order(run, unfinished, tmp_path):
    rows = rows_of(export_run(run, tmp_path / "out", "polaris").table)
    assert [row["id"] for row in rows] == [record.id for record in records_of(run)]
    for row in rows:
        mol = Chem.Mol(base64.b64decode(row["Ligand Pose"]))
        best = poses_of(run)[row["id"]][0]
        assert Chem.MolToSmiles(mol) == Chem.MolToSmiles(best)
        assert coordinates(mol) == [pytest.approx(point, abs=1e-4) for point in coordinates(best)]
    rows = rows_of(export_run(unfinished, tmp_path / "some", "polaris").table)
    assert [bool(row["Ligand Pose"]) for row in rows] == [True, False]


def test_confidence_and_validity_are_exported(unfinished, tmp_path):
    first, second, refused = rows_of(export_run(unfinished, tmp_path / "out", "csv").table)
    assert (first["confidence"], second["confidence"]) == ("0.9", "0.25")
    assert (first["valid"], first["failed_checks"]) == ("false", "bond_lengths; bond_angles")
    assert (second["valid"], second["failed_checks"], second["prior_confidence"]) == ("", "", "0.5")
    assert (refused["status"], refused["reason"], refused["rank"]) == ("refused", "peptide", "")
    plinder = rows_of(export_run(unfinished, tmp_path / "plinder", "plinder").table)
    assert [row["confidence"] for row in plinder] == ["0.9", "0.25"]


def test_the_command_says_what_an_unfinished_run_lacks(unfinished, tmp_path):
    words = ["export", str(unfinished), "--format", "parquet", "-o", str(tmp_path / "out")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.stderr
    assert f"{unfinished} is not finished: 2 of 3 targets are exported" in done.stderr
    assert "1 of 2 targets have no pose" in done.stderr
    assert "2 poses of 1 targets; written: " in done.stderr


def test_a_library_that_was_moved_can_be_named(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "run")
    moved = shutil.move(copy / "inputs" / "library.templ", tmp_path / "moved.templ")
    change_manifest(copy, library="gone/library.templ", truth="gone/library.templ")
    with pytest.raises(RunError, match=r"library of templates of .*say with --library"):
        export_run(copy, tmp_path / "out", "plinder")
    assert not (tmp_path / "out").exists()
    assert export_run(copy, tmp_path / "out", "plinder", libraries=[moved]).poses == 6


def test_crystals_come_from_the_library_of_targets(demo_path, tmp_path):
    first = next(iter(read_sdf(demo_files().ligands, Ledger())))
    build_library(tmp_path / "one.templ", [first], ledger=Ledger())
    (tmp_path / "one.toml").write_text(f'library = "{demo_path}"\ntargets = "one.templ"\n')
    settings = {"conformers": 5, "screened": 5, "top": 1}
    benchmark = find_benchmark(str(tmp_path / "one.toml"))
    run_benchmark(benchmark, tmp_path / "run", RunSettings(workers=1), RunOptions(prediction=settings))
    change_manifest(tmp_path / "run", truth="gone.templ")
    moved = [tmp_path / "one.templ"]
    (row,) = rows_of(export_run(tmp_path / "run", tmp_path / "out", "posebusters", libraries=moved).table)
    assert row["mol_true"] == f"truth/{first.id}.sdf"
    (truth,) = read_mols((tmp_path / "out" / row["mol_true"]).read_text())
    assert truth.GetNumAtoms() == first.mol.GetNumHeavyAtoms()
    with pytest.raises(RunError, match=r"library of targets of .*say with --library"):
        export_run(tmp_path / "run", tmp_path / "again", "posebusters")


def test_another_library_is_not_taken_for_it(run, demo_path, tmp_path):
    other = tmp_path / "other.templ"
    demo = demo_files()
    build_library(other, read_sdf(demo.ligands, Ledger(), group="other"), ledger=Ledger())
    assert export_run(run, tmp_path / "out", "posebusters", libraries=[other]).poses == 6
    copy = shutil.copytree(run, tmp_path / "run")
    shutil.rmtree(copy / "inputs")
    change_manifest(copy, library=str(other), truth=str(other))
    with pytest.raises(RunError, match="is not found"):
        export_run(copy, tmp_path / "again", "posebusters", libraries=[other])


def test_a_format_that_needs_a_receptor_says_so_where_there_is_none(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "run")
    shutil.rmtree(copy / "inputs")
    bare, demo = tmp_path / "bare.templ", demo_files()
    built = build_library(bare, read_sdf(demo.ligands, Ledger()), ledger=Ledger())
    changes = {"library": built.digest, "truth": built.digest}
    identity = read_manifest(copy).identity.model_copy(update=changes)
    change_manifest(copy, identity=identity.model_dump(mode="json"), digest=identity.digest)
    with pytest.raises(InputError, match=r"bare.templ has no receptor for 'Mpro-.*use --format csv"):
        export_run(copy, tmp_path / "out", "plinder", libraries=[bare])
    assert not (tmp_path / "out" / "predictions.csv").exists()


def test_damaged_poses_are_named(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "run")
    shard = copy / "poses" / "0000.sdf"
    shard.write_bytes(shard.read_bytes().replace(b"V2000", b"V2x00", 1))
    with pytest.raises(RunError, match=r"0000\.sdf was altered after byte 0; start the command"):
        export_run(copy, tmp_path / "out", "csv")
    shard.unlink()
    with pytest.raises(RunError, match=r"0000\.sdf is missing"):
        export_run(copy, tmp_path / "again", "csv")


def test_places_that_cannot_be_written(run, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").touch()
    (tmp_path / "file").touch()
    for out, error, message in (
        (tmp_path / "full", InputError, "full is not empty; choose another folder"),
        (run, InputError, "is in the run itself"),
        (run / "export", InputError, "is in the run itself"),
        (tmp_path / "file", StorageError, "move the file that is in the way"),
        (tmp_path / "file" / "deep", StorageError, "move the file that is in the way"),
    ):
        with pytest.raises(error, match=message):
            export_run(run, out, "csv")
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["thesis.tex"]
    assert not (run / "predictions.csv").exists()


def test_what_is_no_run_or_no_format(run, tmp_path):
    poses = tmp_path / "poses.sdf"
    poses.touch()
    with pytest.raises(RunError, match=r"poses\.run is missing: it belongs beside the poses"):
        export_run(poses, tmp_path / "out", "csv")
    table = tmp_path / "table.txt"
    table.touch()
    with pytest.raises(RunError, match=r"table\.txt is not a run"):
        export_run(table, tmp_path / "out", "csv")
    with pytest.raises(RunError, match="is not a run"):
        export_run(tmp_path, tmp_path / "out", "csv")
    with pytest.raises(InputError, match="'xlsx' is no format; expected csv, parquet"):
        export_run(run, tmp_path / "out", "xlsx")
    assert not (tmp_path / "out").exists()


def test_predicted_poses_are_exported_too(demo_path, tmp_path):
    """A run of queries has a table as well; it has no crystals, and so nothing that is judged by them."""
    out = tmp_path / "poses.sdf"
    settings = PredictionSettings(conformers=5, screened=5, top=2)
    queries = [("a", "CC(=O)Nc1cnccc1C"), ("iron", "[Fe]OCCO")]
    predict_queries(queries, BindingSite(demo_path), out, settings, RunSettings(workers=1))
    done = export_run(out, tmp_path / "out", "csv")
    assert (done.targets, done.poses, done.unposed) == (2, 2, 1)
    rows = rows_of(done.table)
    assert [(row["id"], row["rank"], row["reason"]) for row in rows] == [
        ("a", "1", ""),
        ("a", "2", ""),
        ("iron", "", "unsupported-element"),
    ]
    assert (tmp_path / "out" / rows[0]["ligand_file"]).read_text() == out.read_text()
    assert {row["rmsd"] for row in rows} == {""}
    with pytest.raises(RunError, match="has no crystals to judge its poses by"):
        export_run(out, tmp_path / "again", "posebusters")


@given(st.text(min_size=1))
@example(".")
@example("..")
def test_a_file_name_is_one_step_down_and_tells_the_id(id):
    name = file_name(id)
    assert len(name) <= LONGEST_NAME + 2
    if len(quote(id, safe="")) <= LONGEST_NAME:
        assert unquote(name) == id
    else:
        assert name != file_name(id + "x")
    assert "/" not in name
    assert name not in (".", "..")


def test_every_format_is_in_the_help():
    shown = CliRunner().invoke(app, ["export", "--help"]).stdout
    assert all(name in shown for name in FORMATS)


def test_of_a_run_in_other_crystals_receptor_and_crystal_are_in_the_frame_of_the_poses(kinase_path, tmp_path):
    fast = RunOptions(prediction={"conformers": 5, "minimised": 10, "rounds": 0, "top": 1}, limit=2)
    source = find_benchmark("cross", library=kinase_path)
    run_benchmark(source, tmp_path / "run", RunSettings(workers=1), fast)
    table = export_run(tmp_path / "run", tmp_path / "out", "posebusters").table
    with open_library(kinase_path) as library:
        for record, row in zip(records_of(tmp_path / "run"), rows_of(table), strict=True):
            pose, truth = (
                read_mols((table.parent / row[name]).read_text())[0] for name in ("mol_pred", "mol_true")
            )
            assert symmetric_rmsd(pose, truth) == pytest.approx(record.rmsd, abs=0.01)
            written = read_receptor(table.parent / row["mol_cond"])
            used = library.receptor_of(record.receptor)
            assert record.receptor != record.id
            np.testing.assert_allclose(written.residues.ca, used.residues.ca, atol=1e-3)
