"""The ligands of a library: ``ligands.arrow``, ``fingerprints.npy``, ``ids.npy`` and ``references.npy``."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from rdkit.Chem import Mol

from templ.chemistry.covalent import CovalentBond
from templ.disk import storage_errors
from templ.errors import LibraryError
from templ.library.codec import decode
from templ.library.fingerprints import WORDS
from templ.library.format import (
    FINGERPRINTS,
    IDS,
    LIGANDS,
    MANIFEST,
    REFERENCES,
    ROWS_PER_BATCH,
    SCHEMA,
    Manifest,
    damaged,
)
from templ.library.ids import candidate_rows, id_hash, merge_ids
from templ.library.mapped import BLOCK, MappedArray, MappedTable, numbers
from templ.library.writing import FilesWriter
from templ.sources.sdf import MoleculeReference


@dataclass(frozen=True, slots=True)
class LigandRecord:
    """What a library says about one ligand, without its molecule.

    Attributes
    ----------
    row : int
        In the library, from 0.
    id, name, smiles, heavy_atoms, inchikey, date, group, source, note, resolution
        The columns of ``ligands.arrow``; `note` says what preparation changed, empty when nothing;
        `resolution` in Angstrom.
    covalent : CovalentBond or None
        Its bond to the protein, where it has one and its receptor is known.
    """

    row: int
    id: str
    name: str
    smiles: str
    heavy_atoms: int
    inchikey: str
    date: datetime.date | None
    group: str
    source: str
    note: str
    resolution: float | None
    covalent: CovalentBond | None


DECIMALS = 3
"""Of resolution and bond length, which are stored in half as many digits as Python has."""
_RECORD_COLUMNS = tuple(name for name in SCHEMA.names if name != "xyz")


class Columns(Mapping[str, pa.ChunkedArray]):
    """The columns of an open library by name, each an Arrow array over the mapped file."""

    def __init__(self, chunks: Callable[[str], Iterator[pa.Array]]) -> None:
        self._chunks = chunks

    def __getitem__(self, name: str) -> pa.ChunkedArray:
        return pa.chunked_array(list(self._chunks(name)), type=SCHEMA.field(name).type)

    def __iter__(self) -> Iterator[str]:
        return iter(SCHEMA.names)

    def __len__(self) -> int:
        return len(SCHEMA.names)


class MappedLigands:
    """The ligands of an open library, by row; `Library` says what its methods return and raise.

    Parameters
    ----------
    folder : Path
        The library.
    manifest : Manifest
        What it has to hold; without source paths there are no references.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        count, paths = manifest.counts.ligands, manifest.source_paths
        self._folder, self._manifest = folder, manifest
        self._table = MappedTable(folder, LIGANDS, manifest, SCHEMA, ROWS_PER_BATCH)
        self.fingerprints = MappedArray(folder, FINGERPRINTS, manifest, "<u8", (count, WORDS))
        self._ids = MappedArray(folder, IDS, manifest, "<u8", (2, count))
        self._references = MappedArray(folder, REFERENCES, manifest, "<u8", (count, 3)) if paths else None

    def __len__(self) -> int:
        return len(self.fingerprints)

    def chunks(self, name: str) -> Iterator[pa.Array]:
        """Yield a column, batch by batch."""
        return self._table.chunks(name)

    def batches(self) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Yield first row and rows of each record batch, its pages released when the next is asked for."""
        for start in range(0, len(self), ROWS_PER_BATCH):
            yield start, self._table.row(start)[0]
            self.release_pages()

    def references(self, start: int, stop: int) -> NDArray[np.uint64]:
        """Where the records of rows from `start` up to `stop` lie, shape (rows, 3); zeros where not known."""
        if self._references is None:
            return np.zeros((stop - start, 3), np.uint64)
        return self._references.rows(start, stop)

    def find(self, id: str) -> int | None:
        """Row of an id, or None."""
        return next((row for row in candidate_rows(self.id_index, id) if self.id(row) == id), None)

    @property
    def id_index(self) -> NDArray[np.uint64]:
        """Hashes of the ids, ascending, and the row of each, shape (2, ligands)."""
        return self._ids.array

    def locate(self, row: int) -> tuple[pa.RecordBatch, int]:
        """Return the batch that holds a row, and the index of the row in it."""
        self.check_row(row)
        return self._table.row(row)

    def check_row(self, row: int) -> None:
        """Refuse a row that is not there, without a look at its batch."""
        if not 0 <= row < len(self):
            raise LibraryError(f"{self._folder} has no row {row}: its rows are 0 to {len(self) - 1}")

    def values(self, row: int, names: Iterable[str] = SCHEMA.names) -> dict[str, Any]:
        """Return columns of a row by name."""
        batch, index = self.locate(row)
        return {name: batch.column(name)[index].as_py() for name in names}

    def id(self, row: int) -> str:
        """Id of a row."""
        return str(self.values(row, ["id"])["id"])

    def record(self, row: int) -> LigandRecord:
        """Everything about a ligand but its molecule."""
        values = self.values(row, _RECORD_COLUMNS)
        bond, resolution = values.pop("covalent"), values.pop("resolution")
        return LigandRecord(
            row=row,
            **values,
            resolution=None if resolution is None else round(resolution, DECIMALS),
            covalent=None
            if bond is None
            else CovalentBond(**bond | {"length": round(bond["length"], DECIMALS)}),
        )

    def molecule(self, row: int) -> Mol:
        """Rebuild the molecule of a row."""
        batch, index = self.locate(row)
        mol = decode(batch.column("smiles")[index].as_py(), numbers(batch.column("xyz")[index].values))
        if mol is None:
            raise LibraryError(
                f"{self._folder}: row {row} does not read back as a molecule; "
                "run `templ library verify` and build the library again"
            )
        mol.SetProp("_Name", batch.column("id")[index].as_py())
        return mol

    def reference(self, row: int) -> MoleculeReference | None:
        """Where the record of a row lies, or None where that is not known."""
        id = self.id(row)
        file, offset, checksum = self.references(row, row + 1)[0].tolist()
        path = self._source_path(file)
        return None if path is None else MoleculeReference(path, offset, id, checksum)

    def _source_path(self, file: int) -> Path | None:
        paths = self._manifest.source_paths
        if file > len(paths):
            raise damaged(self._folder / REFERENCES, f"names file {file}, but there are {len(paths)}")
        return Path(paths[file - 1]) if file else None

    def mask(self, name: str, test: Callable[[pa.Array], pa.BooleanArray]) -> NDArray[np.bool_]:
        """Tell which rows pass a test of a column's batches, shape (ligands,)."""
        mask = np.zeros(len(self), dtype=np.bool_)
        for number, chunk in enumerate(self.chunks(name)):
            start = number * ROWS_PER_BATCH
            mask[start : start + len(chunk)] = numbers(test(chunk).cast(pa.uint8()))
            if start % BLOCK == 0:
                self._table.release_pages()
        return mask

    def verify(self) -> None:
        """Read every batch, and compare the index of the ids, the groups and the references with them."""
        ids = (id for chunk in self.chunks("id") for id in chunk.to_pylist())
        hashes = np.fromiter(map(id_hash, ids), np.uint64, len(self))
        rows = np.argsort(hashes, kind="stable")
        if not np.array_equal(self._ids.array, np.stack([hashes[rows], rows.astype(np.uint64)])):
            raise damaged(self._ids.path, "is not the index of the ids")
        groups = {group for chunk in self.chunks("group") for group in chunk.unique().to_pylist()}
        if groups != set(self._manifest.groups):
            raise damaged(self._folder / MANIFEST, f"names other groups than {self._table.path.name} has")
        if self._references is not None:
            for file in np.unique(self._references.array[:, 0]).tolist():
                self._source_path(file)

    def release_pages(self) -> None:
        """Give the pages back to the page cache."""
        for file in (self._table, self.fingerprints, self._ids, self._references):
            if file is not None:
                file.release_pages()


