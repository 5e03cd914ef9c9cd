from __future__ import annotations

import dataclasses
import gzip
import json
import os
from pathlib import Path

import pytest
from rdkit import Chem

from templ.checksums import checksum_agrees
from templ.errors import InputError, LibraryError, StorageError
from templ.library.build import LOCK_NAME, build_library
from templ.library.format import MANIFEST, read_manifest
from templ.library.store import open_library
from templ.sources.ledger import Ledger


def build(out, entries, **options):
    ledger = Ledger()
    manifest = build_library(out, entries, ledger=ledger, **options)
    return manifest, ledger


def test_manifest_says_what_was_built(entries, tmp_path):
    manifest, ledger = build(tmp_path / "a.templ", entries, sources=["made.sdf"])
    assert manifest.counts.ligands == len(entries)
    assert manifest.counts.left_out == ledger.total == 0
    assert manifest.groups == ("even", "odd")
    assert manifest.sources == ("made.sdf",)
    stored = json.loads((tmp_path / "a.templ" / MANIFEST).read_text("utf-8"))
    assert checksum_agrees(stored)
    assert read_manifest(tmp_path / "a.templ") == manifest
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.templ"]


def test_what_cannot_be_a_template_goes_to_the_ledger(entries, tmp_path):
    first = entries[0]
    flat = Chem.MolFromSmiles("CCO")
    hydrogen = Chem.MolFromMolBlock(
        "\n\n\n  2  1  0  0  0  0  0  0  0  0999 V2000\n"
        "    0.0000    0.0000    1.0000 H   0  0\n    0.0000    0.0000    2.0000 H   0  0\n"
        "  1  2  1  0\nM  END\n",
        removeHs=False,
    )
    bad = [
        dataclasses.replace(first, id="flat", mol=flat, source="b.sdf#4"),
        dataclasses.replace(first, id="hydrogen", mol=hydrogen, source="odd#name.sdf#5"),
        dataclasses.replace(first, source="made.sdf"),
        dataclasses.replace(first, id="half", name="\ud800", source="made.sdf#7"),
    ]
    manifest, ledger = build(tmp_path / "a.templ", [first, *bad])
    assert [(row.file, row.record, row.line, row.id, row.reason.split(":")[0]) for row in ledger.first] == [
        ("b.sdf", 4, 0, "flat", "no 3D coordinates"),
        ("odd#name.sdf", 5, 0, "hydrogen", "no heavy atoms"),
        ("made.sdf", 0, 0, first.id, "duplicate id"),
        ("made.sdf", 7, 0, "half", "not UTF-8"),
    ]
    assert manifest.counts.model_dump() == {"ligands": 1, "left_out": 4, "embeddings": 0}


def test_paths_may_be_text_and_the_ledger_left_out(entries, tmp_path):
    receptor = tmp_path / "site.pdb"
    receptor.write_text("END\n", encoding="utf-8")
    flat = dataclasses.replace(entries[0], mol=Chem.MolFromSmiles("CCO"))
    manifest = build_library(str(tmp_path / "a.templ"), [flat, *entries[1:]], receptors={"": str(receptor)})
    assert manifest.counts.left_out == 1
    with open_library(str(tmp_path / "a.templ")) as library:
        assert gzip.decompress(library.receptor_path().read_bytes()) == b"END\n"


def test_id_of_a_rejected_entry_is_still_free(entries, tmp_path):
    flat = dataclasses.replace(entries[0], mol=Chem.MolFromSmiles("CCO"))
    manifest, _ = build(tmp_path / "a.templ", [flat, entries[0]])
    assert manifest.counts.ligands == 1


def test_duplicates_in_earlier_batches_are_found(entries, tmp_path):
    small = entries[4]
    ids = [f"m{number}" for number in range(2100)]
    again = ["m0", "m1023", "m1024", "m2047", "m2099"]
    manifest, ledger = build(
        tmp_path / "a.templ", (dataclasses.replace(small, id=id) for id in [*ids, *again])
    )
    assert manifest.counts.ligands == 2100
    assert [row.id for row in ledger.first] == again
    with open_library(tmp_path / "a.templ") as library:
        assert list(library) == ids
        assert [library.row_of(id) for id in again] == [0, 1023, 1024, 2047, 2099]
        assert library.ligand(2099).GetProp("_Name") == "m2099"


def test_same_content_has_the_same_digest_and_another_another(entries, tmp_path):
    receptor = tmp_path / "site.pdb"
    receptor.write_text("END\n", encoding="utf-8")
    one, _ = build(tmp_path / "one.templ", entries, receptors={"": receptor})
    two, _ = build(tmp_path / "two.templ", entries, receptors={"": receptor})
    three, _ = build(tmp_path / "three.templ", entries[1:], receptors={"": receptor})
    assert one.digest == two.digest != three.digest


