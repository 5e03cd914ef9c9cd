"""Morgan fingerprints and Tanimoto similarity over mapped rows, no molecule decoded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rdkit.Chem import Mol, rdFingerprintGenerator

from templ.chemistry.molecules import heavy
from templ.library.format import FingerprintParameters

PARAMETERS = FingerprintParameters()
WORDS = PARAMETERS.bits // 64

_GENERATOR = rdFingerprintGenerator.GetMorganGenerator(radius=PARAMETERS.radius, fpSize=PARAMETERS.bits)


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
        The others; may be mapped. Twice their size is held meanwhile: give them in blocks.

    Returns
    -------
    numpy.ndarray, shape (n,), float32
        0 to 1; 0 where neither fingerprint has a bit.
    """
    shared = np.bitwise_count(fingerprints & query).sum(axis=1, dtype=np.uint32)
    bits = np.bitwise_count(fingerprints).sum(axis=1, dtype=np.uint32)
    either = bits + np.bitwise_count(query).sum(dtype=np.uint32) - shared
    similarity: NDArray[np.float32] = (shared / np.maximum(either, 1)).astype(np.float32)
    return similarity


class Best:
    """The k highest of values that come block by block; of equal values the earlier row.

    Attributes
    ----------
    rows : numpy.ndarray, shape (found,), intp
        Their rows, highest value first.
    values : numpy.ndarray, shape (found,), float32
        Their values.

    Examples
    --------
    >>> best = Best(2)
    >>> best.add(0, np.array([0.5, 0.9], dtype=np.float32))
    >>> best.add(2, np.array([0.5, 0.7], dtype=np.float32), np.array([True, False]))
    >>> best.rows.tolist()
    [1, 0]
    """

    def __init__(self, k: int) -> None:
        self._k = max(k, 0)
        self.rows = np.empty(0, np.intp)
        self.values = np.empty(0, np.float32)

    def add(self, start: int, values: NDArray[np.float32], mask: NDArray[np.bool_] | None = None) -> None:
        """Look at the values of the rows from `start` on; where `mask` is false they do not count."""
        eligible = np.ones(len(values), np.bool_) if mask is None else mask
        if len(self.values) == self._k > 0:
            eligible = eligible & (values > self.values[-1])
        indices = np.flatnonzero(eligible)
        rows = np.concatenate([self.rows, indices + start])
        found = np.concatenate([self.values, values[indices]])
        order = np.argsort(-found, kind="stable")[: self._k]
        self.rows, self.values = rows[order], found[order]
