"""The identity of a run: whatever decides its results changes the digest, and is said in plain words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from templ import __version__
from templ.pipeline import METHOD_VERSION
from templ.runs.identity import Identity, list_digest, software_versions
from templ.scoring import weights
from templ.scoring.weights import Weights, fitted_weights, weights_digest

FIELDS = {
    "method_version": 1,
    "weights": "aa",
    "versions": {"templ": "0.1.0", "rdkit": "2026.3.1", "numpy": "2.4.1"},
    "settings": {"seed": 1, "threshold": 0.15, "methods": ["core", "overlay"], "nested": {"b": None}},
    "rule": {"before_date": True, "groups": {}},
    "library": "9f86d081",
    "targets": "bb",
    "truth": "cc",
    "receptor": "dd",
    "site": "[1.0, 2.0, 3.0]",
    "validity": "PoseBusters 0.3.1",
}
RUN = Identity(**FIELDS)
SETTINGS = FIELDS["settings"]
CHANGES = [
    ({"method_version": 2}, "method_version: 1 -> 2"),
    ({"weights": "ab"}, "other fitted weights"),
    ({"versions": FIELDS["versions"] | {"rdkit": "2026.9.1"}}, "versions.rdkit: '2026.3.1' -> '2026.9.1'"),
    ({"settings": SETTINGS | {"seed": 2}}, "settings.seed: 1 -> 2"),
    (
        {"settings": SETTINGS | {"threshold": 0.15000000000000002}},
        "settings.threshold: 0.15 -> 0.15000000000000002",
    ),
    ({"settings": SETTINGS | {"new": None}}, "settings.new: 'absent' -> None"),
    (
        {"settings": {"seed": 1, "threshold": 0.15, "methods": []}},
        "settings.methods: ['core', 'overlay'] -> []",
    ),
    ({"rule": {"before_date": False, "groups": {}}}, "rule.before_date: True -> False"),
    ({"rule": {"groups": {}}}, "rule.before_date: True -> 'absent'"),
    ({"library": "9f86d082"}, "another template library"),
    ({"targets": "bc"}, "another list of targets or queries"),
    ({"truth": ""}, "other crystals to judge by"),
    ({"receptor": "de"}, "another receptor or protein"),
    ({"site": ""}, "site: '[1.0, 2.0, 3.0]' -> ''"),
    ({"validity": ""}, "validity: 'PoseBusters 0.3.1' -> ''"),
]


def test_the_digest_of_today_stays_the_digest_of_tomorrow():
    # Runs of users carry it: a change here needs a new format of the manifest.
    assert RUN.digest == "e36419a31c4cd78ae965c5905464fbc70cea8e7656da35d232be6beb5afc9ddd"


def test_the_order_of_the_settings_does_not_matter():
    turned = Identity(**FIELDS | {"settings": dict(reversed(SETTINGS.items()))})
    assert turned.digest == RUN.digest
    assert RUN.difference(turned) == ""


@pytest.mark.parametrize(("change", "words"), CHANGES, ids=[words for _, words in CHANGES])
def test_whatever_decides_results_changes_the_digest_and_is_named(change, words):
    other = Identity(**FIELDS | change)
    assert other.digest != RUN.digest
    assert RUN.difference(other) == words


def test_every_field_was_changed():
    assert {name for change, _ in CHANGES for name in change} == set(Identity.model_fields)


def test_equal_identities_differ_in_nothing():
    assert RUN.difference(Identity(**FIELDS)) == ""


def test_an_identity_survives_json_with_its_digest():
    again = Identity.model_validate_json(RUN.model_dump_json())
    assert (again, again.digest) == (RUN, RUN.digest)


def test_method_weights_and_software_are_those_in_use():
    made = Identity(settings={}, rule={}, library="", targets="")
    assert (made.method_version, made.weights) == (METHOD_VERSION, weights_digest())
    assert made.versions == software_versions()
    assert made.versions["templ"] == __version__
    assert set(made.versions) == {"templ", "rdkit", "numpy", "rustina"}


def changed(value):
    """Another number, or the same with its first number changed."""
    if isinstance(value, dict):
        first = next(iter(value))
        return {**value, first: changed(value[first])}
    if isinstance(value, list):
        return [changed(value[0]), *value[1:]]
    return -value if value else 1.0


@pytest.mark.parametrize("part", Weights.__slots__)
def test_every_weight_is_in_the_identity(monkeypatch, part):
    before, fitted = weights_digest(), fitted_weights()
    for name, value in getattr(fitted, part).items():
        other = {each: getattr(fitted, each) for each in Weights.__slots__}
        other[part] = {**other[part], name: changed(value)}
        monkeypatch.setattr(weights, "fitted_weights", lambda other=other: Weights(**other))
        assert weights_digest() != before, name


@given(st.lists(st.text(max_size=5), max_size=5), st.lists(st.text(max_size=5), max_size=5))
def test_different_target_lists_never_run_together(first, second):
    assert (list_digest(first) == list_digest(second)) == (first == second)


def test_the_order_of_targets_counts_and_they_are_read_once():
    assert list_digest(["a", "b"]) != list_digest(["b", "a"])
    assert list_digest(["a", "b"]) != list_digest(["a", "b", ""])
    assert list_digest(iter(["a", "b"])) == list_digest(["a", "b"])


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes"])
def test_what_is_no_json_value_is_refused(value):
    with pytest.raises(ValidationError, match="settings"):
        Identity(**FIELDS | {"settings": {"value": value}})


def test_an_unknown_field_is_refused():
    with pytest.raises(ValidationError, match="Extra inputs"):
        Identity(**FIELDS | {"colour": "red"})
