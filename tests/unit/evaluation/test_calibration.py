from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from templ.evaluation.calibration import calibrate


def test_promises_that_are_kept():
    generator = np.random.default_rng(1)
    promised = generator.uniform(size=20_000)
    found = calibrate(promised, generator.uniform(size=20_000) < promised)
    assert found.error < 0.02
    assert found.brier == pytest.approx(1 / 6, abs=0.01)
    assert found.auroc == pytest.approx(5 / 6, abs=0.01)
    assert len(found.bins) == 10


def test_promises_that_are_not():
    found = calibrate([0.95] * 10, [True] * 5 + [False] * 5)
    assert found.error == pytest.approx(0.45)
    assert found.auroc == pytest.approx(0.5)
    (only,) = found.bins
    assert (only.count, only.promised, only.right) == (10, pytest.approx(0.95), 0.5)


def test_certainty_falls_into_the_last_bin():
    assert [part.count for part in calibrate([0.0, 1.0], [False, True]).bins] == [1, 1]


def test_of_one_kind_only_there_is_no_order():
    assert calibrate([0.3, 0.4], [True, True]).auroc is None


@given(
    st.lists(st.tuples(st.sampled_from([0.1, 0.3, 0.5, 0.9]), st.booleans()), min_size=2, max_size=40).filter(
        lambda pairs: len({right for _, right in pairs}) == 2
    )
)
def test_the_order_is_that_of_all_pairs(pairs):
    promised, right = (np.array(side) for side in zip(*pairs, strict=True))
    good, bad = promised[right][:, None], promised[~right][None]
    assert calibrate(promised, right).auroc == pytest.approx(((good > bad) + (good == bad) / 2).mean())