class LigandWriter(FilesWriter):
    """Writes the files that `MappedLigands` reads, one record batch in memory at a time.

    Attributes
    ----------
    source_paths : dict of str to int
        Files that references lie in, and their numbers from 1; without any, there is no ``references.npy``.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.source_paths: dict[str, int] = {}
        self._rows: list[dict[str, Any]] = []
        self._pending: dict[str, None] = {}  # ids of rows that are not in the file yet
        self._fingerprints: list[NDArray[np.uint64]] = []
        self._references: list[tuple[int, int, int]] = []
        self._index = np.empty((2, 0), dtype=np.uint64)
        self._table = self.table(LIGANDS, SCHEMA, ROWS_PER_BATCH)
        self._fingerprint_file = self.array(FINGERPRINTS, "<u8", (WORDS,))
        self._reference_file = self.array(REFERENCES, "<u8", (3,))

    def finish(self) -> None:
        """Write the last rows and the index of the ids."""
        self._write_rows()
        self._index = merge_ids(self._index, list(self._pending))
        self._pending.clear()
        np.save(self.open(IDS), self._index, allow_pickle=False)
        if not self.source_paths:
            (self.folder / REFERENCES).unlink()

    def __len__(self) -> int:
        return self._index.shape[1] + len(self._pending)

    def __contains__(self, id: str) -> bool:
        return id in self._pending or any(
            self._written_id(row) == id for row in candidate_rows(self._index, id)
        )

    def add(
        self,
        values: dict[str, Any],
        fingerprint: NDArray[np.uint64],
        reference: MoleculeReference | None = None,
    ) -> None:
        """Append one ligand, whose id must be new.

        Parameters
        ----------
        values : dict
            One value for every column of `SCHEMA`.
        fingerprint : numpy.ndarray, shape (32,), uint64
            Of the same ligand.
        reference : MoleculeReference, optional
            Where it was read.
        """
        self._rows.append(values)
        self._pending[values["id"]] = None
        self._fingerprints.append(fingerprint)
        where = (0, 0, 0)
        if reference is not None:
            number = self._number_of(str(reference.file.absolute()))
            where = (number, reference.offset, reference.checksum or 0)
        self._references.append(where)
        if len(self._pending) == ROWS_PER_BATCH:
            with storage_errors(self.folder):
                self._write_rows()

    def copy(self, ligands: MappedLigands, paths: Sequence[str]) -> None:
        """Append all ligands of an open library, whose ids must be new, as they are stored.

        Parameters
        ----------
        ligands : MappedLigands
            Of that library.
        paths : sequence of str
            Files that its references lie in, in the order of its manifest.
        """
        numbers = np.array([0, *map(self._number_of, paths)], np.uint64)
        with storage_errors(self.folder):
            self._write_rows()
            for start, batch in ligands.batches():
                stop = start + len(batch)
                references = ligands.references(start, stop).copy()
                references[:, 0] = numbers[references[:, 0]]
                self._pending |= dict.fromkeys(batch.column("id").to_pylist())
                self._write(batch, ligands.fingerprints.rows(start, stop), references)

    def _number_of(self, path: str) -> int:
        return self.source_paths.setdefault(path, len(self.source_paths) + 1)

    def _write_rows(self) -> None:
        """Write the ligands that were added."""
        if not self._rows:
            return
        batch = pa.RecordBatch.from_pylist(self._rows, schema=SCHEMA)
        self._write(batch, np.stack(self._fingerprints), np.array(self._references, np.uint64))
        for pending in (self._rows, self._fingerprints, self._references):
            pending.clear()

    def _write(
        self, batch: pa.RecordBatch, fingerprints: NDArray[np.uint64], references: NDArray[np.uint64]
    ) -> None:
        self._table.add(batch)
        self._fingerprint_file.add(fingerprints)
        self._reference_file.add(references)
        self._index_written()

    def _index_written(self) -> None:
        """Index the ids of rows that are in the file by now: `_written_id` reads them there."""
        ids = list(self._pending)
        count = self._table.written - self._index.shape[1]
        if count:
            self._index = merge_ids(self._index, ids[:count])
            self._pending = dict.fromkeys(ids[count:])

    def _written_id(self, row: int) -> str:
        """Read an id back from the growing file: ids in memory would outgrow every bound."""
        with pa.memory_map(str(self.folder / LIGANDS)) as file:
            file.seek(self._table.starts[row // ROWS_PER_BATCH])
            batch = pa.ipc.read_record_batch(pa.ipc.read_message(file), SCHEMA)
            return str(batch.column("id")[row % ROWS_PER_BATCH])
