from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from templ.engine.plan import plan


@given(st.dictionaries(st.text(), st.integers(0, 100)), st.sets(st.text()))
def test_what_is_left_comes_once_the_most_costly_first(costs, done):
    left = plan(costs, done)
    assert sorted(left) == sorted(costs.keys() - done)
    assert [costs[task] for task in left] == sorted((costs[task] for task in left), reverse=True)


def test_equal_costs_keep_the_order_of_the_targets():
    assert plan({"b": 1, "a": 1, "c": 2}, done=()) == ["c", "b", "a"]
