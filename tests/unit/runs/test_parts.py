"""Who does a part of a joined run: one process, as long as it shows signs of life."""

from __future__ import annotations

import pytest

from templ.errors import RunError
from templ.runs import parts
from templ.runs.parts import Parts, begin_parts, latest_attempts, refuse_joined, remove_parts


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def process(tmp_path, clock):
    """``process(name)``: the two parts of a run as a process of that name sees them."""
    begin_parts(tmp_path)
    return lambda name: Parts(tmp_path, 2, name, clock)


def finish(lease, monkeypatch):
    monkeypatch.setattr(parts, "is_finished", lambda attempt: attempt == lease.folder)


def test_each_part_goes_to_one_process(process, tmp_path):
    one, other = process("one"), process("other")
    part, lease, before = one.claim()
    assert (part, lease.folder, before) == (1, tmp_path / "parts/0001.1", "")
    assert other.claim()[0] == 2
    assert one.claim() is None
    assert other.claim() is None
    assert not lease.lost


def test_the_folder_of_an_attempt_is_made_by_one_process_only(process, tmp_path, monkeypatch):
    """Both have looked before either makes it."""
    one, other = process("one"), process("other")
    monkeypatch.setattr(parts, "latest_attempts", lambda run: {})
    assert [one.claim()[0], other.claim()[0]] == [1, 2]
    assert one.claim() is None


def test_a_part_without_a_sign_of_life_is_taken_over_by_the_clock_of_who_waits(process, clock, tmp_path):
    asleep, other = process("asleep"), process("other")
    lease = asleep.claim()[1]
    other.claim()
    assert other.claim({2}) is None
    clock.now += parts.EXPIRED_S - 1
    lease.renew()
    assert other.claim({2}) is None  # sees it changed
    clock.now += parts.EXPIRED_S
    assert other.claim({2}) is None
    clock.now += 1
    part, taken, before = other.claim({2})
    assert (part, taken.folder.name, before) == (1, "0001.2", "asleep")
    assert lease.lost
    assert not taken.lost
    assert latest_attempts(tmp_path) == {1: taken.folder, 2: tmp_path / "parts/0002.1"}


def test_who_slept_does_not_take_its_own_part_over(process, clock):
    one = process("one")
    part, _, _ = one.claim()
    process("other").claim()
    assert one.claim({part}) is None
    clock.now += 2 * parts.EXPIRED_S
    assert one.claim({part, 2}) is None


def test_a_part_that_is_given_up_is_had_at_once_with_its_results(process, tmp_path):
    one, other = process("one"), process("other")
    _, lease, _ = one.claim()
    other.claim()
    (lease.folder / "poses").mkdir()
    for name in ("results.jsonl", "poses/part-0000.sdf"):
        (lease.folder / name).write_text(name)
    (lease.folder / "manifest.json.new").write_text("{")
    lease.give_up()
    part, taken, before = other.claim({2})
    assert (part, before) == (1, "one that ended")
    assert {path.name for path in taken.folder.iterdir()} == {"lease", "poses", "results.jsonl"}
    assert (taken.folder / "poses/part-0000.sdf").read_text() == "poses/part-0000.sdf"


def test_a_process_that_died_before_it_wrote_its_lease(process, clock, tmp_path):
    (tmp_path / "parts/0001.1").mkdir()
    other = process("other")
    assert other.claim()[0] == 2
    assert other.claim({2}) is None
    clock.now += parts.EXPIRED_S + 1
    assert other.claim({2})[0] == 1


def test_a_finished_part_is_never_taken_over(process, clock, monkeypatch):
    one, other = process("one"), process("other")
    _, lease, _ = one.claim()
    other.claim()
    finish(lease, monkeypatch)
    assert other.claim({2}) is None
    clock.now += parts.EXPIRED_S + 1
    assert other.claim({2}) is None
    assert other.finished() == {1}
    assert not lease.lost


def test_what_was_finished_after_it_was_taken_over_does_not_count(process, clock, monkeypatch):
    asleep, other = process("asleep"), process("other")
    _, lease, _ = asleep.claim()
    other.claim()
    other.claim({2})
    clock.now += parts.EXPIRED_S + 1
    other.claim({2})
    finish(lease, monkeypatch)
    assert other.finished() == set()
    assert process("third").finished() == set()


def test_a_damaged_part_is_begun_again(process, monkeypatch):
    one, other = process("one"), process("other")
    _, lease, _ = one.claim()
    other.claim()
    finish(lease, monkeypatch)
    assert one.finished() == {1}
    one.begin_again(lease.folder)
    assert one.finished() == set()
    assert other.claim({2})[1].folder.name == "0001.3"  # 2 has what is whole, and was given up


def test_parts_that_are_merged_are_gone_for_all(process, tmp_path):
    _, lease, _ = process("one").claim()
    other = process("other")
    remove_parts(tmp_path)
    assert lease.lost
    lease.renew()
    lease.give_up()
    assert other.claim() is None
    assert list(tmp_path.iterdir()) == []
    (tmp_path / parts.MERGED_FOLDER).mkdir()  # of a process that was killed
    remove_parts(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_done_alone_or_together(tmp_path):
    (tmp_path / "results.jsonl").touch()
    with pytest.raises(RunError, match="was started without --join"):
        begin_parts(tmp_path)
    refuse_joined(tmp_path)
    (tmp_path / "results.jsonl").unlink()
    begin_parts(tmp_path)
    begin_parts(tmp_path)
    with pytest.raises(RunError, match="start the same command with --join"):
        refuse_joined(tmp_path)
