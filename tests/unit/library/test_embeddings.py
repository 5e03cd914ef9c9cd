from __future__ import annotations

import io
import subprocess
import sys
import zipfile

import numpy as np
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from templ.errors import InputError, LibraryError, StorageError
from templ.library.embeddings import EmbeddingReport, Embeddings, write_embeddings
from templ.library.format import EMBEDDINGS
from templ.library.mapped import MappedArray

SAVERS = (np.savez, np.savez_compressed)


def save(path, ids, vectors, saver=np.savez, kind=str):
    saver(path, pdb_ids=np.array(ids, dtype=kind), embeddings=np.asarray(vectors))
    return path


def write(folder, npz, ids):
    report = write_embeddings(npz, folder, ids)
    return report, np.load(folder / EMBEDDINGS, allow_pickle=False)


def directions(count, dimensions=8, seed=0):
    return np.random.default_rng(seed).normal(size=(count, dimensions)).astype(np.float32)


def unit(vectors):
    vectors = np.asarray(vectors, np.float64)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def matrix(folder, vectors):
    """Vectors, zeros among them, as an opened matrix."""
    vectors = np.asarray(vectors, np.float32)
    ids = [f"id{row}" for row in range(len(vectors))]
    write_embeddings(save(folder / "m.npz", ids, vectors), folder, ids)
    return Embeddings(folder)


@pytest.mark.parametrize("saver", SAVERS)
@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", ">f4"])
@pytest.mark.parametrize("order", "CF")
def test_rows_come_in_the_order_of_the_library(tmp_path, saver, dtype, order):
    vectors = np.asarray(directions(3), dtype=dtype, order=order)
    npz = save(tmp_path / "e.npz", ["1abc", "2xyz", "3foo"], vectors, saver)
    report, written = write(tmp_path, npz, ["3foo", "9new", "1abc"])
    assert report == EmbeddingReport(8, found=2, missing=1, unknown=1, repeated=0, unusable=0)
    assert written.dtype == np.float16
    np.testing.assert_allclose(written[[0, 2]], unit(vectors[[2, 0]]), atol=1e-3)
    assert not written[1].any()


@pytest.mark.parametrize("block_bytes", [1, 100, 1 << 20])
def test_many_blocks_are_as_good_as_one(tmp_path, monkeypatch, block_bytes):
    monkeypatch.setattr("templ.library.embeddings.BLOCK_BYTES", block_bytes)
    ids = [f"{number:04d}" for number in range(97)]
    vectors = directions(97, 5)
    report, written = write(tmp_path, save(tmp_path / "e.npz", ids, vectors), ids[::-1])
    assert report.found == 97
    np.testing.assert_allclose(written[::-1], unit(vectors), atol=1e-3)


@pytest.mark.parametrize(
    ("in_file", "in_library", "taken"),
    [
        (["1ABC"], ["1abc"], [0]),
        (["1AbC"], ["1aBc"], [0]),
        (["1ABC", "1abc"], ["1abc"], [1]),
        (["1abc", "1ABC"], ["1abc"], [0]),
        (["1ABC", "1abc"], ["1abc", "1ABC", "1Abc"], [1, 0, 0]),
        (["x", "x", "x"], ["x"], [0]),
        (["x"], ["x", "x"], [0, 0]),
    ],
)
def test_exact_ids_go_before_other_capitals_and_the_first_before_the_rest(
    tmp_path, in_file, in_library, taken
):
    vectors = np.eye(len(in_file), 4)
    _, written = write(tmp_path, save(tmp_path / "e.npz", in_file, vectors), in_library)
    np.testing.assert_array_equal(written, vectors[taken])


def test_later_rows_of_an_id_are_counted(tmp_path):
    npz = save(tmp_path / "e.npz", ["a", "a", "A", "b", "a"], directions(5))
    report, written = write(tmp_path, npz, ["a", "b"])
    assert report == EmbeddingReport(8, found=2, missing=0, unknown=0, repeated=3, unusable=0)
    np.testing.assert_allclose(written[0], unit(directions(5)[0]), atol=1e-3)


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf, -np.inf])
def test_an_unusable_row_is_counted_and_the_next_of_its_id_is_taken(tmp_path, bad):
    vectors = directions(3)
    vectors[0] = 0
    vectors[0, 3] = bad
    report, written = write(tmp_path, save(tmp_path / "e.npz", ["a", "a", "b"], vectors), ["a", "b"])
    assert report == EmbeddingReport(8, found=2, missing=0, unknown=0, repeated=0, unusable=1)
    np.testing.assert_allclose(written, unit(vectors[1:]), atol=1e-3)


