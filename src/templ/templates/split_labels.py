"""Which split each row of a library belongs to: a mapped byte a row, so that no worker holds lists of ids."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from templ.disk import replacing
from templ.library.mapped import MappedArray
from templ.library.store import Library
from templ.sources.split_lists import SPLIT_NAMES

LABELS = ("", *SPLIT_NAMES)
"""What the bytes stand for; the first for rows that no list names."""


class Splits:
    """The split of each row of a library, as `write_splits` wrote it."""

    def __init__(self, path: Path) -> None:
        self._labels = MappedArray(path.parent, path.name, None, "|u1", (None,)).array

    def of(self, row: int) -> str:
        """Split of a row; empty when no list names it."""
        return LABELS[self._labels[row]]

    def rows_in(self, names: Iterable[str]) -> NDArray[np.bool_]:
        """Rows that belong to one of these splits, shape (ligands,)."""
        return np.isin(self._labels, [LABELS.index(name) for name in set(names) & set(LABELS)])


def write_splits(path: Path, library: Library, lists: Mapping[str, Iterable[str]]) -> None:
    """Write the split of each row of a library to a ``.npy`` file.

    Ids in the lists, by split, that the library does not have are passed over. A file that says the same
    stays: other processes may read it.

    Raises
    ------
    StorageError
        When the disk refuses.
    """
    labels = np.zeros(len(library), np.uint8)
    for name, ids in lists.items():
        for id in ids:
            if id in library:
                labels[library.row_of(id)] = LABELS.index(name)
    content = io.BytesIO()
    np.save(content, labels, allow_pickle=False)
    if path.exists() and path.read_bytes() == content.getvalue():
        return
    with replacing(path) as file:
        file.write(content.getvalue())
