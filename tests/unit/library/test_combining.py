"""Libraries put one after the other are, file by file, the library that one build of all gives."""

from __future__ import annotations

import dataclasses
import datetime
import shutil
import tracemalloc
from contextlib import contextmanager
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_receptors import of_sequence
from rdkit import Chem

from templ.chemistry.covalent import CovalentBond
from templ.errors import EmptyLibraryError, InputError, LibraryError
from templ.library import build as building
from templ.library import kmer_index, ligands, receptors
from templ.library.build import Row, build_library, merge_libraries, prepare
from templ.library.format import DATA_FILES, RECEPTOR_FILES, RECEPTORS_TABLE
from templ.library.kmer_index import LETTERS
from templ.library.store import open_library
from templ.sources.ledger import Ledger
from templ.sources.sdf import read_sdf

BOND = CovalentBond("CYS", "A", 145, " ", "SG", 3, 1.81)


@pytest.fixture(scope="module")
def stored(entries):
    """What a library keeps of each of the molecules."""
    return [prepare(entry) for entry in entries]


@contextmanager
def batches_of(rows):
    """Write and read record batches of so few rows that a few ligands make many."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (ligands, building):
            patch.setattr(module, "ROWS_PER_BATCH", rows)
        patch.setattr(receptors, "RECEPTORS_PER_BATCH", rows)
        patch.setattr(kmer_index, "MOST_SORTED", 20)
        yield


def same_files(one, other, names):
    return [name for name in names if (one / name).read_bytes() != (other / name).read_bytes()]


@st.composite
def rows(draw, stored):
    """Ligands with ids of their own, each with a receptor, some with what is optional."""
    made = []
    for number in range(draw(st.integers(1, 14))):
        row = draw(st.sampled_from(stored))
        bond = draw(st.sampled_from([None, dataclasses.asdict(BOND)]))
        date = draw(st.sampled_from([None, datetime.date(2001, 2, 3)]))
        resolution = draw(st.sampled_from([None, 1.5]))
        values = row.values | {"id": f"c{number}", "covalent": bond, "date": date, "resolution": resolution}
        sequence = draw(st.text("ACDX", max_size=14))
        made.append(Row(values, row.fingerprint, of_sequence(sequence)))
    return made


@given(st.data())
def test_parts_of_any_size_give_the_bytes_of_one_build(tmp_path_factory, stored, data):
    with batches_of(4):
        folder = tmp_path_factory.mktemp("parts")
        made = data.draw(rows(stored))
        cuts = sorted(data.draw(st.sets(st.integers(1, len(made)), max_size=4)) | {len(made)})
        parts, start = [], 0
        for number, stop in enumerate(cuts):
            if stop > start:
                build_library(folder / f"{number}.templ", made[start:stop], complexes=True)
                parts.append(folder / f"{number}.templ")
            start = stop
        whole = build_library(folder / "whole.templ", made, complexes=True)
        merged = merge_libraries(folder / "merged.templ", parts)
        with open_library(folder / "merged.templ") as library:
            library.verify()
            assert list(library) == [row.values["id"] for row in made]
    assert not same_files(folder / "whole.templ", folder / "merged.templ", (*DATA_FILES, *RECEPTOR_FILES))
    assert (merged.digest, merged.groups, merged.counts) == (whole.digest, whole.groups, whole.counts)


@pytest.fixture(scope="module")
def of_files(tmp_path_factory, entries):
    """Two SDF files in one frame, the receptor of their group, and the library of each and of both."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "site.pdb").write_text("END\n", encoding="utf-8")
    halves = {"a": entries[:3], "b": entries[3:]}
    for name, half in halves.items():
        with Chem.SDWriter(str(folder / f"{name}.sdf")) as writer:
            for entry in half:
                entry.mol.SetProp("_Name", entry.id)
                writer.write(entry.mol)

    def build(out, *names, **options):
        ledger = Ledger()
        files = [folder / f"{name}.sdf" for name in names]
        read = chain.from_iterable(read_sdf(file, ledger, group="g") for file in files)
        options = {
            "receptors": {"g": folder / "site.pdb"},
            "sources": [file.name for file in files],
        } | options
        return build_library(out, read, ledger=ledger, **options)

    build(folder / "a.templ", "a")
    build(folder / "b.templ", "b")
    build(folder / "whole.templ", "a", "b")
    return folder, build


