"""The receptors of a library of complexes: one row of ``receptors.arrow`` for each row of ``ligands.arrow``.

Beside it the index of 3-mers (`templ.library.kmer_index`), by which related receptors are found without
reading a sequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from templ.chemistry.receptor import Atoms, Receptor, Residues, main_chain
from templ.disk import storage_errors
from templ.library.format import KMER_COUNTS, KMER_ENDS, KMER_ROWS, RECEPTORS_TABLE, Manifest
from templ.library.kmer_index import KmerIndex, KmerWriter
from templ.library.mapped import MappedTable, numbers
from templ.library.writing import FilesWriter, TableFile

RECEPTORS_PER_BATCH = 64
"""Rows of every record batch but the last; about 1 MB."""
ATOM_NAME, RESIDUE_NAME = 4, 5
"""Characters of the names in `names` and `residue_names`, padded with blanks."""
SCRATCH = "kmers.scratch"
"""3-mers row by row, while a library is being written."""


def _numbers(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, pa.list_(pa.field("item", kind, nullable=False)), nullable=False)


SCHEMA = pa.schema(
    [
        pa.field("chains", pa.list_(pa.field("item", pa.string(), nullable=False)), nullable=False),
        _numbers("ends", pa.int32()),
        pa.field("sequence", pa.string(), nullable=False),
        _numbers("numbers", pa.int32()),
        pa.field("insertions", pa.string(), nullable=False),
        _numbers("ca", pa.float32()),
        _numbers("pocket", pa.int32()),
        _numbers("xyz", pa.float32()),
        _numbers("elements", pa.uint8()),
        _numbers("residues", pa.int32()),
        pa.field("names", pa.string(), nullable=False),
        pa.field("residue_names", pa.string(), nullable=False),
        _numbers("b_factors", pa.float32()),
        pa.field("left_out", pa.list_(pa.field("item", pa.string(), nullable=False)), nullable=False),
    ]
)


def encode(receptor: Receptor) -> dict[str, Any]:
    """Describe a receptor as a row of `SCHEMA`."""
    residues, atoms = receptor.residues, receptor.atoms
    return {
        "chains": list(residues.chains),
        "ends": residues.ends,
        "sequence": residues.sequence,
        "numbers": residues.numbers,
        "insertions": residues.insertions,
        "ca": residues.ca.ravel(),
        "pocket": receptor.pocket,
        "xyz": atoms.xyz.ravel(),
        "elements": atoms.elements,
        "residues": atoms.residues,
        "names": _join(atoms.names, ATOM_NAME),
        "residue_names": _join(atoms.residue_names, RESIDUE_NAME),
        "b_factors": atoms.b_factors,
        "left_out": list(receptor.left_out),
    }


class MappedReceptors:
    """The receptors of an open library, by row."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self._table = MappedTable(folder, RECEPTORS_TABLE, manifest, SCHEMA, RECEPTORS_PER_BATCH)
        self._kmers = KmerIndex(folder, manifest)

    def copy_to(self, table: TableFile, kmers: KmerWriter) -> None:
        """Append all rows, as they are stored, to a table and an index that are being written."""
        for number in range(-(-len(self._kmers) // RECEPTORS_PER_BATCH)):
            table.add(self._table.batch(number))
            self._table.release_pages()
        kmers.copy(self._kmers)

    def residues(self, row: int) -> tuple[Residues, NDArray[np.int32]]:
        """Chains and pocket of a row; the arrays lie over the mapped file."""
        batch, index = self._table.row(row)
        return Residues(
            tuple(batch.column("chains")[index].as_py()),
            _array(batch, "ends", index),
            batch.column("sequence")[index].as_py(),
            _array(batch, "numbers", index),
            batch.column("insertions")[index].as_py(),
            _array(batch, "ca", index).reshape(-1, 3),
        ), _array(batch, "pocket", index)

    def main_chain(self, row: int) -> str:
        """Sequence of the chain with most residues of the pocket; of the row nothing else is read."""
        ends, sequence, pocket = self._table.fields(row, ["ends", "sequence", "pocket"])
        chain = main_chain(numbers(ends.values), numbers(pocket.values))
        return str(sequence)[chain]

    def receptor(self, row: int) -> Receptor:
        """Receptor of a row; its numbers lie over the mapped file."""
        batch, index = self._table.row(row)
        residues, pocket = self.residues(row)
        atoms = Atoms(
            _array(batch, "xyz", index).reshape(-1, 3),
            _array(batch, "elements", index),
            _array(batch, "residues", index),
            _split(batch.column("names")[index].as_py(), ATOM_NAME),
            _split(batch.column("residue_names")[index].as_py(), RESIDUE_NAME),
            _array(batch, "b_factors", index),
        )
        left_out = tuple(batch.column("left_out")[index].as_py())
        return Receptor(residues, atoms, pocket, left_out=left_out)

    def related(
        self, sequence: str, k: int, mask: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """Find the rows whose receptors share most 3-mers with a sequence (see `KmerIndex.related`)."""
        return self._kmers.related(sequence, k, mask)

    def verify(self) -> None:
        """Read every batch, and compare the index of 3-mers with the sequences."""
        sequences = (sequence for chunk in self._table.chunks("sequence") for sequence in chunk.to_pylist())
        self._kmers.verify(sequences)

    def release_pages(self) -> None:
        """Give the pages back to the page cache."""
        self._table.release_pages()
        self._kmers.release_pages()


class ReceptorWriter(FilesWriter):
    """Writes the files of `templ.library.format.RECEPTOR_FILES`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._rows: list[dict[str, Any]] = []
        self._table = self.table(RECEPTORS_TABLE, SCHEMA, RECEPTORS_PER_BATCH)
        arrays = (self.array(KMER_ROWS, "<u4"), self.array(KMER_ENDS, "<u8"), self.array(KMER_COUNTS, "<u2"))
        self._kmers = KmerWriter(self.open(SCRATCH), *arrays)

    def finish(self) -> None:
        """Write the last rows, and the index of 3-mers."""
        self._write_rows()
        self._kmers.finish()
        (self.folder / SCRATCH).unlink()

    def add(self, receptor: Receptor) -> None:
        """Append one receptor."""
        self._rows.append(encode(receptor))
        with storage_errors(self.folder):
            self._kmers.add(receptor.residues.sequence)
            if len(self._rows) == RECEPTORS_PER_BATCH:
                self._write_rows()

    def copy(self, receptors: MappedReceptors) -> None:
        """Append all receptors of an open library, as they are stored, before any that is added."""
        with storage_errors(self.folder):
            receptors.copy_to(self._table, self._kmers)

    def _write_rows(self) -> None:
        if not self._rows:
            return
        columns = [_column(field.type, [row[field.name] for row in self._rows]) for field in SCHEMA]
        self._table.add(pa.RecordBatch.from_arrays(columns, schema=SCHEMA))
        self._rows.clear()


def _column(kind: pa.DataType, values: list[Any]) -> pa.Array:
    """Make a column; lists of numbers from their arrays, which take a twentieth of Python lists."""
    if not pa.types.is_list(kind) or pa.types.is_string(kind.value_type):
        return pa.array(values, kind)
    ends = np.cumsum([0, *(len(value) for value in values)], dtype=np.int32)
    numbers = pa.array(np.concatenate(values), kind.value_type)
    return pa.ListArray.from_arrays(pa.array(ends), numbers, type=kind)


def _array(batch: pa.RecordBatch, name: str, index: int) -> NDArray[Any]:
    array: NDArray[Any] = numbers(batch.column(name)[index].values)
    return array


def _join(names: Sequence[str] | NDArray[np.str_], width: int) -> str:
    return "".join(name[:width].ljust(width) for name in names)


def _split(text: str, width: int) -> NDArray[np.str_]:
    names = [text[start : start + width] for start in range(0, len(text), width)]
    return np.char.rstrip(np.array(names, np.str_))
