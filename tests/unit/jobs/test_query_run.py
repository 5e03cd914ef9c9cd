"""A list of queries is a run: recorded as it comes, in the order of the list, gone on with after any end."""

from __future__ import annotations

import csv
import gzip
import shutil
from dataclasses import replace

import numpy as np
import pytest
from rdkit import Chem

from templ.chemistry.molecules import heavy, positions
from templ.chemistry.receptor_file import read_receptor
from templ.errors import InputError, LibraryError, RunError
from templ.evaluation.rmsd import symmetric_rmsd
from templ.evaluation.run import load_run
from templ.export.complex_file import write_complexes
from templ.export.pdb import to_pdb
from templ.jobs import query_run
from templ.jobs.binding_site import BindingSite
from templ.jobs.query_run import predict_queries
from templ.records import Target
from templ.runs.journal import read_records
from templ.runs.record import Cost
from templ.settings import PredictionSettings, RunSettings
from templ.sources.demo import demo_files

MACHINE = RunSettings(workers=2, memory=2**33)


@pytest.fixture
def predict(demo_path, tmp_path, monkeypatch, engine_work, calm):
    """Predicts in this process, the last query first, with work that is done at once."""
    from inline_executor import InlineExecutor

    monkeypatch.setattr(query_run, "choose_executor", lambda settings, tasks: InlineExecutor())
    monkeypatch.setattr(query_run, "FUNCTION", "query_work:open_work")

    def predict(queries, out=tmp_path / "poses.sdf", settings=None, machine=MACHINE, **options):
        return predict_queries(queries, BindingSite(demo_path), out, settings, machine, **options)

    return predict


def sdf_of(id):
    from query_work import sdf_of  # found once `engine_work` has said where

    return sdf_of(id)


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def pairs(*ids):
    return [(id, "CCO") for id in ids]


def test_poses_table_and_records_are_in_the_order_of_the_list(predict, tmp_path):
    """The first ends last, and nothing waits for it."""
    ids = [f"q{number}" for number in range(10)]
    on_disk = []

    def look(progress):
        journal = tmp_path / "poses.run" / "results.jsonl"
        on_disk.append([record.id for record in read_records(journal)])

    run = predict(pairs(*ids), on_progress=look)
    assert [record.id for record in run] == ids
    assert on_disk == [ids[::-1][:count] for count in range(11)], "each at once"
    assert (tmp_path / "poses.sdf").read_text() == "".join(map(sdf_of, ids))
    assert [row["id"] for row in rows(tmp_path / "poses.csv")] == ids
    assert run.manifest.finished is not None
    assert run.manifest.name == "predict"


def test_a_query_that_fails_costs_one_record(predict, tmp_path):
    """What crashes, hangs and takes all memory is in tests/faults/test_worker_faults.py."""
    run = predict(pairs("q0", "fail money", "q1", "q2"))
    assert [record.ending for record in run] == ["posed", "failed: error", "posed", "posed"]
    assert (tmp_path / "poses.sdf").read_text() == "".join(map(sdf_of, ["q0", "q1", "q2"]))
    row = rows(tmp_path / "poses.csv")[1]
    assert (row["id"], row["status"], row["reason"], row["rank"]) == ("fail money", "failed", "error", "")
    assert row["detail"] == run["fail money"].detail == "ValueError: no money at all"


def test_what_is_on_disk_is_not_done_again(predict, tmp_path):
    ids = [f"q{number}" for number in range(8)]

    def stop(progress):
        if progress.done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict(pairs(*ids), on_progress=stop)
    assert not (tmp_path / "poses.sdf").exists()
    run = load_run(tmp_path / "poses.run")
    assert (len(run), run.manifest.finished) == (3, None)
    before = {record.id: record.cost for record in run}
    told = []
    run = predict(pairs(*ids), on_progress=lambda progress: told.append(progress.done))
    assert told == [3, 4, 5, 6, 7, 8]
    assert [record.id for record in run] == ids
    assert {id: run[id].cost for id in before} == before


def test_the_same_call_again_writes_the_same(predict, tmp_path):
    predict(pairs("a", "b"))
    results = [tmp_path / "poses.sdf", tmp_path / "poses.csv"]
    before = [path.read_bytes() for path in results]
    for path in results:
        path.unlink()
    predict(pairs("a", "b"))
    assert [path.read_bytes() for path in results] == before


