from __future__ import annotations

import dataclasses
import datetime
import pickle
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem

from templ.chemistry.molecules import heavy, ligand_key
from templ.errors import InputError, LibraryError
from templ.library.build import build_library
from templ.library.format import SCHEMA
from templ.library.store import open_library
from templ.sources.ledger import Ledger
from templ.sources.sdf import read_sdf


def test_it_is_a_collection_of_ids(library, entries):
    ids = [entry.id for entry in entries]
    assert len(library) == len(ids)
    assert list(library) == ids
    assert all(id in library for id in ids)
    assert [library.row_of(id) for id in ids] == list(range(len(ids)))
    assert library["glucose"].GetProp("_Name") == library.get("glucose").GetProp("_Name") == "glucose"


def test_unknown_id_is_named(library):
    for id in ("nothing", "", "\ud800"):
        assert id not in library
    assert 5 not in library
    with pytest.raises(LibraryError, match=r"has no ligand '0'"):  # a row, where an id is expected
        library[0]
    with pytest.raises(LibraryError, match=r"small.templ has no ligand 'nothing'"):
        library["nothing"]


@pytest.mark.parametrize("row", [-1, 7])
def test_row_outside_is_named(library, row):
    for read in (library.ligand, library.entry):
        with pytest.raises(LibraryError, match=f"has no row {row}: its rows are 0 to 6"):
            read(row)


def test_record_says_what_the_source_said(library, entries):
    for row, entry in enumerate(entries):
        record = library.entry(row)
        assert record.row == row
        for name in ("id", "name", "date", "group", "source"):
            assert getattr(record, name) == getattr(entry, name)
        assert record.heavy_atoms == library.ligand(row).GetNumHeavyAtoms()
        assert ligand_key(library.ligand(row)) == record.inchikey.split("-")[0]
    assert library.entry(library.row_of("acetate")).note == "largest fragment kept, left out: [Na+]"
    assert library.entry(0).note == ""


def test_columns_are_arrow_over_the_file(library, entries):
    columns = library.columns
    assert list(columns) == SCHEMA.names
    assert len(columns) == len(SCHEMA.names)
    assert columns["id"].to_pylist() == [entry.id for entry in entries]
    assert columns["date"].null_count == 3
    with pytest.raises(KeyError):
        columns["nothing"]


def test_masks(library, entries):
    assert library.groups_equal(["odd", "x"]).tolist() == [entry.group == "odd" for entry in entries]
    assert not library.groups_equal([]).any()
    day = datetime.date(2020, 1, 5)
    assert library.dated_before(day).tolist() == [
        entry.date is not None and entry.date < day for entry in entries
    ]
    for row in range(len(library)):
        key = library.entry(row).inchikey.split("-")[0]
        assert np.flatnonzero(library.same_ligand(key)).tolist() == [row]
        assert not library.same_ligand(key[:-1]).any()


def test_masks_over_several_batches(entries, tmp_path):
    many = (dataclasses.replace(entries[4], id=str(n), group="ab"[n % 2]) for n in range(1030))
    build_library(tmp_path / "a.templ", many, ledger=Ledger())
    with open_library(tmp_path / "a.templ") as library:
        assert np.flatnonzero(library.groups_equal("b")).tolist() == list(range(1, 1030, 2))
        assert library.columns["id"].num_chunks == 2


def test_nearest_finds_the_molecule_itself_first(library, molecules):
    for name, mol in molecules.items():
        found = library.nearest(mol, 3)
        assert found[0] == (name, 1.0 if name != "acetate" else pytest.approx(8 / 9)), "its salt is gone"
        assert [value for _, value in found] == sorted((value for _, value in found), reverse=True)
        assert library.nearest(heavy(mol), 3) == found
    assert library.nearest(Chem.MolToSmiles(molecules["glucose"]), 3) == library.nearest(
        molecules["glucose"], 3
    )
    with pytest.raises(InputError, match="'C1CC' is not a SMILES"):
        library.nearest("C1CC")
    mask = np.zeros(len(library), dtype=np.bool_)
    mask[2] = True
    assert [id for id, _ in library.nearest(molecules["glucose"], 3, mask)] == ["tamoxifen"]
    assert library.nearest(molecules["glucose"], 0) == []
    assert not library.fingerprints.flags.writeable


def test_receptor_of_a_group_else_the_default(library):
    assert library.receptor_path("odd/one").name == "odd%2Fone.pdb.gz"
    assert library.receptor_path("even").name == library.receptor_path().name == "receptor.pdb.gz"


@pytest.mark.parametrize("groups", [[], ["a"], ["a", "b"]])
def test_receptor_without_a_default(entries, tmp_path, groups):
    receptor = tmp_path / "site.pdb"
    receptor.write_text("END\n", encoding="utf-8")
    build_library(tmp_path / "a.templ", entries, ledger=Ledger(), receptors=dict.fromkeys(groups, receptor))
    with open_library(tmp_path / "a.templ") as library:
        assert (library.receptor_path() is None) == (groups != ["a"])
        assert library.receptor_path("other") is None
        assert (library.receptor_path("a") is None) == (groups == [])


