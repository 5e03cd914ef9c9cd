from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest
from rdkit.Chem import Conformer
from rdkit.Geometry import Point3D

from templ.chemistry.molecules import parse_smiles
from templ.errors import InputError
from templ.records import Entry
from templ.sources.ledger import Ledger
from templ.sources.polaris import (
    TEMPLATE_GROUPS,
    find_polaris,
    frame_notes,
    noting,
    read_targets,
    read_templates,
)

SHARED = Path(__file__).parents[3] / ".." / "shared" / "data" / "polaris"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason=f"no Polaris data in {SHARED}")

SHORT_NAMES = ("train_sars.sdf.gz", "train_mers.sdf", "train_sars_aligned_to_mers.sdf.gz", "test_dev.sdf")
ORIGINAL_NAMES = (
    "train_sarsmols.sdf",
    "train_mersmols.sdf.gz",
    "train_sarsmols_aligned_to_mers.sdf",
    "test_poses_with_properties.sdf",
)


def entry_at(group: str, x: float) -> Entry:
    mol = parse_smiles("C")
    conformer = Conformer(1)
    conformer.SetAtomPosition(0, Point3D(x, 0.0, 0.0))
    mol.AddConformer(conformer)
    return Entry("x", mol, "a.sdf#1", group=group)


@pytest.mark.parametrize("names", [SHORT_NAMES, ORIGINAL_NAMES])
def test_both_ways_to_name_the_files(tmp_path, names):
    for name in (*names, "mersA_apo.pdb"):
        (tmp_path / name).touch()
    files = find_polaris(tmp_path)
    found = (files.train_sars, files.train_mers, files.train_sars_on_mers, files.test)
    assert found == tuple(tmp_path / name for name in names)
    assert (files.receptor_sars, files.receptor_mers) == (None, tmp_path / "mersA_apo.pdb")


def test_every_missing_file_is_named(tmp_path):
    (tmp_path / "train_mers.sdf").touch()
    with pytest.raises(InputError, match=r"lacks train_sarsmols\.sdf or train_sars\.sdf; .*aligned.*; test_"):
        find_polaris(tmp_path)
    with pytest.raises(InputError, match="is not a folder"):
        find_polaris(tmp_path / "gone")


def test_targets_by_label(tmp_path, sdf_record):
    for name in SHORT_NAMES[::2]:
        (tmp_path / name).touch()
    (tmp_path / "train_mers.sdf").touch()
    (tmp_path / "test_dev.sdf").write_text(
        sdf_record("Test_9.pdb", Protein_Label="SARS-CoV-2 MPro")
        + sdf_record("Test_8.pdb", Protein_Label="Zika NS2B")
        + sdf_record("", Protein_Label="MERS-CoV MPro")
    )
    ledger = Ledger()
    targets = list(read_targets(find_polaris(tmp_path), ledger))
    assert [(t.id, t.name, t.group) for t in targets] == [
        ("Test_9", "Test_9.pdb", "sars"),
        ("test-3", "", "mers"),
    ]
    (row,) = ledger.first
    assert (row.record, row.id) == (2, "Test_8")
    assert "'Zika NS2B'" in row.reason


def noted(entries):
    centroids = defaultdict(list)
    return list(noting(entries, centroids)), centroids


def test_frames_by_count():
    xs_by_group = {"sars": [0, 1, 2, 40], "mers": [50], "sars-on-mers": [51, 52, 34]}
    _, templates = noted(entry_at(group, x) for group, xs in xs_by_group.items() for x in xs)
    _, targets = noted(entry_at(group, x) for group, x in [("sars", 3.0), ("sars", 45.0), ("mers", 45.0)])
    assert frame_notes(templates, targets) == [
        "templates sars: 1 of 4 more than 15 A off the site",
        "templates mers: 0 of 1 more than 15 A off the site",
        "templates sars-on-mers: 1 of 3 more than 15 A off the site",
        "targets sars: 1 of 2 nearer the other frame's site",
        "targets mers: 0 of 1 nearer the other frame's site",
    ]


def test_targets_of_a_label_without_templates_are_not_compared():
    _, templates = noted([entry_at("sars", 0.0)])
    _, targets = noted([entry_at("mers", 0.0)])
    assert frame_notes(templates, targets) == [
        "templates sars: 0 of 1 more than 15 A off the site",
        "targets mers: 0 of 1 nearer the other frame's site",
    ]


@needs_shared
def test_the_real_files():
    ledger, files = Ledger(), find_polaris(SHARED)
    of_templates, templates = noted(read_templates(files, ledger))
    of_targets, targets = noted(read_targets(files, ledger))
    ids = {entry.id for entry in (*of_templates, *of_targets)}
    assert ledger.total == 0
    assert len(ids) == 770 + 17 + 752 + 98
    assert {"sars-1", "mers-17", "sars-on-mers-752", "Test_964"} <= ids
    assert set(templates) == {group for groups in TEMPLATE_GROUPS.values() for group in groups}
    assert frame_notes(templates, targets) == [
        "templates sars: 31 of 770 more than 15 A off the site",
        "templates mers: 0 of 17 more than 15 A off the site",
        "templates sars-on-mers: 36 of 752 more than 15 A off the site",
        "targets sars: 0 of 46 nearer the other frame's site",
        "targets mers: 0 of 52 nearer the other frame's site",
    ]
