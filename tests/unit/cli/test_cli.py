"""The commands as a user gives them, one process each."""

from __future__ import annotations

import csv
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from program import run_templ as run
from rdkit import Chem
from typer.testing import CliRunner

import templ
from templ.cli import app
from templ.cli.benchmark_commands import parse_shard
from templ.cli.options import parse_memory, parse_workers
from templ.errors import InputError
from templ.export.pdb import to_pdb
from templ.sources.demo import demo_files

HEAVY = {"rdkit", "numpy", "pyarrow", "pydantic", "gemmi", "psutil", "multiprocessing"}


def test_help_loads_nothing_heavy(tmp_path):
    command = [sys.executable, "-X", "importtime", "-m", "templ", "--help"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    loaded = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert done.returncode == 0
    assert "Predict how a small molecule binds" in done.stdout
    assert not loaded & HEAVY


def test_version_and_doctor(tmp_path):
    assert run("--version", cwd=tmp_path).stdout == f"templ {templ.__version__}\n"
    report = run("doctor", cwd=tmp_path).stdout
    for word in ("rdkit", "cores", "memory available", "a run would take"):
        assert word in report


def test_doctor_tells_what_is_lacking_where_a_run_is_refused(monkeypatch):
    monkeypatch.setattr("templ.engine.probe.available_memory", lambda: 300 * 2**20)
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 0
    assert "a run is refused         240 MiB of memory are not enough for a run" in done.stdout
    assert "extra web" in done.stdout


def test_demo_copies_files_that_the_other_commands_take(tmp_path):
    assert run("demo", "mpro", "data", cwd=tmp_path).returncode == 0
    again = run("demo", "mpro", "data", cwd=tmp_path)
    assert (again.returncode, "exists and is not overwritten" in again.stderr) == (2, True)
    ligands, receptor = "data/mpro_ligands.sdf.gz", "data/mpro_receptor.pdb.gz"
    words = ("library", "build", "m.templ", "--ligands", ligands, "--receptor", receptor)
    assert run(*words, "--date-property", "date", "--group", "mpro", cwd=tmp_path).returncode == 0
    info = run("library", "info", "m.templ", cwd=tmp_path).stdout
    for part in ("ligands    235", "groups     mpro", "2020-02-26 to 2020-10-15", "receptors/mpro.pdb.gz"):
        assert part in info
    assert "all checksums agree" in run("library", "verify", "m.templ", cwd=tmp_path).stdout


def test_a_library_survives_export_and_build(demo_path, demo_library, tmp_path):
    exported = run("library", "export", demo_path, cwd=tmp_path).stdout
    (tmp_path / "all.sdf").write_text(exported)
    words = ("library", "build", "again.templ", "--ligands", "all.sdf", "--date-property", "date")
    assert run(*words, cwd=tmp_path).returncode == 0
    with templ.open_library(tmp_path / "again.templ") as again:
        assert list(again) == list(demo_library)
        for row in range(0, len(again), 10):
            assert again.entry(row).smiles == demo_library.entry(row).smiles
            assert again.entry(row).date == demo_library.entry(row).date


def test_merge_and_append_give_the_library_of_one_build(demo_path, demo_library, tmp_path):
    ids = list(demo_library)
    for name, part in (("a", ids[:3]), ("b", ids[3:5])):
        with Chem.SDWriter(str(tmp_path / f"{name}.sdf")) as writer:
            for id in part:
                writer.write(demo_library[id])
    for name, files in (("a", ["a.sdf"]), ("b", ["b.sdf"]), ("all", ["a.sdf", "b.sdf"])):
        assert run("library", "build", f"{name}.templ", "--ligands", *files, cwd=tmp_path).returncode == 0
    done = run("library", "merge", "m.templ", "a.templ", "b.templ", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "m.templ: 5 ligands\n")
    words = ("library", "build", "n.templ", "--ligands", "b.sdf", "--append-to", "a.templ")
    assert run(*words, cwd=tmp_path).returncode == 0
    digests = set()
    for name in ("all", "m", "n"):
        with templ.open_library(tmp_path / f"{name}.templ") as library:
            digests.add(library.digest)
    assert len(digests) == 1
    again = run("library", "merge", "x.templ", "a.templ", "all.templ", cwd=tmp_path)
    assert (again.returncode, "Traceback" in again.stderr) == (2, False)
    assert f"a.templ and {tmp_path}/all.templ both have '" in again.stderr


def test_get_prints_one_ligand(demo_path, demo_library, tmp_path):
    block = run("library", "get", demo_path, "Mpro-x0072", cwd=tmp_path).stdout
    mol = Chem.MolFromMolBlock(block)
    assert Chem.MolToSmiles(mol) == Chem.MolToSmiles(demo_library["Mpro-x0072"])
    assert mol.GetProp("_Name") == "Mpro-x0072"


def test_queries_come_back_in_their_order_with_a_table(demo_path, tmp_path):
    (tmp_path / "q.csv").write_text(
        "name,SMILES\nbig,O=C(Nc1cccnc1)C1CCCc2ccccc21\niron,[Fe]OCCO\nsmall,CC(=O)Nc1cnccc1C.Cl\n"
    )
    words = ("predict", "-l", demo_path, "-q", "q.csv", "-o", "all.sdf", "--top", "2", "--workers", "2")
    done = run(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    poses = list(Chem.SDMolSupplier(str(tmp_path / "all.sdf"), removeHs=False))
    assert [(p.GetProp("_Name"), p.GetProp("rank")) for p in poses] == [
        ("big", "1"),
        ("big", "2"),
        ("small", "1"),
        ("small", "2"),
    ]
    for name in ("score", "score_consensus", "template", "core_atoms", "core_smarts", "placement_method"):
        assert poses[0].HasProp(name)
    assert poses[0].HasProp("core_rmsd")
    with (tmp_path / "all.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["id"], row["status"], row["rank"]) for row in rows] == [
        ("big", "posed", "1"),
        ("big", "posed", "2"),
        ("iron", "refused", ""),
        ("small", "posed", "1"),
        ("small", "posed", "2"),
    ]
    assert rows[2]["reason"] == "unsupported-element"
    assert rows[3]["notes"].startswith("largest fragment kept, left out: Cl; the library has this ligand")
    for name in ("template", "placement_method", "core_atoms"):
        assert rows[0][name] == poses[0].GetProp(name)
    assert not {"cpu_s", "wall_s", "uss_bytes"} & set(rows[0])  # equal queries have equal tables


def test_a_query_that_cannot_be_read_is_a_failure_in_the_table(demo_path, tmp_path):
    (tmp_path / "q.smi").write_text("C1CC ring\nCC(=O)Nc1cnccc1C good\n")
    words = ("predict", "-l", demo_path, "-q", "q.smi", "-o", "all.sdf", "--top", "1")
    done = run(*words, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "ring: failed, unreadable: q.smi, line 1: 'C1CC' is not a SMILES" in done.stderr
    assert "1 posed, 0 refused, 1 failed; written: all.sdf, all.csv, all.run" in done.stderr
    with (tmp_path / "all.csv").open() as file:
        rows = [(row["id"], row["status"], row["reason"], row["rank"]) for row in csv.DictReader(file)]
    assert rows == [("ring", "failed", "unreadable", ""), ("good", "posed", "", "1")]
    assert run(*words, "--max-failures", "1", cwd=tmp_path).returncode == 0


def test_one_worker_or_two_the_seed_decides(demo_path, tmp_path):
    def poses(name, *more):
        words = ("predict", "-l", demo_path, "-s", "CC(=O)Nc1cnccc1CC", "-o", f"{name}.sdf")
        assert run(*words, *more, cwd=tmp_path).returncode == 0
        return (tmp_path / f"{name}.sdf").read_text()

    of_one = poses("a", "--workers", "1")
    assert of_one == poses("b", "--workers", "2")
    assert of_one != poses("c", "--seed", "2")


def test_the_library_of_a_group_only(tmp_path):
    demo = demo_files()
    words = ("library", "build", "g.templ", "--ligands", demo.ligands, "--group", "sars")
    assert run(*words, cwd=tmp_path).returncode == 0
    words = ("predict", "-l", "g.templ", "-s", "CC(=O)Nc1cnccc1C", "--group", "sars")
    assert run(*words, cwd=tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (None, None),
        ("8GiB", 8 * 2**30),
        ("800MB", 800_000_000),
        ("1.5g", 1_500_000_000),
        ("2097152", 2**21),
        ("2TiB", 2**41),
    ],
)
def test_sizes_of_memory(text, size):
    assert parse_memory(text) == size


@pytest.mark.parametrize(
    "text",
    # The last two: infinite as a float, and beyond what can be set as a limit.
    ["", "GiB", "-1GiB", "8 gibbons", "0", "0.5", "8", "1e9", "9" * 400 + "GiB", "99999999999GiB"],
    ids=lambda text: text[:12],
)
def test_what_is_no_size(text):
    with pytest.raises(InputError, match="--memory"):
        parse_memory(text)


def test_workers_and_shards():
    assert (parse_workers("auto"), parse_workers("3")) == ("auto", 3)
    assert parse_shard("2/4") == (2, 4)
    for text in ("0", "-1", "many", "9" * 5000):  # Python reads no number of 5000 digits
        with pytest.raises(InputError, match="--workers"):
            parse_workers(text)
    for text in ("", "2", "2/", "/4", "-1/4", "2/4/8", "0/0", "1/" + "9" * 5000, "9" * 5000 + "/1"):
        with pytest.raises(InputError, match="--shard"):
            parse_shard(text)


@pytest.mark.slow
def test_raw_structures_become_a_library_and_poses_with_two_commands(tmp_path):
    run("demo", "structures", cwd=tmp_path)
    raw = sorted(path.name for path in (tmp_path / "structures").iterdir())
    first, *others = (f"structures/{name}" for name in raw[:8])
    built = run("library", "build", "l.templ", "--structures", first, *others, cwd=tmp_path)
    assert (built.returncode, "l.templ: 8 ligands" in built.stderr) == (0, True)
    words = ("--receptor", "structures/5and.cif", "--site", "5JE", "--smiles", "Nc1nc(NC2CCCCC2)ncc1F")
    assert run("predict", "--library", "l.templ", *words, "-o", "p.sdf", cwd=tmp_path).returncode == 0
    [best, *_] = Chem.SDMolSupplier(str(tmp_path / "p.sdf"))
    assert best.GetProp("template").partition("-")[0] in {name.partition(".")[0] for name in raw}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("--structures", "a.pdb", "--complexes", "b"),
            "give one of --ligands, --complexes and --structures",
        ),
        ((), "give one of"),
        (("--ligands", "a.sdf", "--all-copies"), "--ligands-csv and --all-copies are for --structures"),
        (("--structures", "a.pdb", "--group", "x"), "--group are for --ligands"),
        (("--structures", "gone.pdb"), "gone.pdb does not exist"),
        (("--structures", "gone"), "gone does not exist"),
        (("--structures", "/dev/null"), "/dev/null is no structure by its name"),
        (("--complexes", "b", "c"), "--complexes takes one folder"),
    ],
)
def test_words_of_a_build_that_do_not_go_together(tmp_path, words, message):
    done = run("library", "build", "l.templ", *words, cwd=tmp_path)
    assert (done.returncode, message in done.stderr) == (2, True)