@pytest.mark.parametrize("size", [1e-300, 1e-40, 1e40, 1e300])
def test_numbers_whose_squares_leave_the_range_are_usable(tmp_path, size):
    _, written = write(tmp_path, save(tmp_path / "e.npz", ["a"], [[3 * size, 4 * size]]), ["a"])
    np.testing.assert_allclose(written, [[0.6, 0.8]], atol=1e-3)


def test_no_usable_row_is_an_error(tmp_path):
    npz = save(tmp_path / "e.npz", ["a", "b"], np.zeros((2, 4)))
    with pytest.raises(InputError, match=r"e\.npz: embeddings has no usable row"):
        write(tmp_path, npz, ["a"])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_ids_are_matched_as_by_hand(tmp_path, data):
    # NumPy strings cannot end in NUL.
    text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=2)
    texts = st.lists(text | st.sampled_from(["a", "A", "ß", "SS", "ss"]), min_size=1, max_size=12)
    in_file, in_library = data.draw(texts), data.draw(texts)
    vectors = np.eye(len(in_file), 12)
    report, written = write(tmp_path, save(tmp_path / "e.npz", in_file, vectors), in_library)
    found, taken = 0, set()
    for row, id in enumerate(in_library):
        exact = [index for index, other in enumerate(in_file) if other == id]
        other = [index for index, other in enumerate(in_file) if other.casefold() == id.casefold()]
        expected = vectors[(exact + other)[0]] if other else np.zeros(12)
        taken |= {(exact + other)[0]} if other else set()
        np.testing.assert_array_equal(written[row], expected)
        found += bool(other)
    assert (report.found, report.missing) == (found, len(in_library) - found)
    folded = {id.casefold() for id in in_library}
    assert report.unknown == sum(id.casefold() not in folded for id in in_file)
    assert report.repeated == len(in_file) - report.unknown - len(taken)


class Evil:
    def __reduce__(self):
        return (exec, ("raise SystemExit('the pickle was run')",))


def npy(array):
    file = io.BytesIO()
    np.lib.format.write_array(file, array)
    return file.getvalue()


GOOD = {"pdb_ids": npy(np.array(["a", "b"])), "embeddings": npy(np.eye(2))}


