from __future__ import annotations

import json
from itertools import pairwise

import pytest

from templ.errors import RunError
from templ.runs import memory_log
from templ.runs.memory_log import MemoryLog, minutes_of_running, read_samples, stretches


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_samples_are_lines(tmp_path):
    with MemoryLog(tmp_path / "m.jsonl") as log:
        log.add({"time": 1, "reason": ""})
        log.add({"time": 2, "reason": "why"})
    assert [line["time"] for line in read(tmp_path / "m.jsonl")] == [1, 2]


def test_it_goes_on_where_it_was(tmp_path):
    for time in (1, 2):
        with MemoryLog(tmp_path / "m.jsonl") as log:
            log.add({"time": time, "reason": ""})
    assert [line["time"] for line in read(tmp_path / "m.jsonl")] == [1, 2]


def test_it_stays_small_and_covers_the_whole_time(tmp_path, monkeypatch):
    monkeypatch.setattr(memory_log, "MOST_LINES", 50)
    with MemoryLog(tmp_path / "m.jsonl") as log:
        for time in range(5000):
            log.add({"time": time, "reason": ""})
            assert log._lines < 50
    times = [line["time"] for line in read(tmp_path / "m.jsonl")]
    gaps = {after - before for before, after in pairwise(times[1:])}
    assert times[0] == 0
    assert times[-1] > 4800
    assert max(gaps) <= 4 * min(gaps)


def test_what_was_done_is_written_whenever_it_comes(tmp_path, monkeypatch):
    monkeypatch.setattr(memory_log, "MOST_LINES", 50)
    with MemoryLog(tmp_path / "m.jsonl") as log:
        for time in range(1000):
            log.add({"time": time, "reason": ""})
        log.add({"time": 1000, "reason": "kill"})
        log.add({"time": 1001, "reason": ""})
    assert 1000 in [line["time"] for line in read(tmp_path / "m.jsonl")]


def test_lines_that_are_torn_or_altered_are_left_out(tmp_path):
    with MemoryLog(tmp_path / "memory.jsonl") as log:
        for time in range(5):
            log.add({"time": time, "reason": ""})
    path = tmp_path / "memory.jsonl"
    first, second, third, fourth, last = path.read_bytes().splitlines(keepends=True)
    second, fourth = second.replace(b'"time":1', b'"time":7'), fourth[:9] + b"\xff\n"
    path.write_bytes(b"[" * 10**5 + b"\n" + first + second + b"7\n\n" + third + fourth + last[:-9])
    assert [sample["time"] for sample in read_samples(tmp_path)] == [0, 2]


@pytest.mark.parametrize(
    ("content", "says"), [(None, "has no memory log"), (b"", "has no sample"), (b"{}\n", "has no sample")]
)
def test_a_log_that_is_none_is_said(tmp_path, content, says):
    if content is not None:
        (tmp_path / "memory.jsonl").write_bytes(content)
    with pytest.raises(RunError, match=says):
        read_samples(tmp_path)


def test_pauses_between_two_stretches_take_no_time():
    """Of a run stopped and started again: its count of ended targets begins anew, and its clock may."""
    first = [{"time": 60 * n, "monotonic": 60 * n, "ended": n} for n in range(3)]
    later = [{"time": 6000 + 60 * n, "monotonic": 6000 + 60 * n, "ended": n} for n in range(2)]
    rebooted = [{"time": 9000 + 60 * n, "monotonic": 60 * n, "ended": 1 + n} for n in range(2)]
    samples = [*first, *later, *rebooted]
    assert stretches(samples) == [first, later, rebooted]
    assert minutes_of_running(samples) == [0, 1, 2, 2, 3, 3, 4]
