"""Mapped files of a library: what is looked at is read and checked, and the pages can be released.

A block is compared with its checksum when a process first reads it, before any of its bytes are used.

A page that only this process has looked at counts as its private memory although the page cache owns it. So
that a worker's memory does not depend on the size of the library, `release_pages` gives such pages back.
"""

from __future__ import annotations

import math
import mmap
import re
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from templ.checksums import checksum
from templ.library.format import CHECKSUM_BLOCK, Manifest, altered, damaged, path_inside, reading

BATCHES_KEPT = 64
"""Some kB of Arrow objects each, so that a process holds the same for any library."""
BLOCK = 4096
"""Rows that a scan of an array looks at before it releases their pages: 1 MB of fingerprints."""

_MAGIC = 6  # bytes at the end of an Arrow file, after the footer and the four of its length
# As NumPy writes it; anything else, which NumPy might read or stumble over, is damage.
_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00(..)"
    rb"{'descr': '([<|]\w\d)', 'fortran_order': False, 'shape': \(([\d, ]{,80})\), } *\n",
    re.DOTALL,
)


class _MappedFile:
    """A file of a library; without a manifest, as when it is being built, there are no checksums to compare.

    Raises
    ------
    LibraryError
        When it is missing, torn, or altered where it was read; from any method that reads.
    """

    def __init__(self, folder: Path, name: str, manifest: Manifest | None) -> None:
        record = None if manifest is None else manifest.files[name]
        self.path = path_inside(folder, name, record)
        self._checksums = "" if record is None else record.blocks
        with reading(self.path), self.path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._unchecked = bytearray(b"\1") * (len(self._checksums) // 8)
        self.check(0, 1)
        self.check(len(self._map) - 1, len(self._map))

    def check(self, start: int, stop: int) -> None:
        """Compare the blocks of a range of bytes with their checksums, unless this process has done so."""
        first, last = start // CHECKSUM_BLOCK, -(-stop // CHECKSUM_BLOCK)
        while (number := self._unchecked.find(1, first, last)) >= 0:
            block = self._map[number * CHECKSUM_BLOCK : (number + 1) * CHECKSUM_BLOCK]
            if checksum(block) != self._checksums[8 * number : 8 * number + 8]:
                raise altered(self.path)
            self._unchecked[number] = 0
            if number % 16 == 15:  # 1 MB
                self.release_pages()

    def release_pages(self) -> None:
        """Give the pages back to the page cache; they are mapped again when they are looked at."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)


class MappedArray(_MappedFile):
    """A ``.npy`` file as an array over its mapped pages, which is read-only.

    Parameters
    ----------
    folder, name : Path, str
        The file.
    manifest : Manifest, optional
        Of the library.
    dtype : str
        What the numbers are.
    shape : tuple of int or None
        What it has to be; None is any.
    """

    def __init__(
        self, folder: Path, name: str, manifest: Manifest | None, dtype: str, shape: tuple[int | None, ...]
    ) -> None:
        super().__init__(folder, name, manifest)
        header = _HEADER.match(self._map)
        found = tuple(map(int, re.findall(rb"\d+", header[3]))) if header else ()
        kind = np.dtype(dtype)
        if (
            header is None
            or header[2].decode() != kind.str
            or len(found) != len(shape)
            or any(length not in (None, stored) for length, stored in zip(shape, found, strict=True))
            or header.end() != 10 + int.from_bytes(header[1], "little")
            or header.end() + math.prod(found) * kind.itemsize != len(self._map)
        ):
            wanted = ", ".join("any" if length is None else str(length) for length in shape)
            raise damaged(self.path, f"does not hold {kind.str} of shape ({wanted}) as it has to")
        self._start, self._row_bytes = header.end(), math.prod(found[1:]) * kind.itemsize
        self._array: NDArray[Any] = np.frombuffer(self._map, kind, offset=self._start).reshape(found)

    def __len__(self) -> int:
        return len(self._array)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self._array.shape

    @property
    def array(self) -> NDArray[Any]:
        """All of it, checked."""
        return self.rows(0, len(self))

    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """Rows from `start` up to `stop`, checked."""
        stop = min(stop, len(self))
        self.check(self._start + start * self._row_bytes, self._start + stop * self._row_bytes)
        return self._array[start:stop]

    def blocks(self) -> Iterator[tuple[int, NDArray[Any]]]:
        """Yield first row and rows of each block; its pages are released when the next is asked for."""
        for start in range(0, len(self), BLOCK):
            yield start, self.rows(start, start + BLOCK)
            self.release_pages()


class MappedTable(_MappedFile):
    """An uncompressed Arrow file whose record batches, but the last, have the same number of rows.

    Parameters
    ----------
    folder, name : Path, str
        The file.
    manifest : Manifest, optional
        Of the library, which has as many ligands as the file has rows.
    schema : pyarrow.Schema
        The columns it has to have.
    rows_per_batch : int
        Rows of every batch but the last, so that the batch of a row is a division.
    """

    def __init__(
        self, folder: Path, name: str, manifest: Manifest | None, schema: pa.Schema, rows_per_batch: int
    ) -> None:
        super().__init__(folder, name, manifest)
        self._rows_per_batch = rows_per_batch
        self._rows = None if manifest is None else manifest.counts.ligands
        end = len(self._map) - _MAGIC - 4
        footer = slice(max(0, end - int.from_bytes(self._map[end : end + 4], "little")), end)
        self.check(footer.start, len(self._map))
        # Threads would start at the first batch and would be lost in a forked child.
        options = pa.ipc.IpcReadOptions(use_threads=False)
        try:
            self._buffer = pa.py_buffer(self._map)
            self._file = pa.ipc.open_file(self._buffer, options=options)
        except (pa.ArrowException, OSError) as error:
            raise damaged(self.path, f"is no Arrow file ({error})") from error
        batches = self._file.num_record_batches
        if not self._file.schema.equals(schema):
            raise damaged(self.path, "has other columns than it has to")
        if self._rows is not None and batches != -(-self._rows // rows_per_batch):
            raise damaged(self.path, f"has {batches} record batches, not those of {self._rows} ligands")
        self._ranges = _batch_ranges(self._map[footer])
        self._unread = bytearray(b"\1") * batches
        self._unread_columns: dict[str, bytearray] = {}
        self._kept: dict[int, pa.RecordBatch] = {}

    def batch(self, number: int) -> pa.RecordBatch:
        """Record batch by number, over the mapped pages."""
        batch = self._kept.pop(number, None) or self._load(number)
        self._kept[number] = batch  # the last: those that were not used for longest go first
        for unused in list(self._kept)[:-BATCHES_KEPT]:
            self._kept.pop(unused, None)
        return batch

    def row(self, row: int) -> tuple[pa.RecordBatch, int]:
        """Return the batch that holds a row, and the index of the row in it."""
        number, index = divmod(int(row), self._rows_per_batch)
        return self.batch(number), index

    def fields(self, row: int, names: Sequence[str]) -> list[pa.Scalar]:
        """Return some columns of a row; the others, which may be a hundred times as long, are not read."""
        number, index = divmod(int(row), self._rows_per_batch)
        batch = self._kept.get(number)
        if batch is None:
            batch = self._open(number)
            if self._unread[number]:
                for name in names:
                    self._check_column(number, name, batch.column(name))
        return [batch.column(name)[index] for name in names]

    def chunks(self, name: str) -> Iterator[pa.Array]:
        """Yield a column, batch by batch."""
        for number in range(len(self._unread)):
            yield self.batch(number).column(name)

    def _load(self, number: int) -> pa.RecordBatch:
        """Read a record batch, all of it checked."""
        start, _, end = self._ranges[number].tolist()
        self.check(start, end)
        batch = self._open(number)
        if self._unread[number]:
            self._validate(batch)
            self.release_pages()
        self._unread[number] = 0
        return batch

    def _open(self, number: int) -> pa.RecordBatch:
        """Read where the columns of a record batch lie, which is checked, and nothing of their content."""
        start, body, _ = self._ranges[number].tolist()
        self.check(start, body)
        try:
            batch = self._file.get_batch(number)
        except (pa.ArrowException, OSError) as error:
            raise damaged(self.path, f"holds a damaged record batch ({error})") from error
        first = number * self._rows_per_batch
        if self._rows is not None and len(batch) != min(self._rows_per_batch, self._rows - first):
            raise damaged(self.path, f"has {len(batch)} rows in record batch {number}: too few or too many")
        return batch

    def _check_column(self, number: int, name: str, column: pa.Array) -> None:
        """Check a column of a record batch, unless this process has done so."""
        unread = self._unread_columns.setdefault(name, bytearray(b"\1") * len(self._unread))
        if unread[number]:
            for part in column.buffers():
                if part is not None and part.size:
                    at = part.address - self._buffer.address
                    self.check(at, at + part.size)
            self._validate(column)
            unread[number] = 0

    def _validate(self, data: pa.RecordBatch | pa.Array) -> None:
        try:
            data.validate(full=True)
        except pa.ArrowException as error:
            raise damaged(self.path, f"holds a damaged record batch ({error})") from error


def numbers(array: pa.Array) -> NDArray[Any]:
    """Array of numbers, none missing, over the memory of an Arrow array.

    Its own `to_numpy` imports pandas, where that is installed: half a second, and 25 MB.
    """
    return np.from_dlpack(array)


def _batch_ranges(footer: bytes) -> NDArray[np.int64]:
    """First byte of each record batch, of its columns, and the one after the last, from the footer.

    pyarrow does not say it.

    The footer is a FlatBuffer (File.fbs of Arrow); batches are its fourth field, a vector of blocks.
    """
    (table,) = struct.unpack_from("<I", footer)
    (offset,) = struct.unpack_from("<i", footer, table)
    (field,) = struct.unpack_from("<H", footer, table - offset + 4 + 2 * 3)
    (vector,) = struct.unpack_from("<I", footer, table + field)
    (count,) = struct.unpack_from("<I", footer, table + field + vector)
    block = np.dtype([("start", "<i8"), ("metadata", "<i4"), ("padding", "<i4"), ("body", "<i8")])
    found = np.frombuffer(footer, block, count, table + field + vector + 4)
    body = found["start"] + found["metadata"]
    return np.stack([found["start"], body, body + found["body"]], axis=1)
