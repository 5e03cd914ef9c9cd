"""Appends ligands to the data files of a library, one record batch in memory at a time."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa

from templ.disk import storage_errors, sync_file
from templ.library.format import FINGERPRINTS, IDS, LIGANDS, ROWS_PER_BATCH, SCHEMA
from templ.library.index import candidate_rows, merge_ids
from templ.library.neighbours import WORDS

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from numpy.typing import NDArray

_FIRST_BATCH = 8 + SCHEMA.serialize().size  # in an Arrow file the schema follows eight bytes of magic


class LigandWriter:
    """Writes ``ligands.arrow``, ``fingerprints.npy`` and ``ids.npy``; whole only after a clean exit.

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
        self._folder = folder
        self._files = ExitStack()
        self._rows: dict[str, dict[str, Any]] = {}
        self._fingerprints: list[NDArray[np.uint64]] = []
        self._index = np.empty((2, 0), dtype=np.uint64)
        self._batch_starts = [_FIRST_BATCH]

    def __enter__(self) -> Self:
        with storage_errors(self._folder):
            self._arrow = self._files.enter_context((self._folder / LIGANDS).open("wb"))
            self._npy = self._files.enter_context((self._folder / FINGERPRINTS).open("wb"))
            self._batches = pa.ipc.new_file(self._arrow, SCHEMA)
            self._write_fingerprint_header()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            # The folder is going to be removed; a disk that is full would only say so once more.
            with suppress(OSError):
                self._files.close()
            return
        with storage_errors(self._folder), self._files:
            self._write_batch()
            self._batches.close()
            self._npy.seek(0)
            self._write_fingerprint_header()
            ids = self._files.enter_context((self._folder / IDS).open("wb"))
            np.save(ids, self._index, allow_pickle=False)
            for file in (self._arrow, self._npy, ids):
                sync_file(file)

    def __len__(self) -> int:
        return self._index.shape[1] + len(self._rows)

    def __contains__(self, id: str) -> bool:
        return id in self._rows or any(self._written_id(row) == id for row in candidate_rows(self._index, id))

    def add(self, row: dict[str, Any], fingerprint: NDArray[np.uint64]) -> None:
        """Append one ligand, whose id must be new.

        Parameters
        ----------
        row : dict
            One value for every column of `SCHEMA`.
        fingerprint : numpy.ndarray, shape (32,), uint64
            Of the same ligand.
        """
        self._rows[row["id"]] = row
        self._fingerprints.append(fingerprint)
        if len(self._rows) == ROWS_PER_BATCH:
            with storage_errors(self._folder):
                self._write_batch()

    def _write_batch(self) -> None:
        if not self._rows:
            return
        self._batches.write_batch(pa.RecordBatch.from_pylist(list(self._rows.values()), schema=SCHEMA))
        self._arrow.flush()  # `_written_id` reads the file
        self._batch_starts.append(self._arrow.tell())
        self._npy.write(np.stack(self._fingerprints).tobytes())
        self._index = merge_ids(self._index, list(self._rows))
        self._rows.clear()
        self._fingerprints.clear()

    def _written_id(self, row: int) -> str:
        """Read an id back from the growing file: ids in memory would outgrow every bound."""
        with pa.memory_map(str(self._folder / LIGANDS)) as file:
            file.seek(self._batch_starts[row // ROWS_PER_BATCH])
            batch = pa.ipc.read_record_batch(pa.ipc.read_message(file), SCHEMA)
            return str(batch.column("id")[row % ROWS_PER_BATCH])

    def _write_fingerprint_header(self) -> None:
        """Write the .npy header; NumPy leaves room in it for the number of rows to grow in place."""
        np.lib.format.write_array_header_1_0(
            self._npy, {"descr": "<u8", "fortran_order": False, "shape": (len(self), WORDS)}
        )
