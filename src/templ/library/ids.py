"""From an id to its row through sorted 64-bit hashes, which can be mapped: no dictionary in any process.

Two ids may share a hash, so a look-up gives candidate rows; the caller compares the ids stored there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def id_hash(id: str) -> np.uint64:
    """Hash an id: BLAKE2b, 8 bytes, of its UTF-8 text, read as a little-endian number."""
    # No library holds text with lone surrogates, but asking for it must end in "unknown".
    digest = hashlib.blake2b(id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "little"))


def candidate_rows(index: NDArray[np.uint64], id: str) -> list[int]:
    """Rows whose id has the hash of `id`: none, one, or (a collision) several.

    Parameters
    ----------
    index : numpy.ndarray, shape (2, n), uint64
        Sorted hashes, and the row of each.
    id : str
        What to look for.
    """
    hashes, rows = index
    wanted = id_hash(id)
    first = np.searchsorted(hashes, wanted, side="left")
    last = np.searchsorted(hashes, wanted, side="right")
    return [int(row) for row in rows[first:last]]


def merge_ids(index: NDArray[np.uint64], ids: Sequence[str]) -> NDArray[np.uint64]:
    """Index further ids, whose rows follow the ones already indexed.

    Parameters
    ----------
    index : numpy.ndarray, shape (2, n), uint64
        Sorted hashes, and the row of each.
    ids : sequence of str, length m
        Ids of the rows n to n + m - 1.

    Returns
    -------
    numpy.ndarray, shape (2, n + m), uint64
        The longer index; 16 bytes an id.
    """
    hashes = np.array([id_hash(id) for id in ids], dtype=np.uint64)
    rows = np.arange(index.shape[1], index.shape[1] + len(ids), dtype=np.uint64)
    order = np.argsort(hashes, kind="stable")
    at = np.searchsorted(index[0], hashes[order], side="right")
    return np.insert(index, at, np.stack([hashes[order], rows[order]]), axis=1)
