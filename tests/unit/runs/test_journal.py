"""One whole line a record, whatever the record, and a torn end is repaired."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from templ.errors import RunError, TemplError
from templ.runs.journal import Indices, Journal, read_lines, read_records, set_aside_failures
from templ.runs.record import Record

RECORDS = st.lists(
    st.builds(Record, st.integers(0, 10**4), st.text(), st.just("posed"), detail=st.text()),
    max_size=5,
    unique_by=lambda record: record.index,
)
A, B, C = (Record(number, id, "posed") for number, id in enumerate("abc"))
NEXT = Record(10**5, "the next one \N{SNOWMAN}", "posed")


def indices(journal):
    return [number for number in range(10**4 + 1) if number in journal.done]


def write(path, *records):
    with Journal.open(path) as journal:
        for record in records:
            journal.append(record)


@settings(max_examples=50)
@given(RECORDS)
def test_records_come_back_equal_and_in_order(records):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "results.jsonl"
        write(path, *records)
        assert list(read_records(path)) == records
        with Journal.open(path) as journal:
            assert indices(journal) == sorted(record.index for record in records)


@settings(max_examples=50)
@given(RECORDS.filter(bool), st.data())
def test_a_journal_cut_anywhere_keeps_the_whole_lines_before(records, data):
    lines = [record.to_line() for record in records]
    whole = b"".join(lines)
    cut = data.draw(st.integers(0, len(whole)))
    # A line is whole even when only its newline is missing.
    kept = [record for i, record in enumerate(records) if len(b"".join(lines[: i + 1])) - 1 <= cut]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "results.jsonl"
        path.write_bytes(whole[:cut])
        assert list(read_records(path)) == kept
        with Journal.open(path) as journal:
            assert indices(journal) == sorted(record.index for record in kept)
            journal.append(NEXT)
        assert path.read_bytes() == b"".join(record.to_line() for record in [*kept, NEXT])


def test_a_line_is_the_records_own(tmp_path):
    write(tmp_path / "results.jsonl", A, B)
    assert (tmp_path / "results.jsonl").read_bytes() == A.to_line() + B.to_line()


def test_a_molecule_is_recorded_once(tmp_path):
    path = tmp_path / "results.jsonl"
    write(path, A)
    with Journal.open(path) as journal:
        journal.append(B)
        for record in (A, B):
            with pytest.raises(RunError, match=f"{path}: 'x' has a record already"):
                journal.append(replace(record, id="x"))
    assert list(read_records(path)) == [A, B]


def test_two_molecules_may_have_one_name(tmp_path):
    """As the duplicates in a list of queries, each of which has its record."""
    path = tmp_path / "results.jsonl"
    write(path, A, replace(B, id="a"))
    with Journal.open(path) as journal:
        assert indices(journal) == [0, 1]


def test_a_record_that_is_no_json_leaves_the_journal_as_it_was(tmp_path):
    path = tmp_path / "results.jsonl"
    with Journal.open(path) as journal:
        with pytest.raises(TemplError, match="record of 'a' cannot be written as JSON"):
            journal.append(replace(A, tanimoto=float("nan")))
        assert 0 not in journal.done
        journal.append(replace(A, tanimoto=1.0))
    assert list(read_records(path)) == [replace(A, tanimoto=1.0)]


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (b'{"id":"b"', "expected a record in JSON"),
        (b"", "expected a record in JSON"),
        (b"[1]", "expected a record in JSON"),
        (b"\xff\x00", "expected a record in JSON"),
        (b'{"name":"b"}', "a record of format 1, but this TEMPL reads format 2"),
        (B.to_line().strip().replace(b'"b"', b"7"), r"a record that is damaged .id: "),
    ],
)
def test_a_broken_line_in_the_middle_is_named(tmp_path, broken, says):
    path = tmp_path / "results.jsonl"
    path.write_bytes(A.to_line() + broken + b"\n" + C.to_line())
    with pytest.raises(RunError, match=f"{path}, line 2: {says}"):
        list(read_records(path))
    with pytest.raises(RunError, match="line 2"):
        Journal.open(path)
    assert path.read_bytes().endswith(b"\n" + C.to_line()), "a file that is not understood is left alone"


def test_a_last_line_of_another_version_is_not_cut_off(tmp_path):
    """Whole, so no torn end: a newer TEMPL wrote it."""
    path = tmp_path / "results.jsonl"
    path.write_bytes(A.to_line() + b'{"version":3}\n')
    with pytest.raises(RunError, match="line 2: a record of format 3"):
        Journal.open(path)
    assert path.read_bytes().endswith(b'{"version":3}\n')


def test_a_whole_last_line_without_newline_is_kept(tmp_path):
    path = tmp_path / "results.jsonl"
    path.write_bytes(A.to_line().rstrip())
    write(path, B)
    assert path.read_bytes() == A.to_line() + B.to_line()


def test_a_last_line_of_zeros_from_a_power_cut_is_torn(tmp_path):
    path = tmp_path / "results.jsonl"
    path.write_bytes(A.to_line() + b"\0" * 40 + b'"x"}\n')
    write(path, B)
    assert path.read_bytes() == A.to_line() + B.to_line()


def test_two_records_of_one_molecule_are_named(tmp_path):
    path = tmp_path / "results.jsonl"
    path.write_bytes(A.to_line() + B.to_line() + A.to_line())
    with pytest.raises(RunError, match=f"{path}, line 3: a second record of 'a'"):
        Journal.open(path)


def test_reading_holds_one_record_at_a_time(tmp_path):
    path = tmp_path / "results.jsonl"
    path.write_bytes(A.to_line() + b"broken\n" + C.to_line())
    records = read_records(path)
    assert next(records) == A, "the broken line has not been looked at yet"


def test_lines_tell_where_they_are(tmp_path):
    path = tmp_path / "results.jsonl"
    write(path, A, B)
    data = path.read_bytes()
    assert [Record.from_line(data[line.start : line.end]) for line in read_lines(path)] == [A, B]
    assert [line.record for line in read_lines(path)] == [A, B]


@pytest.mark.parametrize("name", ["absent.jsonl", "."])
def test_a_file_that_cannot_be_read_is_named(tmp_path, name):
    with pytest.raises(RunError, match=r"cannot be read .* name the folder of a run"):
        list(read_records(tmp_path / name))


def test_floats_survive_exactly(tmp_path):
    path = tmp_path / "results.jsonl"
    write(path, replace(A, tanimoto=0.1 + 0.2))
    assert next(read_records(path)).tanimoto == 0.1 + 0.2


@given(st.lists(st.integers(0, 300)))
def test_indices_are_a_set_of_small_numbers(numbers):
    indices = Indices()
    for number in numbers:
        indices.add(number)
    assert len(indices) == len(set(numbers))
    assert [number for number in range(302) if number in indices] == sorted(set(numbers))


def test_indices_take_a_byte_each():
    indices = Indices()
    indices.add(10**6)
    assert len(indices._there) == 10**6 + 1
    assert (10**6 in indices, 10**6 - 1 in indices, 10**7 in indices) == (True, False, False)


def test_failures_that_may_lie_in_the_machine_are_set_aside_and_kept_as_history(tmp_path):
    path = tmp_path / "results.jsonl"
    failed = [
        replace(NEXT, index=number, status="failed", reason=reason)
        for number, reason in enumerate(("timeout", "out-of-memory", "crash", "error", "unreadable"), 10)
    ]
    write(path, A, failed[0], B, *failed[1:], C)
    assert set_aside_failures(tmp_path) == 3
    assert list(read_records(path)) == [A, B, *failed[3:], C]
    assert list(read_records(tmp_path / "attempts.jsonl")) == failed[:3]
    with Journal.open(path) as journal:
        assert [10 in journal.done, 13 in journal.done] == [False, True]
        journal.append(failed[0])
    assert set_aside_failures(tmp_path) == 1
    assert list(read_records(tmp_path / "attempts.jsonl")) == [*failed[:3], failed[0]]
    before = path.read_bytes()
    assert set_aside_failures(tmp_path) == 0
    assert path.read_bytes() == before
