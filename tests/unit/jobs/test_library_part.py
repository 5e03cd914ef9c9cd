"""A library of complexes is the same whether it was built in one go, in parts, or after being stopped."""

from __future__ import annotations

import csv
import shutil

import pytest
from rdkit import Chem

from templ.engine.executor import choose_executor
from templ.errors import EmptyLibraryError, InputError, LibraryError
from templ.jobs import library_part
from templ.jobs.library_part import build_complexes
from templ.library.build import build_library, building_folder
from templ.library.store import open_library
from templ.settings import RunSettings
from templ.sources.complexes import find_complexes, read_complexes
from templ.sources.demo import demo_files
from templ.sources.ledger import Ledger

MACHINE = RunSettings(workers=2, memory=2**33)


def in_this_process():
    from inline_executor import InlineExecutor  # found once a fixture has said where

    return InlineExecutor()


@pytest.fixture
def folder(tmp_path, demo_library):
    """Seven complexes of the demo protein, one of them without its protein."""
    receptor = demo_files().receptor
    for id in list(demo_library)[:7]:
        complex_folder = tmp_path / "complexes" / id
        complex_folder.mkdir(parents=True)
        Chem.MolToMolFile(demo_library[id], str(complex_folder / f"{id}_ligand.sdf"))
        shutil.copy(receptor, complex_folder / f"{id}_protein.pdb.gz")
    (complex_folder / f"{id}_protein.pdb.gz").unlink()
    return tmp_path / "complexes"


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch, calm, helpers):
    monkeypatch.setattr(library_part, "COMPLEXES_A_PART", 2)
    monkeypatch.syspath_prepend(helpers)


def build(tmp_path, folder, name="out.templ", executor=None, **options):
    """Build; return the library, the rows of its ledger, and how often progress was told."""
    told = []
    path = tmp_path / f"{name}.csv"
    with Ledger(path) as ledger:
        build_complexes(
            tmp_path / name,
            folder,
            executor or in_this_process(),
            ledger=ledger,
            on_progress=told.append,
            **options,
        )
    rows = list(csv.DictReader(path.read_text("utf-8").splitlines())) if path.exists() else []
    return open_library(tmp_path / name), [(row["id"], row["reason"]) for row in rows], told


def test_parts_give_the_library_that_one_pass_gives(tmp_path, folder):
    with Ledger() as ledger:
        entries = read_complexes(folder, ledger)
        whole = build_library(tmp_path / "whole.templ", entries, ledger=ledger, complexes=True)
    library, left_out, told = build(tmp_path, folder, executor=choose_executor(MACHINE))
    assert library.digest == whole.digest
    assert (whole.counts.ligands, ledger.total) == (6, 1)
    assert left_out == [(ledger.first[0].id, ledger.first[0].reason)]
    assert told == [2, 4, 6, 7] or sorted(told) == sorted({*told, 7})
    assert not list(tmp_path.glob(".*"))


def test_complexes_that_vanish_meanwhile_are_in_the_ledger(tmp_path, folder, monkeypatch):
    """One loses its files, one its folder, after they were found."""
    first, second = sorted(folder.iterdir())[:2]

    def found(path):
        complexes = list(find_complexes(path))
        for file in first.iterdir():
            file.unlink()
        shutil.rmtree(second)
        return iter(complexes)

    monkeypatch.setattr(library_part, "find_complexes", found)
    library, left_out, _ = build(tmp_path, folder)
    assert len(library) == 4
    reasons = dict(left_out)
    assert len(left_out) == 3
    assert reasons[first.name] == "gone: it was a complex when the build began"
    assert "cannot be read (No such file or directory)" in reasons[second.name]


def test_what_was_built_before_a_stop_is_used_again(tmp_path, folder, monkeypatch):
    def stop(number):
        if number > 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Ledger() as ledger:
        build_complexes(tmp_path / "out.templ", folder, in_this_process(), ledger=ledger, on_progress=stop)
    kept, *_ = sorted((tmp_path / ".out.templ.parts").glob("*.made"))
    library = kept.with_suffix(".templ")
    before = library.stat().st_mtime_ns
    made = []
    join = library_part._join

    def look(*arguments):
        made.append(library.stat().st_mtime_ns)
        return join(*arguments)

    monkeypatch.setattr(library_part, "_join", look)
    assert len(build(tmp_path, folder)[0]) == 6
    assert made == [before]


def test_a_part_of_files_that_changed_is_made_anew(tmp_path, folder, demo_library):
    with pytest.raises(InputError), Ledger() as ledger:
        # Stopped after all parts are made: the embeddings are no file.
        build_complexes(
            tmp_path / "o.templ",
            folder,
            in_this_process(),
            ledger=ledger,
            embeddings=tmp_path / "none.npz",
        )
    id = next(iter(demo_library))
    other = demo_library[list(demo_library)[20]]
    Chem.MolToMolFile(other, str(folder / id / f"{id}_ligand.sdf"))
    library, _, _ = build(tmp_path, folder, "o.templ")
    assert library.entry(library.row_of(id)).heavy_atoms == other.GetNumHeavyAtoms()


def test_a_part_that_is_damaged_is_made_anew(tmp_path, folder):
    with pytest.raises(InputError), Ledger() as ledger:
        none = tmp_path / "none.npz"
        build_complexes(tmp_path / "o.templ", folder, in_this_process(), ledger=ledger, embeddings=none)
    parts = tmp_path / ".o.templ.parts"
    first, second, *_ = sorted(parts.glob("*.templ"))
    (first / "kmer_rows.npy").write_bytes((first / "kmer_rows.npy").read_bytes()[:-1])
    (second.with_suffix(".made")).write_bytes(b"\xff")
    library, left_out, _ = build(tmp_path, folder, "o.templ")
    assert (len(library), len(left_out)) == (6, 1)


def test_a_complex_that_brings_its_worker_down_costs_only_itself(tmp_path, folder, monkeypatch):
    (folder / "deadly").mkdir()
    (folder / "deadly" / "deadly_ligand.sdf").touch()
    monkeypatch.setattr(library_part, "FUNCTION", "library_work:open_work")
    library, left_out, _ = build(tmp_path, folder, executor=choose_executor(MACHINE))
    assert len(library) == 6
    assert ("deadly", "crash: the worker died (exit code 9)") in left_out
    assert len(left_out) == 2


def test_group_and_date_come_from_the_index(tmp_path, folder, demo_library):
    id = next(iter(demo_library))
    (tmp_path / "index.csv").write_text(f"id,date,group\n{id},2020-03-01,mpro\n", encoding="utf-8")
    library, _, _ = build(tmp_path, folder, index=tmp_path / "index.csv")
    entry = library.entry(library.row_of(id))
    assert (entry.group, str(entry.date)) == ("mpro", "2020-03-01")


def test_nothing_to_build_is_said(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no complex; expected folders <id>"):
        build(tmp_path, tmp_path / "empty")
    (tmp_path / "bad" / "x").mkdir(parents=True)
    (tmp_path / "bad" / "x" / "x_ligand.sdf").write_text("no molecule")
    with pytest.raises(EmptyLibraryError, match="nothing could be read"):
        build(tmp_path, tmp_path / "bad", "bad.templ")
    with pytest.raises(LibraryError, match="exists already"):
        build(tmp_path, tmp_path / "bad", "bad")


def test_two_builds_of_one_library_do_not_meet(tmp_path, folder):
    with (
        building_folder(tmp_path / "out.templ"),
        pytest.raises(LibraryError, match=r"out\.templ is being built by process"),
    ):
        build(tmp_path, folder)
    assert not (tmp_path / ".out.templ.parts").exists()
