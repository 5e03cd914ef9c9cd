"""What a user may do wrong, to the real program: one sentence, the right exit code, nothing lost."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import psutil
import pytest

from templ.benchmark.builtin import demo_benchmark
from templ.benchmark.definition import list_targets
from templ.sources.demo import demo_files

SMILES = "CC(=O)Nc1cnccc1C"
BENZENE = """benzene
     RDKit          2D

  3  2  0  0  0  0  0  0  0  0999 V2000
    1.0000    0.0000    0.0000 C   0  0
    0.0000    1.0000    0.0000 C   0  0
   -1.0000    0.0000    0.0000 O   0  0
  1  2  1  0
  2  3  1  0
M  END
"""


def templ(*words, cwd, check=None):
    """Run the program; with `check` that it ends so, in one sentence and without a traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "templ", *map(str, words)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "Traceback" not in done.stderr
    if check is not None:
        assert done.returncode == check, done.stderr
    return done


def refused(*words, cwd, saying):
    """Run the program and expect exit code 2 with exactly one line of error that says all of `saying`."""
    done = templ(*words, cwd=cwd, check=2)
    errors = [line for line in done.stderr.splitlines() if line.startswith("templ: error: ")]
    assert len(errors) == 1, done.stderr
    for part in saying if isinstance(saying, tuple) else (saying,):
        assert part in errors[0]
    return done


@pytest.fixture
def sdf():
    return gzip.decompress(demo_files().ligands.read_bytes()).decode()


@pytest.fixture
def predict(demo_path, tmp_path):
    def run(*words):
        return ("predict", "--library", demo_path, "-o", "poses.sdf", *words)

    return run


# --- queries


def test_a_smiles_that_cannot_be_read(predict, tmp_path):
    refused(*predict("--smiles", "C1CC"), cwd=tmp_path, saying="'C1CC' is not a SMILES")
    assert not (tmp_path / "poses.sdf").exists()


def test_a_bad_line_of_a_list_costs_only_itself(predict, tmp_path):
    (tmp_path / "q.smi").write_text(f"{SMILES} one\nC1CC two\n{SMILES} one\n{SMILES}C three\n")
    done = templ(*predict("--queries", "q.smi"), cwd=tmp_path, check=1)
    assert "q.smi, line 2 (two): " in done.stderr
    assert "q.smi, line 3 (one): " in done.stderr  # a duplicate id
    text = (tmp_path / "poses.sdf").read_text()
    names = [record.split("\n", 1)[0] for record in text.split("$$$$\n") if record]
    assert list(dict.fromkeys(names)) == ["one", "three"]
    assert templ(*predict("--queries", "q.smi", "--max-failures", "2"), cwd=tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("name", "content", "saying"),
    [
        ("empty.smi", "", "empty.smi is empty"),
        ("binary.smi", "\0\1\2", "binary"),
        ("none.csv", "id,name\n1,2\n", "smiles"),
        ("list.xyz", "CCO\n", "list.xyz"),
        ("bad.smi", "C1CC\n", "no query could be read"),
    ],
)
def test_lists_that_hold_no_query(predict, tmp_path, name, content, saying):
    (tmp_path / name).write_text(content)
    refused(*predict("--queries", name), cwd=tmp_path, saying=saying)


def test_options_that_make_no_sense(predict, demo_path, tmp_path):
    for words in (("--smiles", SMILES, "--queries", "q.smi"), ()):
        refused(*predict(*words), cwd=tmp_path, saying="give either --smiles or --queries")
    for words in (("--top", "0"), ("--seed", "-1"), ("--seed", str(2**31))):
        done = templ(*predict("--smiles", SMILES, *words), cwd=tmp_path, check=2)
        assert words[0] in done.stderr
    for workers in ("0", "many", "-2"):
        refused(*predict("--smiles", SMILES, "--workers", workers), cwd=tmp_path, saying="--workers")
    for memory in ("0", "much", "8TiBs"):
        refused(*predict("--smiles", SMILES, "--memory", memory), cwd=tmp_path, saying="--memory")
    refused(*predict("--smiles", SMILES, "--memory", "10MiB"), cwd=tmp_path, saying="not enough")
    refused(*predict("--smiles", SMILES, "--group", "x"), cwd=tmp_path, saying=("no group 'x'", "none"))
    (tmp_path / "poses.sdf").write_text("mine")
    refused(*predict("--queries", "poses.sdf"), cwd=tmp_path, saying="poses.sdf would be overwritten")
    assert (tmp_path / "poses.sdf").read_text() == "mine"


def test_a_receptor_that_is_none(predict, tmp_path):
    (tmp_path / "r.pdb").write_text("nothing\n")
    (tmp_path / "poses.sdf").write_text("mine")
    refused(*predict("--smiles", SMILES, "--receptor", "r.pdb"), cwd=tmp_path, saying="r.pdb")
    refused(*predict("--smiles", SMILES, "--receptor", "no.pdb"), cwd=tmp_path, saying="no.pdb")
    assert (tmp_path / "poses.sdf").read_text() == "mine"


