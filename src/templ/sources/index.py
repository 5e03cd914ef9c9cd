"""An offset index over a plain SDF file: one molecule of a very large file is read by seeking."""

from __future__ import annotations

import hashlib
import mmap
import os
import re
import zipfile
from array import array
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from templ.disk import replacing
from templ.errors import InputError
from templ.sources.files import check_input, file_stem, open_input
from templ.sources.sdf import RECORD_END, MoleculeReference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

INDEX_SUFFIX: Final = ".templ-index.npz"
INDEX_VERSION: Final = 1
NOT_BLANK: Final = re.compile(rb"\S")


class SdfIndex:
    """Where every record of one SDF file begins, and under which id.

    Parameters
    ----------
    path : Path
        The SDF file.
    arrays : Mapping[str, numpy.ndarray]
        ``offsets`` uint64, shape (records,): where each record begins, in bytes; ``ids`` uint8, shape
        (bytes,): all ids as UTF-8, one after the other; ``id_ends`` uint64, shape (records,): where each
        ends; ``hashes`` uint64, shape (records,): of the ids, ascending; ``rows`` uint64, shape (records,):
        the row each hash belongs to.
    """

    def __init__(self, path: Path, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        self.path = path
        self._offsets = arrays["offsets"].astype(np.uint64, copy=False)
        self._ids = arrays["ids"].astype(np.uint8, copy=False)
        self._id_ends = arrays["id_ends"].astype(np.uint64, copy=False)
        self._hashes = arrays["hashes"].astype(np.uint64, copy=False)
        self._rows = arrays["rows"].astype(np.uint64, copy=False)

    def __len__(self) -> int:
        return len(self._offsets)

    def reference(self, row: int) -> MoleculeReference:
        """Return the reference to record `row`, from 0; its SMILES is empty, for no molecule was read.

        Raises
        ------
        IndexError
            When there is no such row.
        """
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of {len(self)} in the index of {self.path}")
        return MoleculeReference(self._id(row), "", self.path, int(self._offsets[row]))

    def find(self, id: str) -> MoleculeReference:
        """Return the reference to the first record with this id.

        Raises
        ------
        InputError
            When no record has it.
        """
        key = np.uint64(_hash(id.encode()))
        first, last = np.searchsorted(self._hashes, key, "left"), np.searchsorted(self._hashes, key, "right")
        for row in self._rows[first:last]:
            if self._id(int(row)) == id:
                return self.reference(int(row))
        raise InputError(f"{self.path} has no record '{id}'; ids are the title lines")

    def _id(self, row: int) -> str:
        begin = int(self._id_ends[row - 1]) if row else 0
        return self._ids[begin : int(self._id_ends[row])].tobytes().decode()


def build_index(path: Path) -> SdfIndex:
    """Scan a plain SDF once and keep what was found beside it, as ``<file>.templ-index.npz``.

    No molecule is parsed, so the index also counts records that cannot be read, by the same record numbers
    as `templ.sources.sdf.read_records`. Memory: some 32 bytes and the id per record.

    Raises
    ------
    InputError
        When the file cannot be read, or is compressed (seeking in it would be as slow as reading it).
    StorageError
        When the index cannot be written.
    """
    if path.suffix == ".gz":
        raise InputError(f"{path} is compressed, an index needs a plain SDF file; gunzip it first")
    check_input(path, "an SDF file")
    offsets, id_ends, hashes = array("Q"), array("Q"), array("Q")
    ids = bytearray()
    with open_input(path) as stream:
        stamp = _stamp(os.fstat(stream.fileno()))
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            for offset, title in _scan(data):
                offsets.append(offset)
                id = title or f"{file_stem(path)}-{len(offsets)}".encode()
                ids += id
                id_ends.append(len(ids))
                hashes.append(_hash(id))
    rows = np.argsort(np.array(hashes, np.uint64), kind="stable")
    arrays: dict[str, NDArray[np.generic]] = {
        "offsets": np.array(offsets, np.uint64),
        "ids": np.frombuffer(bytes(ids), np.uint8),
        "id_ends": np.array(id_ends, np.uint64),
        "hashes": np.array(hashes, np.uint64)[rows],
        "rows": rows.astype(np.uint64),
    }
    with replacing(_index_path(path)) as output:
        np.savez(output, allow_pickle=False, stamp=stamp, **arrays)
    return SdfIndex(path, arrays)


def open_index(path: Path) -> SdfIndex:
    """Open the index beside an SDF file.

    Raises
    ------
    InputError
        When the file or its index is absent or unreadable, or the file's size or time of change is no
        longer what it was when the index was built.
    """
    index_path = _index_path(path)
    mend = f"build it again with templ.sources.index.build_index(Path({str(path)!r}))"
    with open_input(path) as stream:
        now = _stamp(os.fstat(stream.fileno()))
    with open_input(index_path) as stored:
        try:
            with np.load(stored, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            stamp = arrays.pop("stamp")
            index = SdfIndex(path, arrays)
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile, TypeError):
            raise InputError(f"{index_path} is not an index that can be read; {mend}") from None
    if not np.array_equal(stamp, now):
        raise InputError(f"{path} was changed after {index_path.name} was built; {mend}")
    return index


def _scan(data: mmap.mmap) -> Iterator[tuple[int, bytes]]:
    """Yield offset and title of every record, cut as `templ.sources.sdf.split_records` cuts them."""
    start = 0
    while start < len(data):
        empty = data[start : start + len(RECORD_END)] == RECORD_END
        end = start if empty else data.find(b"\n" + RECORD_END, start) + 1
        if end == 0 and not empty and not NOT_BLANK.search(data, start):
            return  # blank lines after the last record
        title_end = data.find(b"\n", start)
        title = b"" if empty else data[start : title_end if title_end >= 0 else len(data)]
        yield start, title.decode(errors="replace").strip().encode()
        last = data.find(b"\n", end) if empty or end else -1
        start = last + 1 if last >= 0 else len(data)


def _hash(id: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(id, digest_size=8).digest())


def _stamp(status: os.stat_result) -> NDArray[np.int64]:
    """Return what must not change once the index is built; the version says how its arrays are laid out."""
    return np.array([INDEX_VERSION, status.st_size, status.st_mtime_ns], np.int64)


def _index_path(path: Path) -> Path:
    return path.with_name(path.name + INDEX_SUFFIX)
