"""One whole line a record, whatever the record, and a torn end is repaired."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from templ.errors import RunError, TemplError
from templ.runs.journal import Indices, Journal, all_lines, read_lines, read_records
from templ.runs.record import RECORD_VERSION, Record

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


DAMAGED = [
    b'{"id":"b"',
    b"",
    b"[1]",
    b"\xff\x00",
    b"[" * 10**5,
    B.to_line().strip().replace(b'"b"', b"7"),
    B.to_line().strip().replace(b'"index":1', b'"index":2'),
    B.to_line().strip().replace(b'"version":%d' % RECORD_VERSION, b'"version":3'),
]


@pytest.mark.parametrize("damaged", DAMAGED)
def test_a_damaged_line_in_the_middle_is_named_and_left_out_when_the_run_goes_on(tmp_path, damaged):
    path = tmp_path / "results.jsonl"
    path.write_bytes(A.to_line() + damaged + b"\n" + C.to_line())
    with pytest.raises(
        RunError, match=rf"{path}, line 2: not the record that was written.*start the command"
    ):
        list(read_records(path))
    assert [line.record for line in all_lines(path)] == [A, None, C]
    with Journal.open(path) as journal:
        assert journal.damaged == 1
        assert indices(journal) == [0, 2]
        journal.append(B)
    assert list(read_records(path)) == [A, C, B]
    with Journal.open(path) as journal:
        assert journal.damaged == 0


OTHER_VERSION = [
    b'{"name":"b"}',
    b'{"version":2,"id":"b"}',
    b'{"version":%d,"id":"b"}' % (RECORD_VERSION + 1),
]


@pytest.mark.parametrize("other", OTHER_VERSION)
@pytest.mark.parametrize("after", [b"", C.to_line()])
def test_a_journal_of_another_version_is_left_alone(tmp_path, other, after):
    path = tmp_path / "results.jsonl"
    content = A.to_line() + other + b"\n" + after
    path.write_bytes(content)
    for use in (lambda: list(read_records(path)), lambda: Journal.open(path)):
        with pytest.raises(
            RunError, match=rf"line 2: a record of format \d, but this TEMPL reads format {RECORD_VERSION}"
        ):
            use()
    assert path.read_bytes() == content


def test_a_whole_last_line_without_newline_is_kept(tmp_path):
    path = tmp_path / "results.jsonl"
    path.write_bytes(A.to_line().rstrip())
    write(path, B)
    assert path.read_bytes() == A.to_line() + B.to_line()


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_last_line_of_zeros_from_a_power_cut_goes(tmp_path, end):
    path = tmp_path / "results.jsonl"
    path.write_bytes(A.to_line() + b"\0" * 40 + b'"x"}' + end)
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
    assert [Record.from_line(data[line.start : line.end]) for line in all_lines(path)] == [A, B]
    assert list(read_lines(path)) == [(0, A), (len(A.to_line()), B)]


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


def test_what_is_sorted_out_is_history_and_what_is_changed_keeps_its_place(tmp_path):
    path, changed = tmp_path / "results.jsonl", replace(B, detail="b" * 3_000_000)

    def sort_out(record):
        return {A.index: None, B.index: changed}.get(record.index, record)

    write(path, A, B, C)
    path.write_bytes(path.read_bytes()[:-1])  # as a kill may leave it
    with Journal.open(path, sort_out) as journal:
        assert (indices(journal), journal.damaged) == ([1, 2], 0)
        journal.append(NEXT)
    assert list(read_records(path)) == [changed, C, NEXT]
    assert list(read_records(tmp_path / "attempts.jsonl")) == [A]
    write(path, A)
    write(path)  # nothing to sort out
    assert list(read_records(tmp_path / "attempts.jsonl")) == [A]
    with Journal.open(path, sort_out):
        pass
    assert list(read_records(tmp_path / "attempts.jsonl")) == [A], "the very same, of a start that was killed"
    write(path, replace(A, detail="another"))
    with Journal.open(path, sort_out):
        pass
    assert list(read_records(tmp_path / "attempts.jsonl")) == [A, replace(A, detail="another")]
