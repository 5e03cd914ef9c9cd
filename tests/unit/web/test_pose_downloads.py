from __future__ import annotations

import ast
import io
import re
import zipfile

import gemmi
import pytest
from pymol_session import run_pymol
from rdkit import Chem

from templ.chemistry.molecules import positions
from templ.errors import InputError, RunError
from templ.web.pose_downloads import KINDS, download
from templ.web.results_view import MOST_IN_SDF, poses_at, record_at


@pytest.fixture(scope="module")
def had(predicted):
    path = str(predicted.path)
    record = record_at(path, 0)
    return {kind: download(path, record, 1, kind) for kind in KINDS}


def test_the_pose_is_in_every_file(had, predicted):
    pose = predicted.poses("amide")[0]
    (read,) = Chem.ForwardSDMolSupplier(io.BytesIO(had["sdf"][1]), removeHs=False)
    assert positions(read) == pytest.approx(positions(pose), abs=1e-3)
    structures = [gemmi.read_pdb_string(had["pdb"][1].decode())]
    structures.append(gemmi.make_structure_from_block(gemmi.cif.read_string(had["cif"][1].decode())[0]))
    for structure in structures:
        (ligand,) = (residue for chain in structure[0] for residue in chain if residue.name == "LIG")
        assert len(ligand) == pose.GetNumAtoms()
    assert all(name.startswith("amide_1") for name, _ in had.values())


def test_the_pymol_script_has_all_in_it(had):
    script = had["pymol"][1].decode()
    given = [ast.literal_eval(f"({words})") for words in re.findall(r"cmd.load_raw\((.+)\)", script)]
    assert [(kind, name) for _, kind, name in given] == [
        ("pdb", "rank_1_complex"),
        ("sdf", "rank_1_template"),
    ]
    assert len(gemmi.read_pdb_string(given[0][0])[0]) == 2
    assert Chem.MolFromMolBlock(given[1][0]) is not None


def test_pymol_opens_it(had, tmp_path):
    name, content = had["pymol"]
    (tmp_path / name).write_bytes(content)
    told = run_pymol(
        tmp_path / name, "print(cmd.get_object_list())", "png view.png, width=200, height=150, ray=1"
    )
    assert "Error" not in told
    assert "['rank_1_complex', 'rank_1_template']" in told
    assert (tmp_path / "view.png").stat().st_size > 5000


def test_the_chimerax_archive_opens_what_it_has(had):
    with zipfile.ZipFile(io.BytesIO(had["chimerax"][1])) as archive:
        names = archive.namelist()
        lines = archive.read("view.cxc").decode().splitlines()
    opened = [line.removeprefix("open ").strip('"') for line in lines if line.startswith("open ")]
    assert set(opened) | {"view.cxc"} == set(names)


def test_what_there_is_not(predicted):
    path = str(predicted.path)
    with pytest.raises(RunError, match="no rank 9"):
        download(path, record_at(path, 0), 9, "sdf")
    with pytest.raises(RunError, match="no result number 5"):
        record_at(path, 5)


def test_poses_of_several_results_in_the_order_that_is_asked_for(predicted):
    path = str(predicted.path)
    text = poses_at(path, [1, 0])  # the first of these has none
    supplier = Chem.SDMolSupplier()
    supplier.SetData(text)
    assert [mol.GetProp("_Name") for mol in supplier] == ["amide"] * len(predicted["amide"].poses)
    with pytest.raises(RunError, match="no result number 7"):
        poses_at(path, [0, 7])
    for indices in ([], [0] * (MOST_IN_SDF + 1)):
        with pytest.raises(InputError, match="expected 1 to 1,000"):
            poses_at(path, indices)
