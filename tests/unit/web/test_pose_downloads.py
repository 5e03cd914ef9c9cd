from __future__ import annotations

import io
import zipfile

import gemmi
import pytest
from rdkit import Chem

from templ.chemistry.molecules import positions
from templ.errors import RunError
from templ.web.pose_downloads import KINDS, download
from templ.web.results_view import record_at


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


def test_the_pymol_script_is_whole(had):
    """Its Python part is Python, and what it gives to PyMOL reads back."""
    script = had["pymol"][1].decode()
    part, rest = script.removeprefix("python\n").split("python end\n")
    given = []
    namespace = {
        "cmd": type(
            "cmd",
            (),
            {
                name: staticmethod(lambda *words: given.append(words))
                for name in ("read_pdbstr", "read_molstr")
            },
        )
    }
    exec(part.replace("from pymol import cmd\n", ""), namespace)
    assert [words[1] for words in given] == ["receptor", "pose", "template"]
    assert len(gemmi.read_pdb_string(given[0][0])[0]) == 1
    assert Chem.MolFromMolBlock(given[1][0]) is not None
    assert "resi 163" in rest


def test_the_chimerax_archive_opens_what_it_has(had):
    with zipfile.ZipFile(io.BytesIO(had["chimerax"][1])) as archive:
        names = archive.namelist()
        lines = archive.read("view.cxc").decode().splitlines()
    opened = [line.removeprefix("open ") for line in lines if line.startswith("open ")]
    assert set(opened) | {"view.cxc"} == set(names)


def test_what_there_is_not(predicted):
    path = str(predicted.path)
    with pytest.raises(RunError, match="no rank 9"):
        download(path, record_at(path, 0), 9, "sdf")
    with pytest.raises(RunError, match="no result number 5"):
        record_at(path, 5)