def files_of(path):
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def without_manifest(path):
    return {name: data for name, data in files_of(path).items() if name != "manifest.json"}


def test_ligands_in_one_frame_keep_receptor_and_references(of_files, tmp_path):
    folder, _ = of_files
    merged = merge_libraries(tmp_path / "m.templ", [folder / "a.templ", folder / "b.templ"])
    assert without_manifest(tmp_path / "m.templ") == without_manifest(folder / "whole.templ")
    with open_library(folder / "whole.templ") as whole, open_library(tmp_path / "m.templ") as library:
        same = {"created"}
        assert merged.model_dump(exclude=same) == whole.manifest.model_dump(exclude=same)
        last = list(library)[-1]
        assert library.reference(last).load().title == last
        assert library.receptor_path("g") is not None


def test_what_is_appended_comes_after_the_library(of_files, tmp_path):
    folder, build = of_files
    with open_library(folder / "a.templ") as before:
        build(tmp_path / "m.templ", "b", before=[before])
        build(tmp_path / "by_its_receptor.templ", "b", before=[before], receptors={})
    for name in ("m", "by_its_receptor"):
        assert without_manifest(tmp_path / f"{name}.templ") == without_manifest(folder / "whole.templ")


def test_of_what_is_appended_ids_that_are_taken_go_to_the_ledger(of_files, tmp_path, entries):
    folder, _ = of_files
    ledger = Ledger()
    with open_library(folder / "a.templ") as before:
        manifest = build_library(tmp_path / "m.templ", entries, ledger=ledger, before=[before])
        assert dict(ledger.counts) == {"duplicate id": 3}
        assert manifest.counts.model_dump() == {"ligands": len(entries), "left_out": 3, "embeddings": 0}
        with pytest.raises(EmptyLibraryError, match="none of the 3 molecules read could be kept"):
            build_library(tmp_path / "n.templ", entries[:3], before=[before])
    assert not (tmp_path / "n.templ").exists()


def test_an_id_in_two_libraries_is_named_with_both(of_files, tmp_path):
    folder, build = of_files
    build(tmp_path / "again.templ", "b", "a")
    with pytest.raises(LibraryError) as caught:
        merge_libraries(
            tmp_path / "m.templ", [folder / "b.templ", folder / "a.templ", tmp_path / "again.templ"]
        )
    for part in ("b.templ and", "again.templ both have '", "and 6 more ids are there twice"):
        assert part in str(caught.value)
    assert not (tmp_path / "m.templ").exists()


def test_another_receptor_of_a_group_is_refused(of_files, tmp_path):
    folder, build = of_files
    (tmp_path / "other.pdb").write_text("REMARK\nEND\n", encoding="utf-8")
    build(tmp_path / "other.templ", "b", receptors={"g": tmp_path / "other.pdb"})
    build(tmp_path / "default.templ", "b", receptors={"": tmp_path / "other.pdb"})
    build(tmp_path / "none.templ", "b", receptors={})
    for name, message in (
        ("other", "a.templ and .*other.templ have different files receptors/g.pdb.gz"),
        (
            "default",
            "default.templ has receptors/receptor.pdb.gz for the group 'g' and would get receptors/g",
        ),
        ("none", "none.templ has no receptor for the group 'g' and would get receptors/g.pdb.gz"),
    ):
        with pytest.raises(LibraryError, match=message):
            merge_libraries(tmp_path / "m.templ", [folder / "a.templ", tmp_path / f"{name}.templ"])
    with (
        open_library(folder / "a.templ") as before,
        pytest.raises(InputError, match=r"other.pdb is not the receptor"),
    ):
        build(tmp_path / "m.templ", "b", before=[before], receptors={"g": tmp_path / "other.pdb"})


