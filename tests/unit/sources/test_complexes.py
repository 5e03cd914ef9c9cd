from __future__ import annotations

import csv
import datetime
import gzip
import re
import shutil
from pathlib import Path

import gemmi
import pytest
from rdkit import Chem

from templ.chemistry.molecules import heavy, positions
from templ.errors import InputError
from templ.library.build import build_library
from templ.library.store import open_library
from templ.sources.annotations import Annotation
from templ.sources.complexes import find_complexes, read_complexes
from templ.sources.demo import demo_files
from templ.sources.ledger import Ledger

RECEPTOR = demo_files().receptor
FIVE_BONDS = """
     made

  6  5  0  0  0  0  0  0  0  0999 V2000
    0.0000    0.0000    0.0000 C   0  0
    1.5000    0.0000    0.5000 C   0  0
   -1.5000    0.0000    0.0000 C   0  0
    0.0000    1.5000    0.0000 C   0  0
    0.0000   -1.5000    0.0000 C   0  0
    0.0000    0.0000    1.5000 C   0  0
  1  2  1  0
  1  3  1  0
  1  4  1  0
  1  5  1  0
  1  6  1  0
M  END
$$$$
"""


def mol2(mol):
    """A MOL2 block, bonds single and double."""
    mol = Chem.Mol(mol)
    Chem.Kekulize(mol, clearAromaticFlags=True)
    atoms, bonds = [], []
    for n, (atom, xyz) in enumerate(zip(mol.GetAtoms(), positions(mol), strict=True), 1):
        kind = {"SP": 1, "SP2": 2}.get(str(atom.GetHybridization()), 3)
        kind = "H" if atom.GetSymbol() == "H" else f"{atom.GetSymbol()}.{kind}"
        x, y, z = xyz
        atoms.append(f"{n} {atom.GetSymbol()}{n} {x:.4f} {y:.4f} {z:.4f} {kind} 1 LIG 0.0")
    for n, bond in enumerate(mol.GetBonds(), 1):
        order = int(bond.GetBondTypeAsDouble())
        bonds.append(f"{n} {bond.GetBeginAtomIdx() + 1} {bond.GetEndAtomIdx() + 1} {order}")
    head = f"@<TRIPOS>MOLECULE\nmade\n{len(atoms)} {len(bonds)} 1\nSMALL\nNO_CHARGES\n"
    return "\n".join([head, "@<TRIPOS>ATOM", *atoms, "@<TRIPOS>BOND", *bonds, ""])


@pytest.fixture(scope="module")
def ligand(demo_library):
    mol = next(mol for mol in map(demo_library.ligand, range(200)) if "c1" in Chem.MolToSmiles(mol))
    return Chem.AddHs(mol, addCoords=True)


@pytest.fixture(scope="module")
def sdf(ligand):
    return Chem.MolToMolBlock(ligand) + "$$$$\n"


@pytest.fixture
def put(tmp_path, sdf):
    """Make the folder of a complex from what its files hold, good ones by default."""

    def of(id, *, under="", protein=RECEPTOR, **ligands):
        folder = tmp_path / "set" / under / id
        folder.mkdir(parents=True)
        if protein is not None:
            shutil.copyfile(protein, folder / f"{id}_protein.pdb.gz")
        for suffix, text in (ligands or {"sdf": sdf}).items():
            (folder / f"{id}_ligand.{suffix}").write_text(text)
        return tmp_path / "set"

    return of


def refusal(folder):
    """Reason of the only complex in a folder, which must be refused and noted in the ledger."""
    ledger = Ledger()
    assert list(read_complexes(folder, ledger)) == []
    assert ledger.total == 1
    (row,) = ledger.first
    assert row.id
    assert row.file.endswith(row.id)
    return row.reason


def test_a_complex_is_read(put, ligand):
    folder = put("1abc")
    (entry,) = read_complexes(folder, Ledger())
    assert (entry.id, entry.source, entry.date, entry.group) == ("1abc", "1abc_ligand.sdf#1", None, "")
    assert Chem.MolToSmiles(heavy(entry.mol)) == Chem.MolToSmiles(heavy(ligand))
    assert entry.receptor.residues.chains == ("A",)
    assert 5 < len(entry.receptor.pocket) < 40


def test_sets_are_found_at_any_depth_in_the_order_of_their_paths(put):
    put("2bbb", under="refined")
    put("1aaa", under="other/more")
    folder = put("3ccc")
    (folder / "notes.txt").write_text("no complex")
    (folder / "refined" / "index").mkdir()
    found = list(find_complexes(folder))
    assert [files.id for files in found] == ["3ccc", "1aaa", "2bbb"]
    assert found[1].protein == folder / "other" / "more" / "1aaa" / "1aaa_protein.pdb.gz"


