"""The pool's side of the pipe, with workers that send what no worker should."""

from __future__ import annotations

import os
import pickle
import time

import pytest

from templ.engine.executor import TaskResult, Work
from templ.engine.pool import HEADER, Pool

PATIENCE_S = 20


@pytest.fixture
def pool(engine_work):
    with Pool(Work(engine_work, {})) as made:
        yield made


def ready(pool):
    worker = pool.start()
    end = time.monotonic() + PATIENCE_S
    while not worker.ready:
        assert time.monotonic() < end
        pool.wait(0.1)
    return worker


def events_until(pool, condition):
    found = []
    end = time.monotonic() + PATIENCE_S
    while not condition(found):
        assert time.monotonic() < end
        found += pool.wait(0.1)
    return found


def read_a_part(pool, worker):
    """Read from a worker, once it has begun to send and waits for the pipe to be read."""
    end = time.monotonic() + PATIENCE_S
    while not worker.inbox:
        assert time.monotonic() < end
        pool._read(worker)
    assert len(worker.inbox) < 8_000_000


def test_a_worker_that_dies_in_the_middle_of_its_message_spoils_nothing_else(pool):
    """The pipe is full and only half of the result has been read when the worker is gone."""
    dying, other = ready(pool), ready(pool)
    assert pool.give(dying, "huge 8000000")
    read_a_part(pool, dying)
    os.kill(dying.process.pid, 9)
    assert pool.give(other, "echo 1")
    found = events_until(pool, lambda events: len(events) == 2)
    assert (dying, None) in found
    assert dying.task == "huge 8000000"
    [result] = [result for worker, result in found if worker is other]
    assert (result.kind, result.value) == ("done", "1")


def test_a_worker_that_stops_in_the_middle_of_its_message_does_not_hold_up_the_parent(pool):
    stuck, other = ready(pool), ready(pool)
    assert pool.give(stuck, "huge 8000000")
    read_a_part(pool, stuck)
    os.kill(stuck.process.pid, 19)  # SIGSTOP: alive, and will never send the rest
    assert pool.give(other, "echo 1")
    [(worker, result)] = events_until(pool, lambda events: any(result for _, result in events))
    assert (worker, result.value) == (other, "1")
    pool.kill(stuck, "timeout")
    events_until(pool, lambda events: (stuck, None) in events)


def test_messages_are_taken_whole_however_they_arrive(pool):
    worker = ready(pool)
    result = TaskResult("t", "done", "v")
    message = pickle.dumps(("result", result))
    data = (HEADER.pack(len(message)) + message) * 2
    seen = []
    for byte in data:
        worker.inbox.append(byte)
        seen += pool._messages(worker)
    assert seen == [("result", result)] * 2
    assert not worker.inbox


def test_a_worker_can_be_emptied_stopped_and_killed(pool):
    worker = ready(pool)
    pool.release(worker)
    assert not worker.idle
    end = time.monotonic() + PATIENCE_S
    while not worker.idle:
        assert time.monotonic() < end
        pool.wait(0.1)
    pool.stop(worker)
    assert events_until(pool, len) == [(worker, None)]
    assert pool.workers == []
    killed = ready(pool)
    pool.kill(killed, "out-of-memory")
    pool.kill(killed, "timeout")
    assert events_until(pool, len) == [(killed, None)]
    assert killed.verdict == "out-of-memory"
