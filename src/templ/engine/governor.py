"""Decides what to do about memory: a pure function from what is seen to one action, with its reason.

It covers the anonymous memory of the run's own processes against the run's budget, and the memory that is
left in the container or host, whoever takes it. It cannot see what a single allocation will take before it is
made; the hard limit in each worker is for that.

Thresholds and hysteresis follow the idea of dask.distributed's worker memory manager: act in growing steps,
and leave a step only well below the level at which it was entered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

RELEASE_AT = 0.70
HOLD_AT = 0.80
BARRIER_AT = 0.85
SHRINK_AT = 0.90
KILL_AT = 0.95
"""Shares of the budget at which each step is taken."""
CALMER = 0.05
"""A step is over when the pressure is this far below the share at which it was taken."""
PATIENCE_S = 2.0
"""Seconds between two steps of the same kind, or two changes of the number of workers: what was done must
show before more is done."""
NEED_MARGIN = 1.25
"""A new worker is expected to take this times the most that one has been seen to take."""


class Action(StrEnum):
    """What the engine is to do next."""

    RUN = "run"
    RELEASE = "release"
    HOLD = "hold"
    BARRIER = "barrier"
    SHRINK = "shrink"
    GROW = "grow"
    KILL = "kill"


@dataclass(frozen=True, slots=True)
class Observation:
    """What is true now; bytes and seconds.

    Attributes
    ----------
    at : float
        Monotonic clock, which no one can set back.
    budget : int
        What the run's processes may hold together.
    tree : int
        What they hold: anonymous memory of parent, forkserver and workers.
    available, limit : int
        What can still be taken in the container or host, and all there is.
    workers : sequence of int
        What each worker holds privately.
    worker_peak : int
        The most that one worker has held in this run; 0 before the first task ended.
    most_workers : int
        No more than this, whatever the memory: cores, or the user's choice.
    waiting : int
        Tasks not yet begun.
    """

    at: float
    budget: int
    tree: int
    available: int
    limit: int
    workers: Sequence[int]
    worker_peak: int
    most_workers: int
    waiting: int

    @property
    def own(self) -> float:
        """Share of the budget that the run holds itself."""
        return self.tree / self.budget

    @property
    def pressure(self) -> float:
        """Share of the memory that is used: of the budget, or of the container if that is worse."""
        return max(self.own, 1 - self.available / self.limit)

    @property
    def others(self) -> int:
        """Bytes of the container or host that other processes hold."""
        return max(0, self.limit - self.available - self.tree)


@dataclass(frozen=True, slots=True)
class State:
    """What the governor remembers between two looks.

    Attributes
    ----------
    workers : int
        How many there should be.
    step : Action
        The step that is in force.
    step_at, changed_at : float
        When that step was last taken, and when the number of workers was last changed.
    """

    workers: int = 1
    step: Action = Action.RUN
    step_at: float = float("-inf")
    changed_at: float = float("-inf")


@dataclass(frozen=True, slots=True)
class Decision:
    """One action, why, and what to remember."""

    action: Action
    reason: str
    state: State


_ENTERED_AT = {
    Action.KILL: KILL_AT,
    Action.SHRINK: SHRINK_AT,
    Action.BARRIER: BARRIER_AT,
    Action.HOLD: HOLD_AT,
    Action.RELEASE: RELEASE_AT,
    Action.RUN: 0.0,
}


def decide(seen: Observation, state: State) -> Decision:
    """Choose the next action.

    Under pressure the highest step reached is taken; a step that was just taken is given time to work, during
    which nothing new is begun from HOLD on. Without pressure workers are added, one at a time, while the
    cores allow it and one more of the size seen so far still leaves the tree below the first threshold.

    Examples
    --------
    >>> GiB = 2**30
    >>> calm = Observation(10.0, 8 * GiB, GiB, 16 * GiB, 24 * GiB, [GiB // 4], GiB // 4, 4, 100)
    >>> decide(calm, State()).action
    <Action.GROW: 'grow'>
    >>> decide(replace(calm, tree=7 * GiB), State()).action
    <Action.BARRIER: 'barrier'>
    """
    pressure = seen.pressure
    reached = _reached(pressure)
    if seen.others > seen.tree and _ENTERED_AT[reached] > BARRIER_AT:
        # What others hold is no fault of any worker here: the run holds until they give it back.
        reached = max(_reached(seen.own), Action.BARRIER, key=_ENTERED_AT.__getitem__)
    if reached is not Action.RUN:
        return _step(seen, state, reached)
    if state.step is not Action.RUN and pressure > _ENTERED_AT[state.step] - CALMER:
        held = Action.RUN if state.step is Action.RELEASE else Action.HOLD
        return Decision(held, f"pressure {pressure:.0%}, waiting for it to fall", state)
    state = replace(state, step=Action.RUN)
    if _room_for_one_more(seen, state):
        state = replace(state, workers=state.workers + 1, changed_at=seen.at)
        need = seen.worker_peak / 2**20
        return Decision(Action.GROW, f"{state.workers} workers: one takes {need:.0f} MiB", state)
    return Decision(Action.RUN, "", state)


def _step(seen: Observation, state: State, reached: Action) -> Decision:
    """Take a step, unless it was taken a moment ago; killing and shrinking need a worker to do it to."""
    waiting = Action.RUN if reached is Action.RELEASE else Action.HOLD
    recent = seen.at - state.step_at < PATIENCE_S
    if recent and _ENTERED_AT[reached] <= _ENTERED_AT[state.step]:
        return Decision(waiting, f"pressure {seen.pressure:.0%} after {state.step}", state)
    workers = state.workers
    if reached is Action.KILL and not seen.workers:
        return Decision(Action.HOLD, f"pressure {seen.pressure:.0%} and no worker to stop", state)
    if reached in (Action.SHRINK, Action.KILL):
        workers = max(1, workers - 1)
    state = State(workers, reached, seen.at, seen.at if workers != state.workers else state.changed_at)
    whose = f"the run holds {seen.tree / 2**20:.0f} of its {seen.budget / 2**20:.0f} MiB"
    if seen.own < seen.pressure:
        whose += f", other processes {seen.others / 2**20:.0f} MiB"
    return Decision(reached, f"pressure {seen.pressure:.0%}: {whose}", state)


def _reached(pressure: float) -> Action:
    return next((action for action, share in _ENTERED_AT.items() if pressure >= share), Action.RUN)


def _room_for_one_more(seen: Observation, state: State) -> bool:
    if state.workers >= seen.most_workers or len(seen.workers) < state.workers:
        return False
    if seen.waiting <= 0 or not seen.worker_peak or seen.at - state.changed_at < PATIENCE_S:
        return False
    # Those at work may yet grow to the most that was seen.
    need = NEED_MARGIN * seen.worker_peak
    growth = sum(max(0.0, need - held) for held in seen.workers) + need
    return (
        seen.tree + growth < RELEASE_AT * seen.budget
        and growth < seen.available - (1 - RELEASE_AT) * seen.limit
    )
