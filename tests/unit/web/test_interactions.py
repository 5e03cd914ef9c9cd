from __future__ import annotations

import numpy as np
import pytest
from rdkit import Chem

from templ.chemistry.molecules import positions, with_coordinates
from templ.chemistry.receptor_file import read_receptor
from templ.pipeline import predict
from templ.poses.pose_file import to_sdf
from templ.settings import PredictionSettings
from templ.web.interactions import find_interactions
from templ.web.pose_view import Structures
from templ.web.results_view import record_at


@pytest.fixture(scope="module")
def bound(predicted):
    record = record_at(str(predicted.path), 0)
    return predicted.poses(record)[0], Structures(predicted).receptor(record)


def test_the_pyridine_binds_to_histidine_163(bound):
    """As in every crystal of this series (the ASAP and COVID Moonshot amides)."""
    pairs = find_interactions(*bound)
    assert ("A:HIS163", "NE2") in {
        (pair.residue, pair.name) for pair in pairs if pair.kind == "hydrogen bond"
    }
    assert [pair.kind for pair in pairs] == sorted((pair.kind for pair in pairs), reverse=True)


def test_a_pose_moved_into_the_protein_clashes(bound):
    pose, receptor = bound
    assert all(pair.kind != "clash" for pair in find_interactions(pose, receptor))
    near = receptor.atoms.xyz[np.argmin(np.linalg.norm(receptor.atoms.xyz - positions(pose)[0], axis=1))]
    moved = with_coordinates(pose, positions(pose) + (near - positions(pose)[0]) * 0.9)
    assert any(pair.kind == "clash" for pair in find_interactions(moved, receptor))


def test_a_hydrogen_must_point_at_the_acceptor(bound):
    """Water's oxygen near a carbonyl: bound where a hydrogen points there, not where both point away."""
    _, receptor = bound
    carbonyl = receptor.atoms.xyz[receptor.atoms.names == "O"][100].astype(float)
    carbon = receptor.atoms.xyz[receptor.atoms.names == "C"][100].astype(float)
    out = (carbonyl - carbon) / np.linalg.norm(carbonyl - carbon)
    oxygen = carbonyl + 2.9 * out
    methanol = Chem.AddHs(Chem.MolFromSmiles("C[NH3+]"))
    atoms = np.tile(oxygen, (methanol.GetNumAtoms(), 1))
    atoms[0] = oxygen + 1.5 * out
    bound_to = []
    for towards in (-out, out):
        placed = atoms.copy()
        placed[5:] = oxygen + 1.0 * towards
        placed[2:5] = atoms[0] + out
        pairs = find_interactions(with_coordinates(methanol, placed), receptor)
        bound_to.append(any(pair.name == "O" and pair.distance == 2.9 for pair in pairs))
    assert bound_to == [True, False]


def test_a_bond_to_the_protein_is_told_and_is_no_clash(demo_library):
    aldehyde = "CC(C)C[C@H](NC(=O)OCc1ccccc1)C(=O)N[C@H](C=O)C[C@@H]1CCNC1=O"
    settings = PredictionSettings(conformers=5, minimised=10, rounds=0, top=1, starts=60, docked=15)
    receptor = read_receptor(demo_library.receptor_path())
    supplier = Chem.SDMolSupplier()
    supplier.SetData(to_sdf(predict(aldehyde, demo_library, settings, receptor=receptor)), removeHs=False)
    [bond, *others] = find_interactions(supplier[0], receptor)
    assert (bond.kind, bond.residue, bond.name) == ("covalent bond", "A:CYS145", "SG")
    assert bond.distance == pytest.approx(1.81, abs=0.1)
    assert np.linalg.norm(np.subtract(bond.start, bond.end)) == pytest.approx(bond.distance, abs=0.01)
    assert not any(pair.residue == "A:CYS145" and pair.name == "SG" for pair in others)
