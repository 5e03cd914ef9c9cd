from __future__ import annotations

import datetime
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from templ.errors import InputError, LeakageError
from templ.records import Target
from templ.sources.splits import TemplateRule

ids = st.sampled_from(["a", "b"])
labels = st.sampled_from(["", "sars", "mers", "other"])
dates = st.none() | st.dates(datetime.date(2020, 5, 30), datetime.date(2020, 6, 2))
keys = st.sampled_from(["", "AAAAAAAAAAAAAA", "BBBBBBBBBBBBBB"])
rules = st.builds(
    TemplateRule,
    before_date=st.booleans(),
    exclude_same_ligand=st.booleans(),
    groups=st.dictionaries(labels, st.lists(labels, max_size=3).map(tuple), max_size=3),
)
targets = st.builds(Target, id=ids, smiles=st.just("CCO"), group=labels, date=dates, ligand_key=keys)


@given(rule=rules, target=targets, id=ids, group=labels, date=dates, key=keys)
def test_what_is_allowed_leaks_nothing(rule, target, id, group, date, key):
    template = {"id": id, "group": group, "date": date, "ligand_key": key}
    in_time = date is not None and target.date is not None and date < target.date
    other_ligand = bool(key) and bool(target.ligand_key) and key != target.ligand_key
    expected = (
        id != target.id
        and (not rule.groups or group in rule.groups.get(target.group, ()))
        and (not rule.before_date or in_time)
        and (not rule.exclude_same_ligand or other_ligand)
    )
    assert rule.allows(target, **template) == expected
    if expected:
        rule.check(target, **template)
    else:
        with pytest.raises(LeakageError, match=f"template '{id}' is not allowed for target '{target.id}': "):
            rule.check(target, **template)


@given(rule=rules)
def test_a_rule_survives_json(rule):
    assert TemplateRule.from_json(json.loads(json.dumps(rule.to_json()))) == rule


@pytest.mark.parametrize(
    ("clause", "rule", "template"),
    [
        ("own id", TemplateRule(), {"id": "t"}),
        ("groups", TemplateRule(groups={"sars": ("sars",)}), {"group": "mers"}),
        ("before_date", TemplateRule(before_date=True), {"date": datetime.date(2020, 6, 1)}),
        ("exclude_same_ligand", TemplateRule(exclude_same_ligand=True), {"ligand_key": "AAAAAAAAAAAAAA"}),
    ],
)
def test_the_broken_clause_is_named(clause, rule, template):
    target = Target("t", "CCO", "sars", datetime.date(2020, 6, 1), "AAAAAAAAAAAAAA")
    allowed = {"id": "x", "group": "sars", "date": datetime.date(2020, 5, 31), "ligand_key": "BBBBBBBBBBBBBB"}
    rule.check(target, **allowed)
    with pytest.raises(LeakageError, match=f"target 't': {clause}"):
        rule.check(target, **{**allowed, **template})


def test_what_is_unknown_is_not_allowed():
    dated, keyed = TemplateRule(before_date=True), TemplateRule(exclude_same_ligand=True)
    day, later = datetime.date(2020, 5, 31), datetime.date(2020, 6, 1)
    known = Target("t", "CCO", date=later, ligand_key="AAAAAAAAAAAAAA")
    unknown = Target("t", "CCO")
    for rule, target, date, key in [
        (dated, known, None, "BBBBBBBBBBBBBB"),
        (dated, unknown, day, "BBBBBBBBBBBBBB"),
        (keyed, known, day, ""),
        (keyed, unknown, day, "BBBBBBBBBBBBBB"),
    ]:
        assert not rule.allows(target, id="x", group="", date=date, ligand_key=key)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"before": True}, "unknown before, expected before_date, "),
        ({"before_date": 1}, "before_date is 1, expected true or false"),
        ({"groups": {"sars": "sars"}}, "groups is "),
        ({"groups": ["sars"]}, "groups is "),
    ],
)
def test_from_json_refuses_other_data(data, message):
    with pytest.raises(InputError, match=f"template rule: {message}"):
        TemplateRule.from_json(data)
