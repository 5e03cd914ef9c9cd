"""What a user may do wrong, to the real program: one sentence, the right exit code, nothing lost."""

from __future__ import annotations

import csv
import gzip
import json
import shutil
import subprocess
import sys

import pytest
from program import run_templ

from templ.checksums import with_checksum
from templ.evaluation.run import load_run
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


def templ(*words, cwd, check, before=()):
    """Run the program, perhaps through another (`before`), and check that it ends so, without a traceback."""
    if before:
        command = [*before, sys.executable, "-m", "templ", *map(str, words)]
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)
    else:
        done = run_templ(*words, cwd=cwd)
    assert "Traceback" not in done.stderr
    assert done.returncode == check, done.stderr
    return done


def refused(*words, cwd, saying, before=()):
    """Expect exit code 2 and nothing but one line of error, that has all of `saying`."""
    done = templ(*words, cwd=cwd, check=2, before=before)
    assert (done.stdout, done.stderr.count("\n")) == ("", 1), done.stderr
    assert done.stderr.startswith("templ: error: ")
    for part in (saying,) if isinstance(saying, str) else saying:
        assert part in done.stderr


def misused(*words, cwd, saying, before=()):
    """Expect exit code 2, how the command is used, and one line of error that has all of `saying`."""
    done = templ(*words, cwd=cwd, check=2, before=before)
    usage, *_, error = done.stderr.splitlines()
    assert usage.startswith("Usage: ")
    assert error.startswith("Error: Invalid value for ")
    for part in saying:
        assert part in error


@pytest.fixture
def predict(demo_path, tmp_path):
    def run(*words):
        return ("predict", "--library", demo_path, "-o", "poses.sdf", *words)

    return run


def read_results(run):
    records = list(load_run(run))
    by_id = {record.id: record for record in records}
    assert len(by_id) == len(records), "a target was recorded twice"
    return by_id


# --- queries


def test_a_smiles_that_cannot_be_read(predict, tmp_path):
    refused(*predict("--smiles", "C1CC"), cwd=tmp_path, saying="'C1CC' is not a SMILES")
    assert not (tmp_path / "poses.sdf").exists()


def read_table(tmp_path):
    """Id, status, reason and detail of each query in the table, in its order, each once."""
    with (tmp_path / "poses.csv").open(newline="") as file:
        rows = [(row["id"], row["status"], row["reason"], row["detail"]) for row in csv.DictReader(file)]
    return list(dict.fromkeys(rows))


def check_records(tmp_path):
    """Whatever is in the table is a record of the run, and a row of the table is a record."""
    records = list(load_run(tmp_path / "poses.sdf"))
    assert [record.index for record in records] == list(range(len(records)))
    told = [(record.id, record.status, record.reason, record.detail) for record in records]
    assert read_table(tmp_path) == told


def test_a_bad_line_of_a_list_costs_only_itself(predict, tmp_path):
    (tmp_path / "q.smi").write_text(f"{SMILES} one\nC1CC two\n{SMILES} one\n{SMILES}C three\n")
    done = templ(*predict("--queries", "q.smi"), cwd=tmp_path, check=1)
    assert "two: failed, unreadable: q.smi, line 2: 'C1CC' is not a SMILES" in done.stderr
    assert "one: failed, unreadable: q.smi, line 3: duplicate id: 'one' was read before" in done.stderr
    assert [(id, status, reason) for id, status, reason, _ in read_table(tmp_path)] == [
        ("one", "posed", ""),
        ("two", "failed", "unreadable"),
        ("one", "failed", "unreadable"),
        ("three", "posed", ""),
    ]
    check_records(tmp_path)
    text = (tmp_path / "poses.sdf").read_text()
    names = [record.split("\n", 1)[0] for record in text.split("$$$$\n") if record]
    assert list(dict.fromkeys(names)) == ["one", "three"]
    templ(*predict("--queries", "q.smi", "--max-failures", "2"), cwd=tmp_path, check=0)


