"""A library out of raw structure files, in parts."""

from __future__ import annotations

import csv
import functools
import shutil

import numpy as np
import pytest

from templ.chemistry.molecules import positions
from templ.errors import InputError, LibraryError
from templ.jobs import library_part
from templ.jobs.library_part import build_structures
from templ.library.store import open_library
from templ.sources.demo import DEMO_SETS
from templ.sources.ledger import Ledger

NAMES = ("1oiq.pdb", "2uzo.pdb", "1ke7.cif", "3igg.cif")


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch, calm, helpers, components):
    monkeypatch.setattr(library_part, "COMPLEXES_A_PART", 2)
    monkeypatch.syspath_prepend(helpers)
    copy = functools.partial(shutil.copytree, components, dirs_exist_ok=True)
    monkeypatch.setattr(library_part, "write_dictionary", copy)  # it takes seconds


@pytest.fixture
def folder(tmp_path):
    structures = dict(DEMO_SETS["structures"]())
    (tmp_path / "raw").mkdir()
    for name in NAMES:
        (tmp_path / "raw" / name).write_bytes(structures[name])
    return tmp_path / "raw"


def build(tmp_path, paths, **options):
    from inline_executor import InlineExecutor

    path, told = tmp_path / "ledger.csv", []
    with Ledger(path) as ledger:
        build_structures(
            tmp_path / "out.templ",
            paths,
            InlineExecutor(),
            ledger=ledger,
            on_progress=told.append,
            **options,
        )
    rows = list(csv.DictReader(path.read_text("utf-8").splitlines())) if path.exists() else []
    return open_library(tmp_path / "out.templ"), rows, told


def test_each_file_gives_its_ligand_with_date_and_group(tmp_path, folder):
    library, rows, told = build(tmp_path, [folder])
    entries = {id: library.entry(library.row_of(id)) for id in library}
    assert list(entries) == ["1ke7-LS3", "1oiq-HDU", "2uzo-C62", "3igg-EFQ"]
    assert {entry.group for entry in entries.values()} == {"1ke7"}
    assert str(entries["1ke7-LS3"].date) == "2001-11-20" or entries["1ke7-LS3"].date.year == 2001
    assert entries["1oiq-HDU"].source == "1oiq.pdb#1"
    assert not rows
    assert told[-1] == 4
    assert not list(tmp_path.glob(".*"))


def test_structures_appended_to_a_library_give_what_one_build_of_all_gives(tmp_path, folder):
    whole, _, _ = build(tmp_path, [folder])
    (tmp_path / "out.templ").rename(tmp_path / "whole.templ")
    first, second = sorted(folder.iterdir())[:2], sorted(folder.iterdir())[2:]
    with build(tmp_path, first)[0] as before:
        (tmp_path / "out.templ").rename(tmp_path / "before.templ")
        library, rows, _ = build(tmp_path, second, before=[before])
    assert library.digest == whole.digest
    assert {library.entry(row).group for row in range(4)} == {"1ke7"}
    assert not rows


def test_a_library_without_receptors_takes_no_structures(tmp_path, folder, demo_library):
    with pytest.raises(LibraryError, match="what is added has a receptor for each ligand"):
        build(tmp_path, [folder], before=[demo_library])
    assert not (tmp_path / ".out.templ.parts").exists()


def test_proteins_that_are_not_alike_are_groups_of_their_own(tmp_path, folder):
    text = (folder / "2uzo.pdb").read_text()
    names = sorted({line[17:20] for line in text.splitlines() if line.startswith("ATOM")})
    other = dict(zip(names, names[7:] + names[:7], strict=True))  # another sequence on the same backbone
    lines = [
        line[:17] + other[line[17:20]] + line[20:] if line.startswith("ATOM") else line
        for line in text.splitlines()
    ]
    (folder / "2uzo.pdb").write_text("\n".join(lines) + "\n")
    library, _, _ = build(tmp_path, [folder])
    groups = {id: library.entry(library.row_of(id)).group for id in library}
    assert groups == {"1ke7-LS3": "1ke7", "1oiq-HDU": "1ke7", "2uzo-C62": "2uzo", "3igg-EFQ": "1ke7"}