def test_progress_counts_every_entry(entries, tmp_path):
    seen = []
    build(tmp_path / "a.templ", [*entries, entries[0]], on_progress=seen.append)
    assert seen == list(range(1, len(entries) + 2))


def test_receptors_are_kept_gzipped_whatever_they_were(entries, tmp_path):
    plain, packed = tmp_path / "a.PDB", tmp_path / "b.pdb.gz"
    plain.write_bytes(b"ATOM\n")
    packed.write_bytes(gzip.compress(b"HETATM\n"))
    build(tmp_path / "a.templ", entries, receptors={"": plain, "x/y": packed})
    with open_library(tmp_path / "a.templ") as library:
        assert gzip.decompress(library.receptor_path().read_bytes()) == b"ATOM\n"
        assert gzip.decompress(library.receptor_path("x/y").read_bytes()) == b"HETATM\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("site.cif", b"data_", "not a PDB file by its name"),
        ("site.pdb.gz", gzip.compress(b"ATOM" * 99, mtime=0)[:-9], "site.pdb.gz is a damaged gzip file"),
        ("site.pdb.gz", b"ATOM", "site.pdb.gz"),
        ("absent.pdb", None, "absent.pdb does not exist"),
    ],
)
def test_receptor_that_cannot_be_read_leaves_nothing(entries, tmp_path, name, content, message):
    source = tmp_path / "in" / name
    source.parent.mkdir()
    if content is not None:
        source.write_bytes(content)
    with pytest.raises(InputError, match=message):
        build(tmp_path / "a.templ", entries, receptors={"": source})
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_two_default_receptors_are_refused(entries, tmp_path):
    receptor = tmp_path / "site.pdb"
    receptor.write_text("END\n", encoding="utf-8")
    with pytest.raises(InputError, match="cannot both be given"):
        build(tmp_path / "a.templ", entries, receptors={"": receptor, "receptor": receptor})


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_existing_name_is_left_alone(entries, tmp_path, kind):
    out = tmp_path / "a.templ"
    {"folder": out.mkdir, "file": out.touch, "link": lambda: out.symlink_to("nowhere")}[kind]()
    with pytest.raises(LibraryError, match=r"a.templ exists already; delete it or choose another name"):
        build(out, entries)
    assert [path.name for path in tmp_path.iterdir()] == ["a.templ"]


def test_nothing_kept_leaves_nothing(tmp_path):
    with pytest.raises(LibraryError, match="nothing could be read"):
        build(tmp_path / "a.templ", [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError("the source broke"), InputError("bad file")])
def test_error_of_the_source_passes_unchanged_and_leaves_nothing(entries, tmp_path, error):
    def breaking():
        yield entries[0]
        raise error

    with pytest.raises(error if isinstance(error, type) else type(error)) as caught:
        build(tmp_path / "a.templ", breaking())
    assert caught.value is error or caught.type is error
    assert list(tmp_path.iterdir()) == []


def test_a_stop_right_after_the_folder_was_made_leaves_none(entries, tmp_path, monkeypatch):
    make = Path.mkdir

    def make_and_stop(path, *args, **kwargs):
        make(path, *args, **kwargs)
        raise SystemExit(130)

    monkeypatch.setattr(Path, "mkdir", make_and_stop)
    with pytest.raises(SystemExit):
        build(tmp_path / "a.templ", entries)
    assert list(tmp_path.iterdir()) == []


def test_a_killed_build_is_cleared_up_and_those_of_other_libraries_stay(entries, tmp_path):
    for name in ("a.templ", "b.templ"):
        folder = tmp_path / f".{name}.building" / name
        folder.mkdir(parents=True)
        (folder / "ligands.arrow").touch()
        (folder.parent / LOCK_NAME).write_text("1 on nowhere\n")
    build(tmp_path / "a.templ", entries)
    assert {path.name for path in tmp_path.iterdir()} == {"a.templ", ".b.templ.building"}
    assert not (tmp_path / "a.templ" / LOCK_NAME).exists()


def test_a_library_built_while_the_lock_was_taken_is_not_replaced(entries, tmp_path, monkeypatch):
    real = os.path.lexists
    looks = iter([False])
    (tmp_path / "a.templ").mkdir()
    monkeypatch.setattr(os.path, "lexists", lambda path: next(looks, None) is not False and real(path))
    with pytest.raises(LibraryError, match="exists already"):
        build(tmp_path / "a.templ", entries)
    assert [path.name for path in tmp_path.iterdir()] == ["a.templ"]


def test_missing_parent_is_named(entries, tmp_path):
    with pytest.raises(StorageError, match=r"nowhere/a\.templ cannot be written.*No such file"):
        build(tmp_path / "nowhere" / "a.templ", entries)
