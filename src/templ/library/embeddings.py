"""Embeddings of proteins: one unit vector a library row in a mapped matrix, and the nearest by cosine."""

from __future__ import annotations

import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from templ.disk import storage_errors
from templ.errors import InputError
from templ.library.fingerprints import Best
from templ.library.format import EMBEDDINGS, Manifest, damaged
from templ.library.mapped import MappedArray
from templ.library.writing import FilesWriter

BLOCK_BYTES = 1 << 20

_MATRIX_TYPE = np.dtype("<f2")
# What NumPy and zipfile raise for damaged bytes, by their documentation and by fuzzing.
_DAMAGE = (
    *(OSError, EOFError, MemoryError, RuntimeError, SyntaxError, SystemError, ValueError, TypeError),
    *(struct.error, tokenize.TokenError, zipfile.BadZipFile, zlib.error),
)


@dataclass(frozen=True)
class EmbeddingReport:
    """What became of the rows of an embedding file.

    Attributes
    ----------
    dimensions : int
        Length of a vector.
    found, missing : int
        Rows of the library with and without an embedding.
    unknown : int
        Rows of the file whose id is not in the library.
    repeated : int
        Rows of the file left aside because another row has the same id and was taken.
    unusable : int
        Rows of the file left aside because their vector is zero or not finite.
    """

    dimensions: int
    found: int
    missing: int
    unknown: int
    repeated: int
    unusable: int


def write_embeddings(
    npz: str | Path | None, folder: Path, ids: Iterable[str], copied: Sequence[Embeddings] = ()
) -> EmbeddingReport:
    """Write the embeddings of a file of ``numpy.savez`` in the order of a library.

    An id takes the first usable row of the file that has exactly this id, else the first that has it in
    other capitals. Memory: the arrays of the file and half as much, whatever the size of the library.

    Parameters
    ----------
    npz : str or Path
        File with ``pdb_ids`` (text, shape (n,)) and ``embeddings`` (floats, shape (n, dimensions)),
        compressed or not. No pickle in it is read. None where all are copied.
    folder : Path
        The library, in which ``embeddings.npy`` is written.
    ids : iterable of str
        Id of each row of the library that follows those copied, read once.
    copied : sequence of Embeddings
        Of other libraries, whose rows come first.

    Raises
    ------
    InputError
        When the file is not such a file, is damaged, has no usable row, or vectors of another length than
        those copied; nothing is written then.
    StorageError
        When the disk refuses the write.
    """
    names: list[str] = []
    if npz is None:
        units, usable = np.empty((0, copied[0].dimensions), _MATRIX_TYPE), np.empty(0, np.bool_)
    else:
        names, units, usable = _read(Path(npz))
    for other in copied:
        if other.dimensions != units.shape[1]:
            raise InputError(
                f"{npz}: its embeddings have {units.shape[1]} dimensions and those in {other.path} have "
                f"{other.dimensions}: make both with the same model"
            )
    exact: dict[str, int] = {}
    folded: dict[str, int] = {}
    for number in np.flatnonzero(usable).tolist():
        exact.setdefault(names[number], number)
        folded.setdefault(names[number].casefold(), number)
    count = found = 0
    taken, known = np.zeros(len(names), np.bool_), set()
    absent = np.zeros(units.shape[1], _MATRIX_TYPE)
    with FilesWriter(folder) as writer:
        matrix = writer.array(EMBEDDINGS, _MATRIX_TYPE.str, absent.shape)
        for other in copied:
            for _, block in other.blocks():
                with storage_errors(folder):
                    matrix.add(block)
        for count, id in enumerate(ids, 1):  # noqa: B007  the last one is how many
            row = exact.get(id, folded.get(id.casefold()))
            with storage_errors(folder):
                matrix.add((absent if row is None else units[row])[np.newaxis])
            if row is not None:
                found += 1
                taken[row] = True
                known.add(id.casefold())
    wanted = sum(names[row].casefold() in known for row in np.flatnonzero(usable).tolist())
    good = int(usable.sum())
    return EmbeddingReport(
        dimensions=units.shape[1],
        found=found,
        missing=count - found,
        unknown=good - wanted,
        repeated=wanted - int(taken.sum()),
        unusable=len(names) - good,
    )