def test_a_query_cut_short_costs_only_itself(predict, tmp_path, sdf):
    first, second = sdf.split("$$$$\n")[:2]
    (tmp_path / "q.sdf").write_text(f"{first}$$$$\n{second[: len(second) // 2]}")
    done = templ(*predict("--queries", "q.sdf", "--top", "1"), cwd=tmp_path, check=1)
    assert "Mpro-6m0k: failed, unreadable: q.sdf, record 2: missing M  END" in done.stderr
    assert (tmp_path / "poses.sdf").read_text().startswith("Mpro-6lze\n")
    assert [row[:3] for row in read_table(tmp_path)] == [
        ("Mpro-6lze", "posed", ""),
        ("Mpro-6m0k", "failed", "unreadable"),
    ]
    check_records(tmp_path)


def test_rows_of_a_table_that_cannot_be_read_cost_only_themselves(predict, tmp_path):
    """Malformed, without SMILES, not UTF-8, and one whose quotes never end."""
    content = f'id,smiles\na,{SMILES}\nb\n"c"x,CCN\n\xff,CCN\nd,{SMILES}C\ne,"CCO\nf,{SMILES}CC\n'
    (tmp_path / "q.csv").write_bytes(content.encode("latin-1"))
    templ(*predict("--queries", "q.csv", "--top", "1"), cwd=tmp_path, check=1)
    rows = read_table(tmp_path)
    assert [(id, status) for id, status, _, _ in rows] == [
        ("a", "posed"),
        ("b", "failed"),
        ("q-3", "failed"),
        ("\N{REPLACEMENT CHARACTER}", "failed"),
        ("d", "posed"),
        ("q-6", "failed"),
        ("f", "posed"),
    ]
    for (_, _, reason, detail), fault in zip(
        (row for row in rows if row[1] == "failed"),
        ("line 3: no SMILES", "line 4: malformed row", "line 5: not UTF-8", "line 7: malformed row"),
        strict=True,
    ):
        assert reason == "unreadable"
        assert f"q.csv, {fault}" in detail
    check_records(tmp_path)


def test_a_list_whose_gzip_breaks_off_gives_what_is_whole(predict, tmp_path):
    lines = [f"{SMILES}{'C' * number} q{number}\n" for number in range(4)]
    noise = "".join(f"# {number * 7919 % 10007}\n" for number in range(3000))
    (tmp_path / "q.smi.gz").write_bytes(gzip.compress("".join([*lines, noise]).encode())[:-1000])
    templ(*predict("--queries", "q.smi.gz", "--top", "1"), cwd=tmp_path, check=1)
    *whole, (_, status, reason, detail) = read_table(tmp_path)
    assert [(id, status) for id, status, _, _ in whole] == [(f"q{number}", "posed") for number in range(4)]
    assert (status, reason) == ("failed", "unreadable")
    assert "file truncated" in detail
    check_records(tmp_path)


def test_a_list_of_nothing_but_bad_lines_is_all_records(predict, tmp_path):
    (tmp_path / "bad.smi").write_text("C1CC\nC1CC\n")
    templ(*predict("--queries", "bad.smi"), cwd=tmp_path, check=1)
    assert [row[:3] for row in read_table(tmp_path)] == [
        ("bad-1", "failed", "unreadable"),
        ("bad-2", "failed", "unreadable"),
    ]
    assert (tmp_path / "poses.sdf").read_text() == ""
    check_records(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "saying"),
    [
        ("empty.smi", "", "empty.smi is empty"),
        ("binary.smi", "\0\1\2", "binary.smi is not a list of SMILES: it is binary"),
        ("empty.sdf", "", "empty.sdf is empty"),
        ("binary.sdf", "\0\1\2", "binary.sdf is not an SDF file: it is binary"),
        ("none.csv", "id,name\n1,2\n", "smiles"),
        ("list.xyz", "CCO\n", "list.xyz"),
        ("comments.smi", "# C1CC\n", "comments.smi holds no query"),
    ],
)
def test_lists_that_hold_no_query(predict, tmp_path, name, content, saying):
    (tmp_path / name).write_text(content)
    refused(*predict("--queries", name), cwd=tmp_path, saying=saying)


