from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from rdkit import DataStructs
from rdkit.Chem import rdFingerprintGenerator

from templ.chemistry.molecules import heavy
from templ.library.fingerprints import Best, fingerprint, tanimoto


def test_bits_are_rdkits(molecules):
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    for mol in molecules.values():
        packed = fingerprint(mol)
        assert packed.shape == (32,)
        assert packed.dtype == np.uint64
        on = [bit for bit in range(2048) if int(packed[bit // 64]) >> (bit % 64) & 1]
        assert on == list(generator.GetFingerprint(heavy(mol)).GetOnBits())


def test_similarity_is_rdkits(molecules):
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    bits = [generator.GetFingerprint(heavy(mol)) for mol in molecules.values()]
    packed = np.stack([fingerprint(mol) for mol in molecules.values()])
    for query, row in zip(bits, packed, strict=True):
        expected = DataStructs.BulkTanimotoSimilarity(query, bits)
        assert np.allclose(tanimoto(row, packed), expected, atol=1e-6)


def test_similarity_without_bits_or_rows():
    rows = np.random.default_rng(0).integers(0, 2**63, (9000, 32), dtype=np.uint64)
    rows[0] = 0
    query = rows[5]
    shared = np.bitwise_count(rows & query).sum(1)
    either = np.bitwise_count(rows | query).sum(1)
    assert np.allclose(tanimoto(query, rows), shared / either)
    assert tanimoto(rows[0], rows[:1]).tolist() == [0.0]
    assert tanimoto(query, rows[:0]).shape == (0,)


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.booleans()), max_size=40),
    st.integers(0, 45),
    st.booleans(),
    st.integers(1, 50),
)
def test_best_is_a_stable_sort_whatever_the_blocks(pairs, k, masked, block):
    values = np.array([value for value, _ in pairs], dtype=np.float32)
    mask = np.array([allowed for _, allowed in pairs], dtype=np.bool_) if masked else None
    allowed = [row for row in range(len(pairs)) if not masked or pairs[row][1]]
    expected = sorted(allowed, key=lambda row: (-values[row], row))[:k]
    best = Best(k)
    for start in range(0, len(pairs), block):
        stop = start + block
        best.add(start, values[start:stop], None if mask is None else mask[start:stop])
    assert best.rows.tolist() == expected
    assert best.values.tolist() == values[expected].tolist()
