from __future__ import annotations

import datetime
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from templ.benchmark.definition import target_of
from templ.errors import LeakageError, Refusal
from templ.library.build import build_library
from templ.library.store import open_library
from templ.molecules import first_block, parse_smiles
from templ.query import PreparedQuery
from templ.records import Entry, Target
from templ.selection.screen import allowed_rows, find_templates
from templ.settings import PredictionSettings
from templ.sources.ledger import Ledger
from templ.sources.splits import TemplateRule

DAYS = [None, *(datetime.date(2020, 1, day) for day in (1, 2, 3))]
GROUPS = ["", "sars", "mers"]
SMILES = ["CCCCO", "CCCC[NH3+]", "CCCCN", "CC(C)C1CCCCC1", "CCCC(=O)[O-]", "CCCC(=O)O"]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """A library with every date, group and some ligands in two protonation states."""
    from templ.posing.place import with_coordinates

    entries = []
    for number in range(48):
        query = PreparedQuery(parse_smiles(SMILES[number % 6]), 1, number + 1)
        mol = with_coordinates(query.mol, query.conformers[0])
        entries.append(
            Entry(f"e{number}", mol, f"f#{number}", "", DAYS[number % 4], GROUPS[(number // 4) % 3])
        )
    out = tmp_path_factory.mktemp("mixed") / "mixed.templ"
    build_library(out, entries, ledger=Ledger())
    with open_library(out) as library:
        yield library


RULES = st.builds(
    TemplateRule,
    before_date=st.booleans(),
    exclude_same_ligand=st.booleans(),
    groups=st.sampled_from([{}, {"sars": ("sars",), "mers": ("mers", "sars")}, {"": ("",)}]),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(rule=RULES, row=st.integers(0, 47), group=st.sampled_from(GROUPS), date=st.sampled_from(DAYS))
def test_the_mask_is_the_rule_row_by_row(mixed, rule, row, group, date):
    target = replace(target_of(mixed.entry(row)), group=group, date=date)
    mask = allowed_rows(mixed, rule, target)
    for other in range(len(mixed)):
        entry = mixed.entry(other)
        allowed = rule.allows(
            target, id=entry.id, group=entry.group, date=entry.date, ligand_key=first_block(entry.inchikey)
        )
        assert mask[other] == allowed, entry


def test_a_target_that_is_no_entry_may_see_all(mixed):
    assert allowed_rows(mixed, TemplateRule(), Target("new", "CCO")).all()


def find(library, target, rule=TemplateRule(), allowed=None, **changes):  # noqa: B008  frozen
    query = PreparedQuery(parse_smiles(target.smiles), 1, 1)
    allowed = allowed_rows(library, rule, target) if allowed is None else allowed
    return find_templates(query, target, library, rule, allowed, PredictionSettings(**changes))


def test_hits_come_with_the_largest_core_first(demo_library):
    target = target_of(demo_library.entry(3))
    hits = find(demo_library, target, screened=30)
    sizes = [len(hit.core or ()) for hit in hits]
    assert len(hits) == 30
    assert sizes == sorted(sizes, reverse=True)
    assert target.id not in {hit.id for hit in hits}


def test_no_allowed_template_is_a_refusal(demo_library):
    target = replace(target_of(demo_library.entry(3)), date=datetime.date(1990, 1, 1))
    with pytest.raises(Refusal, match="allows no template"):
        find(demo_library, target, TemplateRule(before_date=True))


def test_too_little_similarity_is_a_refusal_with_its_number(demo_library):
    with pytest.raises(Refusal, match=r"Tanimoto 0\.\d\d; at least 0\.90"):
        find(demo_library, Target("new", "OCCOCCOCCO"), min_tanimoto=0.9)


def test_a_template_that_gives_the_answer_away_is_an_error(demo_library):
    target = target_of(demo_library.entry(3))
    with pytest.raises(LeakageError, match=f"'{target.id}' is not allowed for target '{target.id}'"):
        find(demo_library, target, allowed=np.ones(len(demo_library), np.bool_))


def test_a_ligand_of_the_same_skeleton_is_no_template_in_another_charge(mixed):
    target = target_of(mixed.entry(4))  # butanoate; butanoic acid is row 5
    rule = TemplateRule(exclude_same_ligand=True)
    mask = allowed_rows(mixed, rule, target)
    assert not mask[[row for row in range(48) if row % 6 in (4, 5)]].any()
    assert mask.sum() == 32
    assert not allowed_rows(mixed, rule, replace(target, ligand_key="")).any()


def test_no_more_templates_are_looked_at_than_asked_for(demo_library):
    hits = find(demo_library, target_of(demo_library.entry(3)), screened=4)
    assert len(hits) == 4
