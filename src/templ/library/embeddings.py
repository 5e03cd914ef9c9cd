"""Embeddings of proteins: one unit vector a library row in a mapped matrix, and the nearest by cosine.

They come from a NumPy ``.npz`` file with three members of n rows each: ``pdb_ids`` and ``chain_ids``
(strings) and ``embeddings`` (one vector a row). It may be larger than memory, so it is read block by block.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from templ.disk import replacing
from templ.errors import InputError, LibraryError
from templ.library.index import id_hash
from templ.library.mapped import MappedArray
from templ.library.neighbours import Best
from templ.library.npz import BLOCK_BYTES, LONGEST_STRING, Member, open_members, strings

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

MEMBERS = ("pdb_ids", "chain_ids", "embeddings")
MOST_DIMENSIONS = 65_536
"""It bounds what a damaged header can make the reader allocate."""

_MATRIX_TYPE = np.dtype("<f2")


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
        Rows of the file left aside because an earlier row has the same id.
    unusable : int
        Rows of the file left aside because their vector is zero or not finite.
    """

    dimensions: int
    found: int
    missing: int
    unknown: int
    repeated: int
    unusable: int


def write_embeddings(npz: Path, out: Path, rows: Iterable[tuple[int, str]], count: int) -> EmbeddingReport:
    """Bring the embeddings of a file into the order of a library.

    An id takes the first usable row of the file that has exactly this id, else the first that has it in
    other capitals. Held in memory are a block of rows, 24 bytes an id of the library and, where the ids of
    the file are a pickled array of Python strings, those: about 100 bytes a row.

    Parameters
    ----------
    npz : pathlib.Path
        File with the members ``pdb_ids``, ``chain_ids`` and ``embeddings``, compressed or not.
    out : pathlib.Path
        The ``.npy`` file to write: float16, shape (count, dimensions); unit vectors, or zeros where none.
    rows : iterable of (int, str)
        Row and id of each entry of the library; several rows may have one id.
    count : int
        Rows of the library.

    Raises
    ------
    InputError
        When the file is not such a file, is damaged, or has no usable row; `out` then is as it was.
    StorageError
        When the disk refuses the write.
    """
    with open_members(npz, MEMBERS) as (ids, chains, vectors):
        length, dimensions = _check(ids, chains, vectors)
        wanted = _Wanted(rows, count)
        unusable = 0
        with replacing(out) as file:
            np.lib.format.write_array_header_1_0(
                file, {"descr": _MATRIX_TYPE.str, "fortran_order": False, "shape": (count, dimensions)}
            )
            start, row_bytes = file.tell(), dimensions * _MATRIX_TYPE.itemsize
            file.truncate(start + count * row_bytes)
            texts = strings(ids, length)
            for block in vectors.blocks():
                units, usable = _unit(block)
                for id, unit, good in zip(islice(texts, len(block)), units, usable, strict=True):
                    unusable += not good
                    for row in wanted.claim(id) if good else []:
                        file.seek(start + row * row_bytes)
                        file.write(unit.astype(_MATRIX_TYPE).tobytes())
            ids.check_end()
            vectors.check_end()
            if unusable >= length:
                raise vectors.error("has no usable row", "vectors that are finite and not zero")
    found = wanted.found
    return EmbeddingReport(dimensions, found, count - found, wanted.unknown, wanted.repeated, unusable)