def test_the_folder_given_may_be_a_complex_or_a_link_to_one(put, tmp_path, monkeypatch):
    folder = put("1abc")
    assert [files.id for files in find_complexes(folder / "1abc")] == ["1abc"]
    monkeypatch.chdir(folder / "1abc")
    assert [files.id for files in find_complexes(Path())] == ["1abc"]
    (tmp_path / "store").mkdir()
    (folder / "1abc").rename(tmp_path / "store" / "0001")
    (folder / "1abc").symlink_to(tmp_path / "store" / "0001", target_is_directory=True)
    assert [files.id for files in find_complexes(folder)] == ["1abc"]


def test_links_that_lead_back_are_not_followed(put):
    folder = put("1abc", under="refined")
    (folder / "refined" / "up").symlink_to(folder, target_is_directory=True)
    (folder / "refined" / "1abc" / "self").symlink_to(".", target_is_directory=True)
    (folder / "broken").symlink_to("nowhere")
    assert [files.id for files in find_complexes(folder)] == ["1abc"]


def test_the_best_file_of_each_kind_is_taken(put):
    folder = put("1abc") / "1abc"
    for name in ("1abc_protein.cif", "1abc_protein.pdb", "1abc_ligand.mol2", "1abc_pocket.pdb"):
        (folder / name).write_text("")
    (files,) = find_complexes(folder)
    assert files.protein.name == "1abc_protein.pdb"
    assert [path.name for path in files.ligands] == ["1abc_ligand.sdf", "1abc_ligand.mol2"]


def test_mmcif_serves_as_protein(put):
    folder = put("1abc", protein=None)
    structure = gemmi.read_structure(str(demo_files().receptor))
    structure.setup_entities()
    (folder / "1abc" / "1abc_protein.cif").write_text(structure.make_mmcif_document().as_string())
    (entry,) = read_complexes(folder, Ledger())
    assert len(entry.receptor.residues) > 200


def test_missing_files(put):
    assert refusal(put("1abc", protein=None)).startswith("no protein file: expected 1abc_protein.pdb")


def test_a_missing_ligand(put):
    folder = put("1abc")
    (folder / "1abc" / "1abc_ligand.sdf").unlink()
    assert refusal(folder).startswith("no ligand file: expected 1abc_ligand.sdf or .mol2")


def test_mol2_when_the_sdf_does_not_sanitise(put, ligand):
    (entry,) = read_complexes(put("1abc", sdf=FIVE_BONDS, mol2=mol2(ligand)), Ledger())
    assert entry.source == "1abc_ligand.mol2#1"
    assert Chem.MolToSmiles(heavy(entry.mol)) == Chem.MolToSmiles(heavy(ligand))
    assert positions(entry.mol) == pytest.approx(positions(ligand), abs=1e-3)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"sdf": FIVE_BONDS}, "valence"),
        ({"sdf": "junk\n"}, "missing M  END"),
        ({"sdf": ""}, "is empty, expected an SDF file"),
        ({"sdf": "\0\0"}, "it is binary"),
        ({"mol2": "junk\n"}, "1abc_ligand.mol2 holds 0 molecules, expected one ligand"),
        ({"mol2": "@<TRIPOS>MOLECULE\nx\n1 0\nSMALL\n@<TRIPOS>ATOM\n1 C1 nowhere\n"}, "malformed"),
        ({"sdf": FIVE_BONDS, "mol2": "junk\n"}, "valence.*; .*holds 0 molecules"),
    ],
)
def test_ligands_that_cannot_be_read(put, files, message):
    reason = refusal(put("1abc", **files))
    assert reason.startswith("unreadable ligand: ")
    assert re.search(message, reason)


def test_a_mol2_that_rdkit_refuses(put):
    five_bonds = Chem.MolFromMolBlock(FIVE_BONDS, sanitize=False)
    reason = refusal(put("1abc", mol2=mol2(five_bonds)))
    assert reason.startswith("unreadable ligand: 1abc_ligand.mol2: the molecule is not a valid molecule")


def test_a_mol2_without_hydrogens_is_not_read_as_radicals(put, ligand):
    reason = refusal(put("1abc", mol2=mol2(heavy(ligand))))
    assert reason.startswith("unreadable ligand: 1abc_ligand.mol2 has no hydrogens")


def test_several_ligands_in_one_file_are_not_guessed_between(put, sdf, ligand):
    assert "1abc_ligand.sdf holds several molecules" in refusal(put("1abc", sdf=sdf * 2))
    shutil.rmtree(put("9zzz").parent / "set")
    assert "1abc_ligand.mol2 holds 2 molecules" in refusal(put("1abc", mol2=mol2(ligand) * 2))


