"""Poses in their receptors and the scripts that open them: every file a script names is there."""

from __future__ import annotations

import re

import gemmi
import pytest
from program import run_templ as templ
from pymol_session import run_pymol
from rdkit import Chem

from templ.benchmark.builtin import find_benchmark
from templ.benchmark.runner import RunOptions, run_benchmark
from templ.errors import InputError
from templ.evaluation.run import load_run
from templ.export.session_scripts import _names, export_session
from templ.settings import RunSettings


@pytest.fixture(scope="module")
def poses(demo_path, tmp_path_factory):
    """Two queries, one of a nasty name, and one that is refused."""
    folder = tmp_path_factory.mktemp("session")
    (folder / "q.csv").write_text(
        'name,SMILES\n"a b/c; quit",CC(=O)Nc1cnccc1C\nb,CCOc1cccnc1\niron,[Fe]OCCO\n'
    )
    words = ("predict", "-l", demo_path, "-q", "q.csv", "--top", "2", "--set", "conformers=5")
    templ(*words, cwd=folder).check_returncode()
    return folder / "poses.sdf"


@pytest.mark.parametrize(
    ("format", "name", "opens"),
    [
        ("complex", "complexes.txt", r"^(complexes/.+)$"),
        ("pymol", "view.pml", r"^load (\S+),"),
        ("chimerax", "view.cxc", r'^open "(.+)"$'),
    ],
)
def test_what_a_script_opens_is_there_and_no_name_is_a_command(poses, tmp_path, format, name, opens):
    done = templ("export", poses, "-f", format, "-o", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"4 poses of 2 queries; written: out/{name}" in done.stderr
    text = (tmp_path / "out" / name).read_text()
    opened = re.findall(opens, text, re.MULTILINE)
    assert len(opened) == (2 if format == "complex" else 4)
    for path in opened:
        file = tmp_path / "out" / path
        if file.suffix == ".sdf":
            assert len(list(Chem.SDMolSupplier(str(file)))) == 2
        else:
            structure = gemmi.read_structure(str(file))
            assert [residue.name for chain in structure[0] for residue in chain].count("LIG") == 1
    assert "; quit" not in text


def test_pymol_opens_it(poses, tmp_path):
    """Also where a molecule is called as a word of PyMOL is (``b``), and without a network."""
    templ("export", poses, "-f", "pymol", "-o", "out", cwd=tmp_path).check_returncode()
    count = "print(cmd.count_atoms('b_complex'), cmd.count_atoms('b_poses'), len(cmd.get_bonds('b_complex')))"
    told = run_pymol(tmp_path / "out" / "view.pml", count, "png view.png, width=200, height=150, ray=1")
    assert "Error" not in told
    whole = gemmi.read_structure(str(tmp_path / "out" / "complexes" / "b.pdb"))[0]
    atoms, poses_atoms, bonds = map(int, re.search(r"^(\d+) (\d+) (\d+)$", told, re.MULTILINE).groups())
    assert (atoms, poses_atoms) == (whole.count_atom_sites(), 2 * 18)
    assert bonds > 0.9 * atoms
    assert (tmp_path / "out" / "view.png").stat().st_size > 5000


@pytest.mark.parametrize("receptor", ["own", "nearest"])
def test_a_benchmark_in_which_each_target_has_its_receptor(kinase_path, tmp_path, receptor):
    fast = RunOptions(
        prediction={"conformers": 5, "minimised": 0, "rounds": 0, "starts": 0, "top": 1}, limit=2
    )
    benchmark = find_benchmark("loo", library=kinase_path, receptor=receptor)
    run_benchmark(benchmark, tmp_path / "run", RunSettings(workers=1), fast)
    done = export_session(tmp_path / "run", tmp_path / "out", "pymol")
    assert (done.targets, done.poses, done.unposed) == (2, 2, 0)
    for record in load_run(tmp_path / "run"):
        structure = gemmi.read_structure(str(tmp_path / "out" / "complexes" / f"{record.id}.cif"))
        assert structure[0].count_atom_sites() > 200


def test_names_of_objects():
    assert _names(["a b/c; quit", "a-1", "a 1"]) == ["a_b_c__quit", "a_1", "a_1_2"]


def test_what_is_no_session(poses, tmp_path):
    with pytest.raises(InputError, match="is no format"):
        export_session(poses, tmp_path / "x", "vmd")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(InputError, match="is not empty"):
        export_session(poses, tmp_path / "full", "pymol")


def test_the_command_names_all_formats(poses, tmp_path):
    done = templ("export", poses, "-f", "vmd", "-o", "x", cwd=tmp_path)
    assert done.returncode == 2
    assert "'vmd' is no format; expected csv, parquet" in done.stderr
    assert done.stderr.endswith("complex, pymol, chimerax, series\n")
