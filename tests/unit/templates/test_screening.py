from __future__ import annotations

import datetime
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from templ.chemistry.conformers import PreparedQuery
from templ.chemistry.molecules import first_block, parse_smiles, with_coordinates
from templ.errors import LeakageError, Refusal
from templ.jobs.target import target_of
from templ.library.build import build_library
from templ.library.store import open_library
from templ.records import Entry, Target
from templ.settings import PredictionSettings
from templ.sources.ledger import Ledger
from templ.templates.frame import Frame
from templ.templates.mcs import Core
from templ.templates.rule import Candidate, TemplateRule
from templ.templates.screening import AllowedTemplates, Template, find_templates
from templ.templates.superposition import Fit

DAYS = [None, *(datetime.date(2020, 1, day) for day in (1, 2, 3))]
GROUPS = ["", "sars", "mers"]
SMILES = ["CCCCO", "CCCC[NH3+]", "CCCCN", "CC(C)C1CCCCC1", "CCCC(=O)[O-]", "CCCC(=O)O"]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """A library with every date, group and some ligands in two protonation states."""
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
    allowed = AllowedTemplates(target, mixed, rule)
    for other in range(len(mixed)):
        entry = mixed.entry(other)
        candidate = Candidate(entry.id, entry.group, entry.date, first_block(entry.inchikey))
        assert allowed.rows[other] == rule.allows(target, candidate), entry
    assert len(allowed) == allowed.rows.sum()


def test_a_target_that_is_no_entry_may_see_all(mixed):
    assert AllowedTemplates(Target("new", "CCO"), mixed, TemplateRule()).rows.all()


def find(library, target, rule=TemplateRule(), *, all_rows=False, **changes):  # noqa: B008  frozen
    query = PreparedQuery(parse_smiles(target.smiles), 1, 1)
    allowed = AllowedTemplates(target, library, rule)
    if all_rows:
        allowed.rows[:] = True
    return find_templates(query, library, allowed, PredictionSettings(**changes), Frame())


def test_templates_come_with_the_largest_core_first_then_the_most_similar(demo_library):
    target = target_of(demo_library.entry(3))
    found = find(demo_library, target, screened=30)
    sizes = [template.core_size for template in found]
    assert len(found) == 30
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) < 30
    keys = [(-template.core_size, -template.tanimoto, template.row) for template in found]
    assert keys == sorted(keys)
    assert target.id not in {template.id for template in found}


def test_of_templates_alike_the_first_of_the_library_comes_first(mixed):
    """Each ligand is in the library eight times."""
    found = find(mixed, Target("new", "CCCCO"), screened=48)
    same = [template.row for template in found if template.tanimoto == 1]
    assert same == list(range(0, 48, 6))


def test_a_core_counts_for_as_much_as_its_pocket_is_the_querys():
    fit = Fit(np.eye(3), np.zeros(3), 100, 1.0, 1.0, 0.3, pocket_identity=0.5)
    plain = Template(0, "a", parse_smiles("CCO"), 0.5, Core({0: 0, 1: 1, 2: 2}, "CCO"))
    assert (plain.core_size, plain.pocket_similarity) == (3, 1)
    assert replace(plain, fit=fit).pocket_similarity == 0.25
    assert replace(plain, core=None).core_size == 0


def test_no_allowed_template_is_a_refusal(demo_library):
    target = replace(target_of(demo_library.entry(3)), date=datetime.date(1990, 1, 1))
    with pytest.raises(Refusal, match="allows no template"):
        find(demo_library, target, TemplateRule(before_date=True))


def test_too_little_similarity_is_a_refusal_with_its_number(demo_library):
    with pytest.raises(Refusal, match=r"Tanimoto 0\.\d\d; at least 0\.90"):
        find(demo_library, Target("new", "OCCOCCOCCO"), min_tanimoto=0.9)


def test_a_template_that_gives_the_result_away_is_an_error(demo_library):
    target = target_of(demo_library.entry(3))
    with pytest.raises(LeakageError, match=f"'{target.id}' is not allowed for target '{target.id}'"):
        find(demo_library, target, all_rows=True)


def test_a_ligand_of_the_same_skeleton_is_no_template_in_another_charge(mixed):
    target = target_of(mixed.entry(4))  # butanoate; butanoic acid is row 5
    rule = TemplateRule(exclude_same_ligand=True)
    allowed = AllowedTemplates(target, mixed, rule)
    assert not allowed.rows[[row for row in range(48) if row % 6 in (4, 5)]].any()
    assert len(allowed) == 32
    assert not AllowedTemplates(replace(target, ligand_key=""), mixed, rule).rows.any()


def test_no_more_templates_are_looked_at_than_asked_for(demo_library):
    found = find(demo_library, target_of(demo_library.entry(3)), screened=4)
    assert len(found) == 4