def test_a_property_that_dates_nothing_is_refused_with_those_there_are(tmp_path):
    words = ("library", "build", "l.templ", "--ligands", demo_files().ligands, "--date-property", "Date")
    done = run(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert "--date-property Date: no ligand has a date there; the properties in the file are " in done.stderr
    assert "date" in done.stderr.strip().rpartition("are ")[2].split(", ")
    assert not (tmp_path / "l.templ").exists()


def test_the_reason_why_nothing_was_kept_is_said(tmp_path):
    for name in ("a.pdb", "b.pdb"):
        (tmp_path / name).write_text("HEADER    WATER\nEND\n")
    done = run("library", "build", "l.templ", "--structures", "a.pdb", "b.pdb", cwd=tmp_path)
    assert done.returncode == 2
    assert "l.templ was not built: nothing could be read; the first: a.pdb, line 1 (a): " in done.stderr
    assert "; l.templ.ledger.csv has the reason for each" in done.stderr


def test_an_id_that_is_part_of_one_is_told_which(demo_path, tmp_path):
    done = run("library", "get", demo_path, "X0107", cwd=tmp_path)
    assert (done.returncode, "did you mean Mpro-x0107?" in done.stderr) == (2, True)


def test_a_list_of_smiles_makes_no_library(tmp_path):
    (tmp_path / "q.smi").write_text("CCO ethanol\n")
    done = run("library", "build", "l.templ", "--ligands", "q.smi", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "a list has no coordinates, and a template needs 3D" in done.stderr
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".csv"] == ["q.smi"]


def test_a_site_that_is_nowhere_near_the_receptor_is_the_fault_that_is_named(
    kinase_path, kinase_library, tmp_path
):
    (tmp_path / "r.pdb").write_text(to_pdb(kinase_library.receptor(0)))
    words = ("predict", "-l", kinase_path, "-r", "r.pdb", "-s", "CCOc1ccccc1", "--site", "900,0,0")
    done = run(*words, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "--site 900,0,0 is " in done.stderr
    assert "A from the nearest atom of r.pdb; expected the middle of a pocket" in done.stderr


def test_fetch_says_what_cannot_be_had_and_ends_with_one(tmp_path):
    class Nothing(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(404)

    with ThreadingHTTPServer(("127.0.0.1", 0), Nothing) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        mirror = f"http://127.0.0.1:{server.server_port}"
        done = run("fetch", "1abc", "-o", "pdb", "--mirror", mirror, cwd=tmp_path)
        server.shutdown()
    assert done.returncode == 1
    assert "1abc: the server has no such structure (404)" in done.stderr
    assert "0 structures are in pdb" in done.stderr
    assert run("fetch", "nothing", "-o", "x", cwd=tmp_path).returncode == 2


def test_a_library_of_complexes_needs_no_receptor_and_writes_complexes(kinase_path, tmp_path):
    query = "Nc1nc(Nc2ccccc2)ncc1C(=O)c1ccccc1"
    done = run("predict", "-l", kinase_path, "-s", query, "-o", "p.sdf", "--complex", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1 complexes written: p_complexes" in done.stderr
    assert sorted(path.name for path in (tmp_path / "p_complexes").iterdir()) == ["query.cif", "query.pdb"]
    [receptor] = {mol.GetProp("receptor") for mol in Chem.SDMolSupplier(str(tmp_path / "p.sdf"))}
    with templ.open_library(kinase_path) as library:
        assert receptor in library
        assert f"receptor    {receptor}, a crystal of the library" in done.stdout


def test_poses_of_another_program_are_judged_with_the_others(kinase_path, kinase_library, tmp_path):
    (tmp_path / "r.pdb").write_text(to_pdb(kinase_library.receptor(0)))
    with Chem.SDWriter(str(tmp_path / "theirs.sdf")) as writer:
        writer.write(kinase_library.ligand(0))
    words = ("predict", "-l", kinase_path, "-r", "r.pdb", "-s", kinase_library.entry(0).smiles)
    done = run(*words, "--extra-poses", "theirs.sdf", "-o", "p.sdf", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