def test_options_that_make_no_sense(predict, tmp_path):
    one = predict("--smiles", SMILES)
    refused(*one, "--queries", "q.smi", cwd=tmp_path, saying="give either --smiles or --queries")
    refused(*predict(), cwd=tmp_path, saying="give either --smiles or --queries")
    twice = ("--receptor", "a.pdb", "-r", "b.pdb")
    refused(*one, *twice, "--site", "1,2,3", cwd=tmp_path, saying="--site: in which structure? give one")
    twice = ("--receptor", "a.pdb", "-r", "b/a.pdb")
    refused(*one, *twice, cwd=tmp_path, saying="--receptor: two are called a.pdb")
    for option, value in (("--top", "0"), ("--seed", "-1"), ("--seed", str(2**31)), ("--top", "five")):
        misused(*one, option, value, cwd=tmp_path, saying=[f"'{option}'"])
    refused(*one, "--workers", "0", cwd=tmp_path, saying="--workers 0: expected auto or a number")
    refused(*one, "--memory", "much", cwd=tmp_path, saying="--memory much: expected a size")
    refused(*one, "--memory", "10MiB", cwd=tmp_path, saying="not enough")
    refused(*one, "--group", "x", cwd=tmp_path, saying=("no group 'x'", "none"))
    refused(*predict("--queries", "absent.smi"), cwd=tmp_path, saying="absent.smi does not exist")
    assert not list(tmp_path.iterdir())


def test_a_word_for_another_option_is_told_which(predict, tmp_path):
    (tmp_path / "q.smi").write_text(f"{SMILES}\n")
    refused(*predict("--smiles", "q.smi"), cwd=tmp_path, saying="q.smi is a file; give it by --queries")
    (tmp_path / "C1CC1").mkdir()  # a folder may be called as a molecule is
    refused(*predict("--smiles", "C1CC1", "--memory", "8"), cwd=tmp_path, saying="a size such as 8GiB")
    refused(*predict("--queries", SMILES), cwd=tmp_path, saying="a SMILES is given by --smiles")
    refused(*predict("--smiles", "X77"), cwd=tmp_path, saying="a name or code is not looked up")
    refused(*predict("--smiles", SMILES, "--memory", "8"), cwd=tmp_path, saying="a size such as 8GiB")
    for word in ("A:LIG", "gone.sdf", "1,2", "1,2,nan"):
        told = f"--site {word}: "
        refused(*predict("--smiles", SMILES, "--site", word), cwd=tmp_path, saying=(told, "name of a ligand"))


def test_an_output_that_would_cost_a_file(demo_path, tmp_path):
    """The queries, the receptor, a file of the library: whatever has the name of a result is left alone."""
    one = ("predict", "--library", demo_path, "--smiles", SMILES)
    (tmp_path / "poses.csv").write_text("smiles\nCCO\n")
    (tmp_path / "r.pdb").write_text("mine")
    (tmp_path / "folder.sdf").mkdir()
    words = ("predict", "--library", demo_path, "--queries", "poses.csv", "-o", "./poses.sdf")
    refused(*words, cwd=tmp_path, saying="poses.csv would be overwritten")
    for name in ("r.pdb", "poses.csv", ".", demo_path / "manifest.json"):
        refused(*one, "-o", name, cwd=tmp_path, saying=(f"-o {name}", "ends in .sdf"))
    refused(*one, "-o", "folder.sdf", cwd=tmp_path, saying="folder.sdf is a directory")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.sdf", "poses.csv", "r.pdb"]
    assert (tmp_path / "r.pdb").read_text() == "mine"