def test_nothing_in_the_results_says_what_it_cost(predict, tmp_path):
    predict(pairs("a"))
    assert not {"cpu_s", "wall_s", "uss_bytes"} & set(rows(tmp_path / "poses.csv")[0])


def test_a_run_of_other_queries_or_settings_is_refused_or_replaced(predict, tmp_path):
    predict(pairs("a", "b"))
    before = (tmp_path / "poses.sdf").read_bytes()
    with pytest.raises(RunError, match="another list of targets or queries"):
        predict(pairs("a", "c"))
    with pytest.raises(RunError, match=r"settings\.seed: 1 -> 2"):
        predict(pairs("a", "b"), settings=PredictionSettings(seed=2))
    assert (tmp_path / "poses.sdf").read_bytes() == before
    run = predict(pairs("a", "c"), replace_other=True)
    assert [record.id for record in run] == ["a", "c"]
    assert (tmp_path / "poses.sdf").read_text() == sdf_of("a") + sdf_of("c")
    assert [record.id for record in predict(pairs("a", "c"), replace_other=True)] == ["a", "c"]


def test_a_run_of_an_older_version_is_replaced_too(predict, tmp_path):
    predict(pairs("a"))
    (tmp_path / "poses.run" / "manifest.json").write_text('{"format_version": 1}')
    with pytest.raises(RunError, match="an older TEMPL"):
        predict(pairs("b"))
    assert [record.id for record in predict(pairs("b"), replace_other=True)] == ["b"]


@pytest.mark.parametrize("manifest", ["", '{"format_version": 1}', "no JSON"])
def test_a_run_of_more_queries_is_not_replaced(predict, tmp_path, manifest):
    """One molecule that is looked at in between, under the default name, must not cost a night's list."""
    predict(pairs("a", "b"))
    if manifest:
        (tmp_path / "poses.run" / "manifest.json").write_text(manifest)
    before = {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()}
    with pytest.raises(RunError, match="holds a run of 2 queries, which would be lost; choose another -o"):
        predict(pairs("c"), replace_other=True)
    assert before == {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()}


def test_the_machine_does_not_matter(predict):
    predict(pairs("a", "b"))
    predict(pairs("a", "b"), machine=RunSettings(workers=1, memory=2**32))


def test_processes_that_join_write_what_one_does(predict, tmp_path):
    ids = [f"q{number}" for number in range(20)]
    alone, joined = tmp_path / "alone.sdf", tmp_path / "joined.sdf"
    predict(pairs(*ids), alone)
    for _ in range(2):  # the second comes when all is done
        run = predict(pairs(*ids), joined, machine=MACHINE.model_copy(update={"join": True}))
        assert [record.id for record in run] == ids
        for suffix in (".sdf", ".csv"):
            assert joined.with_suffix(suffix).read_bytes() == alone.with_suffix(suffix).read_bytes()
        joined.unlink()
    assert len(list((tmp_path / "joined.run/processes").iterdir())) == 1


def test_queries_of_a_file_are_not_copied_and_those_of_python_are_kept(predict, tmp_path):
    mol = Chem.MolFromSmiles("CCS")
    named = Chem.MolFromSmiles("CCN")
    named.SetProp("_Name", "amine")
    run = predict(["CCO", ("alcohol", "CCCO"), named, mol, Target("t", "CCF")])
    assert [(record.id, record.smiles) for record in run] == [
        ("query-1", "CCO"),
        ("alcohol", "CCCO"),
        ("amine", "CCN"),
        ("query-4", "CCS"),
        ("t", "CCF"),
    ]
    assert run.manifest.queries == str(tmp_path / "poses.run" / "inputs" / "queries.csv")
    (tmp_path / "q.smi").write_text("CCO a\n")
    run = predict(str(tmp_path / "q.smi"), str(tmp_path / "of-file.sdf"))
    assert run.manifest.queries == str(tmp_path / "q.smi")
    assert not (run.path / "inputs").exists()


