from __future__ import annotations

from concurrent.futures import Future

import pytest
from pebble import ProcessPool

from templ.engine import local, probe
from templ.engine.local import WORKER_BYTES, Work, choose_workers, run_tasks
from templ.errors import TemplError


class DeafPool(ProcessPool):
    """Takes tasks and never ends one, as a pool whose pipe a killed worker has blocked."""

    def schedule(self, *args, **kwargs):
        return Future()


def test_a_pool_that_is_stuck_ends_the_run(monkeypatch):
    monkeypatch.setattr(local, "ProcessPool", DeafPool)
    monkeypatch.setattr(local, "STALL_S", 0.1)
    results = run_tasks(
        Work("engine_work:open_work", {}), ["a", "b"], workers=1, recycle_after=1, deadline_s=0.1
    )
    with pytest.raises(TemplError, match=r"no task has ended for 0\.2 s.*start the same command again"):
        next(results)


@pytest.mark.parametrize(
    ("cores", "memory", "workers"),
    [
        (8, 100 * WORKER_BYTES, 8),
        (8, 5 * WORKER_BYTES, 4),
        (8, 0, 1),
        (1, 100 * WORKER_BYTES, 1),
    ],
)
def test_as_many_workers_as_cores_and_memory_allow(monkeypatch, cores, memory, workers):
    monkeypatch.setattr(probe, "available_cores", lambda: cores)
    monkeypatch.setattr(probe, "available_memory", lambda: memory)
    assert choose_workers() == workers
