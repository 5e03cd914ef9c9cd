from __future__ import annotations

import pkgutil

import pytest

from templ.scoring import terms
from templ.scoring.score_term import Term
from templ.scoring.terms import TERMS

MODULES = sorted(module.name for module in pkgutil.iter_modules(terms.__path__))


def test_every_module_is_a_term_of_its_name():
    assert [term.name for term in TERMS] == MODULES
    assert len(MODULES) >= 6


@pytest.mark.parametrize("name", MODULES)
def test_a_term_says_what_it_is(name):
    term = getattr(terms, name).TERM
    assert isinstance(term, Term)
    assert term in TERMS
    assert term.better in ("more", "less")
    assert term.source
    assert callable(term.function)


def test_shares_are_better_the_more_and_all_else_the_less():
    assert {term.name: term.better for term in TERMS} == {
        "atom_density": "more",
        "consensus": "more",
        "contact": "less",
        "core_rmsd": "less",
        "intramolecular_clash": "less",
        "network": "more",
        "receptor_clash": "less",
    }
    assert all((term.unit in ("", "log odds")) == (term.better == "more") for term in TERMS)


def test_contacts_alone_need_minimised_poses():
    assert [term.name for term in TERMS if term.minimised] == ["contact"]