def test_a_list_that_changed_is_another_list(predict, tmp_path):
    (tmp_path / "q.smi").write_text("CCO a\n")
    predict(tmp_path / "q.smi")
    (tmp_path / "q.smi").write_text("CCN a\n")
    with pytest.raises(RunError, match="another list of targets or queries"):
        predict(tmp_path / "q.smi")


@pytest.mark.parametrize(
    ("out", "error", "says"),
    [
        ("r.pdb", InputError, "-o .*r.pdb: expected the name of a file that ends in .sdf"),
        ("folder.sdf", InputError, "folder.sdf is a directory"),
    ],
)
def test_an_output_that_is_none_leaves_everything_as_it_was(predict, tmp_path, out, error, says):
    (tmp_path / "folder.sdf").mkdir()
    with pytest.raises(error, match=says):
        predict(["CCO"], tmp_path / out)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.sdf"]


@pytest.mark.parametrize(
    ("binding", "settings", "error", "says"),
    [
        ({"group": "x"}, {}, InputError, "no group 'x'; its groups: none"),
        ({"template_ids": ["nobody"]}, {}, LibraryError, "'nobody'"),
        ({"site": [1.0, 2.0, 3.0]}, {}, InputError, "one frame and no receptors to choose by"),
        ({}, {"by": "all"}, InputError, "one frame and no receptors to choose by"),
        ({"receptor": "absent.pdb"}, {}, InputError, "absent.pdb"),
        ({}, {"covalent": "CYS999"}, InputError, "--covalent CYS999: .*no such residue.*A:CYS145"),
        ({}, {"covalent": "B:CYS145"}, InputError, "--covalent B:CYS145: .*A:CYS145"),
        ({}, {"covalent": "HIS41"}, InputError, "can bond .CYS, SER, THR, LYS, TYR.*none of this kind"),
        ({"site": "LIG"}, {}, InputError, "--site LIG: a ligand of which file"),
        (
            {"site": "LIG", "receptor": demo_files().receptor},
            {},
            InputError,
            "no ligand 'LIG'; small molecules",
        ),
    ],
)
def test_a_binding_site_that_is_none_is_refused_before_anything_is_written(
    demo_path, tmp_path, binding, settings, error, says
):
    with pytest.raises(error, match=says):
        predict_queries(
            ["CCO"],
            BindingSite(demo_path, **binding),
            tmp_path / "p.sdf",
            PredictionSettings(**settings),
            MACHINE,
        )
    assert not list(tmp_path.iterdir())


def test_an_empty_list_is_refused(predict, tmp_path):
    with pytest.raises(InputError, match="holds no query"):
        predict([])
    assert not list(tmp_path.iterdir())


def test_receptor_and_choice_of_templates_are_part_of_the_identity(demo_path, tmp_path, predict):
    one = predict(["CCO"]).manifest.identity
    copy = shutil.copy(demo_files().receptor, tmp_path / "mine.pdb.gz")
    with gzip.open(copy, "ab") as file:
        file.write(b"REMARK mine\n")
    binding = BindingSite(str(demo_path), str(copy), template_ids=["Mpro-x10019"])
    other = predict_queries(["CCO"], binding, tmp_path / "other.sdf", machine=MACHINE).manifest.identity
    assert one.receptor
    assert one.receptor != other.receptor
    assert (one.rule["ids"], other.rule["ids"]) == ([], ["Mpro-x10019"])
    assert one.targets == other.targets


def test_predictions_are_those_of_the_library_whatever_does_them(demo_path, tmp_path, monkeypatch, helpers):
    """The real work: in one process, last query first, and by two workers."""
    monkeypatch.syspath_prepend(helpers)
    from inline_executor import InlineExecutor

    fast = PredictionSettings(conformers=5, screened=10, top=2)
    (tmp_path / "q.smi").write_text("CC(=O)Nc1cnccc1C\nC1CC\nCC(=O)Nc1cnccc1CC\n")
    found = []
    for name in ("local", "inline"):
        out = tmp_path / f"{name}.sdf"
        if name == "inline":
            monkeypatch.setattr(query_run, "choose_executor", lambda settings, tasks: InlineExecutor())
        run = predict_queries(tmp_path / "q.smi", BindingSite(demo_path), out, fast, MACHINE)
        found.append(([replace(record, cost=Cost()) for record in run], out.read_bytes()))
        assert [record.ending for record in run] == ["posed", "failed: unreadable", "posed"]
        assert [row["rank"] for row in rows(out.with_suffix(".csv"))] == ["1", "2", "", "1", "2"]
    assert found[0] == found[1]