class Embeddings:
    """The matrix that `write_embeddings` wrote, mapped.

    Parameters
    ----------
    folder : Path
        The library.
    manifest : Manifest, optional
        What it has to hold.

    Attributes
    ----------
    dimensions : int
        Length of a vector.

    Raises
    ------
    LibraryError
        When the file is absent, damaged or not such a matrix.
    """

    def __init__(self, folder: Path, manifest: Manifest | None = None) -> None:
        count = None if manifest is None else manifest.counts.ligands
        self._matrix = MappedArray(folder, EMBEDDINGS, manifest, _MATRIX_TYPE.str, (count, None))
        self.dimensions = self._matrix.shape[1]
        if not self.dimensions:
            raise damaged(self._matrix.path, "holds vectors of no dimension")
        self._rows_at_once = max(1, BLOCK_BYTES // (self.dimensions * _MATRIX_TYPE.itemsize))

    def __len__(self) -> int:
        return len(self._matrix)

    @property
    def path(self) -> Path:
        """The file."""
        return self._matrix.path

    def blocks(self) -> Iterator[tuple[int, NDArray[np.float16]]]:
        """Yield first row and vectors of each block; its pages are released when the next is asked for."""
        return self._matrix.blocks()

    def vector(self, row: int) -> NDArray[np.float32] | None:
        """Return the unit vector of a row, shape (dimensions,), or None where the row has no embedding."""
        vector: NDArray[np.float32] = self._matrix.rows(row, row + 1)[0].astype(np.float32)
        return vector if vector.any() else None

    def nearest(
        self, query: NDArray[np.floating[Any]], k: int, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """Find the rows whose embeddings point the most in the direction of a vector.

        Some MB are in memory at a time, whatever the number of rows.

        Parameters
        ----------
        query : numpy.ndarray, shape (dimensions,)
            Of any length but zero.
        k : int
            How many at most.
        allowed : numpy.ndarray, shape (rows,), bool, optional
            Rows that may be returned; otherwise all. A row without an embedding never is.

        Returns
        -------
        rows, cosines : numpy.ndarray, shape (found,)
            Best first, of equal ones the earlier row. Cosines are from -1 to 1; stored vectors are rounded,
            so that the fourth decimal may be off.

        Raises
        ------
        InputError
            When the query is not a finite vector of this length, or is zero.
        """
        if query.shape != (self.dimensions,):
            raise InputError(
                f"the embedding of the query has shape {query.shape} but those in {self._matrix.path} have "
                f"{self.dimensions} dimensions: make both with the same model"
            )
        units, usable = _unit(query[np.newaxis])
        if not usable[0]:
            raise InputError("the embedding of the query is zero or not finite: make it again")
        unit, best = units[0].astype(np.float32), Best(k)
        for start in range(0, len(self), self._rows_at_once):
            stop = start + self._rows_at_once
            if allowed is not None and not allowed[start:stop].any():
                continue
            block = self._matrix.rows(start, stop)
            # Not `@`: in BLAS equal rows can differ in the last bit by their position, and ties go by row.
            cosines = np.einsum("ij,j->i", block.astype(np.float32), unit)
            present = cosines != 0
            orthogonal_or_absent = np.flatnonzero(~present)
            present[orthogonal_or_absent] = block[orthogonal_or_absent].any(axis=1)
            if allowed is not None:
                present &= allowed[start:stop]
            best.add(start, np.clip(cosines, -1, 1), present)
            self._matrix.release_pages()
        return best.rows, best.values

    def verify(self, found: int) -> None:
        """Count the rows that have an embedding: they have to be `found`."""
        count = sum(int(block.any(axis=1).sum()) for _, block in self._matrix.blocks())
        if count != found:
            raise damaged(self._matrix.path, f"has {count} embeddings, not {found} as the manifest says")


def _read(npz: Path) -> tuple[list[str], NDArray[np.float16], NDArray[np.bool_]]:
    """Read ids, unit vectors, and which rows have a direction."""
    where = "the file"
    try:
        with (
            npz.open("rb") as file,
            np.lib.npyio.NpzFile(file, allow_pickle=False) as archive,
            warnings.catch_warnings(action="ignore"),  # of NumPy, of types that are refused below
        ):
            arrays = []
            for where in ("pdb_ids", "embeddings"):
                if where not in archive:
                    raise InputError(f"{npz}: {where} is missing; expected pdb_ids and embeddings")
                arrays.append(archive[where])
                if not isinstance(arrays[-1], np.ndarray):  # bytes, of what has not the magic of .npy
                    raise ValueError("no array")  # noqa: TRY004  damage, handled below
        ids, vectors = arrays
        if vectors.dtype.kind != "f" or vectors.ndim != 2 or not vectors.shape[1]:
            raise InputError(
                f"{npz}: embeddings is {vectors.dtype} of shape {vectors.shape}; expected floats of shape "
                "(rows, dimensions)"
            )
        where = "pdb_ids"
        if ids.dtype.kind != "U" or ids.shape != (len(vectors),):
            raise InputError(
                f"{npz}: pdb_ids is {ids.dtype} of shape {ids.shape}; expected {len(vectors)} strings"
            )
        names = ids.tolist()
    except _DAMAGE as error:
        if "allow_pickle" in str(error):  # NumPy has no other way to say so
            raise InputError(
                f"{npz}: {where} are pickled Python objects, which are not read; if you trust the file, "
                f"mend it by import numpy as np; f = np.load({str(npz)!r}, allow_pickle=True); "
                f"np.savez({str(npz)!r}, pdb_ids=f['pdb_ids'].astype(str), "
                "embeddings=f['embeddings'].astype('f4'))"
            ) from None
        raise InputError(
            f"{npz}: {where} cannot be read ({error}); expected a file of numpy.savez: copy or make it again"
        ) from error
    units, usable = np.empty(vectors.shape, _MATRIX_TYPE), np.empty(len(vectors), np.bool_)
    at_once = max(1, BLOCK_BYTES // vectors[0].nbytes) if len(vectors) else 1
    for start in range(0, len(vectors), at_once):
        block = slice(start, start + at_once)
        units[block], usable[block] = _unit(vectors[block])
    if not usable.any():
        raise InputError(
            f"{npz}: embeddings has no usable row; expected vectors that are finite and not zero"
        )
    return names, units, usable


def _unit(vectors: NDArray[np.floating[Any]]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Scale rows to length one, and say which of them have a direction; the others come out as zeros."""
    exact = vectors.astype(np.float64)
    largest = np.abs(exact).max(axis=1)
    usable = np.isfinite(largest) & (largest > 0)
    exact[~usable], largest[~usable] = 0, 1
    exact /= largest[:, np.newaxis]  # the squares of the numbers given could overflow
    exact /= np.maximum(np.linalg.norm(exact, axis=1), 1)[:, np.newaxis]
    return exact, usable
