"""Ligands out of structure files as the PDB gives them."""

from __future__ import annotations

import csv
import datetime
import gzip
import io

import pytest
from rdkit import Chem

from templ.chemistry.components import Dictionary
from templ.chemistry.mol_file import as_template
from templ.chemistry.molecules import inchikey
from templ.errors import InputError
from templ.sources.annotations import Annotation
from templ.sources.demo import CDK2_INDEX, DEMO_SETS
from templ.sources.ledger import Ledger
from templ.sources.structure_files import BondOrders, find_structures, read_ligand_table, read_structure

SMILES = {
    row["id"]: row["smiles"]
    for row in csv.DictReader(io.StringIO(dict(DEMO_SETS["cdk2"]())[CDK2_INDEX].decode()))
}
STRUCTURES = dict(DEMO_SETS["structures"]())


@pytest.fixture(scope="module")
def dictionary(components):
    return BondOrders(dictionary=Dictionary(components))


@pytest.fixture(autouse=True)
def _helpers(monkeypatch, helpers):
    monkeypatch.syspath_prepend(helpers)


@pytest.fixture
def read(tmp_path):
    """Write a structure file; return its entries and the reasons in the ledger."""

    def reader(name, text, orders=None, **options):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        ledger = Ledger()
        return list(read_structure(path, orders or BondOrders(), ledger, **options)), [
            row.reason for row in ledger.first
        ]

    return reader


def key(entry):
    return inchikey(as_template(entry.mol)[0])


@pytest.mark.parametrize("name", STRUCTURES)
def test_every_ligand_of_the_demo_is_the_molecule_that_it_is(read, dictionary, name):
    # mmCIF lists its bonds, as PDBe writes it; PDB has atom names alone.
    [entry], reasons = read(name, STRUCTURES[name], None if name.endswith(".cif") else dictionary)
    id = name.partition(".")[0]
    assert not reasons
    assert entry.id.startswith(f"{id}-")
    assert Chem.MolToInchiKey(Chem.MolFromSmiles(SMILES[id]))[:14] == key(entry)[:14]
    assert entry.date.year >= 1999
    assert entry.receptor.left_out


def test_without_a_dictionary_a_ligand_is_refused_by_name(read):
    entries, [reason] = read("1oiq.pdb", STRUCTURES["1oiq.pdb"])
    assert not entries
    assert reason.startswith("unusable ligand: HDU A999: the bond orders of HDU are unknown")
    assert "--ligands-csv" in reason


@pytest.mark.parametrize("key", [("1oiq", "HDU"), ("1oiq", ""), ("", "HDU")])
def test_a_table_of_smiles_gives_the_bond_orders(read, key):
    smiles = SMILES["1oiq"]
    [entry], _ = read("1oiq.pdb", STRUCTURES["1oiq.pdb"], BondOrders({key: smiles}))
    assert inchikey(as_template(entry.mol)[0]) == Chem.MolToInchiKey(Chem.MolFromSmiles(smiles))


def test_a_smiles_of_another_molecule_is_refused(read):
    _, [few] = read("1oiq.pdb", STRUCTURES["1oiq.pdb"], BondOrders({("", "HDU"): "c1ccccc1O"}))
    assert "20 heavy atoms are in the crystal, and 7 in its SMILES" in few
    chain = "C" * 20
    _, [other] = read("1oiq.pdb", STRUCTURES["1oiq.pdb"], BondOrders({("", "HDU"): chain}))
    assert "not bonded as its SMILES says" in other


def test_of_copies_the_best_resolved_is_taken(read, dictionary):
    from raw_structures import hetero, moved, raw_structure, with_lines

    text = raw_structure("1oiq.pdb")
    better = [moved(line, chain="A", number=1001, b=10.0, shift=0.1) for line in hetero(text)]
    faint = [moved(line, chain="A", number=1002, b=5.0, occupancy=0.5, shift=0.1) for line in hetero(text)]
    both = with_lines(text, [*better, *faint])
    [entry], reasons = read("1oiq.pdb", both, dictionary)
    assert not reasons
    assert entry.id == "1oiq-HDU"
    _, note = as_template(entry.mol)
    assert note == "copy A1001 taken, left out: A999, A1002"
    copies, _ = read("1oiq.pdb", both, dictionary, all_copies=True)
    assert [copy.id for copy in copies] == ["1oiq-HDU-A1001", "1oiq-HDU-A999", "1oiq-HDU-A1002"]


