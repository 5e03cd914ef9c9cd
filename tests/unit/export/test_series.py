"""A run as a series: every ligand in one frame, each map is of atoms that are the same in both."""

from __future__ import annotations

import json

import numpy as np
import pytest
from program import run_templ as templ
from rdkit import Chem

from templ.chemistry.molecules import positions
from templ.chemistry.receptor_file import read_receptor
from templ.errors import InputError
from templ.export.series import _inverted, export_series, told
from templ.jobs.binding_site import BindingSite
from templ.jobs.query_run import predict_queries
from templ.settings import PredictionSettings, RunSettings
from templ.templates.mcs import connected_cores

FAST = PredictionSettings(conformers=5, minimised=5, rounds=0, starts=0, top=2)
ONE = RunSettings(workers=1)
SERIES = [
    ("acid", "O=C([O-])Cc1cccc(NC(=O)Cc2ccccc2)c1"),
    ("methyl", "Cc1cccc(NC(=O)Cc2ccccc2)c1"),
    ("chloro, 3", "O=C(Cc1ccccc1)Nc1cccc(Cl)c1"),
    ("other", "CCCC#N"),
    ("iron", "[Fe]OCCO"),
]


@pytest.fixture(scope="module")
def written(demo_path, tmp_path_factory):
    folder = tmp_path_factory.mktemp("series")
    run = predict_queries(SERIES, BindingSite(demo_path), folder / "p.sdf", FAST, ONE)
    done = export_series(run.path, folder / "out")
    return run, done, folder / "out"


def read(folder):
    ligands = list(Chem.SDMolSupplier(str(folder / "ligands.sdf"), removeHs=False))
    return {mol.GetProp("_Name"): mol for mol in ligands}, json.loads((folder / "atom_maps.json").read_text())


def test_each_ligand_once_with_hydrogens_and_charges_where_the_run_has_it(written):
    run, done, folder = written
    ligands, _ = read(folder)
    assert list(ligands) == ["acid", "methyl", "chloro, 3", "other"]
    assert (done.targets, done.poses, done.unposed) == (5, 4, 1)
    assert Chem.GetFormalCharge(ligands["acid"]) == -1
    for id, mol in ligands.items():
        assert mol.GetNumAtoms() == Chem.AddHs(Chem.RemoveHs(mol)).GetNumAtoms() > mol.GetNumHeavyAtoms()
        np.testing.assert_allclose(positions(mol), positions(run.poses(id)[0]), atol=1e-4)


def test_maps_are_of_like_atoms_one_to_one_with_their_hydrogens(written):
    _, _, folder = written
    ligands, content = read(folder)
    reference = ligands[content["reference"]]
    assert len(content["maps"]) == 2
    for edge in content["maps"]:
        assert edge["componentA"] == content["reference"]
        other = ligands[edge["componentB"]]
        pairs = edge["componentA_to_componentB"]
        onto = dict(pairs)
        assert len(onto) == len(set(onto.values())) == len(pairs)
        for a, b in pairs:
            here, there = reference.GetAtomWithIdx(a), other.GetAtomWithIdx(b)
            assert here.GetAtomicNum() == there.GetAtomicNum()
            if here.GetAtomicNum() == 1:
                assert onto[here.GetNeighbors()[0].GetIdx()] == there.GetNeighbors()[0].GetIdx()
        heavy = [(a, b) for a, b in pairs if reference.GetAtomWithIdx(a).GetAtomicNum() > 1]
        # The methyl group of the one is in the acid of the other, with two of its hydrogens.
        more = {edge["componentA"], edge["componentB"]} == {"acid", "methyl"}
        assert len(heavy) == edge["core_atoms"] == 16 + more
        # A ring that lies the other way round is mapped as it lies, with one hydrogen less.
        assert len(pairs) - len(heavy) in (11 + 2 * more, 12 + 2 * more)
        gaps = positions(reference)[[a for a, _ in heavy]] - positions(other)[[b for _, b in heavy]]
        rmsd = float(np.sqrt((gaps**2).sum(axis=1).mean()))
        assert edge["core_rmsd"] == pytest.approx(rmsd, abs=2e-3)
        assert edge["agrees"] == (rmsd <= 1)
        here, there = Chem.RemoveHs(reference), Chem.RemoveHs(other)
        others = [
            positions(here)[list(core)] - positions(there)[list(core.values())]
            for core in connected_cores(here, there)
        ]
        assert len(others) > 1
        assert rmsd <= min(float(np.sqrt((each**2).sum(axis=1).mean())) for each in others) + 1e-6


