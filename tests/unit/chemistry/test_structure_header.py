"""What a structure file says besides its atoms."""

from __future__ import annotations

import datetime

import pytest

from templ.chemistry.structure_header import AtomName, read_header

PDB = b"""HEADER    HYDROLASE/HYDROLASE INHIBITOR           05-MAR-20   5R7Y              \r
REMARK   2 RESOLUTION.    1.65 ANGSTROMS.
LINK         SG  CYS A 145                 C12 LIG A 404     1555   1555  1.81
LINK         NZ BLYS B  68A                C1  PLP B 501     1555   1555  1.30
""".replace(b"\r", b"")

MMCIF = b"""data_5R7Y
_pdbx_database_status.recvd_initial_deposition_date 2020-03-05
_refine.ls_d_res_high 1.65
loop_
_struct_conn.id
_struct_conn.conn_type_id
_struct_conn.ptnr1_label_atom_id
_struct_conn.ptnr1_auth_asym_id
_struct_conn.ptnr1_auth_comp_id
_struct_conn.ptnr1_auth_seq_id
_struct_conn.pdbx_ptnr1_PDB_ins_code
_struct_conn.ptnr2_label_atom_id
_struct_conn.ptnr2_auth_asym_id
_struct_conn.ptnr2_auth_comp_id
_struct_conn.ptnr2_auth_seq_id
_struct_conn.pdbx_ptnr2_PDB_ins_code
covale1 covale SG A CYS 145 ? C12 A LIG 404 ?
covale2 covale NZ B LYS 68 A C1 B PLP 501 ?
metalc1 metalc ND1 A HIS 41 ? ZN A ZN 500 ?
loop_
_chem_comp_bond.comp_id
_chem_comp_bond.atom_id_1
_chem_comp_bond.atom_id_2
_chem_comp_bond.value_order
LIG C12 "O1'" DOUB
LIG C12 N1 SING
loop_
_atom_site.group_PDB
_atom_site.Cartn_x
ATOM 1.0
"""


@pytest.mark.parametrize("text", [PDB, MMCIF])
def test_date_resolution_and_links(text):
    header = read_header(text)
    assert header.date == datetime.date(2020, 3, 5)
    assert header.resolution == 1.65
    assert header.links == {
        (AtomName("A", 145, " ", "SG"), AtomName("A", 404, " ", "C12")),
        (AtomName("B", 68, "A", "NZ"), AtomName("B", 501, " ", "C1")),
    }


def test_bonds_of_the_file_itself():
    [component] = read_header(MMCIF).components.values()
    assert component.name == "LIG"
    assert [atom.name for atom in component.atoms] == ["C12", "O1'", "N1"]
    assert component.bonds == ((0, 1, 2), (0, 2, 1))


@pytest.mark.parametrize("text", [b"ATOM      1  N   MET A   1 \n", b"data_x\n_cell.length_a 1.0\n"])
def test_what_is_not_said_is_unknown(text):
    header = read_header(text)
    assert (header.date, header.resolution) == (None, None)
    assert not header.links
    assert not header.components


@pytest.mark.parametrize(
    ("date", "expected"),
    [("01-JAN-98", 1998), ("31-DEC-71", 1971), ("01-JAN-26", 2026), ("30-FEB-20", None), ("XX-YYY-ZZ", None)],
)
def test_dates_of_two_digits(date, expected):
    found = read_header(f"HEADER    X{date:>48}   1ABC\n".encode()).date
    assert (found and found.year) == expected


@pytest.mark.parametrize("value", ["NULL", "?", "0.0", "-1", "nan"])
def test_a_resolution_that_is_none(value):
    assert read_header(f"REMARK   2 RESOLUTION.    {value} ANGSTROMS.\n".encode()).resolution is None
    assert read_header(f"data_x\n_refine.ls_d_res_high {value}\n".encode()).resolution is None


def test_resolution_of_electron_microscopy():
    assert read_header(b"data_x\n_em_3d_reconstruction.resolution 2.9\n").resolution == 2.9


def test_a_file_of_restraints_beside_the_coordinates():
    text = MMCIF.replace(b"LIG C12", b"XXX C12") + (
        b"data_comp_LIG\nloop_\n_chem_comp_bond.comp_id\n_chem_comp_bond.atom_id_1\n_chem_comp_bond.atom_id_2\n"
        b"_chem_comp_bond.type\nLIG C1 C2 aromatic\n"
    )
    assert read_header(text).components["LIG"].bonds == ((0, 1, 12),)
