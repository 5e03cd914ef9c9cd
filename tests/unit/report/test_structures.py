from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import gemmi
import numpy as np
import pytest
from rdkit import Chem

from templ.benchmark.builtin import find_benchmark
from templ.benchmark.runner import RunOptions, run_benchmark
from templ.chemistry.molecules import positions
from templ.chemistry.receptor_file import read_receptor
from templ.errors import LibraryError
from templ.evaluation.rmsd import symmetric_rmsd
from templ.jobs.binding_site import BindingSite
from templ.jobs.query_run import predict_queries
from templ.report.collect import read_results
from templ.report.structures import POCKET_REACH, Structures, pocket_pdb
from templ.runs.run_libraries import find_receptors
from templ.settings import PredictionSettings, RunSettings


def named(shown):
    return {model["name"]: model["text"] for model in shown["models"]}


def coordinates(block):
    return positions(Chem.MolFromMolBlock(block))


def test_what_there_is_of_a_target(run):
    results = read_results(run)
    structures = Structures(results.run)
    record = results.records[0]
    shown = structures.of(record)
    assert list(named(shown)) == [
        *(f"rank {rank}" for rank in range(1, len(record.poses) + 1)),
        "template",
        "crystal",
        "pocket",
    ]
    assert structures.notes == []
    assert "var(--core)" in shown["query"]
    assert "var(--core)" in shown["template"]
    models = named(shown)
    # All in one frame: the first pose is as far from the crystal as the record says, the template near it.
    pose, crystal = Chem.MolFromMolBlock(models["rank 1"]), Chem.MolFromMolBlock(models["crystal"])
    own = pose.GetSubstructMatch(crystal)
    gaps = np.linalg.norm(positions(pose)[list(own)] - positions(crystal), axis=1)
    assert (gaps**2).mean() ** 0.5 == pytest.approx(record.rmsd, abs=0.3)
    middle = coordinates(models["rank 1"]).mean(axis=0)
    assert np.linalg.norm(coordinates(models["template"]).mean(axis=0) - middle) < 5


def test_poses_in_another_crystal_are_shown_with_that_and_the_crystal_pose_carried_there(
    kinase_path, tmp_path
):
    fast = RunOptions(prediction={"conformers": 5, "minimised": 10, "rounds": 0, "top": 1}, limit=2)
    run_benchmark(find_benchmark("cross", library=kinase_path), tmp_path, RunSettings(workers=1), fast)
    results = read_results(tmp_path)
    for record in results.records:
        models = named(Structures(results.run).of(record))
        assert set(models) == {"rank 1", "template", "crystal", "pocket"}
        pose, crystal = Chem.MolFromMolBlock(models["rank 1"]), Chem.MolFromMolBlock(models["crystal"])
        assert symmetric_rmsd(pose, crystal) == pytest.approx(record.rmsd, abs=0.01)
        pocket = gemmi.read_pdb_string(models["pocket"])
        apart = [
            np.linalg.norm(positions(pose) - atom.pos.tolist(), axis=1).min()
            for chain in pocket[0]
            for residue in chain
            for atom in residue
        ]
        assert min(apart) < 4


def marked(svg):
    """Atoms that are highlighted in a drawing."""
    return {int(atom) for atom in re.findall(r"<ellipse[^>]* class='atom-(\d+)'[^>]*var\(--core\)", svg)}


def test_the_core_that_is_marked_is_the_one_that_was_copied(run):
    """Atom by atom what the record says; and these atoms lie on each other, as far as the record says."""
    results = read_results(run)
    structures = Structures(results.run)
    for record in results.records:
        pose, shown = record.first, structures.of(record)
        assert len(pose.core) > 3
        assert marked(shown["query"]) == {atom for atom, _ in pose.core}
        assert marked(shown["template"]) == {atom for _, atom in pose.core}
        query, template = (coordinates(named(shown)[name]) for name in ("rank 1", "template"))
        gaps = query[[atom for atom, _ in pose.core]] - template[[atom for _, atom in pose.core]]
        assert (gaps**2).sum(axis=1).mean() ** 0.5 == pytest.approx(pose.core_rmsd, abs=0.01)


def test_what_was_copied_of_nothing_is_not_marked(run, alter):
    record = read_results(run).records[0]
    alter(0, poses=(replace(record.first, core=(), core_smarts=""), *record.poses[1:]))
    results = read_results(run)
    shown = Structures(results.run).of(results.records[0])
    assert marked(shown["query"]) == marked(shown["template"]) == set()


def test_what_there_is_of_a_query(predicted):
    results = read_results(predicted)
    structures = Structures(results.run)
    posed, refused, *_ = results.records
    shown = structures.of(posed)
    assert list(named(shown)) == ["rank 1", "rank 2", "template", "pocket"]
    assert marked(shown["query"]) == {atom for atom, _ in posed.first.core}
    shown = structures.of(refused)
    assert (shown["models"], shown["smiles"]) == ([], refused.smiles)
    assert shown["query"].startswith("<svg")
    assert structures.of(results.records[3]) == {"models": []}  # a SMILES that could not be read
    assert structures.notes == []


