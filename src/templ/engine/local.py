"""Does many tasks in worker processes of this machine, within a budget of memory and through any fault.

There is no watchdog for a run that makes no progress, because there is no state to be stuck in: whatever a
worker does, be it a task, its start, giving memory back or its end, has a deadline (`_Run._deadline`). One
that misses it is killed and replaced, and costs no more than the task it has; three failed starts in a row
end the run.
"""

from __future__ import annotations

import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sized
from dataclasses import dataclass, replace
from typing import Any

from templ.engine import probe
from templ.engine.clock import Clock
from templ.engine.executor import Kind, TaskResult, Work
from templ.engine.governor import (
    NEED_MARGIN,
    RELEASE_AT,
    SHRINK_AT,
    Action,
    Observation,
    State,
    decide,
)
from templ.engine.pool import Pool, Worker, cause_of_death
from templ.errors import BudgetError
from templ.settings import RunSettings

SHARE_OF_AVAILABLE = 0.8
"""Of the memory that is available when the run begins, used unless the user says otherwise."""
LOOK_EVERY_S = 1.0
"""Seconds between two looks at memory."""
BACKSTOP = 20.0
"""Times the deadline that a task may take where it waits for its core, or for nothing."""
ANSWER_S = 180.0
"""Seconds that a worker may take for anything but a task: to start, to give memory back, to end."""
SMALLEST_HEADROOM = 2**29
"""Bytes that a worker may always take, however small its share: less fails on ordinary molecules."""
SMALLEST_BUDGET = 384 * 2**20
"""Bytes: parent, forkserver and one worker."""
OUT_OF_MEMORY: Kind = "out-of-memory"
SMALLEST_WORKER = 64 * 2**20
"""Bytes that a worker is expected to take before one was seen at work."""
MOST_PUT_BACK = 3
"""Times that a task is done again whose worker the kernel took for the memory of others."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run may take from the machine.

    Attributes
    ----------
    memory : int
        Bytes for all processes of the run.
    most_workers : int
        No more at a time.
    all_at_once : bool
        Start with `most_workers` and keep to it while memory allows; else start with one and grow.
    recycle_after : int
        Tasks after which a worker is replaced.
    deadline_s, backstop_s : float
        CPU seconds after which a task's worker is killed, and seconds by the clock of the run, however little
        of a core it got.
    """

    memory: int
    most_workers: int
    all_at_once: bool = False
    recycle_after: int = 25
    deadline_s: float = 180.0
    backstop_s: float = 180.0 * BACKSTOP

    def for_tasks(self, count: int) -> Limits:
        """The same with no more workers than tasks: more are of no use."""
        return replace(self, most_workers=max(1, min(self.most_workers, count)))

    def __str__(self) -> str:
        how = "" if self.all_at_once or self.most_workers == 1 else ", beginning with one"
        return (
            f"up to {self.most_workers} workers{how}, {self.memory / 2**30:.1f} GiB of memory for all "
            f"({probe.available_cores()} cores and {probe.available_memory() / 2**30:.1f} GiB available)"
        )


def memory_budget(settings: RunSettings) -> int:
    """Bytes for all processes of a run: what the user said, else a share of what is available now."""
    return settings.memory or int(probe.available_memory() * SHARE_OF_AVAILABLE)


def choose_limits(settings: RunSettings, tasks: int | None = None) -> Limits:
    """Limits of a run on this machine: what the user said, else cores and memory as they are now.

    There are no more workers than `tasks`, where their number is known.

    Raises
    ------
    BudgetError
        When the memory allowed is less than one worker needs.
    """
    memory = memory_budget(settings)
    if memory < SMALLEST_BUDGET:
        raise BudgetError(
            f"{memory / 2**20:.0f} MiB of memory are not enough for a run: at least "
            f"{SMALLEST_BUDGET / 2**20:.0f} MiB are needed; free memory, or give more with --memory"
        )
    auto = settings.workers == "auto"
    most = probe.available_cores() if settings.workers == "auto" else settings.workers
    backstop = settings.backstop_s or BACKSTOP * settings.deadline_s
    limits = Limits(memory, most, not auto, settings.recycle_after, settings.deadline_s, backstop)
    return limits if tasks is None else limits.for_tasks(tasks)


