from __future__ import annotations

import gzip

import gemmi
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from templ.chemistry.molecules import positions
from templ.chemistry.receptor import ATOM_REACH, POCKET_REACH, around, check_protein, describe, in_contact
from templ.chemistry.receptor_file import find_ligand, read_receptor
from templ.errors import InputError
from templ.sources.demo import demo_files

BACKBONE = (("N", -1.2), ("CA", 0.0), ("C", 1.2))


def atom(name, residue, number, xyz, *, chain="A", alt=" ", insertion=" ", element="", record="ATOM"):
    """One line of a PDB file."""
    element = element or name[0]
    shown = name.ljust(4) if len(element) == 2 else f" {name:<3}"
    x, y, z = xyz
    return (
        f"{record:<6}    1 {shown}{alt}{residue:>3} {chain}{number:>4}{insertion}   "
        f"{x:8.3f}{y:8.3f}{z:8.3f}  1.00 10.00          {element:>2}\n"
    )


def residue(name, number, x, **options):
    """A backbone along y, at x on the x axis."""
    return "".join(atom(which, name, number, (x, y, 0), **options) for which, y in BACKBONE)


def het(name, residue_name, number, xyz, element=""):
    return atom(name, residue_name, number, xyz, element=element, record="HETATM")


@pytest.fixture
def read(tmp_path):
    def of(text):
        path = tmp_path / "made.pdb"
        path.write_text(text)
        return read_receptor(path)

    return of


@pytest.fixture(scope="module")
def mpro():
    return read_receptor(demo_files().receptor)


def test_formats_agree(tmp_path, mpro):
    structure = gemmi.read_structure(str(demo_files().receptor))
    structure.setup_entities()
    (tmp_path / "r.pdb").write_text(structure.make_pdb_string())
    (tmp_path / "r.cif").write_text(structure.make_mmcif_document().as_string())
    for name in ("r.pdb", "r.cif"):
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress((tmp_path / name).read_bytes()))
    for name in ("r.pdb", "r.cif", "r.pdb.gz", "r.cif.gz"):
        other = read_receptor(tmp_path / name)
        assert other.residues.sequence == mpro.residues.sequence
        assert other.residues.chains == mpro.residues.chains
        np.testing.assert_array_equal(other.residues.numbers, mpro.residues.numbers)
        np.testing.assert_allclose(other.residues.ca, mpro.residues.ca, atol=2e-3)
        np.testing.assert_allclose(other.atoms.xyz, mpro.atoms.xyz, atol=2e-3)
        np.testing.assert_array_equal(other.atoms.names, mpro.atoms.names)
        np.testing.assert_array_equal(other.atoms.residues, mpro.atoms.residues)


def test_a_receptor_is_one_line_in_a_notebook(mpro):
    assert repr(mpro) == f"<Receptor: chains A (306 residues); {len(mpro.atoms):,} heavy atoms>"


def test_the_demo_receptor_is_mpro(mpro):
    assert mpro.residues.sequence.startswith("SGFRKMAFPSGKVEGCMVQVTCGTTTLNGLWLDDVVYCPRHVICT")
    assert len(mpro.residues) == len(mpro.residues.numbers) == len(mpro.residues.insertions)
    assert set(mpro.atoms.elements.tolist()) <= {6, 7, 8, 16, 30}


def test_water_hydrogens_and_crystallisation_liquid_are_left_out(read):
    receptor = read(
        residue("GLY", 1, 0)
        + atom("H", "GLY", 1, (0, 2, 0))
        + het("O", "HOH", 2, (1, 1, 1))
        + het("S", "SO4", 3, (2, 2, 2))
        + het("C1", "GOL", 4, (3, 3, 3))
        + het("CL", "CL", 5, (4, 4, 4), "CL")
    )
    assert receptor.residues.sequence == "G"
    assert receptor.atoms.names.tolist() == ["N", "CA", "C"]


def test_metals_and_cofactors_are_kept_and_marked(read):
    receptor = read(
        residue("GLY", 1, 0)
        + het("ZN", "ZN", 2, (5, 0, 0), "ZN")
        + het("CA", "CA", 3, (6, 0, 0), "CA")
        + het("C1", "NAP", 4, (7, 0, 0))
    )
    assert receptor.residues.sequence == "G"  # calcium is no C-alpha
    assert receptor.atoms.residues.tolist() == [0, 0, 0, -1, -1, -1]
    assert receptor.atoms.elements.tolist() == [7, 6, 6, 30, 20, 6]
    assert receptor.atoms.residue_names.tolist()[3:] == ["ZN", "CA", "NAP"]


