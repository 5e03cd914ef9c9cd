"""One whole line a record, whatever the record, and a torn end is repaired."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from templ.errors import RunError, TemplError
from templ.runlog.journal import Journal, encode_record, read_records

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
RECORDS = st.lists(
    st.builds(lambda fields, target: fields | {"id": target}, st.dictionaries(st.text(), JSON), st.text()),
    max_size=5,
    unique_by=lambda record: record["id"],
)


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
            assert journal.done == {record["id"] for record in records}


@settings(max_examples=50)
@given(RECORDS.filter(bool), st.data())
def test_a_journal_cut_anywhere_keeps_the_whole_lines_before(records, data):
    whole = b"".join(map(encode_record, records))
    cut = data.draw(st.integers(0, len(whole)))
    # A line is whole even when only its newline is missing.
    kept = [
        r for i, r in enumerate(records) if len(b"".join(map(encode_record, records[: i + 1]))) - 1 <= cut
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "results.jsonl"
        path.write_bytes(whole[:cut])
        assert list(read_records(path)) == kept
        with Journal.open(path) as journal:
            assert journal.done == {record["id"] for record in kept}
            journal.append({"id": "the next one \N{SNOWMAN}"})
        assert path.read_bytes() == b"".join(map(encode_record, [*kept, {"id": "the next one \N{SNOWMAN}"}]))


def test_a_line_is_compact_sorted_json(tmp_path):
    write(tmp_path / "results.jsonl", {"status": "posed", "rmsd": [0.1234], "id": "Täst\n"})
    line = (tmp_path / "results.jsonl").read_bytes()
    assert line == b'{"id":"T\\u00e4st\\n","rmsd":[0.1234],"status":"posed"}\n'


def test_a_target_is_recorded_once(tmp_path):
    path = tmp_path / "results.jsonl"
    write(path, {"id": "a"})
    with Journal.open(path) as journal, pytest.raises(RunError, match=f"{path}: 'a' has a record already"):
        journal.append({"id": "a"})
    assert list(read_records(path)) == [{"id": "a"}]


@pytest.mark.parametrize("value", [float("nan"), object()])
def test_a_record_that_is_no_json_leaves_the_journal_as_it_was(tmp_path, value):
    path = tmp_path / "results.jsonl"
    with Journal.open(path) as journal:
        with pytest.raises(TemplError, match="record of 'a' cannot be written as JSON"):
            journal.append({"id": "a", "rmsd": value})
        journal.append({"id": "a", "rmsd": 1.0})
    assert list(read_records(path)) == [{"id": "a", "rmsd": 1.0}]


@pytest.mark.parametrize("broken", [b'{"id":"b"', b"", b"[1]", b'{"name":"b"}', b'{"id":7}', b"\xff\x00"])
def test_a_broken_line_in_the_middle_is_named(tmp_path, broken):
    path = tmp_path / "results.jsonl"
    path.write_bytes(b'{"id":"a"}\n' + broken + b'\n{"id":"c"}\n')
    with pytest.raises(RunError, match=f"{path}, line 2: expected a JSON object with an id"):
        list(read_records(path))
    with pytest.raises(RunError, match="line 2"):
        Journal.open(path)
    assert path.read_bytes().endswith(b'\n{"id":"c"}\n'), "a file that is not understood is left alone"


def test_a_whole_last_line_without_newline_is_kept(tmp_path):
    path = tmp_path / "results.jsonl"
    path.write_bytes(b'{"id":"a"}')
    write(path, {"id": "b"})
    assert path.read_bytes() == b'{"id":"a"}\n{"id":"b"}\n'


def test_a_last_line_of_zeros_from_a_power_cut_is_torn(tmp_path):
    path = tmp_path / "results.jsonl"
    path.write_bytes(b'{"id":"a"}\n' + b"\0" * 40 + b'"x"}\n')
    write(path, {"id": "b"})
    assert path.read_bytes() == b'{"id":"a"}\n{"id":"b"}\n'


def test_two_records_of_one_target_are_named(tmp_path):
    path = tmp_path / "results.jsonl"
    path.write_bytes(b'{"id":"a"}\n{"id":"b"}\n{"id":"a"}\n')
    with pytest.raises(RunError, match=f"{path}, line 3: a second record of 'a'"):
        Journal.open(path)


def test_reading_holds_one_record_at_a_time(tmp_path):
    path = tmp_path / "results.jsonl"
    path.write_bytes(b'{"id":"a"}\nbroken\n{"id":"c"}\n')
    records = read_records(path)
    assert next(records) == {"id": "a"}, "the broken line has not been looked at yet"


@pytest.mark.parametrize("name", ["absent.jsonl", "."])
def test_a_file_that_cannot_be_read_is_named(tmp_path, name):
    with pytest.raises(RunError, match=r"cannot be read .* name the folder of a run"):
        list(read_records(tmp_path / name))


def test_floats_survive_exactly(tmp_path):
    path = tmp_path / "results.jsonl"
    write(path, {"id": "a", "x": 0.1 + 0.2})
    assert json.loads(path.read_bytes())["x"] == 0.1 + 0.2