def test_an_output_folder_that_is_not_there(demo_path, tmp_path):
    words = ("predict", "--library", demo_path, "--smiles", SMILES, "-o", "absent/poses.sdf")
    refused(*words, cwd=tmp_path, saying="absent/poses.sdf")


# --- ligands and libraries


def build(name, *more):
    return ("library", "build", "out.templ", "--ligands", name, *more)


@pytest.mark.parametrize(
    ("content", "saying"),
    [
        (b"", "l.sdf is empty"),
        (b"\0\1\2\3" * 100, "l.sdf is not an SDF file"),
        ((BENZENE + "$$$$\n").encode(), "none of the 1 molecules read could be kept"),
    ],
    ids=["empty", "binary", "drawings"],
)
def test_files_without_a_ligand(tmp_path, content, saying):
    (tmp_path / "l.sdf").write_bytes(content)
    refused(*build("l.sdf"), cwd=tmp_path, saying=saying)
    assert not (tmp_path / "out.templ").exists()


def test_what_cannot_be_read_is_left_out_with_its_line(tmp_path, sdf):
    """A drawing, a missing $$$$, a valence error, a duplicate id, and a record cut short at the end."""
    records = sdf.split("$$$$\n")[:6]
    drawing, joined = BENZENE, records[1].rstrip("\n") + "\n" + records[2]
    valence = BENZENE.replace("benzene", "odd").replace(" 0.0000 O ", " 0.0000 F ").replace("2D", "3D")
    cut = records[5][: len(records[5]) // 2]
    text = "$$$$\n".join([records[0], drawing, joined, valence, records[0], records[3], cut])
    (tmp_path / "l.sdf").write_text(text)
    done = templ(*build("l.sdf"), cwd=tmp_path, check=1)
    assert "out.templ: 2 ligands" in done.stderr
    ledger = (tmp_path / "out.templ.ledger.csv").read_text()
    for reason in ("no 3D coordinates", "two MOL blocks in one record", "duplicate id", "truncated"):
        assert reason in ledger, ledger
    assert templ("library", "verify", "out.templ", cwd=tmp_path).returncode == 0


def test_files_that_are_not_there_or_not_files(tmp_path, demo_path):
    refused(*build("absent.sdf"), cwd=tmp_path, saying="absent.sdf does not exist")
    refused(*build("."), cwd=tmp_path, saying="is a directory")
    refused(*build(demo_files().ligands, "--receptor", "no.pdb"), cwd=tmp_path, saying="no.pdb")
    (tmp_path / "out.templ").mkdir()
    refused(*build(demo_files().ligands), cwd=tmp_path, saying="out.templ exists already")


def test_libraries_that_are_none(tmp_path, demo_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    for name in ("file", "folder", "absent"):
        refused("library", "info", name, cwd=tmp_path, saying=name)
    shutil.copytree(demo_path, tmp_path / "newer.templ")
    manifest = tmp_path / "newer.templ" / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"version": 99}))
    refused("library", "info", "newer.templ", cwd=tmp_path, saying=("newer", "upgrade"))
    shutil.copytree(demo_path, tmp_path / "torn.templ")
    with (tmp_path / "torn.templ" / "ligands.arrow").open("r+b") as file:
        file.truncate(5000)
    for command in ("info", "verify"):
        refused("library", command, "torn.templ", cwd=tmp_path, saying="ligands.arrow")
    refused("library", "get", demo_path, "nobody", cwd=tmp_path, saying="'nobody'")


# --- benchmarks


def test_benchmarks_that_cannot_start(tmp_path, shared):
    run = ("benchmark", "run")
    refused(*run, "nope", cwd=tmp_path, saying="'nope' is no benchmark")
    refused(*run, "polaris", cwd=tmp_path, saying="--data")
    refused(*run, "demo", "--data", ".", cwd=tmp_path, saying="takes no --data")
    (tmp_path / "empty").mkdir()
    refused(*run, "polaris", "--data", "empty", cwd=tmp_path, saying=("lacks", "train_sars"))
    (tmp_path / "bad.toml").write_text("library = ")
    refused(*run, "bad.toml", cwd=tmp_path, saying="bad.toml")
    for words in (("--limit", "0"), ("--seed", "-1"), ("--recycle-after", "0")):
        assert words[0] in templ(*run, "demo", *words, cwd=tmp_path, check=2).stderr
    for shard in ("1", "0/2", "3/2", "a/b"):
        refused(*run, "demo", "--shard", shard, "-o", f"s{shard[0]}", cwd=tmp_path, saying="shard")
    (tmp_path / "ids").write_text("nobody\n")
    refused(*run, "demo", "--targets", "ids", cwd=tmp_path, saying="'nobody' is not a target")
    (tmp_path / "ids").write_bytes(b"\0\1")
    refused(*run, "demo", "--targets", "ids", "-o", "r2", cwd=tmp_path, saying="ids is not")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").write_text("x")
    refused(*run, "demo", "-o", "thesis", cwd=tmp_path, saying="is not empty and not a run")
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["thesis.tex"]
    refused("benchmark", "summary", "thesis", cwd=tmp_path, saying="is not a run")


