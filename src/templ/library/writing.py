"""What the writers of a library share: files whole after a clean exit, arrays and tables that grow."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from templ.disk import storage_errors, sync_file


class FilesWriter:
    """Base of the writers, for a ``with`` block: files are whole, and on the disk, only after a clean exit.

    Parameters
    ----------
    folder : Path
        An existing folder.

    Raises
    ------
    StorageError
        From any method, when the disk refuses.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stack = ExitStack()
        self._files: list[IO[bytes]] = []
        self._parts: list[ArrayFile | TableFile] = []

    def open(self, name: str) -> IO[bytes]:
        """Make a file of this name, which is synced and closed at the end."""
        with storage_errors(self.folder):
            file = self._stack.enter_context((self.folder / name).open("wb"))
        self._files.append(file)
        return file

    def array(self, name: str, dtype: str, row_shape: tuple[int, ...] = ()) -> ArrayFile:
        """Make a ``.npy`` file that is completed at the end."""
        self._parts.append(array := ArrayFile(self.open(name), dtype, row_shape))
        return array

    def table(self, name: str, schema: pa.Schema, rows_per_batch: int) -> TableFile:
        """Make an Arrow file that is completed at the end."""
        self._parts.append(table := TableFile(self.open(name), schema, rows_per_batch))
        return table

    def finish(self) -> None:
        """Write what is pending; called at the end, before the files are completed."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            # The folder is going to be removed; a disk that is full would only say so once more.
            with suppress(OSError):
                self._stack.close()
            return
        with storage_errors(self.folder), self._stack:
            self.finish()
            for part in self._parts:
                part.close()
            for file in self._files:
                sync_file(file)


class TableFile:
    """An Arrow file to which rows are added; every record batch but the last has the same number of them.

    Attributes
    ----------
    written : int
        Rows in the file; those of the record batch that is not full yet are in memory.
    starts : list of int
        Byte at which each record batch begins, and the one after the last.
    """

    def __init__(self, file: IO[bytes], schema: pa.Schema, rows_per_batch: int) -> None:
        self._file, self._rows_per_batch = file, rows_per_batch
        self._batches = pa.ipc.new_file(file, schema)
        self._pieces: list[pa.RecordBatch] = []
        self._pending = self.written = 0
        self.starts = [8 + schema.serialize().size]  # the schema follows eight bytes of magic

    def add(self, rows: pa.RecordBatch) -> None:
        """Append rows."""
        while len(rows):
            piece = rows.slice(0, self._rows_per_batch - self._pending)
            rows = rows.slice(len(piece))
            self._pieces.append(piece)
            self._pending += len(piece)
            if self._pending == self._rows_per_batch:
                self._write()

    def close(self) -> None:
        """Write the last rows and the footer."""
        if self._pending:
            self._write()
        self._batches.close()

    def _write(self) -> None:
        (batch,) = pa.Table.from_batches(self._pieces).combine_chunks().to_batches()
        self._batches.write_batch(batch)
        self._file.flush()  # others may read it
        self.written += self._pending
        self.starts.append(self._file.tell())
        self._pieces.clear()
        self._pending = 0


class ArrayFile:
    """A ``.npy`` file to which rows are added; NumPy leaves room in the header for their number to grow."""

    def __init__(self, file: IO[bytes], dtype: str, row_shape: tuple[int, ...]) -> None:
        self._file, self._dtype, self._row_shape = file, dtype, row_shape
        self.rows = 0
        self._write_header()

    def add(self, rows: NDArray[Any]) -> None:
        """Append rows, shape (n, *row_shape)."""
        self._file.write(rows.astype(self._dtype, copy=False).tobytes())
        self.rows += len(rows)

    def close(self) -> None:
        """Write the number of rows into the header."""
        self._file.seek(0)
        self._write_header()

    def _write_header(self) -> None:
        shape = (self.rows, *self._row_shape)
        np.lib.format.write_array_header_1_0(
            self._file, {"descr": self._dtype, "fortran_order": False, "shape": shape}
        )
