"""Mapped files of a library: what is looked at is read, and the pages that were read can be released.

A page that only this process has looked at counts as its private memory although the page cache owns it. So
that a worker's memory does not depend on the size of the library, `release_pages` gives such pages back.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

BATCHES_KEPT = 64
"""Some kB of Arrow objects each, so that a process holds the same for any library."""
BLOCK = 4096
"""Rows that a scan of an array looks at before it releases their pages: 1 MB of fingerprints."""


class _MappedFile:
    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def release_pages(self) -> None:
        """Give the pages back to the page cache; they are mapped again when they are looked at."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)


class MappedArray(_MappedFile):
    """A ``.npy`` file as an array over its mapped pages.

    Attributes
    ----------
    array : numpy.ndarray
        Read-only.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        version = np.lib.format.read_magic(self._map)
        if version != (1, 0):
            raise ValueError(f"{path.name} is a .npy file of version {version}")
        shape, _, dtype = np.lib.format.read_array_header_1_0(self._map)
        self.array: NDArray[Any] = np.frombuffer(self._map, dtype, offset=self._map.tell()).reshape(shape)

    def blocks(self) -> Iterator[tuple[int, NDArray[Any]]]:
        """Yield first row and rows of each block; its pages are released when the next is asked for."""
        for start in range(0, len(self.array), BLOCK):
            yield start, self.array[start : start + BLOCK]
            self.release_pages()


class MappedTable(_MappedFile):
    """An uncompressed Arrow file whose record batches, but the last, have the same number of rows.

    Parameters
    ----------
    path : Path
        The file.
    rows_per_batch : int
        Rows of every batch but the last, so that the batch of a row is a division.

    Attributes
    ----------
    batch : callable
        Record batch by number, over the mapped pages.
    """

    def __init__(self, path: Path, rows_per_batch: int) -> None:
        super().__init__(path)
        self._rows_per_batch = rows_per_batch
        # Threads would start at the first batch and would be lost in a forked child.
        options = pa.ipc.IpcReadOptions(use_threads=False)
        file = pa.ipc.open_file(pa.py_buffer(self._map), options=options)
        self._batches = file.num_record_batches
        self.batch: Callable[[int], pa.RecordBatch] = lru_cache(BATCHES_KEPT)(file.get_batch)

    def row(self, row: int) -> tuple[pa.RecordBatch, int]:
        """Return the batch that holds a row, and the index of the row in it."""
        number, index = divmod(int(row), self._rows_per_batch)
        return self.batch(number), index

    def chunks(self, name: str) -> Iterator[pa.Array]:
        """Yield a column, batch by batch."""
        for number in range(self._batches):
            yield self.batch(number).column(name)
