from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from templ.errors import InputError
from templ.sources.ledger import Ledger
from templ.sources.queries import Query, read_queries


def read(path):
    ledger = Ledger()
    return list(read_queries(path, ledger)), ledger


def test_smiles_lines(tmp_path):
    path = tmp_path / "list.smi"
    path.write_text(
        "\ufeffCCO ethyl alcohol\textra\n# a comment\n\nCCN\nC1CC ring\n  CCS\tthiol\r\n", "utf-8"
    )
    queries, ledger = read(path)
    assert queries == [
        Query("ethyl alcohol", "CCO", str(path), 1),
        Query("list-2", "CCN", str(path), 4),
        Query("thiol", "CCS", str(path), 6),
    ]
    (row,) = ledger.first
    assert (row.file, row.record, row.line, row.id) == (str(path), 3, 5, "ring")
    assert row.reason == "unreadable SMILES: 'C1CC' is not a SMILES that can be read"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", '\ufeffName,SMILES\n"x, 1",CCO\n\n,CCN\n'),
        ("a.tsv", "id\tSmiles\tname\nx, 1\tCCO\tother\n\n\tCCN\n"),
        ("a.csv.gz", 'smiles,id\r\nCCO,"x, 1"\r\n\r\nCCN\r\n'),
    ],
)
def test_tables(tmp_path, name, text):
    path = tmp_path / name
    data = text.encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    queries, ledger = read(path)
    assert [(q.id, q.smiles, q.line) for q in queries] == [("x, 1", "CCO", 2), ("a-2", "CCN", 4)]
    assert ledger.total == 0


def test_structures_become_smiles_without_hydrogens(tmp_path, sdf_record):
    path = tmp_path / "a.sdf"
    path.write_text(sdf_record("x", "[H]C([H])([H])C[C@H](N)O") + sdf_record("", "CCN"))
    queries, _ = read(path)
    assert [(q.id, q.smiles) for q in queries] == [("x", "CC[C@H](N)O"), ("a-2", "CCN")]
    assert queries[1].line == path.read_text().split("$$$$\n")[0].count("\n") + 2


def test_the_later_of_two_equal_ids_goes_to_the_ledger(tmp_path):
    path = tmp_path / "a.smi"
    path.write_text("CCO x\nCCN x\nC1CC y\nCCS y\n")
    queries, ledger = read(path)
    assert [(q.id, q.smiles) for q in queries] == [("x", "CCO"), ("y", "CCS")]
    assert ledger.counts == {"duplicate id": 1, "unreadable SMILES": 1}


def test_bad_rows_of_a_table(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b'id,smiles\na,CCO\nb\n"c"x,CCN\n\xff,CCN\nd,CCS\ne,"CCO\nf,CCO\n')
    queries, ledger = read(path)
    assert [q.id for q in queries] == ["a", "d"]
    assert ledger.counts == {"unreadable SMILES": 1, "malformed row": 2, "not UTF-8": 1}
    assert [row.line for row in ledger.first] == [3, 4, 5, 8]


def test_a_truncated_gzip_gives_what_is_whole(tmp_path):
    path = tmp_path / "cut.smi.gz"
    data = gzip.compress("".join(f"{'C' * n} c{n}\n" for n in range(1, 200)).encode(), 1)
    path.write_bytes(data[:-20])
    queries, ledger = read(path)
    assert 0 < len(queries) < 199
    assert ledger.counts["file truncated"] == 1


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.xyz", "CCO", r"a\.xyz has suffix '\.xyz', expected one of \.smi, "),
        ("a.csv", "structure,id\nCCO,x\n", r"a\.csv has no column 'smiles', only structure, id; "),
        ("a.csv", '"id,smiles\nx,CCO\n', r"a\.csv has a malformed header"),
        ("a.smi", "", r"a\.smi is empty, expected a list of SMILES"),
    ],
)
def test_files_that_are_no_query_list(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        read(tmp_path / name)


@given(data=st.binary(min_size=1, max_size=200), suffix=st.sampled_from(["smi", "csv", "tsv", "sdf"]))
def test_junk_is_refused_or_in_the_ledger(tmp_path_factory, data, suffix):
    path = tmp_path_factory.mktemp("junk") / f"a.{suffix}"
    path.write_bytes(data)
    try:
        queries, ledger = read(path)
    except InputError as error:
        assert str(path) in str(error)
    else:
        assert len({query.id for query in queries}) == len(queries)
        assert all(row.file == str(path) for row in ledger.first)
