from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from templ.engine.governor import (
    BARRIER_AT,
    CALMER,
    HOLD_AT,
    KILL_AT,
    PATIENCE_S,
    RELEASE_AT,
    SHRINK_AT,
    Action,
    Observation,
    State,
    decide,
)

MiB = 2**20
BUDGET = 1000 * MiB
CALM = Observation(
    at=100.0,
    budget=BUDGET,
    tree=300 * MiB,
    available=10_000 * MiB,
    limit=12_000 * MiB,
    workers=(100 * MiB,),
    worker_peak=100 * MiB,
    most_workers=4,
    waiting=50,
)


def at_pressure(share, **changes):
    return replace(CALM, tree=round(share * BUDGET), **changes)


@pytest.mark.parametrize(
    ("share", "action"),
    [
        (RELEASE_AT, Action.RELEASE),
        (HOLD_AT, Action.HOLD),
        (BARRIER_AT, Action.BARRIER),
        (SHRINK_AT, Action.SHRINK),
        (KILL_AT, Action.KILL),
        (1.5, Action.KILL),
    ],
)
def test_each_threshold_has_its_step(share, action):
    decision = decide(at_pressure(share), State(workers=3))
    assert decision.action is action
    assert decision.reason == f"pressure {share:.0%}: the run holds {share * 1000:.0f} of its 1000 MiB"


def test_calm_adds_one_worker_at_a_time_up_to_the_most():
    state, seen, workers = State(), CALM, []
    for _ in range(20):
        decision = decide(seen, state)
        state = decision.state
        workers.append(state.workers)
        held = (50 * MiB,) * state.workers
        seen = replace(seen, at=seen.at + 1, workers=held, worker_peak=50 * MiB)
    assert workers[0] == 2
    assert workers[-1] == 4
    assert all(after - before in (0, 1) for before, after in pairwise(workers))


@pytest.mark.parametrize(
    "changes",
    [
        {"worker_peak": 0},  # nothing is known of what a worker needs
        {"waiting": 0},
        {"most_workers": 1},
        {"workers": ()},  # the last one has not started yet
        {"worker_peak": 400 * MiB},  # one more of that size would pass the first threshold
        {"available": 3_700 * MiB},  # the machine would
    ],
)
def test_no_worker_is_added_without_need_or_room(changes):
    assert decide(replace(CALM, **changes), State()).action is Action.RUN


def test_workers_at_work_may_grow_to_the_most_that_was_seen():
    """Small now, but each has been 200 MiB large before: the room is already theirs."""
    seen = replace(CALM, workers=(50 * MiB,) * 2, worker_peak=200 * MiB)
    assert decide(seen, State(workers=2)).action is Action.RUN


def test_a_step_is_given_time_before_it_is_taken_again():
    first = decide(at_pressure(BARRIER_AT), State(workers=2))
    soon = decide(at_pressure(BARRIER_AT, at=CALM.at + PATIENCE_S / 2), first.state)
    later = decide(at_pressure(BARRIER_AT, at=CALM.at + PATIENCE_S), first.state)
    assert (first.action, soon.action, later.action) == (Action.BARRIER, Action.HOLD, Action.BARRIER)


def test_worse_pressure_does_not_wait():
    first = decide(at_pressure(HOLD_AT), State(workers=2))
    assert decide(at_pressure(KILL_AT, at=CALM.at + 0.1), first.state).action is Action.KILL


def test_a_step_ends_only_well_below_its_threshold():
    held = decide(at_pressure(HOLD_AT), State(workers=2)).state
    almost = decide(at_pressure(HOLD_AT - CALMER / 2, at=CALM.at + 10), held)
    assert almost.action in (Action.HOLD, Action.RELEASE)
    over = decide(at_pressure(0.5, at=CALM.at + 20), almost.state)
    assert over.state.step is Action.RUN


def test_shrinking_and_killing_take_one_worker_but_never_the_last():
    assert decide(at_pressure(SHRINK_AT), State(workers=3)).state.workers == 2
    assert decide(at_pressure(KILL_AT), State(workers=2)).state.workers == 1
    assert decide(at_pressure(KILL_AT), State(workers=1)).state.workers == 1


def test_without_a_worker_there_is_none_to_kill():
    assert decide(at_pressure(KILL_AT, workers=()), State()).action is Action.HOLD


@pytest.mark.parametrize(
    ("available", "action"),
    [
        (3700, Action.RUN),
        (2300, Action.HOLD),
        (1700, Action.BARRIER),
        (900, Action.BARRIER),
        (100, Action.BARRIER),
    ],
)
def test_for_memory_that_others_hold_the_run_waits_but_charges_nobody(available, action):
    """The run itself is far below its budget: no worker is taken, however little is left."""
    seen = replace(CALM, available=available * MiB, most_workers=1)
    decision = decide(seen, State())
    assert decision.action is action
    if action is not Action.RUN:
        others = 12_000 - available - 300
        assert f"the run holds 300 of its 1000 MiB, other processes {others} MiB" in decision.reason


def test_own_memory_is_charged_whatever_others_hold():
    seen = replace(at_pressure(KILL_AT), available=100 * MiB)
    assert decide(seen, State()).action is Action.KILL


def test_memory_of_the_machine_that_the_run_holds_itself_is_its_own():
    seen = replace(CALM, budget=12_000 * MiB, tree=11_000 * MiB, available=300 * MiB)
    assert decide(seen, State()).action is Action.KILL


@given(
    st.lists(st.tuples(st.floats(0, 1.2), st.floats(0, 1), st.floats(0.1, 5)), min_size=1, max_size=40),
    st.integers(1, 8),
)
def test_whatever_happens_the_number_of_workers_stays_within_its_bounds(history, most):
    state, now = State(), 0.0
    for tree, available, pause in history:
        now += pause
        seen = replace(
            CALM,
            at=now,
            tree=round(tree * BUDGET),
            available=round(available * CALM.limit),
            most_workers=most,
            workers=(80 * MiB,) * state.workers,
        )
        decision = decide(seen, state)
        assert 1 <= decision.state.workers <= most
        if seen.pressure >= HOLD_AT:
            assert decision.action not in (Action.RUN, Action.GROW, Action.RELEASE)
        state = decision.state
