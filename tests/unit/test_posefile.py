from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rdkit import Chem

from templ.molecules import parse_smiles, positions
from templ.posefile import PROPERTIES, pose_properties, to_sdf
from templ.posing.finish import add_hydrogens
from templ.query import PreparedQuery
from templ.records import Pose
from templ.scoring.ranking import TERMS
from templ.selection.superpose import SUPERPOSITION


@pytest.fixture(scope="module")
def poses():
    query = PreparedQuery(parse_smiles("C[C@H](N)C(=O)Nc1ccccc1"), 2, 1)
    parts = dict.fromkeys(TERMS, 0.25)
    return [
        Pose(
            add_hydrogens(query.mol, xyz),
            rank,
            1.5 - rank,
            0.75,
            parts,
            "x0072",
            "core",
            6,
            "c1ccccc1",
            0.12345,
        )
        for rank, xyz in enumerate(query.conformers, 1)
    ]


def read(text):
    supplier = Chem.SDMolSupplier()
    supplier.SetData(text, removeHs=False)
    return list(supplier)


def test_what_is_written_reads_back(poses):
    found = read(to_sdf("query 7", poses))
    assert len(found) == 2
    for mol, pose in zip(found, poses, strict=True):
        assert mol.GetProp("_Name") == "query 7"
        assert Chem.MolToSmiles(mol) == Chem.MolToSmiles(pose.mol)
        assert np.allclose(positions(mol), positions(pose.mol), atol=1e-4)
        names = [name for name in PROPERTIES if mol.HasProp(name)]
        assert {name: mol.GetProp(name) for name in names} == pose_properties(pose)


def test_properties_come_in_the_order_that_is_promised(poses):
    superposed = replace(poses[0], superposition=dict.fromkeys(SUPERPOSITION, 0.5))
    assert tuple(pose_properties(superposed)) == PROPERTIES
    assert tuple(pose_properties(poses[0])) == PROPERTIES[: -len(SUPERPOSITION)]


def test_properties_say_it_plainly(poses):
    properties = pose_properties(poses[0])
    assert properties["rank"] == "1"
    assert properties["score"] == "0.5000"
    assert properties["template"] == "x0072"
    assert properties["core_rmsd"] == "0.123"


def test_writing_leaves_the_pose_as_it_was(poses):
    to_sdf("other", poses)
    assert not poses[0].mol.HasProp("rank")


def test_no_poses_are_no_records():
    assert to_sdf("query", []) == ""
