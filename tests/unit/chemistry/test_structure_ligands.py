"""Which molecules of a structure are ligands."""

from __future__ import annotations

import numpy as np
import pytest

from templ.chemistry.receptor_file import small_molecules, understand
from templ.chemistry.structure_file import read_structure_file
from templ.chemistry.structure_header import AtomName
from templ.chemistry.structure_ligands import find_ligands

NAME = "1oiq.pdb"
FAR = np.array([200.0, 0.0, 0.0])


@pytest.fixture(autouse=True)
def _helpers(monkeypatch, helpers):
    monkeypatch.syspath_prepend(helpers)


@pytest.fixture
def found(tmp_path):
    """Find the ligands of the demo structure with lines added or replaced."""
    from raw_structures import raw_structure, with_lines

    def find(*lines, replace=("", ""), links=(), wanted=()):
        text = with_lines(raw_structure(NAME), lines).replace(*replace) if lines else raw_structure(NAME)
        if replace[0] and not lines:
            text = text.replace(*replace)
        (tmp_path / NAME).write_text(text)
        return find_ligands(understand(*read_structure_file(tmp_path / NAME)), links, wanted)

    return find


def chain_of_carbons(residue, count, start=FAR, number=900, chain="A", names=None, element="C"):
    from raw_structures import atom_line

    names = [f"C{index}" for index in range(count)] if names is None else names
    return [
        atom_line(name, residue, start + (1.5 * index, 0, 0), number, chain, element)
        for index, name in enumerate(names)
    ]


def names(ligands):
    return [ligand.name for ligand in ligands]


def test_the_ligand_is_found_with_its_atoms(found):
    [ligand] = found()
    assert (ligand.name, ligand.location, len(ligand.rows)) == ("HDU", "A999", 20)
    assert ligand.links == ()
    assert (ligand.occupancy, ligand.b_factor) == (1.0, 20.0)


@pytest.mark.parametrize("residue", ["SO4", "GOL", "EPE", "MES", "BOG", "IMD", "HOH", "LDA", "1PE"])
def test_water_buffer_and_detergent_are_none(found, residue):
    assert names(found(*chain_of_carbons(residue, 8 if residue != "HOH" else 1))) == ["HDU"]


def test_what_is_small_is_none_unless_it_is_asked_for(found):
    five = chain_of_carbons("ABC", 5)
    assert names(found(*five)) == ["HDU"]
    assert names(found(*five, wanted={"ABC"})) == ["HDU", "ABC"]
    assert names(found(*chain_of_carbons("EPE", 8), wanted={"EPE"})) == ["HDU", "EPE"]


def test_a_complex_of_a_metal_is_none(found):
    from raw_structures import atom_line

    heme = [*chain_of_carbons("HEM", 12), atom_line("FE", "HEM", FAR + (0, 2, 0), element="FE")]
    assert names(found(*heme)) == ["HDU"]


def test_every_copy_is_found(found):
    from raw_structures import hetero, moved, raw_structure

    copy = [moved(line, chain="B", shift=60.0) for line in hetero(raw_structure(NAME))]
    assert [ligand.location for ligand in found(*copy)] == ["A999", "B999"]


def test_a_glycan_is_none_and_a_sugar_alone_is_one(found):
    one = chain_of_carbons("NAG", 14, number=901)
    second = chain_of_carbons("NAG", 14, start=FAR + (21.0, 0, 0), number=902)
    assert names(found(*one)) == ["HDU", "NAG"]
    assert names(found(*one, *second)) == ["HDU"]


def test_a_sugar_on_the_protein_is_none(found):
    from raw_structures import raw_structure

    line = next(line for line in raw_structure(NAME).splitlines() if line[12:16] == " ND2")
    at = np.array([float(line[start : start + 8]) for start in (30, 38, 46)])
    outwards = at / np.linalg.norm(at)
    from raw_structures import atom_line

    sugar = [
        atom_line(f"C{index}", "NAG", at + outwards * 1.45 * (index + 1), 901, "A") for index in range(14)
    ]
    assert "NAG" not in names(found(*sugar))


def test_parts_that_are_bonded_are_one_ligand(found):
    first = chain_of_carbons("ABC", 6, number=901)
    second = chain_of_carbons("XYZ", 6, start=FAR + (9.0, 0, 0), number=902)
    ligand = found(*first, *second)[-1]
    assert ligand.name == "ABC-XYZ"
    assert ligand.bonds == ((5, 6),)


