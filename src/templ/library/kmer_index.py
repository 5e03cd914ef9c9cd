"""Which receptors have each 3-mer: a search reads the lists of the query's own 3-mers, never all of them.

The index is the inverse of what sequences say: for each 3-mer the rows that have it. A sequence of 300
residues asks for 300 of 8,000 lists: about a twentieth of the index.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from templ.library.fingerprints import Best
from templ.library.format import KMER_COUNTS, KMER_ENDS, KMER_ROWS, Manifest, damaged
from templ.library.mapped import BLOCK, MappedArray
from templ.library.writing import ArrayFile

LETTERS = "ACDEFGHIKLMNPQRSTVWY"
KMER = 3
KMERS_THERE_ARE = len(LETTERS) ** KMER
_CODES = np.full(128, -1, np.int32)
_CODES[[ord(letter) for letter in LETTERS]] = np.arange(len(LETTERS))
LISTS_AT_ONCE = 64
"""Lists looked at before their pages are released: some MB where there are 450,000 receptors."""
MOST_SORTED = 2_000_000
"""Entries of the index that are sorted together when it is written: some 50 MB."""


def kmers(sequence: str) -> NDArray[np.uint16]:
    """Different 3-mers of a sequence, ascending; those with a letter that is no amino acid are left out.

    Examples
    --------
    >>> kmers("AAAA").tolist(), kmers("AACX").tolist(), kmers("AC").tolist()
    ([0], [1], [])
    """
    codes = _CODES[np.frombuffer(sequence.encode(), np.uint8)]
    if len(codes) < KMER:
        return np.empty(0, np.uint16)
    first, second, third = codes[:-2], codes[1:-1], codes[2:]
    known = (first >= 0) & (second >= 0) & (third >= 0)
    numbers = (first * len(LETTERS) + second) * len(LETTERS) + third
    return np.unique(numbers[known]).astype(np.uint16)


class KmerIndex:
    """The 3-mers of an open library's receptors."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        count = manifest.counts.ligands
        self._rows = MappedArray(folder, KMER_ROWS, manifest, "<u4", (None,))
        self._counts = MappedArray(folder, KMER_COUNTS, manifest, "<u2", (count,))
        ends = MappedArray(folder, KMER_ENDS, manifest, "<u8", (KMERS_THERE_ARE,))
        self._ends_path, self._ends = ends.path, ends.array.astype(np.int64)
        if self._ends[-1] != len(self._rows):
            raise damaged(ends.path, f"does not end where {KMER_ROWS} does")

    def related(
        self, sequence: str, k: int, mask: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """Find the receptors that share most 3-mers with a sequence, as a share of the fewer.

        Proteins of 40 % identity share 10 to 17 %, unrelated ones 2 to 14 % (short ones more, by chance).
        Four bytes a receptor are held at most.
        """
        wanted, best = kmers(sequence), Best(k)
        hits = np.zeros(len(self._counts), np.uint16)
        for number, kmer in enumerate(wanted.tolist()):
            hits[self.lists(kmer, kmer + 1)] += 1  # none is there twice
            if number % LISTS_AT_ONCE == LISTS_AT_ONCE - 1:
                self._rows.release_pages()
        for start, counts in self._counts.blocks():
            part = slice(start, start + len(counts))
            fewer = np.maximum(np.minimum(counts, len(wanted)), 1)
            share = (hits[part] / fewer).astype(np.float32)
            best.add(start, share, None if mask is None else mask[part])
        return best.rows, best.values

    def __len__(self) -> int:
        return len(self._counts)

    def counts(self) -> Iterator[NDArray[np.uint16]]:
        """Yield how many different 3-mers each row has, block by block."""
        for _, counts in self._counts.blocks():
            yield counts

    def frequencies(self) -> NDArray[np.int64]:
        """How many rows have each 3-mer."""
        return np.diff(self._ends, prepend=0)

    def lists(self, low: int, high: int) -> NDArray[np.uint32]:
        """Rows that have each 3-mer from `low` up to `high`, one list after the other."""
        first = int(self._ends[low - 1]) if low else 0
        return self._rows.rows(first, int(self._ends[high - 1]))

    def verify(self, sequences: Iterable[str]) -> None:
        """Compare the index with the sequences, in the order of the rows."""
        at = self._first_of_each()
        for start, found in _blocks(map(kmers, sequences)):
            stored = self._counts.rows(start, start + len(found))
            if not np.array_equal(stored, [len(own) for own in found]):
                raise damaged(self._counts.path, f"counts other 3-mers in rows from {start} on")
            kmer, row = _sorted(found, start)
            numbers, counts = np.unique(kmer, return_counts=True)
            for number, part in zip(numbers.tolist(), np.split(row, np.cumsum(counts))[:-1], strict=True):
                if number % LISTS_AT_ONCE == 0:  # the kernel maps what is near, too: soon all of the index
                    self._rows.release_pages()
                first = int(at[number])
                if not np.array_equal(self._rows.rows(first, first + len(part)), part):
                    raise damaged(self._rows.path, f"has other rows for 3-mer {number} from row {start} on")
            at[numbers] += counts
            self.release_pages()
        if not np.array_equal(at, self._ends):
            raise damaged(self._ends_path, "ends lists elsewhere than the sequences do")

    def release_pages(self) -> None:
        """Give the pages back to the page cache."""
        self._rows.release_pages()
        self._counts.release_pages()

    def _first_of_each(self) -> NDArray[np.int64]:
        """Where the rows of each 3-mer begin."""
        return np.concatenate([[0], self._ends[:-1]])


class KmerWriter:
    """Writes the index: that of other libraries, then what comes row by row.

    The latter is kept in `scratch`, a file, and inverted at the end.
    """

    def __init__(self, scratch: IO[bytes], rows: ArrayFile, ends: ArrayFile, counts: ArrayFile) -> None:
        self._scratch, self._rows, self._ends, self._counts = scratch, rows, ends, counts
        self._frequency = np.zeros(KMERS_THERE_ARE, np.int64)
        self._count_of: list[int] = []
        self._copied: list[KmerIndex] = []

    def copy(self, index: KmerIndex) -> None:
        """Append the rows of another index, which has to stay open; only before those that are added."""
        for counts in index.counts():
            self._counts.add(counts)
        self._frequency += index.frequencies()
        self._copied.append(index)

    def add(self, sequence: str) -> None:
        """Append the 3-mers of one receptor."""
        found = kmers(sequence)
        self._scratch.write(found.astype("<u2").tobytes())
        self._counts.add(np.array([len(found)], np.uint16))
        self._count_of.append(len(found))
        self._frequency[found] += 1

    def finish(self) -> None:
        """Write the lists, one range of 3-mers after the other, each in one pass over the scratch file."""
        self._scratch.flush()
        ends = np.cumsum(self._frequency)
        low = 0
        while low < KMERS_THERE_ARE:
            before = int(ends[low - 1]) if low else 0
            high = max(low + 1, int(np.searchsorted(ends, before + MOST_SORTED, side="right")))
            self._rows.add(self._rows_between(low, high))
            low = high
        self._ends.add(ends.astype(np.uint64))

    def _rows_between(self, low: int, high: int) -> NDArray[np.uint32]:
        """Rows that have each 3-mer from `low` up to `high`, one list after the other."""
        found, rows, offset, copied = [np.empty(0, np.uint16)], [np.empty(0, np.uint32)], 0, 0
        for index in self._copied:
            numbers = np.arange(low, high, dtype=np.uint16)
            found.append(np.repeat(numbers, index.frequencies()[low:high]))
            rows.append(index.lists(low, high) + np.uint32(copied))
            index.release_pages()
            copied += len(index)
        for start in range(0, len(self._count_of), BLOCK):
            counts = self._count_of[start : start + BLOCK]
            kmer = np.fromfile(self._scratch.name, "<u2", sum(counts), offset=offset)
            offset += kmer.nbytes
            row = np.repeat(np.arange(copied + start, copied + start + len(counts), dtype=np.uint32), counts)
            here = (kmer >= low) & (kmer < high)
            found.append(kmer[here])
            rows.append(row[here])
        order = np.argsort(np.concatenate(found), kind="stable")
        return np.asarray(np.concatenate(rows)[order])


def _blocks(found: Iterable[NDArray[np.uint16]]) -> Iterator[tuple[int, list[NDArray[np.uint16]]]]:
    """First row and 3-mers of each block of rows."""
    block: list[NDArray[np.uint16]] = []
    start = 0
    for own in found:
        block.append(own)
        if len(block) == BLOCK:
            yield start, block
            start += len(block)
            block = []
    if block:
        yield start, block


def _sorted(found: list[NDArray[np.uint16]], start: int) -> tuple[NDArray[np.uint16], NDArray[np.uint32]]:
    """3-mers of rows from `start` on, ascending, and the row of each."""
    kmer = np.concatenate(found)
    row = np.repeat(np.arange(start, start + len(found), dtype=np.uint32), [len(own) for own in found])
    order = np.argsort(kmer, kind="stable")
    return kmer[order], row[order]
