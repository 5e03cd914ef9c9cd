from __future__ import annotations

import hashlib
import json
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from templ.errors import LibraryError
from templ.library import format
from templ.library.format import (
    BLOCK,
    LIGANDS,
    MANIFEST,
    check_file,
    describe_file,
    read_manifest,
    receptor_file,
    verify_file,
)


@pytest.fixture
def copy(built, tmp_path):
    return shutil.copytree(built, tmp_path / "copy.templ")


def edit_manifest(folder, **changes):
    path = folder / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes), encoding="utf-8")


def test_digest_ignores_the_day_and_sees_the_content(built):
    manifest = read_manifest(built)
    assert manifest.model_copy(update={"created": "2001-01-01", "built_by": "9"}).digest == manifest.digest
    record = manifest.files[LIGANDS].model_copy(update={"sha256": "0" * 64})
    assert manifest.model_copy(update={"files": manifest.files | {LIGANDS: record}}).digest != manifest.digest


def test_newer_version_with_unknown_keys_asks_for_an_upgrade(copy):
    edit_manifest(copy, version=2, something_new=[1])
    with pytest.raises(
        LibraryError, match=r"written by a newer TEMPL \(format 2; this one reads up to 1\): up"
    ):
        read_manifest(copy)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"something_new": 1}, "damaged .something_new"),
        ({"version": 0}, "damaged .version"),
        ({"version": None}, "damaged .version"),
        (
            {"files": {LIGANDS: {"bytes": -1, "sha256": "", "sample": ""}}},
            "damaged .files.ligands.arrow.bytes",
        ),
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


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 30 * BLOCK, 1_000_003])
def test_sample_sees_the_ends_and_blocks_between(tmp_path, size):
    path = tmp_path / "data"
    path.write_bytes(bytes(size))
    original = describe_file(path)
    assert original.sha256 == hashlib.sha256(bytes(size)).hexdigest()
    seen = set()
    for offset in range(0, size, max(1, size // 100)):
        with path.open("r+b") as file:
            file.seek(offset)
            file.write(b"x")
        if describe_file(path).sample != original.sample:
            seen.add(offset)
        path.write_bytes(bytes(size))
    if size <= format.BLOCKS_BETWEEN * BLOCK:
        assert seen == set(range(0, size, max(1, size // 100)))
    elif size:
        assert min(seen) == 0
        assert max(seen) >= size - BLOCK
        assert len(seen) < 100


def test_missing_entry_and_file_are_named(copy):
    manifest = read_manifest(copy)
    with pytest.raises(LibraryError, match="no entry for other"):
        check_file(copy, "other", manifest)
    (copy / LIGANDS).unlink()
    for check in (check_file, verify_file):
        with pytest.raises(LibraryError, match=r"ligands.arrow cannot be read .No such file"):
            check(copy, LIGANDS, manifest)


@given(st.text(min_size=1, max_size=40))
def test_receptor_files_stay_in_their_folder_and_apart(group):
    name = receptor_file(group)
    assert name.startswith("receptors/")
    assert name.count("/") == 1
    assert group in ("receptor",) or name != receptor_file("")