def test_two_descriptions_of_one_place_are_two_ligands(found):
    first = chain_of_carbons("ABC", 6, number=901)
    second = chain_of_carbons("XYZ", 6, start=FAR + (0.3, 0.3, 0), number=902)
    assert names(found(*first, *second)) == ["HDU", "ABC", "XYZ"]


def test_an_amino_acid_alone_is_a_ligand_and_one_of_a_chain_is_none(found):
    atoms = ("N", "CA", "C", "O", "CB", "CG", "CD", "OE1", "OE2")
    alone = chain_of_carbons("GLU", 9, names=atoms)
    assert names(found(*alone)) == ["HDU", "GLU"]
    assert names(found(*[line.replace("HETATM", "ATOM  ") for line in alone])) == ["HDU"]


def test_modified_residues_of_a_chain_are_none(found):
    def as_hetero(text):
        lines = text.splitlines()
        return "\n".join(
            line.replace("ATOM  ", "HETATM").replace("MET", "MSE") if line[17:20] == "MET" else line
            for line in lines
        )

    from raw_structures import raw_structure

    text = raw_structure(NAME)
    assert names(found(replace=(text, as_hetero(text) + "\n"))) == ["HDU"]


def test_a_ligand_that_clashes_with_a_backbone_is_no_cap_and_a_cap_is_none(found):
    from raw_structures import atom_line, raw_structure

    lines = [line for line in raw_structure(NAME).splitlines() if line.startswith("ATOM")]

    def at(line):
        return np.array([float(line[start : start + 8]) for start in (30, 38, 46)])

    nitrogens = {line[22:26]: line for line in lines if line[12:16] == " N  "}
    carbons = {line[22:26]: line for line in lines if line[12:16] == " C  "}
    inner = next(n for n in nitrogens if f"{int(n) - 1:>4}" in carbons)
    clash = atom_line("C1", "ABC", at(nitrogens[inner]) + (0, 0, 1.6))
    assert "ABC" in names(found(clash, wanted={"ABC"}))
    last = next(n for n in carbons if f"{int(n) + 1:>4}" not in nitrogens)
    way = at(carbons[last]) - at(next(x for x in lines if x[12:16] == " CA " and x[22:26] == last))
    cap = atom_line("N", "NH2", at(carbons[last]) + 1.33 * way / np.linalg.norm(way), element="N")
    assert "NH2" not in names(found(cap, wanted={"NH2"}))


def cysteine(text):
    """SG of the first cysteine that is whole, and the way to it from CB."""
    lines = [line for line in text.splitlines() if line[17:20] == "CYS" and line[12:16] in (" CB ", " SG ")]
    ends = [np.array([float(line[start : start + 8]) for start in (30, 38, 46)]) for line in lines[:2]]
    return lines[1], ends[1], (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0])


def test_a_bond_to_the_protein_is_found_by_distance(found):
    from raw_structures import atom_line, raw_structure

    line, at, way = cysteine(raw_structure(NAME))
    ligand = found(atom_line("C1", "ABC", at + 1.81 * way), wanted={"ABC"})[-1]
    assert ligand.links == ((0, AtomName("A", int(line[22:26]), " ", "SG")),)


def test_a_bond_that_only_the_header_names(found):
    from raw_structures import raw_structure

    line, *_ = cysteine(raw_structure(NAME))
    own = AtomName("A", int(line[22:26]), " ", "SG")
    atom = AtomName("A", 999, " ", "C1")
    [ligand] = found(links=[(own, atom)])
    assert [name for _, name in ligand.links] == [own]


def test_of_alternate_locations_one_is_a_ligand(found):
    from raw_structures import hetero, moved, raw_structure

    lines = hetero(raw_structure(NAME))
    text = raw_structure(NAME)
    for line in lines:
        text = text.replace(line, moved(line, chain="A", altloc="A", occupancy=0.4))
    others = "\n".join(moved(line, chain="A", altloc="B", occupancy=0.6, shift=0.5) for line in lines)
    both = text.replace("END\n", f"{others}\nEND\n")
    [ligand] = found(replace=(raw_structure(NAME), both))
    assert ligand.occupancy == pytest.approx(0.6)
    assert len(ligand.rows) == 20


def test_small_molecules_are_named(tmp_path):
    from raw_structures import raw_structure

    (tmp_path / NAME).write_text(raw_structure(NAME))
    assert small_molecules(understand(*read_structure_file(tmp_path / NAME)).residues) == "HDU"
