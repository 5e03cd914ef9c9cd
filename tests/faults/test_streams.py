"""Every command in a real shell whose streams are closed, full, without a reader, or of few letters."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from templ.library.store import open_library
from templ.sources.demo import demo_files

FULL = Path("/dev/full")
SMILES = "CC(=O)Nc1cnccc1C"
CLOSED = "templ: error: there is something to print, and standard output is closed; leave out >&-\n"
REFUSED = "templ: error: the output: No space left on device; free space or correct the permissions\n"

PRINTING = [
    ("--help",),
    ("--version",),
    ("doctor",),
    ("demo", "mpro", "new"),
    ("library", "info", "m.templ"),
    ("library", "verify", "m.templ"),
    ("library", "get", "m.templ", "Mpro-x0072"),
    ("library", "export", "m.templ"),
    ("benchmark", "run", "fast.toml", "--limit", "2", "-o", "run"),  # it is finished already
    ("benchmark", "summary", "run"),
    ("benchmark", "merge", "new", "shard"),
    ("benchmark", "profile", "run"),
    ("benchmark", "compare", "run", "run"),
    ("predict", "-l", "m.templ", "-s", SMILES, "-o", "new/poses.sdf"),
    ("config",),
]
FIRST = [PRINTING[0], PRINTING[4], PRINTING[8]]
"""Of each kind one, for every day; all of them are slow."""
SILENT = [
    ("library", "build", "new", "--ligands", demo_files().ligands),
    ("predict", "-l", "m.templ", "-s", SMILES, "-o", "new/poses.sdf", "--quiet"),
    ("report", "run", "-o", "new.html"),
    ("export", "run", "-f", "csv", "-o", "new"),
]


def shell(words, redirection, cwd, **environment):
    """Run the program in a shell that redirects its streams."""
    command = shlex.join([sys.executable, "-m", "templ", *map(str, words)])
    return subprocess.run(
        ["bash", "-c", f"{command} {redirection}"],
        cwd=cwd,
        env=environment or None,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory, demo_path, fast_benchmark):
    """A library, a run of two targets, and the same run as the only shard there is."""
    made = tmp_path_factory.mktemp("streams")
    shutil.copytree(demo_path, made / "m.templ")
    shutil.copy(fast_benchmark, made)
    for words in (("-o", "run"), ("--shard", "1/1", "-o", "shard")):
        done = shell(("benchmark", "run", "fast.toml", "--limit", "2", *words), "", made)
        assert done.returncode == 0, done.stderr
    return made


@pytest.fixture
def fresh(folder):
    """The folder without what a command made before."""
    for path in folder.glob("new*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("words", [*PRINTING, *SILENT], ids=lambda words: " ".join(map(str, words[:2])))
def test_stderr_and_stdin_that_are_closed_change_nothing(fresh, words):
    done = shell(words, "<&- 2>&-", fresh)
    assert (done.returncode, done.stderr) == (0, "")
    assert bool(done.stdout) == (words in PRINTING)


@pytest.mark.parametrize(
    "words",
    [words if words in FIRST else pytest.param(words, marks=pytest.mark.slow) for words in PRINTING],
    ids=" ".join,
)
def test_what_is_printed_and_cannot_be_is_an_error(fresh, words):
    done = shell(words, ">&-", fresh)
    assert (done.returncode, done.stderr[-len(CLOSED) :]) == (2, CLOSED)
    if "new" not in words:  # that was made, and is not made twice
        done = shell(words, f"> {FULL}", fresh)
        assert (done.returncode, done.stderr[-len(REFUSED) :]) == (2, REFUSED)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "words",
    [SILENT[0], *(pytest.param(words, marks=pytest.mark.slow) for words in SILENT[1:])],
    ids=lambda words: words[0],
)
def test_a_command_that_prints_nothing_needs_no_stdout(fresh, words):
    done = shell(words, ">&- <&-", fresh)
    assert done.returncode == 0, done.stderr
    assert ("new" in done.stderr) == ("--quiet" not in words)


@pytest.mark.slow
def test_a_full_or_broken_stderr_does_not_end_a_run(fresh):
    run = ("benchmark", "run", "fast.toml", "--limit", "1", "-o", "new")
    done = shell(run, f"2> {FULL}", fresh)
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 of 1 posed" in done.stdout
    shutil.rmtree(fresh / "new")
    done = shell(run, "2>&1 >out.txt | true; exit ${PIPESTATUS[0]}", fresh)
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 of 1 posed" in (fresh / "out.txt").read_text()


@pytest.mark.parametrize(
    "redirection",
    [">&- <&- 2>&-", *(pytest.param(one, marks=pytest.mark.slow) for one in ("2>&-", f"2> {FULL}"))],
)
def test_exit_codes_without_stderr(fresh, sdf, redirection):
    (fresh / "new.sdf").write_text(sdf[:-200])  # its last record is cut short
    build = ("library", "build", "new.templ", "--ligands", "new.sdf")
    assert shell(build, redirection, fresh).returncode == 1
    with open_library(fresh / "new.templ") as library:
        library.verify()
        assert len(library) == 234
    assert shell(build, redirection, fresh).returncode == 2
    assert shell(("library", "info", "absent"), redirection, fresh).returncode == 2
    assert shell(("library", "info"), redirection, fresh).returncode == 2
    misused = ("predict", "-l", "m.templ", "-s", SMILES, "--top", "0")
    assert shell(misused, redirection, fresh).returncode == 2


def test_what_c_code_prints_is_in_no_file(fresh):
    """Descriptor 2 would be the first file that the build opens."""
    script = """
import os
from templ.cli import streams

streams.prepare_streams()
with open("new.txt", "wb", buffering=0) as file:
    for number in (0, 1, 2):
        try:
            os.write(number, b"printed by C code")
        except OSError:
            pass
    file.write(b"ours")
"""
    command = f"{shlex.join([sys.executable, '-c', script])} <&- >&- 2>&-"
    subprocess.run(["bash", "-c", command], cwd=fresh, check=True, timeout=60)
    assert (fresh / "new.txt").read_bytes() == b"ours"