def test_a_structure_without_a_chain_can_be_described(read):
    receptor = read(het("C1", "LIG", 4, (7, 0, 0)) + het("C2", "LIG", 4, (8, 0, 0)))
    assert (receptor.residues.slices(), describe(receptor)["chains"]) == ([], "none")
    assert repr(receptor) == "<Receptor: cofactors LIG (2 atoms); 2 heavy atoms>"


def test_insertion_codes_are_kept_in_the_order_of_the_file(read):
    receptor = read(
        residue("GLY", 52, 0)
        + residue("ALA", 52, 4, insertion="A")
        + residue("SER", 52, 8, insertion="B")
        + residue("TRP", 53, 12)
    )
    assert receptor.residues.sequence == "GASW"
    assert receptor.residues.numbers.tolist() == [52, 52, 52, 53]
    assert receptor.residues.insertions == " AB "


def test_the_first_alternate_location_is_taken(read):
    receptor = read(
        atom("N", "SER", 1, (0, -1.2, 0))
        + atom("CA", "SER", 1, (0, 0, 0), alt="A")
        + atom("CA", "SER", 1, (0, 0, 3), alt="B")
        + atom("OG", "SER", 1, (1, 0, 0), alt="A")
        + atom("OG", "SER", 1, (1, 0, 3), alt="B")
        + residue("GLY", 2, 4, alt="A")
        + residue("ALA", 2, 5, alt="B")  # another amino acid at the same position
    )
    assert receptor.residues.sequence == "SG"
    assert receptor.residues.ca.tolist() == [[0, 0, 0], [4, 0, 0]]
    assert receptor.atoms.names.tolist() == ["N", "CA", "OG", "N", "CA", "C"]


def test_of_an_nmr_ensemble_the_first_model_is_taken(read):
    models = "".join(f"MODEL     {n:>4}\n{residue('GLY', 1, 10 * n)}ENDMDL\n" for n in (1, 2))
    receptor = read(models)
    assert len(receptor.atoms) == 3
    assert receptor.residues.ca.tolist() == [[10, 0, 0]]


@pytest.mark.parametrize(
    ("name", "letter"),
    [
        *(("MSE", "M"), ("HIE", "H"), ("HID", "H"), ("HIP", "H"), ("CYX", "C"), ("ASH", "D"), ("GLH", "E")),
        *(("LYN", "K"), ("SEP", "S"), ("TPO", "T"), ("PTR", "Y"), ("CSO", "C"), ("UNK", "X"), ("Q9Z", "X")),
    ],
)
@pytest.mark.parametrize("record", ["ATOM", "HETATM"])
def test_letters_of_modified_and_unknown_residues(read, name, letter, record):
    receptor = read(residue("GLY", 1, 0) + residue(name, 2, 4, record=record) + residue("TRP", 3, 8))
    assert receptor.residues.sequence == f"G{letter}W"
    assert receptor.atoms.residues.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_an_unknown_molecule_without_a_backbone_is_no_residue(read):
    receptor = read(residue("GLY", 1, 0) + het("CA", "Q9Z", 2, (9, 0, 0), "C"))
    assert receptor.residues.sequence == "G"
    assert receptor.atoms.residues.tolist() == [0, 0, 0, -1]


def test_a_residue_without_c_alpha_is_in_no_chain_but_its_atoms_stay(read):
    receptor = read(residue("GLY", 1, 0) + atom("N", "ALA", 2, (4, 0, 0)))
    assert receptor.residues.sequence == "G"
    assert receptor.atoms.residues.tolist() == [0, 0, 0, -1]


def test_chains_end_where_they_end(read):
    receptor = read(
        residue("GLY", 1, 0)
        + residue("ALA", 2, 4)
        + residue("SER", 1, 8, chain="B")
        + het("C1", "NAP", 1, (9,) * 3)
    )
    assert receptor.residues.chains == ("A", "B")
    assert receptor.residues.slices() == [slice(0, 2), slice(2, 3)]
    assert receptor.residues.main_chain(np.array([1, 2], np.int32)) == slice(0, 2)
    assert receptor.residues.main_chain(np.array([2], np.int32)) == slice(2, 3)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.pdb", b""),
        ("text.pdb", b"no structure at all\n"),
        ("bad.cif", b"\x00\xff\x10"),
        ("bad.pdb.gz", b"xx"),
        ("no_polymer.cif", b"data_x\n_cell.length_a 1\n"),
        ("water.pdb", het("O", "HOH", 2, (1, 1, 1)).encode()),
        ("latin.pdb", residue("GLY", 1, 0).encode().replace(b"GLY", b"GL\xe9")),
        ("latin_atom.pdb", residue("GLY", 1, 0).encode().replace(b" CA ", b" C\xe9 ")),
        ("nan.pdb", residue("GLY", 1, 0).encode().replace(b"   0.000", b"     nan")),
        ("inf.pdb", residue("GLY", 1, 0).encode().replace(b"   0.000", b"   1e300")),
    ],
)
def test_what_is_no_receptor_is_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=name):
        read_receptor(tmp_path / name)


