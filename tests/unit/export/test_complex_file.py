"""A pose with its receptor in one file is read again as that ligand in that receptor."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import gemmi
import numpy as np
import pytest
from rdkit import Chem

from templ.chemistry.molecules import heavy, positions
from templ.chemistry.reactive_residue import SIDE_CHAINS, reactive_residues
from templ.chemistry.receptor_file import read_receptor
from templ.export.complex_file import complex_text, write_complexes
from templ.jobs.binding_site import BindingSite
from templ.jobs.query_run import predict_queries
from templ.poses.pose_file import BOND_PROPERTIES, read_bond
from templ.settings import PredictionSettings, RunSettings
from templ.sources.demo import demo_files
from templ.sources.ledger import Ledger
from templ.sources.structure_files import BondOrders, read_structure

FAST = PredictionSettings(conformers=5, minimised=10, rounds=0, top=2)
QUERIES = [
    ("one", "Nc1nc(Nc2ccc(S(N)(=O)=O)cc2)ncc1C(=O)c1c(F)cccc1F"),
    ("bad/../name", "O=C([O-])c1ccc(N)cc1"),
]


@pytest.fixture(scope="module")
def written(kinase_path, tmp_path_factory):
    folder = tmp_path_factory.mktemp("complexes")
    run = predict_queries(QUERIES, BindingSite(kinase_path), folder / "p.sdf", FAST, RunSettings(workers=1))
    assert write_complexes(run, folder / "c") == 2
    return run, folder / "c"


def test_every_molecule_has_both_files_under_a_safe_name(written):
    _, folder = written
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["bad%2F..%2Fname.cif", "bad%2F..%2Fname.pdb", "one.cif", "one.pdb"]


def test_mmcif_gives_the_pose_back_with_its_bonds(written):
    """Read by the program that finds ligands in crystal structures."""
    run, folder = written
    pose = heavy(run.poses("one")[0])
    [entry] = read_structure(folder / "one.cif", BondOrders(), Ledger())
    assert Chem.MolToSmiles(heavy(entry.mol)) == Chem.MolToSmiles(pose)
    match = heavy(entry.mol).GetSubstructMatch(pose)
    np.testing.assert_allclose(positions(heavy(entry.mol))[list(match)], positions(pose), atol=2e-3)


def test_pdb_has_the_bonds_of_the_pose(written):
    run, folder = written
    pose = run.poses("one")[0]
    lines = (folder / "one.pdb").read_text().splitlines()
    block = "\n".join(line for line in lines if " LIG " in line or line.startswith("CONECT"))
    read = Chem.MolFromPDBBlock(block, removeHs=False, proximityBonding=False)
    assert Chem.MolToSmiles(heavy(read)) == Chem.MolToSmiles(heavy(pose))
    assert read.GetNumAtoms() == pose.GetNumAtoms()
    assert lines[-1].strip() == "END"


@pytest.mark.parametrize("suffix", ["pdb", "cif"])
def test_the_receptor_is_the_one_that_the_record_names(written, kinase_library, suffix):
    run, folder = written
    record = run["one"]
    receptor = kinase_library.receptor_of(record.receptor)
    found = read_receptor(folder / f"one.{suffix}", ligand="LIG")
    assert found.residues.sequence == receptor.residues.sequence
    np.testing.assert_allclose(found.atoms.xyz, receptor.atoms.xyz, atol=2e-3)


def test_the_ligand_has_a_chain_of_its_own_and_a_name_for_each_atom(written):
    _, folder = written
    for suffix in ("pdb", "cif"):
        model = gemmi.read_structure(str(folder / f"one.{suffix}"))[0]
        [ligand] = [residue for chain in model for residue in chain if residue.name == "LIG"]
        names = [atom.name for atom in ligand]
        assert len(set(names)) == len(names) > 20


ALDEHYDE = "CC(C)C[C@H](NC(=O)OCc1ccccc1)C(=O)N[C@H](C=O)C[C@@H]1CCNC1=O"


@pytest.fixture(scope="module")
def bonded(demo_path, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bonded")
    run = predict_queries(
        [("one", ALDEHYDE)], BindingSite(demo_path), folder / "p.sdf", FAST, RunSettings(workers=1)
    )
    write_complexes(run, folder / "c")
    return read_bond(run.poses("one")[0]), folder / "c"


@pytest.mark.parametrize("suffix", ["pdb", "cif"])
def test_a_bonded_pose_is_linked_to_its_residue(bonded, suffix):
    bond, folder = bonded
    structure = gemmi.read_structure(str(folder / f"one.{suffix}"))
    [link] = structure.connections
    assert link.type == gemmi.ConnectionType.Covale
    residue, ligand = (structure[0].find_cra(end) for end in (link.partner1, link.partner2))
    assert (residue.residue.name, residue.residue.seqid.num, residue.atom.name) == ("CYS", 145, "SG")
    assert ligand.residue.name == "LIG"
    gap = np.subtract(residue.atom.pos.tolist(), ligand.atom.pos.tolist())
    assert np.linalg.norm(gap) == pytest.approx(bond.length, abs=2e-3)
    hydrogens = [atom for atom in ligand.residue if atom.element == gemmi.Element("H")]
    near = [atom for atom in hydrogens if atom.pos.dist(residue.atom.pos) < 1.5]
    assert not near, "the hydrogen in the place of the residue is left out"


def test_the_file_of_a_bonded_pose_is_a_sound_pdb(bonded):
    _, folder = bonded
    lines = (folder / "one.pdb").read_text().splitlines()
    [link] = [line for line in lines if line.startswith("LINK")]
    assert "SG  CYS A 145" in link
    assert "LIG" in link
    assert lines.index(link) < next(i for i, line in enumerate(lines) if line.startswith("ATOM"))


def test_the_side_chain_is_written_whole_where_it_has_turned(demo_path, tmp_path):
    """Of a threonine two atoms turn together, of a lysine four one after the other."""
    settings = FAST.model_copy(update={"starts": 60, "docked": 15})
    for name, kind in (("THR25", "THR"), ("LYS61", "LYS")):
        run = predict_queries(
            [("one", "O=Cc1cccc2c1ccnc2")],
            BindingSite(demo_path),
            tmp_path / f"{name}.sdf",
            settings.model_copy(update={"covalent": name}),
            RunSettings(workers=1),
        )
        write_complexes(run, tmp_path / name)
        for suffix in ("pdb", "cif"):
            structure = gemmi.read_structure(str(tmp_path / name / f"one.{suffix}"))
            residue = structure[0].find_cra(structure.connections[0].partner1).residue
            at = {atom.name: atom.pos for atom in residue}
            for first, second in pairwise(SIDE_CHAINS[kind]):
                assert 1.35 < at[first].dist(at[second]) < 1.6, (name, first, second)
            if kind == "THR":
                assert 1.4 < at["CB"].dist(at["CG2"]) < 1.6
                assert 2.2 < at["OG1"].dist(at["CG2"]) < 2.6


def with_bond(receptor, label):
    """A pose of two atoms that is bonded to a residue, as a file of poses has it."""
    [residue] = reactive_residues(receptor, receptor.atoms.xyz[:1].astype(float), called=label)
    pose = Chem.MolFromSmiles("CC")
    conformer = Chem.Conformer(2)
    conformer.SetPositions(residue.reactive[[0, 0]] + [[1.8, 0, 0], [3.3, 0, 0]])
    pose.AddConformer(conformer)
    values = (residue.label, residue.atom, " ".join(map(str, residue.reactive[0])), "1", "1.8", "100 110")
    for name, value in zip(BOND_PROPERTIES, values, strict=True):
        pose.SetProp(name, value)
    return pose


@pytest.mark.parametrize("suffix", [".pdb", ".cif"])
@pytest.mark.parametrize(("chain", "insertion"), [("A", "H"), ("", " "), ("LONG", " ")])
def test_the_link_names_the_residue_as_the_file_does(suffix, chain, insertion, tmp_path):
    """Insertion codes keep their letter's case, chains without a name and with a long one are found."""
    receptor = read_receptor(demo_files().receptor)
    residues = receptor.residues
    codes = "".join(
        insertion if number == 145 else code
        for number, code in zip(residues.numbers, residues.insertions, strict=True)
    )
    receptor = replace(receptor, residues=replace(residues, chains=(chain,), insertions=codes))
    path = tmp_path / f"x{suffix}"
    path.write_text(complex_text(receptor, with_bond(receptor, f"CYS145{insertion.strip()}"), suffix))
    structure = gemmi.read_structure(str(path))
    [link] = structure.connections
    assert link.partner1.res_id.seqid.icode == insertion
    ends = [structure[0].find_cra(end).atom.pos for end in (link.partner1, link.partner2)]
    assert ends[0].dist(ends[1]) == pytest.approx(1.8, abs=0.01)
