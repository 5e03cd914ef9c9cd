from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from templ.chemistry.molecules import parse_smiles
from templ.chemistry.receptor_file import read_receptor
from templ.scoring.vina import hydrogen_bond, hydrophobic, ligand_types, receptor_types, steric
from templ.sources.demo import demo_files

POCKET = """\
ATOM      1  N   HIE A   1       0.000   0.000   0.000  1.00 20.00           N
ATOM      2  CA  HIE A   1       1.500   0.000   0.000  1.00 20.00           C
ATOM      3  C   HIE A   1       2.000   1.400   0.000  1.00 20.00           C
ATOM      4  O   HIE A   1       1.300   2.400   0.000  1.00 20.00           O
ATOM      5  CB  HIE A   1       2.000  -0.800   1.200  1.00 20.00           C
ATOM      6  CG  HIE A   1       3.500  -0.800   1.200  1.00 20.00           C
ATOM      7  ND1 HIE A   1       4.300  -1.900   1.100  1.00 20.00           N
ATOM      8  NE2 HIE A   1       5.500  -0.100   1.200  1.00 20.00           N
HETATM    9  N   MSE A   2       3.300   1.500   0.000  1.00 20.00           N
HETATM   10  CA  MSE A   2       3.900   2.800   0.000  1.00 20.00           C
HETATM   11  C   MSE A   2       5.400   2.700   0.000  1.00 20.00           C
HETATM   12  O   MSE A   2       6.000   1.600   0.000  1.00 20.00           O
HETATM   13  CB  MSE A   2       3.400   3.600   1.200  1.00 20.00           C
HETATM   14  CG  MSE A   2       3.900   5.000   1.200  1.00 20.00           C
HETATM   15 SE   MSE A   2       3.200   6.000   2.700  1.00 20.00          SE
HETATM   16  CE  MSE A   2       4.200   7.600   2.300  1.00 20.00           C
ATOM     17  N   PRO A   3       6.000   3.900   0.000  1.00 20.00           N
ATOM     18  CA  PRO A   3       7.500   4.000   0.000  1.00 20.00           C
ATOM     19  C   PRO A   3       8.000   5.400   0.000  1.00 20.00           C
ATOM     20  O   PRO A   3       7.300   6.400   0.000  1.00 20.00           O
ATOM     21  OXT PRO A   3       9.300   5.400   0.000  1.00 20.00           O
TER      22      PRO A   3
HETATM   23 ZN    ZN A 101      20.000   0.000   0.000  1.00 20.00          ZN
HETATM   24  N1  NAD A 102      30.000   0.000   0.000  1.00 20.00           N
HETATM   25  O1  NAD A 102      31.400   0.000   0.000  1.00 20.00           O
HETATM   26  C1  NAD A 102      30.000   1.400   0.000  1.00 20.00           C
HETATM   27  P1  NAD A 102      32.000   1.400   0.000  1.00 20.00           P
HETATM   28 CA    CA A 103      40.000   0.000   0.000  1.00 20.00          CA
END
"""


@pytest.fixture(scope="module")
def protein():
    """Atoms of the demo's receptor, and their types."""
    atoms = read_receptor(demo_files().receptor).atoms
    return atoms, receptor_types(atoms)


@pytest.fixture
def pocket(tmp_path):
    """What one atom of a small structure with odd residues is: radius, hydrophobic, donor, acceptor."""
    path = tmp_path / "pocket.pdb"
    path.write_text(POCKET, encoding="utf-8")
    atoms = read_receptor(path).atoms
    types = receptor_types(atoms)

    def of(residue, name):
        (row,) = np.flatnonzero((atoms.residue_names == residue) & (atoms.names == name))
        polar = bool(types.donor[row]), bool(types.acceptor[row])
        return pytest.approx(float(types.radii[row])), bool(types.hydrophobic[row]), *polar

    return of


