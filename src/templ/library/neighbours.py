"""Morgan fingerprints and Tanimoto similarity over mapped rows, no molecule decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from rdkit.Chem import rdFingerprintGenerator

from templ.library.format import FingerprintParameters
from templ.molecules import heavy

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rdkit.Chem import Mol

PARAMETERS = FingerprintParameters()
WORDS = PARAMETERS.bits // 64

_GENERATOR = rdFingerprintGenerator.GetMorganGenerator(radius=PARAMETERS.radius, fpSize=PARAMETERS.bits)
_ROWS_AT_ONCE = 4096


def fingerprint(mol: Mol) -> NDArray[np.uint64]:
    """Fingerprint of the heavy atoms of a molecule.

    Returns
    -------
    numpy.ndarray, shape (32,), uint64
        2048 bits; bit i is bit ``i % 64`` of word ``i // 64``.
    """
    if mol.GetNumHeavyAtoms() < mol.GetNumAtoms():
        mol = heavy(mol)
    bits = _GENERATOR.GetFingerprintAsNumPy(mol)
    return np.packbits(bits, bitorder="little").view(np.dtype("<u8"))


def tanimoto(query: NDArray[np.uint64], fingerprints: NDArray[np.uint64]) -> NDArray[np.float32]:
    """Tanimoto similarity of one fingerprint with many.

    Parameters
    ----------
    query : numpy.ndarray, shape (32,), uint64
        One fingerprint.
    fingerprints : numpy.ndarray, shape (n, 32), uint64
        The others; may be mapped. About 2 MB are copied at a time.

    Returns
    -------
    numpy.ndarray, shape (n,), float32
        0 to 1; 0 where neither fingerprint has a bit.
    """
    similarity = np.empty(len(fingerprints), dtype=np.float32)
    query_bits = int(np.bitwise_count(query).sum())
    for start in range(0, len(fingerprints), _ROWS_AT_ONCE):
        rows = fingerprints[start : start + _ROWS_AT_ONCE]
        shared = np.bitwise_count(rows & query).sum(axis=1, dtype=np.uint32)
        either = np.bitwise_count(rows).sum(axis=1, dtype=np.uint32) + np.uint32(query_bits) - shared
        similarity[start : start + _ROWS_AT_ONCE] = shared / np.maximum(either, 1)
    return similarity


def top_k(
    similarities: NDArray[np.float32], k: int, mask: NDArray[np.bool_] | None = None
) -> NDArray[np.intp]:
    """Rows of the k highest similarities, highest first; equal ones in the order of their rows.

    Parameters
    ----------
    similarities : numpy.ndarray, shape (n,), float32
        One value a row.
    k : int
        How many rows at most.
    mask : numpy.ndarray, shape (n,), bool, optional
        Rows that may be chosen; all of them without it.

    Examples
    --------
    >>> top_k(np.array([0.5, 0.9, 0.5, 0.1], dtype=np.float32), 2).tolist()
    [1, 0]
    """
    rows = np.arange(len(similarities)) if mask is None else np.flatnonzero(mask)
    values = similarities[rows]
    if 0 < k < len(values):
        # Everything as good as the k-th stays, so that ties are broken by row and not by the partition.
        kept = values >= np.partition(values, len(values) - k)[len(values) - k]
        rows, values = rows[kept], values[kept]
    return rows[np.argsort(-values, kind="stable")][: max(k, 0)]