def zipped(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return path


BAD_MEMBERS = {
    "ids run code": ("pdb_ids", npy(np.array(["a", Evil()], dtype=object)), "pickled"),
    "ids of numbers": ("pdb_ids", npy(np.array([1, 2])), "2 strings"),
    "no code points": ("pdb_ids", npy(np.array(["a", "b"]))[:-8] + b"\xff" * 8, "pdb_ids cannot be read"),
    "fewer ids": ("pdb_ids", npy(np.array(["a"])), "2 strings"),
    "ids in a square": ("pdb_ids", npy(np.array([["a", "b"]])), "2 strings"),
    "one vector": ("embeddings", npy(np.ones(2)), "shape"),
    "whole numbers": ("embeddings", npy(np.ones((2, 2), int)), "floats"),
    "objects": ("embeddings", npy(np.array([[1.0, 2.0], [3.0, 4.0]], dtype=object)), "pickled"),
    "no dimension": ("embeddings", npy(np.ones((2, 0))), "floats of shape"),
    "ends early": ("embeddings", npy(np.ones((2, 2)))[:-1], "EOF"),
    "ids end early": ("pdb_ids", npy(np.array(["a", "b"]))[:-1], "EOF"),
    "no header": ("embeddings", b"", "embeddings"),
    "not npy": ("embeddings", b"hello, this is text", "embeddings"),
    "strange version": ("embeddings", b"\x93NUMPY\x09\x00" + bytes(200), "version"),
    "asks for a terabyte": (
        "embeddings",
        npy(np.ones((2, 2))).replace(b"(2, 2), }" + b" " * 10, b"(2, 99999999999), }"),
        "embeddings",
    ),
}


@pytest.mark.parametrize(("member", "content", "words"), BAD_MEMBERS.values(), ids=BAD_MEMBERS)
def test_a_bad_member_is_named_and_nothing_is_written(tmp_path, member, content, words):
    npz = zipped(tmp_path / "e.npz", {**GOOD, member: content})
    with pytest.raises(InputError, match=words) as caught:
        write(tmp_path, npz, ["a"])
    assert f"{npz}: {member} " in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["e.npz"]


@pytest.mark.parametrize("member", GOOD)
def test_a_missing_member_is_named(tmp_path, member):
    npz = zipped(tmp_path / "e.npz", {name: content for name, content in GOOD.items() if name != member})
    with pytest.raises(InputError, match=f"{member} is missing"):
        write(tmp_path, npz, ["a"])


def test_pickled_ids_are_refused_with_the_line_that_mends_them(tmp_path):
    vectors = directions(2)
    npz = save(tmp_path / "it's.npz", ["a", "b"], vectors, kind=object)
    with pytest.raises(
        InputError, match=r"pdb_ids are pickled .*if you trust the file, mend it by "
    ) as caught:
        write(tmp_path, npz, ["a"])
    exec(str(caught.value).partition("mend it by ")[2], {})
    report, written = write(tmp_path, npz, ["b", "a"])
    assert report.found == 2
    np.testing.assert_allclose(written, unit(vectors[::-1]), atol=1e-3)


def test_other_members_are_not_looked_at(tmp_path):
    npz = zipped(tmp_path / "e.npz", {**GOOD, "chain_ids": npy(np.array(["A", Evil()], dtype=object))})
    assert write(tmp_path, str(npz), ["a"])[0].found == 1


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 not a zip", b"\x93NUMPY", b"junk"])
def test_what_is_no_npz_is_refused(tmp_path, content):
    npz = tmp_path / "e.npz"
    if content is not None:
        npz.write_bytes(content)
    with pytest.raises(InputError, match=r"e\.npz: the file cannot be read"):
        write(tmp_path, npz, ["a"])


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), kind=st.sampled_from([str, object]), saver=st.sampled_from(SAVERS))
def test_a_damaged_file_is_an_input_error_or_harmless(tmp_path, data, kind, saver):
    npz = save(tmp_path / "e.npz", ["a", "b", "c"], np.eye(3), saver, kind)
    content = bytearray(npz.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    npz.write_bytes(content[: data.draw(st.integers(len(content) // 2, len(content)))])
    try:
        report, written = write(tmp_path, npz, ["a", "b"])
    except InputError as error:
        assert str(npz) in str(error)
    else:
        assert written.shape == (2, report.dimensions)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_header_with_a_right_checksum_too(tmp_path, data):
    member = data.draw(st.sampled_from(sorted(GOOD)))
    content = bytearray(GOOD[member])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, 90))] = data.draw(st.integers(0, 255))
    try:
        write(tmp_path, zipped(tmp_path / "e.npz", {**GOOD, member: bytes(content)}), ["a", "b"])
    except InputError as error:
        assert "e.npz: " in str(error)


def test_a_header_whose_names_are_of_two_types(tmp_path):
    """NumPy sorts them, and cannot."""
    content = bytearray(GOOD["embeddings"])
    content[50] = ord("b")
    with pytest.raises(InputError, match=r"e\.npz: embeddings cannot be read"):
        write(tmp_path, zipped(tmp_path / "e.npz", {**GOOD, "embeddings": bytes(content)}), ["a", "b"])


def test_the_old_matrix_stays_when_the_file_is_damaged_late(tmp_path):
    out = tmp_path / EMBEDDINGS
    out.write_bytes(b"old")
    npz = save(tmp_path / "e.npz", ["a"], directions(1, 2048))
    content = bytearray(npz.read_bytes())
    content[4000] ^= 1
    npz.write_bytes(content)
    with pytest.raises(InputError, match=r"embeddings cannot be read .*CRC"):
        write_embeddings(npz, tmp_path, ["a"])
    assert out.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["e.npz", EMBEDDINGS]


def test_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path):
    npz = save(tmp_path / "e.npz", ["a"], directions(1))
    with pytest.raises(StorageError, match="absent"):
        write_embeddings(npz, tmp_path / "absent", ["a"])


WRITER = """
import sys
from pathlib import Path
from templ.library.embeddings import write_embeddings

def peak():
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024

before = peak()
npz, folder, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
write_embeddings(npz, folder, (f"{row:05d}" for row in range(count)))
print(peak() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_is_bounded_by_the_file_whatever_the_library(tmp_path):
    count, dimensions = 10_000, 1280
    vectors = np.broadcast_to(directions(1, dimensions), (count, dimensions))  # 51 MB, in no memory
    npz = save(tmp_path / "e.npz", [f"{row:05d}" for row in range(count)], vectors)
    command = [sys.executable, "-c", WRITER, npz, tmp_path, str(10 * count)]
    growth = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert growth < 110_000_000  # what is written has 256 MB
    opened = Embeddings(tmp_path)
    assert opened.vector(count - 1) is not None
    assert opened.vector(count) is None


def test_nearest_are_those_of_plain_numpy(tmp_path, monkeypatch):
    monkeypatch.setattr("templ.library.embeddings.BLOCK_BYTES", 100)
    vectors = directions(203)
    vectors[[3, 50]] = 0
    opened = matrix(tmp_path, vectors)
    allowed = np.random.default_rng(1).random(203) < 0.5
    query = directions(1, seed=2)[0]
    cosines = np.load(tmp_path / EMBEDDINGS).astype(np.float64) @ unit(query)
    for mask in (None, allowed):
        order = [row for row in np.argsort(-cosines) if row not in (3, 50) and (mask is None or mask[row])]
        rows, found = opened.nearest(7.5 * query, 10, mask)
        assert rows.tolist() == order[:10]
        np.testing.assert_allclose(found, cosines[order[:10]], atol=1e-3)
        assert opened.nearest(query, 500, mask)[0].tolist() == order
    assert len(opened) == 203
    assert opened.dimensions == 8


@pytest.mark.parametrize("dimensions", [1, 3, 5, 37, 320, 1279])
def test_equal_rows_come_by_row(tmp_path, monkeypatch, dimensions):
    monkeypatch.setattr("templ.library.embeddings.BLOCK_BYTES", 14 * dimensions)
    opened = matrix(tmp_path, np.repeat(directions(1, dimensions), 50, axis=0))
    rows, cosines = opened.nearest(directions(1, dimensions, seed=3)[0], 50)
    assert rows.tolist() == list(range(50))
    assert len(set(cosines.tolist())) == 1


def test_a_row_without_embedding_is_not_found_but_an_orthogonal_one_is(tmp_path):
    opened = matrix(tmp_path, [[0, 0], [0, 1], [-1, 0], [2, 0]])
    rows, cosines = opened.nearest(np.array([1.0, 0.0]), 9)
    assert rows.tolist() == [3, 1, 2]
    assert cosines.tolist() == [1, 0, -1]
    assert opened.vector(0) is None
    assert opened.vector(3).tolist() == [1, 0]


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(vectors=nps.arrays(np.float32, (4, 3), elements=st.floats(-1, 1, width=32)))
def test_cosines_stay_in_their_range_and_each_row_is_its_own_best(tmp_path, vectors):
    vectors[0] = 1
    opened = matrix(tmp_path, vectors)
    for row in range(4):
        query = opened.vector(row)
        if query is not None:
            _, cosines = opened.nearest(query, 4)
            assert np.all(np.abs(cosines) <= 1)
            assert cosines[0] > 0.999


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (np.ones(7), r"shape \(7,\).* 8 dimensions"),
        (np.ones((1, 8)), r"shape \(1, 8\)"),
        (np.zeros(8), "zero or not finite"),
        (np.full(8, np.nan), "zero or not finite"),
    ],
)
def test_a_query_without_direction_or_of_another_model_is_refused(tmp_path, query, words):
    with pytest.raises(InputError, match=words):
        matrix(tmp_path, directions(3)).nearest(query, 1)


def test_a_scan_holds_a_block_at_a_time(tmp_path, monkeypatch):
    rows, dimensions = 20_000, 1280
    large = np.lib.format.open_memmap(tmp_path / EMBEDDINGS, "w+", np.float16, (rows, dimensions))  # 51 MB
    large[:] = 0.028
    large.flush()
    del large
    opened = Embeddings(tmp_path)
    held, process = [], psutil.Process()
    release_pages = MappedArray.release_pages

    def measured(self):
        # The fullest moment: the pages of a block and its float32 copy. Resident memory is no less than the
        # private, and does not grow when another process that shared libraries with this one ends.
        held.append(process.memory_info().rss)
        release_pages(self)

    monkeypatch.setattr(MappedArray, "release_pages", measured)
    opened.nearest(np.ones(dimensions), 5)  # what NumPy loads once is not what a scan holds
    held.clear()
    before = process.memory_info().rss
    opened.nearest(np.ones(dimensions), 5)
    assert len(held) > 40
    assert max(held) - before < 10_000_000


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"text", npy(np.ones((2, 2))), npy(np.ones(4, np.float16)), npy(np.ones((2, 0), np.float16))),
        *(npy(np.ones((2, 2), np.float16))[:-1], npy(np.asfortranarray(np.ones((2, 2), np.float16)))),
        *(npy(np.ones((2, 2), ">f2")), npy(np.ones((2, 2), np.float16)).replace(b"(2, 2)", b"(3, 2)")),
    ],
)
def test_what_is_no_matrix_is_refused(tmp_path, content):
    (tmp_path / EMBEDDINGS).write_bytes(content)
    with pytest.raises(LibraryError, match=r"embeddings\.npy .*; copy or build the library again"):
        Embeddings(tmp_path)


def test_an_absent_matrix_is_refused(tmp_path):
    with pytest.raises(LibraryError, match=r"embeddings\.npy cannot be read .No such file"):
        Embeddings(tmp_path)


def test_an_empty_library_has_no_neighbours(tmp_path):
    npz = save(tmp_path / "e.npz", ["a"], directions(1))
    report = write_embeddings(npz, tmp_path, [])
    assert (report.found, report.unknown) == (0, 1)
    rows, cosines = Embeddings(tmp_path).nearest(np.ones(8), 3)
    assert (len(rows), len(cosines)) == (0, 0)