def test_every_atom_of_a_protein_has_a_type(protein):
    atoms, types = protein
    for values in (types.radii, types.hydrophobic, types.donor, types.acceptor):
        assert values.shape == (len(atoms),)
    for element, radius in ((6, 1.9), (7, 1.8), (8, 1.7), (16, 2.0)):
        assert types.radii[atoms.elements == element] == pytest.approx(radius)


def test_the_backbone_gives_at_nitrogen_and_takes_at_oxygen(protein):
    atoms, types = protein
    nitrogen, proline = atoms.names == "N", atoms.residue_names == "PRO"
    assert types.donor[nitrogen & ~proline].all()
    assert proline.sum() > 20
    assert not types.donor[nitrogen & proline].any()
    assert not types.acceptor[nitrogen].any()
    assert types.acceptor[atoms.names == "O"].all()
    assert not types.donor[atoms.names == "O"].any()


def test_carbons_beside_other_elements_are_not_hydrophobic(protein):
    """Against what lies within a bond's length in the crystal, not against the table of names."""
    atoms, types = protein
    carbons = np.flatnonzero(atoms.elements == 6)
    others = atoms.xyz[atoms.elements != 6]
    gaps = np.linalg.norm(atoms.xyz[carbons, None] - others[None], axis=-1).min(axis=1)
    named = np.isin(atoms.names[carbons], ("C", "CA"))
    assert np.array_equal(types.hydrophobic[carbons], (gaps > 1.95) & ~named)
    assert not types.hydrophobic[atoms.elements != 6].any()


@pytest.mark.parametrize(
    ("residue", "donors", "acceptors"),
    [
        ("ARG", "NE NH1 NH2", ""),
        ("ASN", "ND2", "OD1"),
        ("ASP", "", "OD1 OD2"),
        ("CYS", "", ""),
        ("GLN", "NE2", "OE1"),
        ("GLU", "", "OE1 OE2"),
        ("HIS", "ND1 NE2", "ND1 NE2"),
        ("LYS", "NZ", ""),
        ("MET", "", ""),
        ("SER", "OG", "OG"),
        ("THR", "OG1", "OG1"),
        ("TRP", "NE1", ""),
        ("TYR", "OH", "OH"),
        ("VAL", "", ""),
    ],
)
def test_side_chains_give_and_take_where_their_chemistry_does(protein, residue, donors, acceptors):
    atoms, types = protein
    side = (atoms.residue_names == residue) & ~np.isin(atoms.names, ("N", "O", "OXT"))
    assert side.any()
    assert set(atoms.names[side & types.donor]) == set(donors.split())
    assert set(atoms.names[side & types.acceptor]) == set(acceptors.split())


def test_protonation_states_and_selenomethionine_are_what_they_are_made_from(pocket):
    assert pocket("HIE", "ND1") == (1.8, False, True, True)
    assert pocket("HIE", "NE2") == (1.8, False, True, True)
    assert pocket("HIE", "CB") == (1.9, True, False, False)
    assert pocket("HIE", "CG") == (1.9, False, False, False)
    assert pocket("MSE", "N") == (1.8, False, True, False)
    assert pocket("MSE", "CB") == (1.9, True, False, False)
    assert pocket("MSE", "CG") == pocket("MSE", "CE") == (1.9, False, False, False)
    assert pocket("MSE", "SE") == (2.1, False, False, False)


@pytest.mark.parametrize(
    ("state", "plain"),
    [(name, "HIS") for name in ("HID", "HIE", "HIP", "HSD", "HSE", "HSP")]
    + [("CYX", "CYS"), ("CYM", "CYS"), ("ASH", "ASP"), ("GLH", "GLU"), ("LYN", "LYS"), ("MSE", "MET")],
)
def test_names_that_force_fields_give_change_nothing(protein, state, plain):
    atoms, _ = protein
    residue = atoms.only(atoms.residue_names == plain)
    named = replace(residue, residue_names=np.full(len(residue), state))
    one, other = receptor_types(residue), receptor_types(named)
    assert len(residue) > 5
    for field in fields(one):
        assert np.array_equal(getattr(one, field.name), getattr(other, field.name))


