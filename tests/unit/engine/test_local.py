from __future__ import annotations

import pytest

from templ.engine import probe
from templ.engine.executor import Work
from templ.engine.local import SHARE_OF_AVAILABLE, SMALLEST_BUDGET, Limits, LocalExecutor, choose_limits
from templ.engine.pool import Pool
from templ.errors import BudgetError
from templ.settings import RunSettings

GiB = 2**30


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    monkeypatch.setattr(probe, "available_cores", lambda: 8)
    monkeypatch.setattr(probe, "available_memory", lambda: 10 * GiB)


def test_left_alone_a_run_takes_all_cores_and_most_of_the_memory():
    limits = choose_limits(RunSettings())
    assert (limits.most_workers, limits.all_at_once) == (8, False)
    assert limits.memory == int(SHARE_OF_AVAILABLE * 10 * GiB)


def test_what_the_user_says_is_taken():
    limits = choose_limits(RunSettings(workers=3, memory=GiB, recycle_after=7, deadline_s=9))
    assert (limits.most_workers, limits.all_at_once) == (3, True)
    assert (limits.memory, limits.recycle_after, limits.deadline_s) == (GiB, 7, 9)


def test_no_more_workers_than_tasks():
    assert choose_limits(RunSettings(), tasks=2).most_workers == 2
    assert choose_limits(RunSettings(workers=5), tasks=1).most_workers == 1


@pytest.mark.parametrize(("tasks", "started"), [(["echo 1", "echo 2"], 2), (iter(["echo 1", "echo 2"]), 5)])
def test_no_more_workers_are_started_than_there_are_tasks_in_a_list(
    engine_work, monkeypatch, calm, tasks, started
):
    """A library of two complexes, built with --workers 500, is one part."""
    count, start = [], Pool.start
    monkeypatch.setattr(Pool, "start", lambda pool: count.append(1) or start(pool))
    results = LocalExecutor(Limits(8 * GiB, 5, all_at_once=True)).run(Work(engine_work, {}), tasks)
    assert len(list(results)) == 2
    assert len(count) == started


def test_too_little_memory_is_said_before_anything_starts():
    with pytest.raises(BudgetError, match=r"100 MiB of memory are not enough .* --memory"):
        choose_limits(RunSettings(memory=100 * 2**20))
    assert choose_limits(RunSettings(memory=SMALLEST_BUDGET)).memory == SMALLEST_BUDGET


def test_the_choice_is_explained_on_one_line():
    text = str(choose_limits(RunSettings()))
    assert (
        text
        == "up to 8 workers, beginning with one, 8.0 GiB of memory for all (8 cores and 10.0 GiB available)"
    )
