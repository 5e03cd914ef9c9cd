"""The split of each row, and whether anything leaks past the rule on its way to the templates."""

from __future__ import annotations

import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from templ.chemistry.conformers import PreparedQuery
from templ.chemistry.molecules import first_block, ligand_key
from templ.errors import LeakageError, Refusal
from templ.library.build import build_library
from templ.library.store import open_library
from templ.records import Entry, Target
from templ.settings import PredictionSettings
from templ.sources.complexes import find_complexes, read_complex
from templ.sources.ledger import Ledger
from templ.sources.split_lists import SPLIT_NAMES, SPLIT_TEMPLATES
from templ.templates.frame import Frame
from templ.templates.rule import Candidate, TemplateRule
from templ.templates.screening import AllowedTemplates, find_templates
from templ.templates.sequence import Aligner, identity
from templ.templates.split_labels import LABELS, Splits, write_splits

KINASES = ("cdk2", "gsk3b", "mapk14", "jak1")
DAY = datetime.date(2019, 6, 1)


@pytest.fixture(scope="module")
def library(shared, tmp_path_factory):
    """Kinases of four targets, each ligand twice, dates around one day or none."""
    folder = shared / "data" / "complexes"
    if not folder.is_dir():
        pytest.skip("no ../shared/data/complexes beside this checkout")
    files = [found for found in find_complexes(folder) if found.id.split("-")[0] in KINASES]
    wanted = [file for kinase in KINASES for file in [f for f in files if f.id.startswith(kinase)][:3]]
    chosen = [read_complex(file) for file in wanted]
    entries = []
    for number, entry in enumerate(chosen):
        for copy in "ab":
            days = (number + (copy == "b")) % 4
            date = DAY + datetime.timedelta(days - 1) if days < 3 else None
            entries.append(
                Entry(
                    entry.id + copy,
                    entry.mol,
                    "x",
                    date=date,
                    group=entry.id.split("-")[0],
                    receptor=entry.receptor,
                )
            )
    out = tmp_path_factory.mktemp("kinases") / "x.templ"
    build_library(out, entries, ledger=Ledger(), complexes=True)
    with open_library(out) as opened:
        yield opened


@pytest.fixture(scope="module")
def split(library, tmp_path_factory):
    """Train, val, test and none in turn."""
    lists = {
        name: [id for row, id in enumerate(library) if row % 4 == n] for n, name in enumerate(SPLIT_NAMES)
    }
    path = tmp_path_factory.mktemp("splits") / "splits.npy"
    write_splits(path, library, {**lists, "val": [*lists["val"], "not in the library"]})
    return Splits(path)


def test_every_row_has_its_split(library, split):
    names = [*SPLIT_NAMES, ""]
    assert [split.of(row) for row in range(len(library))] == [names[row % 4] for row in range(len(library))]


def test_labels_that_others_may_read_are_not_written_again(demo_library, tmp_path):
    path, first, second = tmp_path / "splits.npy", *list(demo_library)[:2]
    write_splits(path, demo_library, {"train": [first]})
    before = path.stat()
    write_splits(path, demo_library, {"train": [first]})
    assert path.stat().st_ino == before.st_ino
    write_splits(path, demo_library, {"train": [first, second]})
    splits = Splits(path)
    assert [splits.of(demo_library.row_of(id)) for id in (first, second)] == ["train", "train"]


def test_rows_of_splits(library, split):
    rows = np.arange(len(library))
    assert (split.rows_in(["train", "val"]) == (rows % 4 < 2)).all()
    assert (split.rows_in(iter([""])) == (rows % 4 == 3)).all()
    assert not split.rows_in([]).any()
    assert not split.rows_in(["no such split"]).any()
    assert split.rows_in(LABELS).all()


def test_without_labels_no_row_belongs_to_a_split(library):
    rule = TemplateRule(splits=SPLIT_TEMPLATES)
    assert not AllowedTemplates(Target("t", "CCO", split="test"), library, rule).rows.any()


rules = st.builds(
    TemplateRule,
    before_date=st.booleans(),
    exclude_same_ligand=st.booleans(),
    groups=st.sampled_from([{}, dict.fromkeys(KINASES, KINASES), {name: (name,) for name in KINASES}]),
    splits=st.sampled_from([{}, SPLIT_TEMPLATES, {"test": ("train",)}, {"": ("",)}]),
    max_identity=st.sampled_from([1.0, 0.999, 0.6, 0.3, 0.0]),
)


@settings(max_examples=60)
@given(
    rule=rules,
    row=st.integers(0, 23),
    by=st.sampled_from(["sequence", "all"]),
    least=st.sampled_from([0.0, 0.3]),
    name=st.sampled_from(["own", "other"]),
)
def test_nothing_leaks(library, split, rule, row, by, least, name):
    entry = library.entry(row)
    target = Target(
        entry.id if name == "own" else "a stranger",
        entry.smiles,
        entry.group,
        entry.date,
        first_block(entry.inchikey),
        split.of(row),
    )
    query = PreparedQuery(library.ligand(row), 1, 1)
    residues, _ = library.residues(row)
    allowed = AllowedTemplates(target, library, rule, split)
    for other in range(len(library)):
        seen = library.entry(other)
        candidate = Candidate(
            seen.id, seen.group, seen.date, first_block(seen.inchikey), split.of(other), identity=0.0
        )
        assert allowed.rows[other] == rule.allows(target, candidate)
    before = allowed.rows.copy()
    chosen = PredictionSettings(by=by, min_identity=least, screened=8)
    try:
        found = find_templates(query, library, allowed, chosen, Frame(library.receptor(row), True))
    except Refusal as refusal:
        assert refusal.reason == "no-template"
        return
    finally:
        assert (allowed.rows == before).all()
    assert found
    aligner = Aligner()
    for template in found:
        seen = library.entry(template.row)
        assert seen.id == template.id != target.id
        if rule.before_date:
            assert seen.date < target.date
        if rule.exclude_same_ligand:
            assert ligand_key(template.mol) != target.ligand_key
        if rule.splits:
            assert split.of(template.row) in rule.splits[target.split]
        if rule.groups:
            assert seen.group in rule.groups[target.group]
        other, _ = library.residues(template.row)
        assert identity(residues.sequence, other.sequence, aligner) <= rule.max_identity
        assert template.fit.identity <= rule.max_identity


@pytest.mark.parametrize(
    ("rule", "id", "clause"),
    [
        (TemplateRule(), "cdk2-c1002021a", "own id"),
        (TemplateRule(splits={"test": ("val",)}), "t", "splits"),
        (TemplateRule(before_date=True), "t", "before_date"),
        (TemplateRule(groups={"cdk2": ("jak1",)}), "t", "groups"),
        (TemplateRule(ids=("cdk2-c1002021b",)), "t", "ids"),
        (TemplateRule(exclude_same_ligand=True), "t", "exclude_same_ligand"),
    ],
)
def test_a_leak_that_got_past_the_mask_is_stopped(library, split, rule, id, clause):
    """The mask says all; the rule, asked again for every template, does not."""
    row = library.row_of("cdk2-c1002021a")
    entry = library.entry(row)
    query = PreparedQuery(library.ligand(row), 1, 1)
    target = Target(
        id, entry.smiles, entry.group, DAY - datetime.timedelta(9), first_block(entry.inchikey), "test"
    )
    allowed = AllowedTemplates(target, library, rule, split)
    allowed.rows[:] = True
    with pytest.raises(
        LeakageError, match=f"template '{entry.id}' is not allowed for target '{id}': {clause}"
    ):
        find_templates(query, library, allowed, PredictionSettings(), Frame(library.receptor(row), True))
