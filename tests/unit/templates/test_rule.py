from __future__ import annotations

import datetime
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from templ.errors import InputError, LeakageError
from templ.records import Target
from templ.templates.rule import Candidate, TemplateRule

ids = st.sampled_from(["a", "b"])
labels = st.sampled_from(["", "sars", "mers", "other"])
dates = st.none() | st.dates(datetime.date(2020, 5, 30), datetime.date(2020, 6, 2))
keys = st.sampled_from(["", "AAAAAAAAAAAAAA", "BBBBBBBBBBBBBB"])
rules = st.builds(
    TemplateRule,
    before_date=st.booleans(),
    exclude_same_ligand=st.booleans(),
    groups=st.dictionaries(labels, st.lists(labels, max_size=3).map(tuple), max_size=3),
    splits=st.dictionaries(labels, st.lists(labels, max_size=3).map(tuple), max_size=3),
    ids=st.lists(ids, max_size=1).map(tuple),
    max_identity=st.sampled_from([1.0, 0.5]),
)
targets = st.builds(
    Target, id=ids, smiles=st.just("CCO"), group=labels, date=dates, ligand_key=keys, split=labels
)
templates = st.builds(
    Candidate,
    id=ids,
    group=labels,
    date=dates,
    ligand_key=keys,
    split=labels,
    identity=st.sampled_from([0.0, 0.5, 0.6]),
)


@given(rule=rules, target=targets, template=templates)
def test_what_is_allowed_leaks_nothing(rule, target, template):
    date, key = template.date, template.ligand_key
    in_time = date is not None and target.date is not None and date < target.date
    other_ligand = bool(key) and bool(target.ligand_key) and key != target.ligand_key
    expected = (
        template.id != target.id
        and (not rule.groups or template.group in rule.groups.get(target.group, ()))
        and (not rule.splits or template.split in rule.splits.get(target.split, ()))
        and (not rule.ids or template.id in rule.ids)
        and template.identity <= rule.max_identity
        and (not rule.before_date or in_time)
        and (not rule.exclude_same_ligand or other_ligand)
    )
    assert rule.allows(target, template) == expected
    if expected:
        rule.check(target, template)
    else:
        said = f"template '{template.id}' is not allowed for target '{target.id}': "
        with pytest.raises(LeakageError, match=said):
            rule.check(target, template)


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
        ("splits", TemplateRule(splits={"": ("train",)}), {"split": "val"}),
        ("ids", TemplateRule(ids=("x",)), {"id": "y"}),
        ("max_identity: 61% .* at most 60%", TemplateRule(max_identity=0.6), {"identity": 0.61}),
    ],
)
def test_the_broken_clause_is_named(clause, rule, template):
    target = Target("t", "CCO", "sars", datetime.date(2020, 6, 1), "AAAAAAAAAAAAAA")
    allowed = Candidate("x", "sars", datetime.date(2020, 5, 31), "BBBBBBBBBBBBBB", "train", 0.6)
    rule.check(target, allowed)
    with pytest.raises(LeakageError, match=f"target 't': {clause}"):
        rule.check(target, replace(allowed, **template))


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
        assert not rule.allows(target, Candidate("x", date=date, ligand_key=key))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"before": True}, "unknown before; its keys are before_date, "),
        ({"before_date": 1}, "before_date is 1: .*boolean"),
        ({"groups": {"sars": "sars"}}, "groups.sars is 'sars'"),
        ({"groups": ["sars"]}, "groups is "),
        ({"splits": {"test": [1]}}, "splits.test.0 is 1"),
        ({"ids": "x0072"}, "ids is "),
        ({"max_identity": True}, "max_identity is True: .*number"),
        ({"max_identity": 1.1}, "max_identity is 1.1: .*less than or equal to 1"),
    ],
)
def test_from_json_refuses_other_data(data, message):
    with pytest.raises(InputError, match=f"template rule: {message}"):
        TemplateRule.from_json(data)
