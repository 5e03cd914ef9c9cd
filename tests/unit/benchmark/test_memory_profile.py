from __future__ import annotations

import json

import pytest

from templ.benchmark.memory_profile import draw_profile, profile_run
from templ.checksums import with_checksum
from templ.errors import RunError


def sample(time, ended, tree=200e6, workers=(90e6, 80e6), action="run", reason=""):
    return {
        "time": time,
        "monotonic": time,
        "tree": tree,
        "available": 5e9,
        "workers": list(workers),
        "ended": ended,
        "action": action,
        "reason": reason,
    }


@pytest.fixture
def run(tmp_path):
    """Ten seconds, a stop, and five seconds more."""
    samples = [sample(100.0 + s, 2 * s) for s in range(11)]
    samples += [sample(500.0 + s, s, tree=300e6, action="hold", reason="pressure") for s in range(6)]
    (tmp_path / "memory.jsonl").write_text("".join(json.dumps(with_checksum(s)) + "\n" for s in samples))
    return tmp_path


def test_numbers(run):
    numbers = profile_run(run)
    assert numbers["seconds"] == 15
    assert numbers["targets seen to end"] == 25
    assert numbers["targets a second"] == 1.67
    assert numbers["all processes, peak MB"] == 300
    assert numbers["a worker, peak MB"] == 90
    assert numbers["workers, most at a time"] == 2
    assert numbers["actions of the governor"] == "hold x 6"


def test_the_picture_is_drawn(run):
    pytest.importorskip("matplotlib")
    assert draw_profile(run).read_bytes().startswith(b"\x89PNG")


def test_a_torn_last_line_is_passed_over(run):
    with (run / "memory.jsonl").open("a") as file:
        file.write('{"time": 5')
    assert profile_run(run)["seconds"] == 15


def test_runs_without_a_log(tmp_path):
    with pytest.raises(RunError, match="no memory log"):
        profile_run(tmp_path)
    (tmp_path / "memory.jsonl").touch()
    with pytest.raises(RunError, match="has no sample"):
        profile_run(tmp_path)