class LocalExecutor:
    """Worker processes of this machine, within a budget of memory and through any fault."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def __str__(self) -> str:
        return str(self._limits)

    def run(
        self,
        work: Work,
        tasks: Iterable[str],
        on_memory: Callable[[dict[str, Any]], None] = lambda sample: None,
    ) -> Generator[TaskResult]:
        """See `templ.engine.executor.Executor`."""
        limits = self._limits.for_tasks(len(tasks)) if isinstance(tasks, Sized) else self._limits
        headroom = max(SMALLEST_HEADROOM, limits.memory // (2 if limits.most_workers > 1 else 1))
        with Pool(work, headroom, Clock()) as pool:
            yield from _Run(pool, tasks, limits, on_memory).results()


class _Run:
    """State of one run of the engine; lives in the parent and holds no result."""

    def __init__(
        self, pool: Pool, tasks: Iterable[str], limits: Limits, on_memory: Callable[[dict[str, Any]], None]
    ) -> None:
        self.pool = pool
        self.limits = limits
        self.on_memory = on_memory
        self.state = State(workers=limits.most_workers if limits.all_at_once else 1)
        self.worker_peak = 0
        self.seen: Observation | None = None
        self.put_back: Counter[str] = Counter()
        self.ended = 0
        self.action = Action.RUN
        self.looked_at = float("-inf")
        self.again: deque[str] = deque()
        self.tried: set[str] = set()
        self._tasks = iter(tasks)
        self._next = next(self._tasks, None)

    def results(self) -> Iterator[TaskResult]:
        """Look at memory, keep the right number of workers busy, and pass on what they send."""
        while self._next is not None or self.again or any(w.task is not None for w in self.pool.workers):
            self._look()
            self._staff()
            self._dispatch()
            # What has come is read before anybody is judged late: it may have come while the run was stopped.
            events = self.pool.wait(self._until_next())
            self._end_overdue()
            for worker, result in events:
                ended = self._died(worker) if result is None else result
                if ended is not None:
                    # What was seen while it worked may be more than what it still held at its end.
                    peak = max(ended.uss_bytes, worker.peak_bytes)
                    self.worker_peak = max(self.worker_peak, peak)
                    self.ended += 1
                    yield replace(ended, uss_bytes=peak)

    def _until_next(self) -> float:
        """Seconds until something is due: a look at memory and CPU time, or a deadline."""
        deadline = min(map(self._deadline, self.pool.workers), default=float("inf"))
        return min(self.looked_at + LOOK_EVERY_S - time.monotonic(), deadline - self.pool.clock())

    def _deadline(self, worker: Worker) -> float:
        """When a worker is to be killed, by the clock of the run; never while nothing is asked of it."""
        if worker.idle or worker.verdict:
            return float("inf")
        return worker.since + (ANSWER_S if worker.task is None else self.limits.backstop_s)

    def _end_overdue(self) -> None:
        """Kill workers that are past their deadline or have used up their CPU time."""
        for worker in self.pool.workers:
            at_work = worker.task is not None and not worker.verdict
            if at_work:
                worker.cpu_used = worker.cpu_s()
            spent = at_work and worker.cpu_used > self.limits.deadline_s
            if spent or self.pool.clock() >= self._deadline(worker):
                self.pool.kill(worker, "timeout")

    def _look(self) -> None:
        """Once a second: measure, let the governor decide, act."""
        now = time.monotonic()
        if now - self.looked_at < LOOK_EVERY_S:
            return
        self.looked_at = now
        # The tree first: if memory is given back between the two, the need is judged too high, never too low.
        tree = probe.tree_bytes()
        held = [worker.measure() for worker in self.pool.workers]
        if self.worker_peak:  # not before a task has shown what it takes
            self.worker_peak = max([self.worker_peak, *(w.peak_bytes for w in self.pool.workers)])
        seen = Observation(
            at=now,
            budget=self.limits.memory,
            tree=tree,
            available=probe.available_memory(),
            limit=probe.memory_limit(),
            workers=held,
            worker_peak=self.worker_peak,
            most_workers=self.limits.most_workers,
            waiting=len(self.again) + (self._next is not None),
        )
        self.seen = seen
        decision = decide(seen, self.state)
        self.action, self.state = decision.action, decision.state
        self.on_memory(
            {
                "time": time.time(),
                "monotonic": now,
                "tree": seen.tree,
                "available": seen.available,
                "workers": held,
                "ended": self.ended,
                "action": decision.action.value,
                "reason": decision.reason,
            }
        )
        if self.action in (Action.RELEASE, Action.BARRIER, Action.SHRINK):
            for worker in self.pool.workers:
                if worker.idle:
                    self.pool.release(worker)
        if self.action is Action.KILL:
            largest = max(self.pool.workers, key=lambda worker: worker.uss_bytes)
            self.pool.kill(largest, OUT_OF_MEMORY)

    def _staff(self) -> None:
        """Replace workers that have done enough or grown too large, start missing ones, end spare ones."""
        share = self.limits.memory // max(1, min(self.state.workers, len(self._staying())))
        for worker in self.pool.workers:
            if worker.idle and (worker.done >= self.limits.recycle_after or worker.uss_bytes > share):
                self.pool.stop(worker)
        spare = len(self._staying()) - self.state.workers
        for worker in [worker for worker in self._staying() if worker.idle][: max(0, spare)]:
            self.pool.stop(worker)
        if self.action in (Action.HOLD, Action.BARRIER, Action.SHRINK, Action.KILL) and self._staying():
            return
        for _ in range(self.state.workers - len(self._staying())):
            if self._staying() and not self._room():
                return
            if not self._staying() and self._others_hold_all():
                return
            self.pool.start()

    @property
    def _need(self) -> float:
        """Bytes that one more worker is expected to take."""
        return NEED_MARGIN * max(self.worker_peak, SMALLEST_WORKER)

    def _room(self) -> bool:
        """Whether one more worker stays within the budget, beside those that start and are not measured."""
        starting = sum(not worker.ready for worker in self.pool.workers)
        held = 0 if self.seen is None else self.seen.tree
        return held + (starting + 1) * self._need < RELEASE_AT * self.limits.memory

    def _others_hold_all(self) -> bool:
        """Whether other processes leave too little for even one worker: the run waits for them."""
        seen = self.seen
        return seen is not None and seen.others > seen.tree and seen.available < self._need

    def _staying(self) -> list[Worker]:
        return [worker for worker in self.pool.workers if not worker.stopping and not worker.verdict]

    def _dispatch(self) -> None:
        """Give idle workers their next task; one that once ran out of memory gets the machine to itself."""
        idle = [worker for worker in self.pool.workers if worker.idle]
        if self.action not in (Action.RUN, Action.GROW, Action.RELEASE):
            # At least one goes on where there is room for it, or the run would wait for ever.
            if any(worker.task is not None for worker in self.pool.workers) or self._others_hold_all():
                return
            idle = idle[:1]
        for worker in idle:
            busy = [other for other in self.pool.workers if other.task is not None]
            if any(other.task in self.tried for other in busy):
                return
            if self._next is not None:
                if self.pool.give(worker, self._next):
                    self._next = next(self._tasks, None)
            elif self.again and not busy and self.pool.give(worker, self.again[0]):
                self.again.popleft()

    def _killed_for_others(self, worker: Worker) -> bool:
        """Whether the kernel took a worker for memory that other processes held."""
        seen = self.seen
        return (
            not worker.verdict
            and worker.process.exitcode == -signal.SIGKILL
            and seen is not None
            and seen.others > seen.tree
            and seen.pressure >= SHRINK_AT
        )

    def _died(self, worker: Worker) -> TaskResult | None:
        """What the death of a worker means for its task: None when it had none, or when it is tried again."""
        task = worker.task
        if task is None:
            return None
        if worker.verdict == OUT_OF_MEMORY and task not in self.tried:
            self.tried.add(task)
            self.again.append(task)
            return None
        if self._killed_for_others(worker) and self.put_back[task] < MOST_PUT_BACK:
            self.put_back[task] += 1
            self.again.append(task)
            return None
        kind: Kind = "crash"
        detail = f"the worker died ({cause_of_death(worker)})"
        if worker.verdict == "timeout":
            kind = "timeout"
            detail = f"stopped after {worker.cpu_used:.0f} CPU seconds"
            if worker.cpu_used <= self.limits.deadline_s:
                detail = f"stopped after {self.limits.backstop_s:g} s with {worker.cpu_used:.0f} of CPU time"
        elif worker.verdict == OUT_OF_MEMORY:
            kind = OUT_OF_MEMORY
            detail = (
                f"its worker held {worker.peak_bytes / 2**20:.0f} MiB when the run's "
                f"{self.limits.memory / 2**20:.0f} MiB ran out, also when it was alone"
            )
        wall = self.pool.clock() - worker.since
        return TaskResult(task, kind, None, detail, wall_s=wall, uss_bytes=worker.peak_bytes)
