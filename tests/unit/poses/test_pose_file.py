from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rdkit import Chem

from templ.chemistry.conformers import PreparedQuery
from templ.chemistry.molecules import parse_smiles, positions
from templ.poses.hydrogens import add_hydrogens
from templ.poses.pose_file import (
    BOND_PROPERTIES,
    MOLECULE_PROPERTIES,
    POSE_PROPERTIES,
    pose_properties,
    read_bond,
    to_sdf,
)
from templ.records import Outcome, Pose, PoseBond
from templ.scoring.terms import TERMS
from templ.templates.superposition import SUPERPOSITION

BOND = PoseBond("A:CYS145", "SG", (8.123, -4.042, 19.111), 3, 1.812, 102.5, 109.4)


@pytest.fixture(scope="module")
def poses():
    query = PreparedQuery(parse_smiles("C[C@H](N)C(=O)Nc1ccccc1"), 2, 1)
    terms = {term.name: 0.25 for term in TERMS}
    return [
        Pose(
            add_hydrogens(query.mol, xyz),
            rank,
            1.5 - rank,
            0.75,
            terms,
            "x0072",
            "core",
            {k: k + 3 for k in range(6)},
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
    found = read(to_sdf(Outcome("query 7", "posed", poses=tuple(poses))))
    assert len(found) == 2
    for mol, pose in zip(found, poses, strict=True):
        assert mol.GetProp("_Name") == "query 7"
        assert Chem.MolToSmiles(mol) == Chem.MolToSmiles(pose.mol)
        assert np.allclose(positions(mol), positions(pose.mol), atol=1e-4)
        names = [name for name in POSE_PROPERTIES if mol.HasProp(name)]
        assert {name: mol.GetProp(name) for name in names} == pose_properties(pose)


def test_properties_come_in_the_order_that_is_promised(poses):
    superposed = replace(poses[0], superposition=dict.fromkeys(SUPERPOSITION, 0.5), pocket=("A:HIS41",))
    assert tuple(pose_properties(replace(superposed, bond=BOND))) == POSE_PROPERTIES
    assert tuple(pose_properties(superposed)) == POSE_PROPERTIES[: -len(BOND_PROPERTIES)]
    assert (
        tuple(pose_properties(poses[0])) == POSE_PROPERTIES[: -len(BOND_PROPERTIES) - len(SUPERPOSITION) - 1]
    )


def test_a_bond_reads_back(poses):
    [first, second] = read(to_sdf(Outcome("q", "posed", poses=(replace(poses[0], bond=BOND), poses[1]))))
    assert read_bond(first) == BOND
    assert read_bond(second) is None


def test_properties_say_it_plainly(poses):
    properties = pose_properties(poses[0])
    assert properties["rank"] == "1"
    assert properties["score"] == "0.5000"
    assert properties["template"] == "x0072"
    assert properties["core_rmsd"] == "0.123"
    assert properties["core_atoms"] == "6"
    assert properties["placement_method"] == "core"
    assert properties["score_consensus"] == "0.2500"


def test_writing_leaves_the_pose_as_it_was(poses):
    to_sdf(Outcome("other", "posed", poses=tuple(poses)))
    assert not poses[0].mol.HasProp("rank")


def test_no_poses_are_no_records():
    assert to_sdf(Outcome("query", "refused")) == ""


def test_a_pose_says_what_it_takes_to_judge_it(poses):
    outcome = Outcome(
        "q", "posed", poses=tuple(poses), best_tanimoto=0.4321, prior_confidence=0.5, best_identity=0.98765
    )
    for mol in read(to_sdf(outcome, "target.pdb")):
        assert [mol.GetProp(name) for name in MOLECULE_PROPERTIES] == [
            "12",
            "0.500",
            "0.432",
            "0.988",
            "target.pdb",
        ]


def test_what_is_not_known_is_not_said(poses):
    [first, _] = read(to_sdf(Outcome("q", "posed", poses=tuple(poses))))
    assert not any(first.HasProp(name) for name in ("prior_confidence", "nearest_identity", "receptor"))