def test_path_is_absolute_and_may_be_text(built, monkeypatch):
    monkeypatch.chdir(built.parent)
    with open_library(built.name) as library:
        assert library.path == built
        assert repr(library) == f"<Library {built} (7 ligands)>"


def test_the_table_of_a_notebook(library, built):
    table = library._repr_html_()
    for name, value in library.describe().items():
        assert f"<tr><th>{name}</th><td>{value}</td></tr>" in table
    assert library.describe() == {
        "ligands": "7",
        "groups": "even, odd",
        "dates": "2020-01-01 to 2020-01-07",
        "receptors": "receptors/odd%2Fone.pdb.gz, receptors/receptor.pdb.gz",
    }
    closed = open_library(built)
    closed.close()
    assert closed._repr_html_() == f"&lt;Library {built} (closed)&gt;"


def test_the_table_says_what_is_not_there(entries, tmp_path):
    bare = [dataclasses.replace(entry, group="", date=None) for entry in entries]
    build_library(tmp_path / "<a>.templ", bare)
    with open_library(tmp_path / "<a>.templ") as library:
        assert "<caption>&lt;a&gt;.templ</caption>" in library._repr_html_()
        told = {"ligands": "7", "groups": "(none)", "dates": "none", "receptors": "none"}
        assert library.describe() == told


def test_a_reference_gives_the_original_record(molecules, tmp_path):
    path = tmp_path / "made.sdf"
    with Chem.SDWriter(str(path)) as writer:
        for name, mol in molecules.items():
            named = Chem.Mol(mol)
            named.SetProp("_Name", name)
            named.SetProp("assay", f"{name}\nsecond line")
            writer.write(named)
    manifest = build_library(str(tmp_path / "a.templ"), read_sdf(str(path)))
    assert manifest.source_paths == (str(path),)
    with open_library(tmp_path / "a.templ") as library:
        library.verify()
        for name, mol in molecules.items():
            record = library.reference(name).load()
            assert record.properties == {"assay": f"{name}\nsecond line"}
            assert record.mol.GetNumAtoms() == mol.GetNumAtoms() > library[name].GetNumAtoms()
            assert Chem.MolToSmiles(record.mol) == Chem.MolToSmiles(mol)
        assert library.row(2)[3] == library.reference("tamoxifen")
        with pytest.raises(LibraryError, match="has no ligand 'nothing'"):
            library.reference("nothing")
        reference = library.reference("glucose")
        path.write_text(path.read_text().replace("glucose", "glucosE"))
        with pytest.raises(InputError, match=r"made\.sdf was changed: .* 'glucose' was read"):
            reference.load()
        path.unlink()
        with pytest.raises(InputError, match=r"made\.sdf is gone"):
            reference.load()


def test_the_digest_does_not_know_where_the_file_was(molecules, tmp_path):
    digests = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        Chem.MolToMolFile(molecules["glucose"], str(folder / "a.sdf"))
        digests.append(build_library(folder / "a.templ", read_sdf(folder / "a.sdf")).digest)
    digests.append(
        build_library(
            tmp_path / "three.templ",
            (dataclasses.replace(e, reference=None) for e in read_sdf(folder / "a.sdf")),
        ).digest
    )
    assert len(set(digests)) == 1


def test_a_library_without_references_says_so(library):
    with pytest.raises(LibraryError, match=r"does not say where 'glucose' was read: .*--ligands"):
        library.reference("glucose")


def test_pickle_is_the_path(library):
    data = pickle.dumps(library)
    assert len(data) < 500
    with pickle.loads(data) as again:
        assert again.path == library.path
        assert list(again) == list(library)


def test_closed_library_says_so_whatever_is_asked(built, molecules):
    library = open_library(built)
    columns = library.columns
    library.close()
    library.close()
    for use in (
        lambda: len(library),
        lambda: list(library),
        lambda: "glucose" in library,
        lambda: library["glucose"],
        lambda: library.get("glucose"),
        lambda: library.ligand(0),
        lambda: library.entry(0),
        lambda: library.columns,
        lambda: columns["id"],
        lambda: library.fingerprints,
        lambda: library.nearest(molecules["glucose"]),
        lambda: library.reference("glucose"),
        lambda: library.describe(),
        lambda: library.groups_equal(["odd"]),
        lambda: library.receptor_path(),
        lambda: library.manifest,
        lambda: library.digest,
        library.verify,
        lambda: pickle.dumps(library),
    ):
        with pytest.raises(LibraryError, match="library is closed; open it again"):
            use()
    assert isinstance(library.path, Path)
    assert repr(library).endswith("(closed)>")
