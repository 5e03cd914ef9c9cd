"""The table of a run, as another program reads it."""

from __future__ import annotations

import csv
from dataclasses import replace

import pytest

from templ.errors import StorageError
from templ.evaluation.run_table import COST, ROWS_AT_ONCE, SCHEMA, rows_of, table_writer
from templ.records import PoseBond
from templ.scoring.terms import TERMS
from templ.templates.superposition import SUPERPOSITION

duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed")


@pytest.fixture(scope="module")
def records(record, no_pose):
    """Two poses and validity checked, none and why, one without a crystal."""
    return [
        record(
            "a, b",
            (1.5, 0.5),
            confidence=(0.75, 0.25),
            failed_checks=("bond_lengths", "bond_angles"),
            prior_confidence=0.6,
            notes=("a salt was stripped", "kept one"),
            smiles="CCO",
        ),
        no_pose("q", "refused", "peptide", detail='12 residues, "too long"'),
        record("c", (None,), method="overlay", core=0, failed_checks=()),
    ]


@pytest.fixture(params=["table.csv", "table.parquet"])
def table(records, request, tmp_path):
    """The records as a file, by its name."""
    path = tmp_path / request.param
    with table_writer(path, SCHEMA) as add:
        for record in records:
            add(rows_of(record))
    return path


def read(table, columns):
    return duckdb.sql(f"select {columns} from '{table}'").fetchall()


def test_columns(table):
    found = [name for name, *_ in duckdb.sql(f"describe select * from '{table}'").fetchall()]
    assert found == SCHEMA.names
    assert found[:7] == ["id", "group", "status", "reason", "detail", "notes", "smiles"]
    assert {f"score_{term.name}" for term in TERMS} | set(SUPERPOSITION) | set(COST) <= set(found)
    assert {"placement_method", "prior_confidence", "core_atoms", "core_smarts", "core_rmsd"} <= set(found)


def test_there_is_a_row_a_pose_and_one_for_each_molecule_without(table):
    assert read(table, "id, rank, confidence, rmsd, core_atoms, placement_method") == [
        ("a, b", 1, 0.75, 1.5, 10, "core"),
        ("a, b", 2, 0.25, 0.5, 10, "core"),
        ("q", None, None, None, None, None),
        ("c", 1, 0.9, None, 0, "overlay"),
    ]


def test_a_molecule_without_poses_says_why(table):
    found = read(table, "status, reason, detail, query_atoms, cpu_s, wall_s, uss_bytes")[2]
    assert found == ("refused", "peptide", '12 residues, "too long"', 25, 1.0, 2.0, 100_000_000)


def test_what_is_of_the_molecule_is_in_each_of_its_rows(table):
    columns = "smiles, notes, prior_confidence, nearest_tanimoto, query_atoms, rotors, stereo_kept, cpu_s"
    first, second, *_ = read(table, columns)
    assert first == second == ("CCO", "a salt was stripped; kept one", 0.6, 0.5, 25, 5, True, 1.0)


def test_validity_is_of_the_first_pose_alone(table):
    first, second, refused, sound = read(table, "valid, coalesce(failed_checks, '')")
    assert first == (False, "bond_lengths; bond_angles")
    assert second == refused == (None, "")
    assert sound == (True, "")


def test_terms_of_the_score_have_a_column_each(table):
    assert read(table, "score_contact, score_consensus, template, core_smarts, core_rmsd")[0] == (
        -0.5,
        None,
        "t1",
        "c1ccccc1",
        0.25,
    )


def test_a_table_without_rows_has_its_columns(tmp_path):
    for name in ("empty.csv", "empty.parquet"):
        with table_writer(tmp_path / name, SCHEMA):
            pass
        found = duckdb.sql(f"select * from '{tmp_path / name}'")
        assert (found.columns, found.fetchall()) == (SCHEMA.names, [])


def test_more_rows_than_are_held_at_once_keep_their_order(record, tmp_path):
    count = 2 * ROWS_AT_ONCE + 3
    with table_writer(tmp_path / "long.parquet", SCHEMA) as add:
        for number in range(count):
            add(rows_of(record(f"m{number}", (1.0,))))
    assert read(tmp_path / "long.parquet", "id") == [(f"m{number}",) for number in range(count)]


def test_a_table_is_whole_or_not_there(records, tmp_path):
    path = tmp_path / "table.csv"
    with pytest.raises(ZeroDivisionError), table_writer(path, SCHEMA) as add:
        add(rows_of(records[0]))
        1 / 0  # noqa: B018
    assert list(tmp_path.iterdir()) == []
    with (
        pytest.raises(StorageError, match="make the folder first"),
        table_writer(tmp_path / "no" / "t.csv", SCHEMA),
    ):
        pass


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_is_a_formula_to_a_spreadsheet(record, tmp_path, text):
    found = record(text, (1.5,), prior_confidence=0.5)
    for name in ("table.csv", "table.parquet"):
        with table_writer(tmp_path / name, SCHEMA) as add:
            add(rows_of(found))
    with (tmp_path / "table.csv").open(newline="") as file:
        assert [(row["id"], row["rmsd"]) for row in csv.DictReader(file)] == [(f"'{text}", "1.5")]
    table = duckdb.sql(f"select id, rmsd from '{tmp_path / 'table.parquet'}'")
    assert table.fetchall() == [(text, 1.5)]


def test_a_bond_is_told_as_in_the_file_of_poses(record):
    bond = PoseBond("A:CYS145", "SG", (8.1, -4.0, 19.1), 3, 1.812, 102.5, 109.4)
    bonded = record("c", (1.0, None))
    bonded = replace(bonded, poses=(replace(bonded.poses[0], bond=bond), bonded.poses[1]))
    first, second = rows_of(bonded)
    told = {"residue": "A:CYS145", "residue_atom": "SG", "atom": 4, "length": 1.812, "angles": "102.5 109.4"}
    assert {name: first[f"bond_{name}"] for name in told} == told
    assert not any(name.startswith("bond_") for name in second)