def test_a_ligand_that_the_receptor_file_has_is_no_part_of_the_receptor(demo_path, demo_library, tmp_path):
    """Named by --site, it leaves the pocket free: the poses are those of the file without it."""
    ligand = demo_library["Mpro-x0072"]
    lines = [
        f"HETATM{number:5}  C{number:<3}LIG Z   1    {x:8.3f}{y:8.3f}{z:8.3f}  1.00 10.00           C"
        for number, (x, y, z) in enumerate(positions(ligand), 1)
    ]
    holo = tmp_path / "holo.pdb"
    apo = gzip.decompress(demo_files().receptor.read_bytes()).decode()
    holo.write_text(apo.removesuffix("END\n") + "\n".join(lines) + "\nEND\n")
    settings = PredictionSettings(conformers=3, screened=8, top=1)
    texts = {}
    for name, binding in {
        "apo": BindingSite(demo_path),
        "named": BindingSite(demo_path, receptor=holo, site="LIG"),
        "in the way": BindingSite(demo_path, receptor=holo),
    }.items():
        out = tmp_path / name / "p.sdf"
        run = predict_queries(["CC(=O)Nc1cnccc1C"], binding, out, settings, RunSettings(workers=1))
        texts[name] = out.read_text().replace("receptor.pdb.gz", "holo.pdb")  # the poses name it
        assert ("1 molecule of the ligand LIG" in run.manifest.notes[0]) == (name == "named")
    assert texts["apo"] == texts["named"] != texts["in the way"]


def test_extra_poses_go_to_the_query_of_their_title(kinase_path, kinase_library, tmp_path):
    rows = (0, 1)
    queries = [(f"q{row}", kinase_library.entry(row).smiles) for row in rows]
    sdf = tmp_path / "theirs.sdf"
    with Chem.SDWriter(str(sdf)) as writer:
        for row, title in ((0, "q0"), (1, "q1"), (1, "q1"), (0, "stranger")):
            mol = kinase_library.ligand(row)
            mol.SetProp("_Name", title)
            writer.write(mol)
    with sdf.open("a") as file:
        file.write("broken\n\n\nno molecule\n$$$$\n")
    receptor = tmp_path / "r.pdb"
    receptor.write_text(to_pdb(kinase_library.receptor(0)))
    fast = PredictionSettings(conformers=5, minimised=10, rounds=0, starts=0, top=2)
    site = BindingSite(kinase_path, receptor, extra_poses=sdf)
    run = predict_queries(queries, site, tmp_path / "out.sdf", fast, RunSettings(workers=1))
    assert all(record.status == "posed" for record in run)
    notes = " ".join(run.manifest.notes)
    assert "extra poses: 1 titles are no query's and are not used: stranger" in notes
    assert "extra poses: 1 records left out" in notes
    again = BindingSite(kinase_path, receptor)
    with pytest.raises(RunError, match="site: 'extra poses"):
        predict_queries(queries, again, tmp_path / "out.sdf", fast, RunSettings(workers=1))
    with pytest.raises(InputError, match="--extra-poses: in which structure"):
        predict_queries(queries, BindingSite(kinase_path, extra_poses=sdf), tmp_path / "b.sdf", fast)


def test_all_extra_poses_are_of_the_only_query(kinase_path, kinase_library, tmp_path):
    sdf = tmp_path / "theirs.sdf"
    with Chem.SDWriter(str(sdf)) as writer:
        writer.write(kinase_library.ligand(0))
    receptor = tmp_path / "r.pdb"
    receptor.write_text(to_pdb(kinase_library.receptor(0)))
    fast = PredictionSettings(conformers=5, minimised=10, rounds=0, starts=0, top=5)
    ids = list(kinase_library)[1:]
    site = BindingSite(kinase_path, receptor, template_ids=ids, extra_poses=sdf)
    query = [("mine", kinase_library.entry(0).smiles)]
    run = predict_queries(query, site, tmp_path / "out.sdf", fast, RunSettings(workers=1))
    poses = run.poses("mine")
    assert min(symmetric_rmsd(heavy(pose), kinase_library.ligand(0)) for pose in poses) < 1