def test_the_end_of_a_chain_takes(pocket):
    assert pocket("PRO", "OXT") == (1.7, False, False, True)
    assert pocket("PRO", "N") == (1.8, False, False, False)


@pytest.mark.parametrize("ion", [("ZN", "ZN"), ("CA", "CA")])
def test_metals_give(pocket, ion):
    """Calcium has the name of a carbon."""
    assert pocket(*ion) == (1.2, False, True, False)


def test_cofactors_may_do_either(pocket):
    assert pocket("NAD", "N1") == (1.8, False, True, True)
    assert pocket("NAD", "O1") == (1.7, False, True, True)
    assert pocket("NAD", "C1") == (1.9, False, False, False)
    assert pocket("NAD", "P1") == (2.1, False, False, False)


def test_a_receptor_without_atoms_has_types_without_atoms(protein):
    atoms, _ = protein
    types = receptor_types(atoms.only(np.zeros(len(atoms), np.bool_)))
    assert types.radii.shape == types.donor.shape == (0,)


@pytest.mark.parametrize(
    ("smiles", "apolar", "donors", "acceptors"),
    [
        ("CC(=O)N", [0], [3], [2]),
        ("CCCO", [0, 1], [3], [3]),
        ("CCC(=O)[O-]", [0, 1], [], [3, 4]),
        ("CC[NH3+]", [0], [2], []),
        ("c1ccncc1", [0, 1, 5], [], [3]),
        ("Clc1ccccc1", [0, 2, 3, 4, 5, 6], [], []),
        ("FC(F)(F)C", [0, 2, 3, 4], [], []),
        ("C[N+](C)(C)C", [], [], []),
    ],
)
def test_types_of_ligands(smiles, apolar, donors, acceptors):
    types = ligand_types(parse_smiles(smiles))
    assert np.flatnonzero(types.hydrophobic).tolist() == apolar
    assert np.flatnonzero(types.donor).tolist() == donors
    assert np.flatnonzero(types.acceptor).tolist() == acceptors


def test_radii_of_ligands_are_vinas_or_a_middling_one():
    radii = ligand_types(parse_smiles("CN(O)SP(F)(Cl)(Br)I")).radii
    assert radii == pytest.approx([1.9, 1.8, 1.7, 2.0, 2.1, 1.5, 1.8, 2.0, 2.2])
    assert ligand_types(parse_smiles("[Pt]")).radii == pytest.approx([1.8])


@pytest.mark.parametrize(
    ("gap", "energy"),
    [
        (0.0, -0.0356 - 0.00516 * 0.105399),
        (3.0, -0.00516),
        (0.5, -0.0356 * 0.367879 - 0.00516 * 0.209611),
        (-0.5, -0.0356 * 0.367879 - 0.00516 * 0.046771 + 0.840 * 0.25),
        (-2.0, -0.00516 * 0.001930 + 0.840 * 4),
        (30.0, 0.0),
    ],
)
def test_steric_contact_by_hand(gap, energy):
    """Trott and Olson 2010: exp -(d/0.5)^2, exp -((d-3)/2)^2, and d^2 where surfaces overlap."""
    assert steric(np.array([gap], np.float32)) == pytest.approx([energy], abs=1e-6)


def test_hydrophobic_contact_by_hand():
    gaps = np.array([-1, 0.5, 1.0, 1.5, 4], np.float32)
    assert hydrophobic(gaps) == pytest.approx([-0.0351, -0.0351, -0.01755, 0, 0])


def test_hydrogen_bonds_by_hand():
    gaps = np.array([-2, -0.7, -0.35, 0, 1], np.float32)
    assert hydrogen_bond(gaps) == pytest.approx([-0.587, -0.587, -0.2935, 0, 0])
