from __future__ import annotations

from pathlib import Path

import pytest

from templ.records import Entry
from templ.templates import target_receptor
from templ.templates.target_receptor import MOST_KEPT, TargetReceptors


class Templates:
    """A library of templates as far as receptors go: a file for each group, or one a row."""

    def __init__(self, *, own=False, groups=()):
        self.has_receptors = own
        self._groups = groups

    def receptor_path(self, group):
        return Path(f"{group}.pdb.gz") if group in self._groups else None


class Targets(dict):
    """Targets by id, with their group."""

    def row_of(self, id):
        return list(self).index(id)

    def entry(self, row):
        return Entry(list(self)[row], None, "x", group=list(self.values())[row])

    def receptor(self, row):
        return f"own receptor of {list(self)[row]}"


@pytest.fixture
def read(monkeypatch):
    """Paths in the order in which they were read."""
    paths = []

    def read_receptor(path):
        paths.append(path.name)
        return object()

    monkeypatch.setattr(target_receptor, "read_receptor", read_receptor)
    return paths


def test_where_templates_have_receptors_of_their_own_so_have_targets(read):
    receptors = TargetReceptors(Templates(own=True, groups=["a"]), Targets(t1="a", t2="a"))
    assert receptors.of("t2") == "own receptor of t2"
    assert receptors.file_of("t2") is None
    assert read == []


def test_a_query_of_the_name_of_a_crystal_is_posed_in_that_crystal(read):
    library = Templates(own=True)
    library.receptor_of = "receptor of {}".format
    assert TargetReceptors(library).of("t1", "t1") == "receptor of t1"
    assert TargetReceptors(library).of("t1", "") is None
    assert TargetReceptors(library, Targets(t1="")).of("t1", "t1") == "own receptor of t1"


def test_a_target_has_the_receptor_of_its_group_which_is_read_once(read):
    receptors = TargetReceptors(Templates(groups=["a", "b"]), Targets(t1="a", t2="a", t3="b"))
    assert receptors.of("t1") is receptors.of("t2") is not receptors.of("t3")
    assert read == ["a.pdb.gz", "b.pdb.gz"]
    assert receptors.file_of("t3") == Path("b.pdb.gz")
    receptors.forget()
    receptors.of("t1")
    assert read == ["a.pdb.gz", "b.pdb.gz", "a.pdb.gz"]


def test_a_group_without_a_receptor_has_none(read):
    receptors = TargetReceptors(Templates(groups=["a"]), Targets(t1="b"))
    assert receptors.of("t1") is None
    assert receptors.file_of("t1") is None


def test_a_target_that_no_library_holds_is_of_the_group_without_a_name(read):
    receptors = TargetReceptors(Templates(groups=[""]), Targets(t1="b"))
    assert receptors.file_of("a stranger") == Path(".pdb.gz")


def test_no_more_receptors_are_kept_than_a_few(read):
    groups = [f"g{number}" for number in range(MOST_KEPT + 1)]
    receptors = TargetReceptors(Templates(groups=groups), Targets({group: group for group in groups}))
    for group in groups:
        receptors.of(group)
        assert len(receptors._read) <= MOST_KEPT
    assert len(read) == MOST_KEPT + 1
