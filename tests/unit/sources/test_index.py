from __future__ import annotations

import io
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from templ.errors import InputError, StorageError
from templ.sources.index import build_index, open_index
from templ.sources.sdf import split_records

TEXT_LINES = st.lists(
    st.sampled_from([b"", b"$$$$", b"$$$$ end", b" $$$$", b"title", b" caf\xc3\xa9 ", b"\xff"]), max_size=25
)


@pytest.fixture
def path(tmp_path, sdf_record):
    path = tmp_path / "three.sdf"
    path.write_text(sdf_record("a", "CCO") + sdf_record("", "CCN") + sdf_record("a", "CCS"))
    return path


@given(lines=TEXT_LINES, line_end=st.sampled_from([b"\n", b"\r\n"]), ended=st.booleans())
def test_the_scan_cuts_as_the_reader_does(tmp_path_factory, lines, line_end, ended):
    data = b"first" + line_end + line_end.join(lines) + (line_end if ended else b"")
    path = tmp_path_factory.mktemp("index") / "a.sdf"
    path.write_bytes(data)
    index = build_index(path)
    references = [index.reference(row) for row in range(len(index))]
    assert [(r.offset, r.id) for r in references] == [
        (record.offset, record.title or f"a-{record.number}") for record in split_records(io.BytesIO(data))
    ]


def test_an_opened_index_is_the_built_one(path):
    built, opened = build_index(path), open_index(path)
    assert len(built) == len(opened) == 3
    assert [built.reference(i) for i in range(3)] == [opened.reference(i) for i in range(3)]
    assert opened.find("three-2").load().mol.GetAtomWithIdx(2).GetSymbol() == "N"
    assert opened.find("a") == opened.reference(0)


def test_what_is_not_there(path):
    index = build_index(path)
    with pytest.raises(InputError, match=r"three\.sdf has no record 'b'"):
        index.find("b")
    for row in (-1, 3):
        with pytest.raises(IndexError, match=f"row {row} of 3"):
            index.reference(row)


def test_an_index_of_a_changed_file_is_refused(path):
    build_index(path)
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    with pytest.raises(InputError, match=r"three\.sdf was changed after .* build it again"):
        open_index(path)
    with path.open("a") as stream:
        stream.write("\n")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(InputError, match="was changed"):
        open_index(path)


def test_an_absent_or_torn_index_is_refused(path):
    with pytest.raises(InputError, match=r"three\.sdf\.templ-index\.npz does not exist"):
        open_index(path)
    build_index(path)
    stored = path.with_name(path.name + ".templ-index.npz")
    whole = stored.read_bytes()
    for torn in (b"", b"junk", whole[: len(whole) // 2], whole[:-1]):
        stored.write_bytes(torn)
        with pytest.raises(InputError, match="is not an index that can be read; build it again"):
            open_index(path)


def test_a_compressed_file_gets_no_index(tmp_path):
    with pytest.raises(InputError, match=r"a\.sdf\.gz is compressed.*gunzip"):
        build_index(tmp_path / "a.sdf.gz")


def test_an_index_that_cannot_be_written(path):
    path.with_name(path.name + ".templ-index.npz").mkdir()
    with pytest.raises(StorageError, match=r"templ-index\.npz cannot be written"):
        build_index(path)
    assert len(list(path.parent.iterdir())) == 2