def test_an_index_gives_groups_and_dates_of_structures(tmp_path, folder):
    (tmp_path / "index.csv").write_text("id,date,group\n1oiq,2001-02-03,kinase\n")
    library, _, _ = build(tmp_path, [folder], index=tmp_path / "index.csv")
    entry = library.entry(library.row_of("1oiq-HDU"))
    assert (entry.group, str(entry.date)) == ("kinase", "2001-02-03")
    assert library.entry(library.row_of("2uzo-C62")).group == "1ke7"


def test_without_the_dictionary_only_what_says_its_bonds_is_read(tmp_path, folder, monkeypatch):
    monkeypatch.setattr(library_part, "_version_of_dictionary", lambda: "")
    library, rows, _ = build(tmp_path, [folder])
    assert list(library) == ["1ke7-LS3", "3igg-EFQ"]
    assert [row["id"] for row in rows] == ["1oiq-HDU", "2uzo-C62"]
    assert all("bond orders of" in row["reason"] for row in rows)


def test_a_table_of_smiles_does_without_the_dictionary(tmp_path, folder, monkeypatch):
    monkeypatch.setattr(library_part, "_version_of_dictionary", lambda: "")
    (tmp_path / "ligands.csv").write_text("residue,smiles\nHDU,CC(=O)Nc1nccc(-c2c(C)nc3ccccn23)n1\n")
    library, _, _ = build(tmp_path, [folder / "1oiq.pdb"], ligands=tmp_path / "ligands.csv")
    assert list(library) == ["1oiq-HDU"]


def test_another_table_makes_the_parts_anew(tmp_path, folder, monkeypatch):
    monkeypatch.setattr(library_part, "_version_of_dictionary", lambda: "")
    table = tmp_path / "ligands.csv"
    table.write_text("residue,smiles\nHDU,c1ccccc1\n")
    with pytest.raises(InputError, match="nothing could be read"):
        build(tmp_path, [folder / "1oiq.pdb"], ligands=table)
    table.write_text("residue,smiles\nHDU,CC(=O)Nc1nccc(-c2c(C)nc3ccccn23)n1\n")
    library, _, _ = build(tmp_path, [folder / "1oiq.pdb"], ligands=table)
    assert len(library) == 1


def test_what_holds_no_structure_is_said(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no structure; expected files named"):
        build(tmp_path, [tmp_path / "empty"])


def test_resolution_and_the_bond_to_the_protein_are_kept(tmp_path, folder):
    text = (folder / "1oiq.pdb").read_text()
    carbon = next(line for line in text.splitlines() if line.startswith("HETATM") and line[76:78] == " C")
    near = [float(carbon[start : start + 8]) for start in (30, 38, 46)]
    sulphur = next(line for line in text.splitlines() if line[12:20] == " SG  CYS")
    xyz = np.array([near[0], near[1], near[2] + 1.8])
    moved = sulphur[:30] + "".join(f"{value:8.3f}" for value in xyz) + sulphur[54:]
    header, _, rest = text.replace(sulphur, moved).partition("\n")
    resolution = "REMARK   2 RESOLUTION.    1.90 ANGSTROMS."
    (folder / "1oiq.pdb").write_text("\n".join((header, resolution, rest)))
    library, _, _ = build(tmp_path, [folder / "1oiq.pdb"])
    entry = library.entry(0)
    assert entry.resolution == 1.9
    assert (entry.covalent.residue, entry.covalent.atom) == ("CYS", "SG")
    assert entry.covalent.number == int(sulphur[22:26])
    gaps = np.linalg.norm(positions(library.ligand(0)) - xyz, axis=1)
    assert entry.covalent.ligand_atom == gaps.argmin()
    assert entry.covalent.length == pytest.approx(gaps.min(), abs=0.01)
