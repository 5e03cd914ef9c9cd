from __future__ import annotations

import json
from itertools import pairwise

from templ.runlog import memory
from templ.runlog.memory import MemoryLog


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
    monkeypatch.setattr(memory, "MOST_LINES", 50)
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
    monkeypatch.setattr(memory, "MOST_LINES", 50)
    with MemoryLog(tmp_path / "m.jsonl") as log:
        for time in range(1000):
            log.add({"time": time, "reason": ""})
        log.add({"time": 1000, "reason": "kill"})
        log.add({"time": 1001, "reason": ""})
    assert 1000 in [line["time"] for line in read(tmp_path / "m.jsonl")]
