"""A receptor that is written and read again is the same."""

from __future__ import annotations

import gemmi
import numpy as np
import pytest
from made_receptors import twice

from templ.chemistry.molecules import positions
from templ.chemistry.receptor import Atoms, Receptor, Residues, around
from templ.chemistry.receptor_file import read_receptor
from templ.export.pdb import to_pdb
from templ.sources.demo import demo_files


def read(receptor, tmp_path):
    path = tmp_path / "written.pdb"
    path.write_text(to_pdb(receptor))
    return read_receptor(path)


def assert_same(found, wanted):
    assert (found.residues.chains, found.residues.insertions) == (
        wanted.residues.chains,
        wanted.residues.insertions,
    )
    assert found.residues.sequence == wanted.residues.sequence
    assert found.residues.numbers.tolist() == wanted.residues.numbers.tolist()
    np.testing.assert_allclose(found.atoms.xyz, wanted.atoms.xyz, atol=1e-3)
    for name in ("elements", "names", "residue_names", "residues"):
        assert getattr(found.atoms, name).tolist() == getattr(wanted.atoms, name).tolist()
    np.testing.assert_allclose(found.atoms.b_factors, wanted.atoms.b_factors, atol=0.01)


def test_the_demo_receptor(tmp_path):
    receptor = read_receptor(demo_files().receptor)
    assert_same(read(receptor, tmp_path), receptor)


def test_a_receptor_cut_to_its_pocket_keeps_names_and_numbers(demo_library, tmp_path):
    receptor = around(read_receptor(demo_files().receptor), positions(demo_library.ligand(0)))
    text = to_pdb(receptor)
    residues = receptor.residues
    kept = sorted(set(receptor.atoms.residues[receptor.atoms.residues >= 0].tolist()))
    found = [
        residue for chain in gemmi.read_pdb_string(text)[0] for residue in chain if residue.het_flag == "A"
    ]
    assert [residue.seqid.num for residue in found] == [int(residues.numbers[index]) for index in kept]


@pytest.fixture
def with_free_molecules():
    """Two residues in two chains (the second with an insertion code), two zincs and a cofactor between."""
    return Receptor(
        Residues(
            ("A", "B"),
            np.array([1, 2], np.int32),
            "GA",
            np.array([7, 7], np.int32),
            " C",
            np.zeros((2, 3), np.float32),
        ),
        Atoms(
            np.arange(24, dtype=np.float32).reshape(8, 3),
            np.array([6, 30, 30, 26, 8, 6, 7, 6], np.uint8),
            np.array([0, -1, -1, -1, -1, 1, 1, 1], np.int32),
            np.array(["CA", "ZN", "ZN", "FE", "O1A", "CA", "N", "C"]),
            np.array(["GLY", "ZN", "ZN", "HEM", "HEM", "ALA", "ALA", "ALA"]),
            np.full(8, 12.5, np.float32),
        ),
        np.empty(0, np.int32),
    )


def test_what_is_in_no_chain_is_divided_into_its_molecules(with_free_molecules):
    (model,) = gemmi.read_pdb_string(to_pdb(with_free_molecules))
    free = [residue for chain in model for residue in chain if residue.het_flag == "H"]
    assert [(residue.name, [atom.name for atom in residue]) for residue in free] == [
        ("ZN", ["ZN"]),
        ("ZN", ["ZN"]),
        ("HEM", ["FE", "O1A"]),
    ]
    assert [atom.element.atomic_number for residue in free for atom in residue] == [30, 30, 26, 8]
    in_chains = [
        (chain.name, str(residue.seqid)) for chain in model for residue in chain if residue.het_flag == "A"
    ]
    assert in_chains == [("A", "7"), ("B", "7C")]
    assert len({chain.name for chain in model}) == 3


def test_two_chains_of_one_name_are_written_as_two(tmp_path):
    """As molecular dynamics writes them: without names, numbered from 1 each."""
    receptor = read_receptor(demo_files().receptor)
    first = receptor.residues
    both = twice(receptor, np.float32(90))
    found = read(both, tmp_path).residues
    assert found.chains == ("", "A")
    assert found.sequence == first.sequence * 2
