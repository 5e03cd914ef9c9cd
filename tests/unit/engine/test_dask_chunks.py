"""Processes of chunks in a worker of Dask: who is stopped, and who is used again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import ClassVar

import pytest

from templ.engine import chunks, dask_executor
from templ.engine.chunks import Chunk, ChunkResult
from templ.engine.executor import Work
from templ.settings import RunSettings


class Process:
    """Does a chunk at once; before it replies, somebody may stop the run."""

    made: ClassVar[list[Process]] = []
    while_at_it = staticmethod(lambda: None)

    def __init__(self):
        self.alive = True
        self.made.append(self)

    def do(self, chunk):
        assert self.alive
        type(self).while_at_it()
        return ChunkResult([], {}, "here", 1.0)

    def is_there(self):
        return self.alive

    def kill(self):
        self.alive = False


@pytest.fixture(autouse=True)
def worker(monkeypatch):
    memory = SimpleNamespace(memory_limit=2**30)
    there = SimpleNamespace(memory_manager=memory, state=SimpleNamespace(nthreads=1), address="tcp://here")
    monkeypatch.setattr(dask_executor, "get_worker", lambda: there)
    monkeypatch.setattr(dask_executor, "ChunkProcess", Process)
    monkeypatch.setattr(dask_executor, "_free", [])
    monkeypatch.setattr(Process, "made", [])


def chunk(run):
    return Chunk(Work("engine_work:open_work", {}), ["1"], RunSettings(), run)


def test_a_process_is_used_again():
    dask_executor.do_chunk(chunk("one"))
    dask_executor.do_chunk(chunk("two"))
    assert len(Process.made) == 1


def test_a_process_that_is_stopped_as_it_ends_is_not_used_again(monkeypatch):
    monkeypatch.setattr(Process, "while_at_it", staticmethod(lambda: dask_executor.stop_chunks("one")))
    dask_executor.do_chunk(chunk("one"))
    monkeypatch.setattr(Process, "while_at_it", staticmethod(lambda: None))
    dask_executor.do_chunk(chunk("two"))
    assert [process.alive for process in Process.made] == [False, True]


def test_the_process_of_another_run_is_left_alone(monkeypatch):
    monkeypatch.setattr(Process, "while_at_it", staticmethod(lambda: dask_executor.stop_chunks("other")))
    dask_executor.do_chunk(chunk("one"))
    assert [process.alive for process in Process.made] == [True]


class Ended:
    """A chunk that was done in so many seconds, whenever it was sent."""

    status = "finished"

    def __init__(self, seconds):
        self.seconds = seconds

    def result(self):
        return ChunkResult([], {}, "here", self.seconds)

    def release(self):
        pass


@pytest.mark.parametrize(("seconds", "size"), [(1.0, 16), (20.0, 8), (40.0, 4), (1000.0, 1)])
def test_the_size_of_chunks_goes_by_the_time_of_their_work(monkeypatch, seconds, size):
    """A chunk waits for another of its thread: by the time since it was sent, all would be half as long."""
    monkeypatch.setattr(dask_executor, "CHUNK_S", 20.0)
    run = dask_executor._DaskRun(None, None, (), RunSettings(), None)
    list(run._ended_chunk(Ended(seconds), ["task"] * 8))
    assert run._size == size


def test_seconds_of_a_chunk_are_those_of_its_work(monkeypatch):
    def done(self, work, tasks, on_memory):
        now[0] += 7.0
        return iter(())

    now = [100.0]
    monkeypatch.setattr(chunks.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(chunks.LocalExecutor, "run", done)
    assert chunks._done(chunk("one"), None).seconds == 7.0
