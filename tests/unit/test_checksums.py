"""A checksum is of the content, not of how it is written down."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from templ.checksums import checksum, checksum_agrees, with_checksum

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_a_checksum_survives_writing_reading_and_another_order(content):
    written = json.loads(json.dumps(with_checksum(content)))
    assert checksum_agrees(written)
    assert checksum_agrees(dict(reversed(list(written.items()))))


@pytest.mark.parametrize("change", [{"a": 2}, {"b": 1}, {"checksum": "00000000"}, {"checksum": None}])
def test_any_change_is_seen(change):
    assert not checksum_agrees({**with_checksum({"a": 1}), **change})
    assert not checksum_agrees({"a": 1})


@given(st.binary(min_size=1, max_size=200), st.data())
def test_a_flipped_bit_is_seen(data, choose):
    bit = choose.draw(st.integers(0, 8 * len(data) - 1))
    flipped = bytearray(data)
    flipped[bit // 8] ^= 1 << bit % 8
    assert checksum(bytes(flipped)) != checksum(data)
