from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from templ.errors import StorageError
from templ.sources.ledger import ID_SHOWN, Ledger, LedgerRow

printable = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)


@given(rows=st.lists(st.tuples(printable, st.integers(1), st.integers(1), printable, printable), max_size=9))
def test_every_row_can_be_read_back(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("ledger") / "unread.csv"
    with Ledger(path) as ledger:
        for file, record, line, reason, id in rows:
            ledger.add(file, record, line, reason, id)
    assert path.exists() == bool(rows)
    if rows:
        with path.open(encoding="utf-8", newline="") as stream:
            read = [
                LedgerRow(row["file"], int(row["record"]), int(row["line"]), row["id"], row["reason"])
                for row in csv.DictReader(stream)
            ]
        assert read == [LedgerRow(f, r, n, id, reason) for f, r, n, reason, id in rows]
        assert ledger.first == read[:5]
    assert ledger.total == len(rows) == ledger.counts.total()


def test_a_row_is_on_disk_before_add_returns(tmp_path):
    path = tmp_path / "unread.csv"
    with Ledger(path) as ledger:
        ledger.add("a.sdf", 1, 1, "unreadable molecule: x")
        assert path.read_text() == "file,record,line,id,reason,kept\na.sdf,1,1,,unreadable molecule: x,no\n"


def test_what_was_done_to_a_record_is_noted_and_not_counted(tmp_path):
    path = tmp_path / "unread.csv"
    with Ledger(path) as ledger:
        ledger.note("a.sdf", 1, 1, "charge +1 given to N 5", "x")
        assert (ledger.total, ledger.first) == (0, [])
    assert path.read_text().splitlines()[1] == "a.sdf,1,1,x,charge +1 given to N 5,yes"


def test_reasons_are_counted_by_class_and_few_rows_are_kept():
    ledger = Ledger()
    for i in range(1, 101):
        ledger.add("a.sdf", i, i, f"unreadable molecule: atom {i}", "x" * 10_000)
    ledger.add("a.sdf", 101, 101, "record over 50 MB")
    assert ledger.counts == {"unreadable molecule": 100, "record over 50 MB": 1}
    assert [row.record for row in ledger.first] == [1, 2, 3, 4, 5]
    assert len(ledger.first[0].id) == ID_SHOWN


def test_a_full_disk_is_a_storage_error():
    with (
        Ledger(Path("/dev/full")) as ledger,
        pytest.raises(StorageError, match=r"/dev/full cannot be written"),
    ):
        ledger.add("a.sdf", 1, 1, "unreadable molecule")