@pytest.mark.parametrize(
    ("option", "file"),
    [
        ("--extra-poses", "poses.sdf"),
        ("--template-ids", "poses.csv"),
        ("--config", "poses.csv"),
        ("--site", "poses.sdf"),
        ("--sequence", "poses.csv"),
    ],
)
def test_no_file_that_is_read_is_written_over(predict, tmp_path, option, file):
    (tmp_path / file).write_text("seed = 2\n")
    words = predict("--smiles", SMILES, option, tmp_path / file)
    refused(*words, cwd=tmp_path, saying=f"{file} would be overwritten by the results; choose another -o")
    assert [path.name for path in tmp_path.iterdir()] == [file]


def test_a_receptor_that_is_none(predict, tmp_path):
    (tmp_path / "r.pdb").write_text("nothing\n")
    (tmp_path / "poses.sdf").write_text("mine")
    refused(*predict("--smiles", SMILES, "--receptor", "r.pdb"), cwd=tmp_path, saying="r.pdb")
    for name in ("no.pdb", "."):
        refused(*predict("--smiles", SMILES, "--receptor", name), cwd=tmp_path, saying=name)
    assert (tmp_path / "poses.sdf").read_text() == "mine"


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
    good = sdf.split("$$$$\n")[:6]
    joined = good[1].rstrip("\n") + "\n" + good[2]
    valence = BENZENE.replace("benzene", "odd").replace(" 0.0000 O ", " 0.0000 F ").replace("2D", "3D")
    records = [good[0], BENZENE, joined, valence, good[0], good[3], good[5][: len(good[5]) // 2]]
    (tmp_path / "l.sdf").write_text("$$$$\n".join(records))
    done = templ(*build("l.sdf"), cwd=tmp_path, check=1)
    assert "out.templ: 2 ligands" in done.stderr
    with (tmp_path / "out.templ.ledger.csv").open() as file:
        ledger = {int(row["record"]): row for row in csv.DictReader(file)}
    starts = [1]
    for record in records:
        starts.append(starts[-1] + record.count("\n") + 1)
    expected = {
        2: ("benzene", "no 3D coordinates"),
        3: ("Mpro-6m0k", "two MOL blocks in one record"),
        4: ("odd", ""),
        5: ("Mpro-6lze", "duplicate id"),
        7: (good[5].split("\n", 1)[0], "missing M  END"),
    }
    assert ledger.keys() == expected.keys()
    for number, (id, reason) in expected.items():
        row = ledger[number]
        assert (row["file"], row["id"]) == ("l.sdf", id)
        assert row["line"] in ("0", str(starts[number - 1]))
        assert row["reason"].startswith(reason)
    templ("library", "verify", "out.templ", cwd=tmp_path, check=0)


def test_files_that_are_not_there_or_not_files(tmp_path, demo_path):
    refused(*build("absent.sdf"), cwd=tmp_path, saying="absent.sdf does not exist")
    refused(*build("."), cwd=tmp_path, saying="is a directory")
    refused(*build(demo_files().ligands, "--receptor", "no.pdb"), cwd=tmp_path, saying="no.pdb")
    refused(
        "library", "build", ".", "--ligands", demo_files().ligands, cwd=tmp_path, saying=". exists already"
    )
    (tmp_path / "out.templ").mkdir()
    refused(*build(demo_files().ligands), cwd=tmp_path, saying="out.templ exists already")
    assert [path.name for path in tmp_path.iterdir()] == ["out.templ"]


def test_files_that_may_not_be_read_or_written(tmp_path, demo_path, predict, locked):
    def lock(name):
        (tmp_path / name).touch(mode=0)
        return name

    shutil.copytree(demo_path, tmp_path / "m.templ")
    (tmp_path / "m.templ" / "ligands.arrow").chmod(0)
    words = ("library", "info", "m.templ")
    refused(*words, cwd=tmp_path, before=locked, saying=("ligands.arrow", "Permission denied"))
    words = ("benchmark", "run", lock("b.toml"))
    refused(*words, cwd=tmp_path, before=locked, saying=("b.toml", "Permission denied"))
    for words in (
        predict("--queries", lock("q.smi")),
        predict("--smiles", SMILES, "--receptor", lock("r.pdb")),
        build(lock("l.sdf")),
        ("benchmark", "run", "demo-mpro", "--targets", lock("ids")),
    ):
        misused(*words, cwd=tmp_path, before=locked, saying=(words[-1], "not readable"))
    (tmp_path / "folder").mkdir(mode=0o500)
    words = ("predict", "--library", demo_path, "--smiles", SMILES, "-o", "folder/p.sdf")
    refused(*words, cwd=tmp_path, before=locked, saying=("folder/p.run", "Permission denied"))
    words = ("benchmark", "run", "demo-mpro", "-o", "folder/run")
    refused(*words, cwd=tmp_path, before=locked, saying=("folder/run", "Permission denied"))


def test_a_run_whose_poses_may_not_be_read(tmp_path, locked):
    run = ("benchmark", "run", "demo-mpro", "--limit", "1", "-o", "run")
    templ(*run, cwd=tmp_path, check=0)
    (tmp_path / "run" / "poses").chmod(0)
    done = templ(*run, cwd=tmp_path, check=2, before=locked)
    (tmp_path / "run" / "poses").chmod(0o700)
    assert done.stderr.splitlines()[-1].startswith("templ: error: run/poses/0000.sdf")
    assert len(read_results(tmp_path / "run")) == 1


def test_libraries_that_are_none(tmp_path, demo_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    for name in ("file", "folder", "absent"):
        refused("library", "info", name, cwd=tmp_path, saying=name)
    shutil.copytree(demo_path, tmp_path / "newer.templ")
    manifest = tmp_path / "newer.templ" / "manifest.json"
    newer = with_checksum(json.loads(manifest.read_text()) | {"version": 99})
    manifest.write_text(json.dumps(newer))
    refused("library", "info", "newer.templ", cwd=tmp_path, saying=("newer", "upgrade"))
    shutil.copytree(demo_path, tmp_path / "torn.templ")
    with (tmp_path / "torn.templ" / "ligands.arrow").open("r+b") as file:
        file.truncate(5000)
    for command in ("info", "verify"):
        refused("library", command, "torn.templ", cwd=tmp_path, saying="ligands.arrow")
    words = ("predict", "--library", "torn.templ", "--smiles", SMILES)
    refused(*words, cwd=tmp_path, saying="ligands.arrow")
    assert not (tmp_path / "poses.sdf").exists()
    refused("library", "get", demo_path, "nobody", cwd=tmp_path, saying="'nobody'")


# --- benchmarks


RUN = ("benchmark", "run")


def test_benchmarks_that_are_none(tmp_path):
    refused(*RUN, "nope", cwd=tmp_path, saying="'nope' is no benchmark")
    refused(*RUN, "polaris", cwd=tmp_path, saying="--data")
    refused(*RUN, "demo-mpro", "--data", ".", cwd=tmp_path, saying="takes no --data")
    (tmp_path / "empty").mkdir()
    refused(*RUN, "polaris", "--data", "empty", cwd=tmp_path, saying=("lacks", "train_sars"))
    refused(*RUN, "absent.toml", cwd=tmp_path, saying="absent.toml does not exist")
    for content, saying in (
        (b"library = ", "TOML"),
        (b"\xff\0", "TOML"),
        (b'library = "m"\nx = 1', "unknown x"),
    ):
        (tmp_path / "bad.toml").write_bytes(content)
        refused(*RUN, "bad.toml", cwd=tmp_path, saying=("bad.toml", saying))


def test_options_of_a_benchmark_that_make_no_sense(tmp_path):
    for option, value in (
        ("--limit", "0"),
        ("--seed", "-1"),
        ("--seed", str(2**31)),
        ("--recycle-after", "0"),
    ):
        misused(*RUN, "demo-mpro", option, value, cwd=tmp_path, saying=[f"'{option}'"])
    for workers in ("0", "abc"):
        refused(*RUN, "demo-mpro", "--workers", workers, cwd=tmp_path, saying=f"--workers {workers}: ")
    for shard in ("1", "3/2"):
        refused(*RUN, "demo-mpro", "--shard", shard, "-o", f"s{shard[0]}", cwd=tmp_path, saying="shard")


@pytest.mark.parametrize(
    ("content", "saying"),
    [(b"nobody\n", "'nobody' is not a target"), (b"", "ids is empty"), (b"\0\1", "ids is not")],
    ids=["unknown", "empty", "binary"],
)
def test_a_list_of_targets_that_is_none(tmp_path, content, saying):
    (tmp_path / "ids").write_bytes(content)
    refused(*RUN, "demo-mpro", "--targets", "ids", cwd=tmp_path, saying=saying)


def test_a_folder_that_is_no_run_is_left_alone(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").write_text("x")
    refused(*RUN, "demo-mpro", "-o", "thesis", cwd=tmp_path, saying="thesis is not empty and not a run")
    refused(*RUN, "demo-mpro", "-o", "thesis/thesis.tex", cwd=tmp_path, saying="thesis.tex is a file")
    refused("benchmark", "summary", "thesis", cwd=tmp_path, saying="thesis is not a run")
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["thesis.tex"]


def test_a_run_with_other_settings_is_left_alone(tmp_path):
    run = ("benchmark", "run", "demo-mpro", "--limit", "2", "-o", "run")
    templ(*run, cwd=tmp_path, check=0)
    before = (tmp_path / "run" / "results.jsonl").read_bytes()
    refused(*run, "--seed", "2", cwd=tmp_path, saying="(settings.seed: 1 -> 2)")
    refused(
        *run[:-4], "--limit", "3", "-o", "run", cwd=tmp_path, saying="(another list of targets or queries)"
    )
    assert (tmp_path / "run" / "results.jsonl").read_bytes() == before
    assert templ(*run, "--workers", "1", cwd=tmp_path, check=0).stdout.startswith("100.0% of 2 targets")


# --- a disk that is full


@pytest.mark.slow
def test_a_full_disk_keeps_what_was_done_and_the_run_goes_on(tmp_path, demo_path, mount_disk):
    """The poses of a target take about 15 kB, those of ten never fit."""
    (tmp_path / "mine.toml").write_text(f'library = "{demo_path}"\n')
    disk = mount_disk("80k")
    run = ("benchmark", "run", "mine.toml", "--limit", "10", "-o", disk / "run")
    error = templ(*run, cwd=tmp_path, check=2).stderr.splitlines()[-1]
    assert error.startswith(f"templ: error: {disk}/run/")
    assert "cannot be written (No space left on device)" in error
    before = read_results(disk / "run")
    assert 0 < len(before) < 10
    subprocess.run(["mount", "-o", "remount,size=60m", str(disk)], check=True)
    templ(*run, cwd=tmp_path, check=0)
    after = read_results(disk / "run")
    assert len(after) == 10
    assert all(after[id].cost == record.cost for id, record in before.items())  # not done again


def test_a_full_disk_under_a_library_and_under_poses(tmp_path, demo_path, mount_disk):
    disk = mount_disk("64k")
    words = ("library", "build", disk / "l.templ", "--ligands", demo_files().ligands)
    refused(*words, cwd=tmp_path, saying=("l.templ", "cannot be written (No space left on device)"))
    assert not list(disk.iterdir())
    (disk / "filler").write_bytes(b"x" * 61_440)  # one page is left: not enough for five poses
    words = ("predict", "--library", demo_path, "--smiles", SMILES, "-o", disk / "poses.sdf")
    refused(*words, cwd=tmp_path, saying=("poses.", "cannot be written (No space left on device)"))
    assert not (disk / "poses.sdf").exists()