def test_gzip_files_that_were_cut(put, sdf, ligand):
    for suffix, text in (("sdf.gz", sdf), ("mol2.gz", mol2(ligand))):
        folder = put("1abc", txt="")
        path = folder / "1abc" / f"1abc_ligand.{suffix}"
        path.write_bytes(gzip.compress(text.encode()))
        assert len(list(read_complexes(folder, Ledger()))) == 1
        path.write_bytes(gzip.compress(text.encode())[:-40])
        assert refusal(folder).startswith("unreadable ligand: ")
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no"),
        (
            b"HETATM    1 ZN    ZN A   1       1.000   1.000   1.000  1.00  0.00          ZN\n",
            "no protein in 1abc_",
        ),
        (
            b"ATOM      1  N   GLY A   1       1.000   1.000   1.000  1.00  0.00           N\n",
            "no protein in 1abc_",
        ),
        (
            b"ATOM      1  CA  GL\xe9 A   1       1.000   1.000   1.000  1.00  0.00           C\n",
            "not a structure",
        ),
        (
            b"ATOM      1  CA  GLY A   1     999.000   1.000   1.000  1.00  0.00           C\n",
            "ligand far from",
        ),
    ],
)
def test_proteins_that_cannot_be_used(put, content, message):
    folder = put("1abc", protein=None)
    (folder / "1abc" / "1abc_protein.pdb").write_bytes(content)
    assert message in refusal(folder)


def test_an_mmcif_without_polymer(put):
    folder = put("1abc", protein=None)
    (folder / "1abc" / "1abc_protein.cif").write_text("data_1abc\n_cell.length_a 10\n")
    assert "1abc_protein.cif holds no atoms" in refusal(folder)


def test_one_bad_complex_does_not_keep_the_others_out(put, tmp_path):
    put("1aaa", sdf=FIVE_BONDS)
    put("2bbb", protein=None)
    put("3ccc")
    put("4ddd")
    put("5eee", under="a set", sdf="junk")
    folder = put("6fff")
    with Ledger(tmp_path / "ledger.csv") as ledger:
        assert [entry.id for entry in read_complexes(folder, ledger)] == ["3ccc", "4ddd", "6fff"]
    with (tmp_path / "ledger.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == ["1aaa", "2bbb", "5eee"]
    assert dict(ledger.counts) == {"unreadable ligand": 2, "no protein file": 1}


def test_date_and_group_come_from_the_index_whatever_the_case(put):
    day = datetime.date(2019, 12, 31)
    put("1ABC")
    (first, second) = read_complexes(put("2abc"), Ledger(), {"1abc": Annotation(day, "kinase")})
    assert (first.id, first.date, first.group) == ("1ABC", day, "kinase")
    assert first.receptor is not None
    assert (second.date, second.group) == (None, "")


def test_a_folder_without_complexes_is_refused_at_once(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"holds no complex; .*are for --structures"):
        read_complexes(tmp_path, Ledger())
    with pytest.raises(InputError, match="absent cannot be read"):
        read_complexes(tmp_path / "absent", Ledger())


def test_an_id_in_two_sets_is_taken_once(put, tmp_path):
    put("1abc", under="general")
    put("1abc", under="refined")
    folder = put("2abc")
    ledger = Ledger()
    out = tmp_path / "x.templ"
    manifest = build_library(out, read_complexes(folder, ledger), ledger=ledger, complexes=True)
    assert dict(ledger.counts) == {"duplicate id": 1}
    assert ledger.first[0].id == "1abc"
    assert (manifest.counts.ligands, manifest.counts.left_out) == (2, 1)
    with open_library(out) as library:
        for id in library:  # the receptor left out must not shift the others
            row = library.row_of(id)
            assert len(library.receptor(row).pocket) > 5


def test_all_real_complexes_can_be_read(shared):
    folder = shared / "data" / "complexes"
    if not folder.is_dir():
        pytest.skip("no ../shared/data/complexes beside this checkout")
    ledger = Ledger()
    entries = list(read_complexes(folder, ledger))
    assert ledger.total == 0
    assert len(entries) == len(list(folder.iterdir()))
    for entry in entries:
        assert len(entry.receptor.residues) > 100
        assert 8 <= len(entry.receptor.pocket) <= 60


def test_the_case_of_names_does_not_matter(put, tmp_path):
    put("1abc", under="x")
    (tmp_path / "set" / "x" / "1abc").rename(tmp_path / "set" / "x" / "1ABC")
    [entry] = read_complexes(tmp_path / "set")
    assert entry.id == "1ABC"


def test_a_processed_protein_will_do(put, tmp_path):
    put("1abc")
    folder = tmp_path / "set" / "1abc"
    (folder / "1abc_protein.pdb.gz").rename(folder / "1abc_protein_processed.pdb.gz")
    assert [entry.id for entry in read_complexes(tmp_path / "set")] == ["1abc"]