def test_a_receptor_that_is_gone_is_said(predicted, replace_in_manifest):
    replace_in_manifest(predicted.with_suffix(".run"), "receptors/receptor.pdb.gz", "gone.pdb.gz")
    results = read_results(predicted)
    structures = Structures(results.run)
    assert "pocket" not in named(structures.of(results.records[0]))
    (note,) = structures.notes
    assert note.startswith("The pocket is not shown: ")
    assert note.endswith("gone.pdb.gz is gone.")


def test_a_prediction_that_was_moved_with_its_library_finds_both(predicted, demo_path, replace_in_manifest):
    run = predicted.with_suffix(".run")
    shutil.copytree(demo_path, run.parent / demo_path.name)
    replace_in_manifest(run, str(demo_path), f"/gone/{demo_path.name}")
    results = read_results(predicted)
    structures = Structures(results.run)
    assert {"template", "pocket"} <= set(named(structures.of(results.records[0])))
    assert structures.notes == []
    assert find_receptors(run, results.run.manifest) == [Path(results.run.manifest.receptors[0])]
    shutil.copy(demo_path / "receptors" / "receptor.pdb.gz", run.parent)
    assert find_receptors(run, results.run.manifest) == [run.parent / "receptor.pdb.gz"]


def test_a_target_without_pose_has_its_crystal(run, alter):
    alter(0, status="refused", reason="peptide", poses=())
    results = read_results(run)
    shown = Structures(results.run).of(results.records[0])
    assert list(named(shown)) == ["crystal", "pocket"]
    assert shown["query"].startswith("<svg")
    assert "template" not in shown


def test_poses_that_are_gone_are_said(run):
    shutil.rmtree(run / "poses")
    results = read_results(run)
    structures = Structures(results.run)
    shown = [structures.of(record) for record in results.records]
    assert all("rank 1" not in named(one) and "crystal" in named(one) for one in shown)
    assert "The poses of 5 targets are not shown" in structures.notes[0]


def test_poses_that_are_damaged_are_said(run):
    shard = next((run / "poses").iterdir())
    shard.write_bytes(shard.read_bytes().replace(b"V2000", b"V9999"))
    results = read_results(run)
    structures = Structures(results.run)
    assert "rank 1" not in named(structures.of(results.records[0]))
    assert "was altered" in structures.notes[0]


def test_libraries_that_are_gone_are_said_and_can_be_named(run, tmp_path, replace_in_manifest):
    replace_in_manifest(run, "library.templ", "elsewhere/library.templ")
    moved = shutil.move(run / "inputs" / "library.templ", tmp_path / "elsewhere.templ")
    results = read_results(run)
    structures = Structures(results.run)
    shown = structures.of(results.records[0])
    assert {"rank 1"} <= set(named(shown))
    assert not {"template", "crystal", "pocket"} & set(named(shown))
    assert sum("--library" in note for note in structures.notes) == 2
    found = Structures(results.run, [moved])
    assert found.notes == []
    assert {"template", "crystal", "pocket"} <= set(named(found.of(results.records[0])))


def test_a_library_that_is_none(run, tmp_path):
    with pytest.raises(LibraryError):
        Structures(read_results(run).run, [tmp_path])


def test_the_pocket_is_whole_residues_near_the_ligand(demo_library):
    receptor = read_receptor(demo_library.receptor_path())
    ligand = positions(demo_library.ligand(0))
    structure = gemmi.read_pdb_string(pocket_pdb(receptor, ligand))
    residues = [residue for chain in structure[0] for residue in chain]
    assert 10 < len(residues) < 60
    for residue in residues:
        xyz = np.array([atom.pos.tolist() for atom in residue])
        assert np.linalg.norm(xyz[:, None] - ligand[None], axis=-1).min() <= POCKET_REACH + 0.01
        assert residue.name == "GLY" or len(residue) > 4


def test_the_residue_that_a_pose_is_bonded_to_is_shown_as_it_has_turned(demo_path, tmp_path):
    fast = PredictionSettings(conformers=5, minimised=10, rounds=0, top=1, starts=60, docked=15)
    run = predict_queries(
        [("one", "O=Cc1cccc2c1ccnc2")],
        BindingSite(demo_path),
        tmp_path / "p.sdf",
        fast.model_copy(update={"covalent": "THR25"}),
        RunSettings(workers=1),
    )
    bond = run["one"].poses[0].bond
    pocket = named(Structures(run).of(run["one"]))["pocket"]
    [oxygen] = [
        atom.pos.tolist()
        for chain in gemmi.read_pdb_string(pocket)[0]
        for residue in chain
        for atom in residue
        if (residue.seqid.num, atom.name) == (25, "OG1")
    ]
    np.testing.assert_allclose(oxygen, bond.position, atol=2e-3)