def test_a_missing_receptor_and_a_folder(tmp_path):
    for path, told in ((tmp_path / "absent.pdb", "no such structure file"), (tmp_path, "is a folder")):
        with pytest.raises(InputError, match=told):
            read_receptor(path)


def test_a_gzip_file_that_was_cut_is_never_half_a_protein(tmp_path):
    packed = demo_files().receptor.read_bytes()
    whole = gzip.decompress(packed)
    path = tmp_path / "cut.pdb.gz"
    stored = gzip.compress(whole, 0)  # bytes as they are, so that it can be cut between two lines
    between = stored.index(b"\n", len(whole) // 8) + 1
    for cut in (*(packed[: len(packed) * part // 20] for part in range(1, 20)), stored[:between]):
        path.write_bytes(cut)
        with pytest.raises(InputError, match=r"cut\.pdb\.gz"):
            read_receptor(path)


@given(st.lists(st.tuples(st.integers(0, 700), st.integers(0, 255)), min_size=1, max_size=6))
def test_damaged_bytes_are_read_or_refused(tmp_path_factory, damage):
    data = bytearray(
        (residue("GLY", 1, 0) + residue("ALA", 2, 4) + het("ZN", "ZN", 3, (9, 9, 9), "ZN")).encode()
    )
    for index, value in damage:
        data[index % len(data)] = value
    path = tmp_path_factory.mktemp("damaged", numbered=True) / "x.pdb"
    path.write_bytes(data)
    try:
        receptor = read_receptor(path)
    except InputError:
        return
    assert np.isfinite(receptor.atoms.xyz).all()
    assert receptor.atoms.residues.max() < len(receptor.residues)


def test_a_chain_without_c_alpha_is_no_protein(read):
    nucleic = read(atom("P", "DA", 1, (0, 0, 0)) + atom("N9", "DA", 1, (1, 0, 0)))
    with pytest.raises(InputError, match=r"no protein in x\.pdb: none of its 2 heavy atoms"):
        check_protein(nucleic, "x.pdb")
    check_protein(read(residue("GLY", 1, 0)), "x.pdb")


def test_a_ligand_far_from_the_protein_is_refused(read):
    receptor = read(residue("GLY", 1, 0) + het("ZN", "ZN", 2, (20, 0, 0), "ZN"))
    for x in (6.1, 20, 5000):  # in the metal alone is far as well
        with pytest.raises(InputError, match="ligand far from the protein: no atom of it within 6 A"):
            around(receptor, np.array([[x, 0.0, 0.0]]))
    assert around(receptor, np.array([[5.9, 0.0, 0.0]])).pocket.tolist() == [0]


def test_the_ligand_in_the_protein_file_is_taken_out(read):
    """It would tell the scoring where the right pose is."""
    ligand = np.array([[4.0, 0, 0], [5.0, 0, 0], [6.0, 0, 0]])
    inside = "".join(het(f"C{n}", "LIG", 9, xyz) for n, xyz in enumerate(ligand + [0.02, 0, 0], 1))
    cofactor = het("C1", "NAP", 8, (4, 4, 0))
    cut = around(read(residue("GLY", 1, 0) + inside + cofactor), ligand)
    assert cut.atoms.residue_names.tolist() == ["GLY"] * 3 + ["NAP"]


def test_a_peptide_in_the_protein_file_that_is_the_ligand_is_taken_out(read):
    ligand = np.array([[x, y, 0.0] for x in (4, 8) for _, y in BACKBONE])
    peptide = residue("GLU", 1, 4, chain="P") + residue("MSE", 2, 8, chain="P", record="HETATM")
    cut = around(read(residue("GLY", 1, 0) + residue("ALA", 2, 12) + peptide), ligand + 0.1)
    assert cut.residues.chains == ("A",)
    assert cut.residues.sequence == "GA"
    assert cut.atoms.residue_names.tolist() == ["GLY"] * 3 + ["ALA"] * 3
    assert cut.atoms.residues.tolist() == [0] * 3 + [1] * 3
    with pytest.raises(InputError, match="far from the protein"):
        around(read(residue("GLY", 1, 0) + residue("GLU", 2, 4) + residue("GLU", 3, 8)), ligand + [20, 0, 0])
    with pytest.raises(InputError, match="far from the protein"):
        around(read(peptide), ligand)  # nothing else is there


def test_chains_that_are_far_are_cut_and_indices_start_anew(read):
    far = "".join(residue("ALA", n, 100 + 4 * n, chain="A") for n in range(5))
    near = "".join(residue("TRP", n, 4 * n, chain="B") for n in range(6))
    cut = around(read(far + near + het("ZN", "ZN", 9, (2, 3, 0), "ZN")), np.array([[4.0, 0.0, 0.0]]))
    assert cut.residues.chains == ("B",)
    assert cut.residues.sequence == "WWWWWW"
    assert cut.residues.ends.tolist() == [6]
    assert cut.pocket.tolist() == [0, 1, 2]
    # Of the last two residues no atom is within 10 A, and they stay; zinc is in the file's chain A.
    assert sorted(cut.atoms.residues.tolist()) == sorted([-1] + [0, 1, 2, 3, 4, 5] * 3)


@given(st.integers(0, 10_000), st.floats(-4, 4), st.integers(1, 30))
def test_what_is_around_any_place(mpro, row, shift, size):
    centre = mpro.atoms.xyz[row % len(mpro.atoms)] + np.float32(shift)
    ligand = centre + np.random.default_rng(row).normal(0, 3, (size, 3))
    try:
        cut = around(mpro, ligand)
    except InputError:
        gaps = np.linalg.norm(mpro.atoms.xyz[:, None] - ligand[None], axis=-1).min(axis=1)
        assert gaps.min() > 5.99
        return
    distance = np.linalg.norm(cut.atoms.xyz[:, None] - ligand[None], axis=-1).min(axis=1)
    own = cut.atoms.residues >= 0
    assert distance[~own].max(initial=0) <= ATOM_REACH + 1e-3
    assert set(cut.atoms.residues[own].tolist()) == set(range(len(cut.residues)))  # whole
    to_alpha = np.linalg.norm(cut.atoms.xyz[own] - cut.residues.ca[cut.atoms.residues[own]], axis=1)
    assert to_alpha.max() < 8  # an arginine is 7.3 A long
    assert sorted(set(cut.atoms.residues[own & (distance <= POCKET_REACH)].tolist())) == cut.pocket.tolist()
    assert len(cut.residues) == len(cut.residues.ca) == len(cut.residues.numbers) == cut.residues.ends[-1]


def test_around_leaves_the_whole_as_it_was(mpro, demo_library):
    before = mpro.atoms.residues.copy()
    cut = around(mpro, positions(demo_library.ligand(0)))
    np.testing.assert_array_equal(mpro.atoms.residues, before)
    assert 10 < len(cut.pocket) < 40
    assert (cut.atoms.residues >= 0).sum() == (mpro.atoms.residues >= 0).sum()


def test_a_ligand_that_is_named_is_found_and_left_out(tmp_path):
    path = tmp_path / "x.pdb"
    copies = het("C1", "LIG", 7, (4, 0, 0)) + het("C2", "LIG", 7, (6, 0, 0)) + het("C1", "LIG", 8, (40, 0, 0))
    path.write_text(
        residue("GLY", 1, 0) + copies + het("C1", "NAP", 9, (7, 0, 0)) + het("O", "HOH", 10, (9, 9, 9))
    )
    assert find_ligand(path, "LIG").tolist() == [5, 0, 0]
    receptor = read_receptor(path, ligand="LIG")
    assert set(receptor.atoms.residue_names.tolist()) == {"GLY", "NAP"}
    assert receptor.left_out == ("2 molecules of the ligand LIG", "1 water")
    with pytest.raises(InputError, match=r"no ligand 'ABC'; small molecules in it: LIG, NAP"):
        find_ligand(path, "ABC")


def test_crystal_ligands_are_in_contact_and_others_are_not(mpro, demo_library):
    xyz = mpro.atoms.xyz
    crystal = [positions(demo_library.ligand(row)) for row in range(0, len(demo_library), 10)]
    assert all(in_contact(ligand[None], xyz)[0] for ligand in crystal)
    outwards = crystal[0] - xyz.mean(axis=0)
    way = outwards.mean(axis=0) / np.linalg.norm(outwards.mean(axis=0))
    poses = np.array([crystal[0], crystal[0] + 30 * way, crystal[0] + 500])
    assert in_contact(poses, xyz).tolist() == [True, False, False]
    assert in_contact(poses[2:], xyz).tolist() == [False]
