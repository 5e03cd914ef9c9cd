"""The identity digest: pinned, sensitive to what decides results, streaming over the targets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from templ.errors import InputError
from templ.identity import identity_digest

RUN = {
    "settings": {"seed": 1, "threshold": 0.15, "ways": ["core", "overlay"], "nested": {"b": None, "a": True}},
    "library": "9f86d081",
    "targets": ["x0397", "Täst"],
    "rule": {"before_date": True, "groups": {}},
}


def test_the_digest_of_today_stays_the_digest_of_tomorrow():
    # Runs of users carry it: a change here needs a new IDENTITY_VERSION.
    assert identity_digest(**RUN) == "8b0c6cacdff6fe38699e0a353875fcaf47b52969670783440c8007bf2d893db2"


def test_the_order_of_the_settings_does_not_matter():
    turned = RUN | {"settings": dict(reversed(RUN["settings"].items()))}
    assert identity_digest(**turned) == identity_digest(**RUN)


@pytest.mark.parametrize(
    "change",
    [
        {"settings": RUN["settings"] | {"seed": 2}},
        {"settings": RUN["settings"] | {"threshold": 0.15000000000000002}},
        {"settings": RUN["settings"] | {"new": None}},
        {"library": "9f86d082"},
        {"rule": {"before_date": False, "groups": {}}},
        {"targets": ["x0397"]},
        {"targets": ["Täst", "x0397"]},
        {"targets": ["x0397", "Täst", ""]},
    ],
)
def test_whatever_decides_results_changes_the_digest(change):
    assert identity_digest(**RUN | change) != identity_digest(**RUN)


@given(st.lists(st.text(max_size=5), max_size=5), st.lists(st.text(max_size=5), max_size=5))
def test_different_target_lists_never_run_together(first, second):
    digests = {identity_digest(**RUN | {"targets": targets}) for targets in (first, second)}
    assert (len(digests) == 1) == (first == second)


def test_targets_are_read_once_from_a_generator():
    assert identity_digest(**RUN | {"targets": iter(RUN["targets"])}) == identity_digest(**RUN)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}])
def test_what_is_no_json_value_is_refused(value):
    with pytest.raises(InputError, match="plain JSON values"):
        identity_digest(**RUN | {"settings": {"value": value}})
