from __future__ import annotations

import hashlib
import json
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from templ.checksums import CHECKSUM, checksum, with_checksum
from templ.errors import LibraryError
from templ.library.format import (
    CHECKSUM_BLOCK,
    DATA_FILES,
    EMBEDDINGS,
    KMER_ROWS,
    LIGANDS,
    MANIFEST,
    REFERENCES,
    describe_file,
    read_manifest,
    receptor_file,
    verify_file,
)


@pytest.fixture
def copy(built, tmp_path):
    return shutil.copytree(built, tmp_path / "copy.templ")


def edit_manifest(folder, **changes):
    """Change fields of a manifest, and its checksum with them."""
    path = folder / MANIFEST
    content = json.loads(path.read_text("utf-8")) | changes
    path.write_text(json.dumps(with_checksum(content)), encoding="utf-8")


def test_digest_ignores_the_day_and_sees_the_content(built):
    manifest = read_manifest(built)
    assert manifest.model_copy(update={"created": "2001-01-01", "built_by": "9"}).digest == manifest.digest
    record = manifest.files[LIGANDS].model_copy(update={"sha256": "0" * 64})
    assert manifest.model_copy(update={"files": manifest.files | {LIGANDS: record}}).digest != manifest.digest


def test_newer_version_with_unknown_keys_asks_for_an_upgrade(copy):
    edit_manifest(copy, version=6, something_new=[1])
    with pytest.raises(LibraryError, match=r"written by a newer TEMPL .format 6; this one reads 5.: upgrade"):
        read_manifest(copy)


def test_older_version_is_to_be_built_again(copy):
    content = json.loads((copy / MANIFEST).read_text("utf-8")) | {"version": 1}
    del content[CHECKSUM]  # format 1 had none
    (copy / MANIFEST).write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(LibraryError, match=r"by an older TEMPL .format 1; this one reads 5.: build it again"):
        read_manifest(copy)


@pytest.mark.parametrize("version", [1, 6])
def test_version_that_was_altered_is_no_other_version(copy, version):
    content = json.loads((copy / MANIFEST).read_text("utf-8")) | {"version": version}
    (copy / MANIFEST).write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(LibraryError, match=r"manifest.json was altered: .*; copy or build the library again"):
        read_manifest(copy)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"something_new": 1}, "damaged .unknown something_new"),
        ({"version": None}, "damaged .version"),
        (
            {"files": {LIGANDS: {"bytes": -1, "sha256": "", "blocks": ""}}},
            "damaged .files.ligands.arrow.bytes",
        ),
        (
            {"files": {LIGANDS: {"bytes": CHECKSUM_BLOCK + 1, "sha256": "", "blocks": "0" * 8}}},
            "damaged .files.ligands.arrow: .*another number of checksums",
        ),
        ({"counts": {"ligands": 7, "left_out": 0, "embeddings": 1}}, "more embeddings than there are"),
        ({"source_paths": ["/a.sdf"]}, "its files are not those of a library"),
        ({"format": "other"}, "is not a TEMPL library"),
    ],
)
def test_manifest_that_does_not_add_up_is_refused(copy, changes, message):
    edit_manifest(copy, **changes)
    with pytest.raises(LibraryError, match=message):
        read_manifest(copy)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_manifest_that_is_no_json_is_refused(copy, content):
    (copy / MANIFEST).write_bytes(content)
    with pytest.raises(LibraryError, match=r"manifest.json is damaged \(no JSON\)"):
        read_manifest(copy)


@given(content=st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_any_other_json_is_no_library(content, tmp_path_factory):
    folder = tmp_path_factory.mktemp("json")
    (folder / MANIFEST).write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(LibraryError, match="is not a TEMPL library"):
        read_manifest(folder)


def test_what_is_no_folder_is_named(tmp_path):
    with pytest.raises(LibraryError, match="nothing does not exist"):
        read_manifest(tmp_path / "nothing")
    file = tmp_path / "file.templ"
    file.touch()
    with pytest.raises(LibraryError, match=r"file.templ is not a folder"):
        read_manifest(file)
    with pytest.raises(LibraryError, match=r"it has no manifest.json"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("size", [0, 1, CHECKSUM_BLOCK - 1, CHECKSUM_BLOCK, CHECKSUM_BLOCK + 1, 1_000_003])
def test_every_block_has_its_checksum(tmp_path, size):
    path = tmp_path / "data"
    data = bytes(number % 251 for number in range(size))
    path.write_bytes(data)
    record = describe_file(path)
    assert (record.bytes, record.sha256) == (size, hashlib.sha256(data).hexdigest())
    blocks = [data[start : start + CHECKSUM_BLOCK] for start in range(0, size, CHECKSUM_BLOCK)]
    assert record.blocks == "".join(map(checksum, blocks))


RECORD = {"bytes": 0, "sha256": "", "blocks": ""}
OUTSIDE = [
    *("../other", "/etc/passwd", "receptors/../../x.pdb.gz", "receptors/a/b.pdb.gz", "receptors/.pdb.gz"),
    *("receptors/a%2fb.pdb.gz", "receptors/%ff.pdb.gz", "receptors/a.pdb", "", ".", "receptors/", MANIFEST),
    *(REFERENCES, KMER_ROWS, "receptors\\a.pdb.gz", "receptors/\u00e9.pdb.gz", "receptors/a\0.pdb.gz"),
]


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_manifest_names_no_other_file(copy, name):
    files = json.loads((copy / MANIFEST).read_text("utf-8"))["files"]
    edit_manifest(copy, files=files | {name: RECORD})
    with pytest.raises(LibraryError, match=r"manifest.json is damaged .*not those of a library"):
        read_manifest(copy)


@pytest.mark.parametrize("name", DATA_FILES)
def test_a_manifest_names_every_file(copy, name):
    files = json.loads((copy / MANIFEST).read_text("utf-8"))["files"]
    del files[name]
    edit_manifest(copy, files=files)
    with pytest.raises(LibraryError, match=r"manifest.json is damaged .*not those of a library"):
        read_manifest(copy)


def test_a_manifest_may_name_receptors_and_embeddings(copy):
    files = json.loads((copy / MANIFEST).read_text("utf-8"))["files"]
    edit_manifest(copy, files=files | {EMBEDDINGS: RECORD, receptor_file("a b/c.d%"): RECORD})
    assert len(read_manifest(copy).files) == len(files) + 2


def test_missing_file_is_named(copy):
    manifest = read_manifest(copy)
    (copy / LIGANDS).unlink()
    with pytest.raises(LibraryError, match=r"ligands.arrow cannot be read .No such file"):
        verify_file(copy, LIGANDS, manifest)


@given(st.text(min_size=1, max_size=40))
def test_receptor_files_stay_in_their_folder_and_apart(group):
    name = receptor_file(group)
    assert name.startswith("receptors/")
    assert name.count("/") == 1
    assert group in ("receptor",) or name != receptor_file("")