@pytest.fixture(scope="module")
def complexes(tmp_path_factory, stored):
    """Libraries of complexes, of the first and of the other molecules: plain, and with embeddings."""
    folder = tmp_path_factory.mktemp("complexes")
    made = [Row(row.values, row.fingerprint, of_sequence("ACDEFGHIKL"[at:])) for at, row in enumerate(stored)]
    ids = np.array([row.values["id"] for row in made])
    vectors = np.random.default_rng(1).normal(size=(len(ids), 3))
    np.savez(folder / "e.npz", pdb_ids=ids[1:], embeddings=vectors[1:])
    np.savez(folder / "other.npz", pdb_ids=ids, embeddings=vectors[:, :2])
    for name, part in (("a", made[:3]), ("b", made[3:]), ("whole", made)):
        build_library(folder / f"{name}.templ", part, complexes=True)
        build_library(folder / f"e{name}.templ", part, complexes=True, embeddings=folder / "e.npz")
    build_library(folder / "other.templ", made[3:], complexes=True, embeddings=folder / "other.npz")
    return folder, made


def test_embeddings_are_copied_too(complexes, tmp_path):
    folder, made = complexes
    merged = merge_libraries(tmp_path / "m.templ", [folder / "ea.templ", folder / "eb.templ"])
    with open_library(folder / "ewhole.templ") as whole, open_library(folder / "ea.templ") as before:
        assert (merged.digest, merged.counts) == (whole.digest, whole.manifest.counts)
        options = {"complexes": True, "before": [before], "embeddings": folder / "e.npz"}
        assert build_library(tmp_path / "n.templ", made[3:], **options).digest == whole.digest
        with pytest.raises(
            InputError, match=r"other.npz: its embeddings have 2 dimensions and those in .*ea.templ"
        ):
            build_library(tmp_path / "o.templ", made[3:], **(options | {"embeddings": folder / "other.npz"}))


def test_libraries_of_another_kind_are_refused_by_name(complexes, of_files, tmp_path):
    folder, made = complexes
    for other, message in (
        (
            of_files[0] / "b.templ",
            "a.templ has a receptor for each ligand and .*b.templ has ligands that share",
        ),
        (folder / "eb.templ", r"a.templ has embeddings of 0 dimensions and .*eb.templ of 3 \(0: none\)"),
        (folder / "nothing.templ", "nothing.templ does not exist"),
    ):
        with pytest.raises(LibraryError, match=message):
            merge_libraries(tmp_path / "m.templ", [folder / "a.templ", other])
    with pytest.raises(LibraryError, match=r"ea.templ has embeddings of 3 .*other.templ of 2"):
        merge_libraries(tmp_path / "m.templ", [folder / "ea.templ", folder / "other.templ"])
    with pytest.raises(LibraryError, match="no library to merge"):
        merge_libraries(tmp_path / "m.templ", [])
    with open_library(folder / "ea.templ") as before:
        with pytest.raises(
            LibraryError, match=r"ea.templ has embeddings of its receptors and what is added has none"
        ):
            build_library(tmp_path / "m.templ", made[3:], complexes=True, before=[before])
        with pytest.raises(LibraryError, match="what is added has ligands that share a frame"):
            build_library(tmp_path / "m.templ", made[3:], before=[before])


def test_a_damaged_library_is_not_merged(complexes, tmp_path):
    folder, _ = complexes
    shutil.copytree(folder / "b.templ", tmp_path / "b.templ")
    path = tmp_path / "b.templ" / RECEPTORS_TABLE
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(LibraryError, match=r"receptors.arrow was altered"):
        merge_libraries(tmp_path / "m.templ", [folder / "a.templ", tmp_path / "b.templ"])


def test_memory_does_not_grow_with_the_rows(stored, tmp_path, monkeypatch):
    """Four times as many ligands: 400 bytes each at most, for ids and checksums."""
    monkeypatch.setattr(kmer_index, "MOST_SORTED", 20_000)
    letters, random = list(LETTERS), np.random.default_rng(1)
    receptor = of_sequence("".join(random.choice(letters, 300)))
    peaks = []
    for size in (1500, 6000):
        some = (
            Row(stored[0].values | {"id": f"{size}-{n}"}, stored[0].fingerprint, receptor)
            for n in range(size)
        )
        build_library(tmp_path / f"{size}.templ", some, complexes=True)
        tracemalloc.start()
        merge_libraries(tmp_path / f"m{size}.templ", [tmp_path / f"{size}.templ"])
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 400 * 4500