def test_a_copy_that_lacks_atoms_gives_way_and_alone_is_refused(read, dictionary):
    from raw_structures import hetero, moved, raw_structure, with_lines

    text = raw_structure("1oiq.pdb")
    lines = hetero(text)
    poor = [moved(line, chain="A", number=1001, b=1.0, shift=0.1) for line in lines[:-3]]
    [entry], _ = read("1oiq.pdb", with_lines(text, poor), dictionary)
    assert as_template(entry.mol)[1] == "copy A999 taken, left out: A1001"
    torn = "\n".join(line for line in text.splitlines() if line not in lines[-3:]) + "\n"
    entries, [reason] = read("1oiq.pdb", torn, dictionary)
    assert not entries
    assert "3 of 20 heavy atoms are not in the crystal" in reason


def test_atoms_that_left_where_the_bond_is_are_no_loss(read, dictionary):
    from raw_structures import hetero, raw_structure

    text = raw_structure("1oiq.pdb")
    lines = hetero(text)
    gone = next(line for line in lines if line[76:78].strip() == "O")  # a carbonyl, or a hydroxyl
    place = [float(gone[start : start + 8]) for start in (30, 38, 46)]
    sulphur = next(line for line in text.splitlines() if line[12:20] == " SG  CYS")
    bonded = sulphur[:30] + "".join(f"{value:8.3f}" for value in place) + sulphur[54:]
    text = text.replace(gone + "\n", "").replace(sulphur, bonded)
    [entry], reasons = read("1oiq.pdb", text, dictionary)
    assert not reasons
    assert entry.mol.GetNumHeavyAtoms() == 19
    assert as_template(entry.mol)[1] == f"left when the bond was made: {gone[12:16].strip()}"
    assert {atom.atom for atom in entry.links} == {"SG"}


def test_a_structure_without_a_ligand_says_what_is_in_it(read, dictionary):
    from raw_structures import hetero, raw_structure

    text = raw_structure("1oiq.pdb")
    for line in hetero(text):
        text = text.replace(line, line.replace("HDU", "GOL"))
    entries, [reason] = read("1oiq.pdb", text, dictionary)
    assert not entries
    assert reason == "no ligand: small molecules in it: GOL"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "holds no atoms"),
        (b"\0\1\2", "cannot be read|can be read"),
        (b"HETATM    1  C1  LIG A   1       1.000   1.000   1.000\n", "no protein in"),
        (gzip.compress(b"x" * 99)[:20], "no atoms|can be read"),
    ],
)
def test_files_that_are_no_structures(read, content, reason):
    entries, [found] = read("x.pdb", content)
    assert not entries
    assert any(part in found for part in reason.split("|"))


def test_an_index_goes_before_the_header(read, dictionary):
    index = {"1oiq": Annotation(datetime.date(2001, 1, 1), "kinase")}
    [entry], _ = read("1oiq.pdb", STRUCTURES["1oiq.pdb"], dictionary, annotations=index)
    assert (entry.date, entry.group) == (datetime.date(2001, 1, 1), "kinase")
    [entry], _ = read(
        "1oiq.pdb", STRUCTURES["1oiq.pdb"], dictionary, annotations={"1oiq": Annotation(None, "x")}
    )
    assert entry.date.year == 2003


def test_files_and_folders_are_found(tmp_path):
    names = ("b/2abc.cif.gz", "a/pdb1abc.ent", "a/deep/3abc.PDB", "a/notes.txt")
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = find_structures([tmp_path / "a", tmp_path / "b/2abc.cif.gz"])
    assert [path.relative_to(tmp_path).as_posix() for path in found] == [
        "a/pdb1abc.ent",
        "a/deep/3abc.PDB",
        "b/2abc.cif.gz",
    ]


@pytest.mark.parametrize(
    ("name", "message"),
    [("gone.pdb", "does not exist"), ("gone", "does not exist"), ("a.sdf", "no structure by its name")],
)
def test_what_cannot_be_found_is_named(tmp_path, name, message):
    (tmp_path / "a.sdf").touch()
    with pytest.raises(InputError, match=message):
        list(find_structures([tmp_path / name]))


def test_tables_of_ligands(tmp_path):
    path = tmp_path / "ligands.csv"
    path.write_text("PDB;Ligand;SMILES\n1ABC;LIG;CCO\n;DRG;CCN\n\n")
    assert read_ligand_table(path) == {("1abc", "LIG"): "CCO", ("", "DRG"): "CCN"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,residue\n1abc,LIG\n", "expected smiles"),
        ("smiles\nCCO\n", "at least one of id and residue"),
        ("residue,smiles\nLIG,C1CC\n", "line 2: 'C1CC' is not a SMILES"),
        ("residue,smiles\nLIG,CCO\nLIG,CCN\n", "line 3: another SMILES for LIG"),
        ("residue,smiles\n,CCO\n", "line 2: neither id nor residue"),
        ("", "is empty"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, text, message):
    path = tmp_path / "ligands.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_ligand_table(path)