def test_of_several_receptors_the_surest_is_named(kinase_path, kinase_library, tmp_path):
    """Every one is posed in, whichever way round; poses lie in the frame of the receptor that they name."""
    fast = PredictionSettings(conformers=5, minimised=10, rounds=0, starts=0, top=2)
    query, files = [("mine", kinase_library.entry(0).smiles)], []
    for row in (2, 1):
        files.append(tmp_path / f"crystal{row}.pdb")
        files[-1].write_text(to_pdb(kinase_library.receptor(row)))
    ids = list(kinase_library)[1:]
    alone = {}
    for file in files:
        site = BindingSite(kinase_path, file, template_ids=ids)
        run = predict_queries(query, site, tmp_path / f"{file.stem}.sdf", fast, RunSettings(workers=1))
        alone[file.name] = run
    surest = max(alone, key=lambda name: alone[name]["mine"].first.confidence)
    for number, order in enumerate((files, files[::-1])):
        out = tmp_path / f"both{number}.sdf"
        site = BindingSite(kinase_path, order, template_ids=ids)
        run = predict_queries(query, site, out, fast, RunSettings(workers=1))
        record = run["mine"]
        assert record.receptor == surest
        assert record.first.confidence == alone[surest]["mine"].first.confidence
        for mine, its in zip(run.poses("mine"), alone[surest].poses("mine"), strict=True):
            assert np.array_equal(positions(mine), positions(its))
            assert mine.GetProp("receptor") == surest
        said = ", ".join(f"{file.name} ({alone[file.name]['mine'].first.confidence:.2f})" for file in order)
        assert record.notes[-1] == f"posed in several receptors, confidence of the first pose: {said}"
        write_complexes(run, tmp_path / f"complex{number}")
        whole = read_receptor(tmp_path / f"complex{number}" / "mine.pdb")
        first = positions(heavy(run.poses("mine")[0]))
        assert (np.linalg.norm(whole.atoms.xyz[:, None] - first, axis=-1) < 4.5).any(axis=0).all()
    with pytest.raises(InputError, match="two are called crystal2"):
        (tmp_path / "other").mkdir()
        twice = [files[0], tmp_path / "other" / files[0].name]
        predict_queries(query, BindingSite(kinase_path, twice), tmp_path / "c.sdf", fast)


def test_a_protein_is_named_by_its_sequence(kinase_path, kinase_library, tmp_path):
    fast = PredictionSettings(conformers=5, minimised=10, rounds=0, starts=0, top=1)
    query = [("mine", kinase_library.entry(0).smiles)]
    sequence = kinase_library.residues(0)[0].sequence
    run = predict_queries(query, BindingSite(kinase_path, sequence=sequence), tmp_path / "a.sdf", fast)
    assert run["mine"].receptor == next(iter(kinase_library))
    with pytest.raises(InputError, match="no receptor of a related protein"):
        predict_queries(query, BindingSite(kinase_path, sequence="GS" * 40), tmp_path / "b.sdf", fast)
    with pytest.raises(InputError, match="--sequence is for choosing a receptor"):
        site = BindingSite(kinase_path, tmp_path / "r.pdb", sequence=sequence)
        predict_queries(query, site, tmp_path / "c.sdf", fast)


def test_a_receptor_without_a_protein_is_refused_before_anything_runs(kinase_path, tmp_path):
    ligand = "HETATM    1  C1  LIG A   1       0.000   0.000   0.000  1.00  0.00           C\n"
    (tmp_path / "ligand.pdb").write_text(ligand + "END\n")
    with pytest.raises(InputError, match=r"no protein in .*ligand\.pdb"):
        predict_queries(["CCO"], BindingSite(kinase_path, tmp_path / "ligand.pdb"), tmp_path / "poses.sdf")
    assert not (tmp_path / "poses.run").exists()


def test_a_path_in_the_place_of_a_binding_site_is_told_what_makes_one(demo_path, tmp_path):
    with pytest.raises(InputError, match=r"expected templ\.BindingSite\("):
        predict_queries(["CCO"], str(demo_path), tmp_path / "poses.sdf")
