"""Poses of any program against crystals: all measures side by side, and what cannot be judged."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from program import run_templ as templ
from rdkit import Chem

from templ.chemistry.reactive_residue import reactive_residues
from templ.chemistry.receptor_file import read_receptor
from templ.errors import InputError
from templ.evaluation.interface_scores import interface_scores
from templ.evaluation.pose_scores import score_poses
from templ.export.pdb import to_pdb
from templ.poses.pose_file import BOND_PROPERTIES
from templ.sources.demo import demo_files


def moved(mol, by):
    copy = Chem.Mol(mol)
    conformer = copy.GetConformer()
    conformer.SetPositions(conformer.GetPositions() + np.array(by, np.float64))
    return copy


@pytest.fixture(scope="module")
def folder(kinase_library, tmp_path_factory):
    """Crystals of two ligands, poses of them 0, 1 and 30 A off, and the receptor of the first."""
    made = tmp_path_factory.mktemp("poses")
    first, second = kinase_library.ligand(0), kinase_library.ligand(1)
    for mol, title in ((first, "a"), (second, "b")):
        mol.SetProp("_Name", title)
    with Chem.SDWriter(str(made / "truth.sdf")) as writer:
        for mol in (first, second):
            writer.write(mol)
    unknown = Chem.Mol(first)
    unknown.SetProp("_Name", "c")
    with Chem.SDWriter(str(made / "poses.sdf")) as writer:
        for mol in (moved(first, (1, 0, 0)), first, moved(second, (30, 0, 0)), unknown):
            writer.write(mol)
    (made / "r.pdb").write_text(to_pdb(kinase_library.receptor(0)))
    return made


def test_each_pose_has_all_measures(folder):
    near, exact, far, unknown = score_poses(folder / "poses.sdf", folder / "truth.sdf", folder / "r.pdb")
    assert (near.id, near.rank, near.rmsd) == ("a", 1, pytest.approx(1, abs=1e-3))
    assert (exact.id, exact.rank, exact.rmsd) == ("a", 2, pytest.approx(0, abs=1e-3))
    assert far.rmsd == pytest.approx(30, abs=1e-3)
    assert unknown.problem == "no crystal of this id"
    assert exact.lddt_pli == pytest.approx(1, abs=1e-3)
    assert exact.bisy_rmsd == pytest.approx(0, abs=1e-3)
    # In one receptor nothing is superposed: BiSyRMSD is the RMSD.
    assert near.bisy_rmsd == pytest.approx(1, abs=1e-2)
    assert 0.3 < near.lddt_pli < 0.95
    assert len(near.failed_checks) >= len(exact.failed_checks)


def test_bisyrmsd_takes_away_how_the_crystals_lie(kinase_library):
    """A complex that is moved as a whole is the same complex."""
    mol, receptor = kinase_library.ligand(0), kinase_library.receptor(0)
    shift = np.array((5, 5, 5), np.float32)
    atoms = receptor.atoms.only(np.ones(len(receptor.atoms), bool))
    atoms.xyz[:] += shift
    elsewhere = type(receptor)(receptor.residues, atoms, receptor.pocket)
    lddt, rmsd = interface_scores(moved(mol, shift), elsewhere, mol, receptor)
    assert (lddt, rmsd) == (pytest.approx(1, abs=1e-3), pytest.approx(0, abs=1e-3))


def test_the_crystals_of_a_library_have_their_receptors(folder, kinase_library, kinase_path, tmp_path):
    mol = kinase_library.ligand(0)
    mol.SetProp("_Name", kinase_library.entry(0).id)
    with Chem.SDWriter(str(tmp_path / "p.sdf")) as writer:
        writer.write(mol)
    (score,) = score_poses(tmp_path / "p.sdf", kinase_path)
    assert (score.rmsd, score.lddt_pli) == (pytest.approx(0, abs=1e-2), pytest.approx(1, abs=1e-2))


def test_the_command_tells_and_writes_the_same(folder, tmp_path):
    words = ("evaluate", folder / "poses.sdf", "--truth", folder / "truth.sdf")
    done = templ(*words, "-o", "new/t.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "4 poses of 3 molecules; of the first poses:"
    assert lines[1].split()[:5] == ["within", "2", "A", "(RMSD)", "33.3%"]
    assert lines[2].strip().startswith("valid (PoseBusters)")
    assert "LDDT-PLI, median          not computed: it needs a receptor" in done.stdout
    assert "c: not judged: no crystal of this id" in done.stderr
    rows = list(csv.DictReader(io.StringIO((tmp_path / "new" / "t.csv").read_text())))
    assert [(row["id"], row["rank"], row["rmsd"]) for row in rows] == [
        ("a", "1", "1.0000"),
        ("a", "2", "0.0000"),
        ("b", "1", "30.0000"),
        ("c", "1", ""),
    ]
    plain = json.loads(templ(*words, "--json", cwd=tmp_path).stdout)
    assert [score["id"] for score in plain] == ["a", "a", "b", "c"]


def test_what_cannot_be_evaluated(folder, tmp_path):
    with pytest.raises(InputError, match="no molecule in it can be read"):
        (tmp_path / "empty.sdf").write_text("nothing\n$$$$\n")
        list(score_poses(folder / "poses.sdf", tmp_path / "empty.sdf"))
    twice = (folder / "truth.sdf").read_text() * 2
    (tmp_path / "twice.sdf").write_text(twice)
    with pytest.raises(InputError, match="two molecules titled 'a'"):
        score_poses(folder / "poses.sdf", tmp_path / "twice.sdf")
    (tmp_path / "other.sdf").write_text((folder / "truth.sdf").read_text().replace("a\n", "x\n", 1))
    words = ("evaluate", folder / "poses.sdf", "--truth", "other.sdf", "--quiet")
    done = templ(*words, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")  # that of "b" is there
    others = (folder / "truth.sdf").read_text().replace("a\n", "x\n", 1).replace("\nb\n", "\ny\n")
    (tmp_path / "none.sdf").write_text(others)
    done = templ("evaluate", folder / "poses.sdf", "--truth", "none.sdf", cwd=tmp_path)
    assert done.returncode == 2
    assert (
        "could be judged by none.sdf; the first, 'a': no crystal of this id (a pose is titled" in done.stderr
    )
    assert done.stdout == ""  # no share of poses that nobody judged


def test_a_bonded_pose_does_not_clash_with_its_residue(tmp_path):
    """The bond is told by the file of poses: without it the two atoms would be far too near."""
    receptor = read_receptor(demo_files().receptor)
    [cysteine] = reactive_residues(receptor, receptor.atoms.xyz[:1].astype(float), called="CYS145")
    start = cysteine.reactive[0]
    out = start - receptor.atoms.xyz[cysteine.side_chain].mean(axis=0)
    pose = Chem.MolFromSmiles("CC")
    pose.AddConformer(Chem.Conformer(2))
    out /= np.linalg.norm(out)
    pose.GetConformer().SetPositions(np.array([start + 1.8 * out, start + 3.3 * out]))
    pose.SetProp("_Name", "a")
    bond = ("A:CYS145", "SG", " ".join(map(str, start)), "1", "1.8", "102 110")
    for name, value in (
        ("poses", bond),
        ("bare", ()),
        ("wrong", ("A:CYS145", "SG", "here", "1", "1.8", "102")),
    ):
        mol = Chem.Mol(pose)
        for key, text in zip(BOND_PROPERTIES, value, strict=False):
            mol.SetProp(key, text)
        with Chem.SDWriter(str(tmp_path / f"{name}.sdf")) as writer:
            writer.write(mol)

    def scored(name):
        [score] = score_poses(tmp_path / f"{name}.sdf", tmp_path / "bare.sdf", demo_files().receptor)
        return score

    assert "minimum_distance_to_protein" in scored("bare").failed_checks
    assert "minimum_distance_to_protein" not in scored("poses").failed_checks
    assert "expected a residue, an atom's name, three coordinates" in scored("wrong").problem