def test_a_run_with_other_settings_is_left_alone(tmp_path):
    run = ("benchmark", "run", "demo", "--limit", "2", "-o", "run")
    templ(*run, cwd=tmp_path, check=0)
    before = (tmp_path / "run" / "results.jsonl").read_bytes()
    refused(*run, "--seed", "2", cwd=tmp_path, saying="seed: 1 -> 2")
    refused(*run[:-4], "--limit", "3", "-o", "run", cwd=tmp_path, saying="targets: 2 -> 3")
    assert (tmp_path / "run" / "results.jsonl").read_bytes() == before
    assert templ(*run, "--workers", "1", cwd=tmp_path, check=0).stdout.startswith("# Summary")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_that_is_stopped_leaves_whole_results_and_no_process_and_goes_on(tmp_path, number, code):
    command = [sys.executable, "-m", "templ", "benchmark", "run", "demo", "--limit", "8", "-o", "run"]
    results = tmp_path / "run" / "results.jsonl"
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, start_new_session=True) as run:
        while not (results.exists() and results.stat().st_size):
            assert run.poll() is None
            time.sleep(0.02)
        family = psutil.Process(run.pid).children(recursive=True)
        os.killpg(run.pid, number) if number == signal.SIGINT else run.send_signal(number)
        _, errors = run.communicate(timeout=30)
    assert run.returncode == code
    assert b"interrupted; start the same command again" in errors
    assert b"Traceback" not in errors
    assert not psutil.wait_procs(family, timeout=20)[1]
    done = [json.loads(line)["id"] for line in results.read_text().splitlines()]
    assert 1 <= len(done) <= 8
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=120)
    assert len(results.read_text().splitlines()) == 8


FAILING_WORK = """
from templ.benchmark.work import open_work as real

def open_work(context):
    work = real(context)
    def failing(id):
        if id == "FAILING":
            raise ValueError("on purpose")
        return work(id)
    return failing
"""
PROGRAM = """
import sys
import templ.benchmark.run
from templ.cli import main

if __name__ == "__main__":
    templ.benchmark.run.FUNCTION = "failing_work:open_work"
    main()
"""


def test_failures_above_the_allowed_end_with_1(tmp_path):
    ids = list(list_targets(demo_benchmark(tmp_path / "inputs")))[:3]
    (tmp_path / "failing_work.py").write_text(FAILING_WORK.replace("FAILING", ids[1]))
    (tmp_path / "program.py").write_text(PROGRAM)

    def run(*more):
        command = [sys.executable, "program.py", "benchmark", "run", "demo", "--limit", "3", "-o", "run"]
        return subprocess.run([*command, *more], cwd=tmp_path, capture_output=True, text=True, timeout=120)

    done = run()
    assert done.returncode == 1, done.stderr
    assert "| failed: error | 1 |" in done.stdout
    records = [json.loads(line) for line in (tmp_path / "run" / "results.jsonl").read_text().splitlines()]
    assert [(r["id"], r["status"]) for r in records] == list(
        zip(ids, ["posed", "failed", "posed"], strict=True)
    )
    assert records[1]["detail"] == "ValueError: on purpose"
    assert run("--max-failures", "1").returncode == 0


# --- a disk that is full


@contextmanager
def small_disk(folder, size):
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")


@needs_root
def test_a_full_disk_keeps_what_was_done_and_the_run_goes_on(tmp_path):
    with small_disk(tmp_path / "disk", "1m") as disk:
        filler = disk / "filler"
        filler.write_bytes(b"x" * 440_000)
        run = ("benchmark", "run", "demo", "--limit", "40", "-o", disk / "run")
        done = templ(*run, cwd=tmp_path, check=2)
        assert "cannot be written" in done.stderr
        assert str(disk) in done.stderr
        results = disk / "run" / "results.jsonl"
        before = results.read_text().splitlines() if results.exists() else []
        assert all(json.loads(line)["id"] for line in before)
        filler.unlink()
        subprocess.run(["mount", "-o", "remount,size=60m", str(disk)], check=True)
        templ(*run, cwd=tmp_path, check=0)
        assert len(results.read_text().splitlines()) == 40


@needs_root
def test_a_full_disk_under_a_library_and_under_poses(tmp_path, demo_path):
    with small_disk(tmp_path / "disk", "64k") as disk:
        words = ("library", "build", disk / "l.templ", "--ligands", demo_files().ligands)
        refused(*words, cwd=tmp_path, saying="cannot be written")
        assert not [path for path in disk.iterdir() if path.name.startswith((".l", "l"))]
        (disk / "filler").write_bytes(b"x" * 64_000)
        words = ("predict", "--library", demo_path, "--smiles", SMILES, "-o", disk / "poses.sdf")
        refused(*words, cwd=tmp_path, saying=("poses", "cannot be written"))