def test_what_has_no_map_says_why(written):
    _, _, folder = written
    _, content = read(folder)
    assert {each["ligand"]: each["why"] for each in content["without_map"]} == {
        "other": "no connected core of 6 atoms in common with the reference",
        "iron": "refused, unsupported-element",
    }


def test_gufe_reads_it(written):
    """PyPI has gufe 0.4: pip install gufe acellera-openff-{toolkit,units,utilities} openmm xmltodict."""
    gufe = pytest.importorskip("gufe")
    _, _, folder = written
    ligands, content = read(folder)
    components = {id: gufe.SmallMoleculeComponent.from_rdkit(mol) for id, mol in ligands.items()}
    assert {each.name for each in components.values()} == set(ligands)
    assert components["acid"].total_charge == -1
    for edge in content["maps"]:
        sizes = [components[edge[end]].to_rdkit().GetNumAtoms() for end in ("componentA", "componentB")]
        for pair in edge["componentA_to_componentB"]:
            assert pair[0] < sizes[0] and pair[1] < sizes[1]
    receptor = read_receptor(folder / "receptor.pdb")
    assert gufe.ProteinComponent.from_pdb_file(str(folder / "receptor.pdb")).to_rdkit().GetNumAtoms() == len(
        receptor.atoms
    )


def test_poses_in_several_receptors_are_brought_into_one(kinase_path, kinase_library, tmp_path):
    queries = [(f"q-{id}", Chem.MolToSmiles(kinase_library[id])) for id in list(kinase_library)[:3]]
    run = predict_queries(queries, BindingSite(kinase_path), tmp_path / "p.sdf", FAST, ONE)
    assert len({record.receptor for record in run}) > 1
    said = list(told(export_series(run.path, tmp_path / "out").table))
    ligands, content = read(tmp_path / "out")
    edges = {edge["componentB"]: edge["brought_from"] for edge in content["maps"]}
    assert all(run[id].receptor == name for id, name in edges.items() if name is not None)
    reference = content["reference"]
    for id, mol in ligands.items():
        moved = run[id].receptor != run[reference].receptor
        assert mol.HasProp("brought_from") == moved
        if moved:
            assert any(id in line and "--receptor" in line for line in said)
        assert np.linalg.norm(positions(mol).mean(axis=0) - positions(ligands[reference]).mean(axis=0)) < 8


def test_a_stereocentre_that_is_the_other_way_round_is_no_map():
    from rdkit.Chem import AllChem

    def built(smiles):
        mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
        AllChem.EmbedMolecule(mol, randomSeed=1)
        return mol

    first, same, other = built("C[C@H](F)Cl"), built("C[C@H](F)Cl"), built("C[C@@H](F)Cl")
    pairs = [(atom, atom) for atom in range(4)]
    assert not _inverted(first, same, pairs)
    assert _inverted(first, other, pairs)


def test_refusals(written, demo_path, tmp_path):
    run, _, folder = written
    with pytest.raises(InputError, match="is not empty"):
        export_series(run.path, folder)
    with pytest.raises(InputError, match="is in the run itself"):
        export_series(run.path, run.path / "out")
    none = predict_queries([("iron", "[Fe]OCCO")], BindingSite(demo_path), tmp_path / "n.sdf", FAST, ONE)
    with pytest.raises(InputError, match="no molecule has a pose"):
        export_series(none.path, tmp_path / "none")


def test_the_command_says_what_does_not_agree(written, tmp_path):
    run, _, folder = written
    path = folder.parent / "p.sdf"
    done = templ("export", path, "-f", "series", "-o", tmp_path / "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "reference: " in done.stderr
    assert "other: no atom map: no connected core of 6 atoms" in done.stderr
    assert "4 poses of 4 queries; written: " in done.stderr
    assert run.path.is_dir()