class Embeddings:
    """A matrix that `write_embeddings` wrote, mapped; see `open_embeddings`.

    Attributes
    ----------
    dimensions : int
        Length of a vector.
    """

    def __init__(self, path: Path, matrix: MappedArray) -> None:
        self._path = path
        self._matrix = matrix
        self.dimensions = int(matrix.array.shape[1])
        self._rows_at_once = max(1, BLOCK_BYTES // (self.dimensions * _MATRIX_TYPE.itemsize))

    def __len__(self) -> int:
        return len(self._matrix.array)

    def vector(self, row: int) -> NDArray[np.float32] | None:
        """Return the unit vector of a row, shape (dimensions,), or None where the row has no embedding."""
        vector: NDArray[np.float32] = self._matrix.array[row].astype(np.float32)
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
        rows : numpy.ndarray, shape (found,), intp
            Best first; of equal ones the earlier row.
        cosines : numpy.ndarray, shape (found,), float32
            From -1 to 1; stored vectors are rounded, so that the fourth decimal may be off.

        Raises
        ------
        InputError
            When the query is not a finite vector of this length, or is zero.
        """
        if query.shape != (self.dimensions,):
            raise InputError(
                f"the embedding of the query has shape {query.shape} but those in {self._path} have "
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
            block = self._matrix.array[start:stop]
            # Not `@`: in BLAS equal rows can differ in the last bit by their place, and ties go by row.
            cosines = np.einsum("ij,j->i", block.astype(np.float32), unit)
            present = cosines != 0
            orthogonal_or_absent = np.flatnonzero(~present)
            present[orthogonal_or_absent] = block[orthogonal_or_absent].any(axis=1)
            if allowed is not None:
                present &= allowed[start:stop]
            best.add(start, np.clip(cosines, -1, 1), present)
            self._matrix.let_go()
        return best.rows, best.values


def open_embeddings(path: Path) -> Embeddings:
    """Map a matrix that `write_embeddings` wrote; nothing but its header is read.

    Raises
    ------
    LibraryError
        When the file is absent, torn or not such a matrix.
    """
    try:
        matrix = MappedArray(path)
    except (OSError, ValueError) as error:
        raise LibraryError(f"the embeddings {path} cannot be read ({error}): write them again") from error
    if matrix.array.ndim != 2 or matrix.array.dtype != _MATRIX_TYPE or not matrix.array.shape[1]:
        raise LibraryError(
            f"{path} holds {matrix.array.dtype} of shape {matrix.array.shape}, but embeddings are float16 of "
            "shape (rows, dimensions): write them again"
        )
    return Embeddings(path, matrix)


class _Wanted:
    """The rows of the library by the 64-bit hash of their folded id, and what they have been given so far.

    Two of a million ids have the same hash once in 30 million libraries; that is not looked into.
    """

    def __init__(self, rows: Iterable[tuple[int, str]], count: int) -> None:
        fields = ((id_hash(id.casefold()), id_hash(id), row) for row, id in rows)
        table = np.fromiter(fields, dtype=[("folded", "u8"), ("exact", "u8"), ("row", "i8")])
        order = np.argsort(table["folded"], kind="stable")
        self._folded, self._exact, self._rows = (table[name][order] for name in ("folded", "exact", "row"))
        self._given = np.zeros(count, np.uint8)  # 2: for the id exactly, 1: in other capitals, 0: nothing yet
        self.unknown = self.repeated = 0

    @property
    def found(self) -> int:
        return int(np.count_nonzero(self._given))

    def claim(self, id: str) -> list[int]:
        """Rows for which a vector of this id is better than what they have been given; they now have it."""
        folded = id_hash(id.casefold())
        first, last = (np.searchsorted(self._folded, folded, side) for side in ("left", "right"))
        rows = self._rows[first:last]
        match = 1 + (self._exact[first:last] == id_hash(id))
        better = match > self._given[rows]
        self._given[rows[better]] = match[better]
        self.unknown += not len(rows)
        self.repeated += bool(len(rows)) and not better.any()
        return [int(row) for row in rows[better]]


def _check(ids: Member, chains: Member, vectors: Member) -> tuple[int, int]:
    """Compare the headers and return the number of rows and of dimensions."""
    if vectors.dtype.kind != "f" or vectors.dtype.itemsize > 8 or len(vectors.shape) != 2:
        raise vectors.error(
            f"is {vectors.dtype} of shape {vectors.shape}",
            "float16, float32 or float64 of shape (rows, dimensions)",
        )
    length, dimensions = vectors.shape
    if not 1 <= dimensions <= MOST_DIMENSIONS:
        raise vectors.error(f"has {dimensions} dimensions", f"1 to {MOST_DIMENSIONS}")
    if vectors.columns_first:
        raise vectors.error("is stored by columns", "rows (numpy.ascontiguousarray)")
    for member in (ids, chains):
        if member.dtype.kind not in "UO" or member.shape != (length,):
            raise member.error(
                f"is {member.dtype} of shape {member.shape}", f"{length} strings, one a row of embeddings"
            )
    if ids.dtype.kind == "U" and not 1 <= ids.dtype.itemsize <= 4 * LONGEST_STRING:
        raise ids.error(f"has strings of type {ids.dtype}", f"1 to {LONGEST_STRING} characters")
    return length, dimensions


def _unit(vectors: NDArray[np.floating[Any]]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Scale rows to length one, and say which of them have a direction; the others come out as zeros."""
    exact = vectors.astype(np.float64)
    largest = np.abs(exact).max(axis=1)
    usable = np.isfinite(largest) & (largest > 0)
    exact[~usable], largest[~usable] = 0, 1
    exact /= largest[:, np.newaxis]  # the squares of the numbers given could overflow
    exact /= np.maximum(np.linalg.norm(exact, axis=1), 1)[:, np.newaxis]
    return exact, usable
