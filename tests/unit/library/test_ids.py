from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from templ.library import ids as id_index
from templ.library.ids import candidate_rows, id_hash, merge_ids

EMPTY = np.empty((2, 0), dtype=np.uint64)


def build(batches):
    built = EMPTY
    for batch in batches:
        built = merge_ids(built, batch)
    return built


@given(st.lists(st.lists(st.text(), max_size=20), max_size=6), st.text())
def test_every_id_has_its_rows_however_it_was_batched(batches, other):
    ids = [id for batch in batches for id in batch]
    built = build(batches)
    assert np.all(built[0, 1:] >= built[0, :-1])
    assert sorted(built[1]) == list(range(len(ids)))
    for id in {*ids, other}:
        assert candidate_rows(built, id) == [row for row, known in enumerate(ids) if known == id]


@given(st.lists(st.integers(0, 2), max_size=30), st.integers(1, 7))
def test_ids_of_one_hash_are_all_candidates(numbers, size):
    ids = [str(number) for number in numbers]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(id_index, "id_hash", lambda id: np.uint64(2**64 - 1) if id == "0" else np.uint64(5))
        built = build([ids[start : start + size] for start in range(0, len(ids), size)])
        assert candidate_rows(built, "0") == [row for row, id in enumerate(ids) if id == "0"]
        assert candidate_rows(built, "1") == [row for row, id in enumerate(ids) if id != "0"]


def test_hash_is_pinned():
    # The hash is part of the format: another value means that libraries already built cannot be searched.
    # printf x0397 | b2sum -l 64
    assert int(id_hash("x0397")).to_bytes(8, "little").hex() == "76ebbf94d67461b3"
    assert id_hash("\u00e9") != id_hash("e\u0301")


def test_half_a_character_is_an_unknown_id():
    assert candidate_rows(build([["a"]]), "\ud800") == []
