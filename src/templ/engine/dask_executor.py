"""Does tasks on a Dask cluster: chunks of light references go out, their results come back.

Dask places the chunks, starts them again where a worker is lost, and shows them in its dashboard; inside a
worker the local engine does them (`templ.engine.chunks`), with the worker's own limit as its budget.
Dask: M. Rocklin, Proc. 14th Python in Science Conf. (2015) 126-132.
"""

from __future__ import annotations

import re
import socket
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import islice
from typing import Any

from distributed import Client, Future, KilledWorker, LocalCluster, get_worker

from templ.engine.chunks import Chunk, ChunkProcess, ChunkResult
from templ.engine.executor import TaskResult, Work
from templ.engine.local import SMALLEST_BUDGET, memory_budget
from templ.engine.pool import without_main
from templ.errors import BudgetError, InputError, TemplError
from templ.settings import RunSettings

SCHEME, LOCAL = "dask://", re.compile(r"local:(\d{1,9})")
CHUNK_S = 20.0
"""Seconds that a chunk is to take: long beside the start of a worker, short beside a run."""
LARGEST_CHUNK = 512
"""Tasks; the first has one, and while they are short each has twice as many as one before."""
ALONE = 10
"""Times that Dask may give a task up which is a chunk by itself; each time, four workers were lost.

A task has no hold on the worker of Dask it is in but by memory, which has a limit: it is hardly to blame.
"""
AHEAD = 2
"""Chunks out for each thread of the cluster: one is done, one waits."""
LOOK_EVERY_S = 1.0
"""Seconds between looks whether the scheduler is still there."""
CONNECT_S = 10.0
"""Seconds in which the scheduler has to be found."""

_free: list[ChunkProcess] = []
_busy: dict[ChunkProcess, str] = {}
"""Of a worker of Dask: those that do no chunk now, and the run of which the others do one."""
_changing = threading.Lock()
"""Of these two: a run that is stopped must not end a process that the next has taken."""


def do_chunk(chunk: Chunk) -> ChunkResult:
    """Do a chunk in a worker of Dask; each of its threads does one at a time."""
    worker = get_worker()
    memory = worker.memory_manager.memory_limit or memory_budget(RunSettings())
    settings = chunk.settings.model_copy(update={"memory": memory // worker.state.nthreads, "workers": 1})
    with _changing:
        process = _free.pop() if _free else ChunkProcess()
        _busy[process] = chunk.run
    try:
        found = process.do(replace(chunk, settings=settings))
    except BaseException:
        process.kill()
        raise
    finally:
        with _changing:
            del _busy[process]
            if process.is_there():
                _free.append(process)
    return replace(found, process=f"{worker.address} {found.process}")


def stop_chunks(run: str) -> None:
    """End the chunks of a run that are being done in a worker of Dask."""
    with _changing:
        for process, its in _busy.items():
            if its == run:
                process.kill()


class DaskExecutor:
    """Workers of a Dask cluster.

    Parameters
    ----------
    settings : RunSettings
        `on` says where: ``dask://HOST:PORT`` is a scheduler, ``local:N`` a cluster of N workers of this
        machine.

    Raises
    ------
    InputError
        When it is neither.
    BudgetError
        When the workers of this machine would have less memory than they need.
    """

    def __init__(self, settings: RunSettings) -> None:
        self._settings = settings
        where = settings.on
        found = LOCAL.fullmatch(where)
        self._local = int(found[1]) if found else 0
        if not self._local and not (where.startswith(SCHEME) and where.removeprefix(SCHEME)):
            raise InputError(f"--on {where}: expected dask://HOST:PORT or local:N")
        if self._local:
            self._memory = memory_budget(settings) // self._local
            if self._memory < SMALLEST_BUDGET:
                raise BudgetError(
                    f"--on {where}: {self._memory / 2**20:.0f} MiB for each worker are not enough, at least "
                    f"{SMALLEST_BUDGET / 2**20:.0f} MiB are needed; fewer workers, or more with --memory"
                )

    def __str__(self) -> str:
        if self._local:
            unused = ["--workers"] if self._settings.workers != "auto" else []
            return f"a Dask cluster of {self._local} workers on this machine{_unused(unused)}"
        given = {"--workers": self._settings.workers != "auto", "--memory": self._settings.memory is not None}
        unused = [option for option, is_given in given.items() if is_given]
        return f"the Dask cluster at {self._settings.on.removeprefix(SCHEME)}{_unused(unused)}"

    def run(
        self,
        work: Work,
        tasks: Iterable[str],
        on_memory: Callable[[dict[str, Any]], None] = lambda sample: None,
    ) -> Generator[TaskResult]:
        """See `templ.engine.executor.Executor`."""
        with self._client() as client:
            yield from _DaskRun(client, work, tasks, self._settings, on_memory).results()

    @contextmanager
    def _client(self) -> Iterator[Client]:
        """Connect, or start a cluster of this machine; chunks that are out are dropped at the end."""
        if self._local:
            # As long as it is there: Dask starts a worker that ended again.
            with without_main(), self._cluster() as cluster, Client(cluster) as client:
                yield client
            return
        address = self._settings.on.removeprefix(SCHEME)
        try:
            _wait_for_greeting(address)
            client = Client(f"tcp://{address}", timeout=CONNECT_S)
        except (OSError, ValueError) as error:
            raise InputError(f"--on {self._settings.on}: no scheduler is found there ({error})") from None
        with client:
            yield client

    def _cluster(self) -> LocalCluster:
        """Start a cluster of this machine."""
        try:
            return LocalCluster(
                n_workers=self._local,
                threads_per_worker=1,
                memory_limit=self._memory,
                dashboard_address="127.0.0.1:0",  # any port: another run may have Dask's own
            )
        except (RuntimeError, OSError) as error:
            raise TemplError(
                f"--on {self._settings.on}: the cluster could not be started ({error})"
            ) from None


def _unused(options: Sequence[str]) -> str:
    return f"; {' and '.join(options)} not used: the cluster has its own" if options else ""


def _wait_for_greeting(address: str) -> None:
    """Wait until a scheduler speaks, as it does first.

    With anything else that listens, such as its dashboard, Dask's client would wait for ever.
    """
    host, _, port = address.rpartition(":")
    with socket.create_connection((host.strip("[]"), int(port)), CONNECT_S) as connection:
        connection.settimeout(CONNECT_S)
        connection.recv(1)


class _DaskRun:
    """State of one run; the client holds the chunks that are out and their results, nothing else."""

    def __init__(
        self,
        client: Client,
        work: Work,
        tasks: Iterable[str],
        settings: RunSettings,
        on_memory: Callable[[dict[str, Any]], None],
    ) -> None:
        self._client, self._work, self._settings = client, work, settings
        self._on_memory = on_memory
        self._tasks = iter(tasks)
        self._out: dict[Future, Sequence[str]] = {}
        self._came = threading.Event()
        self._size = 1
        self._given_up: Counter[str] = Counter()
        self._run = uuid.uuid4().hex
        self._ended = 0
        self._threads: dict[str, int] = {}
        self._held: dict[str, Mapping[str, Any]] = {}

    def results(self) -> Iterator[TaskResult]:
        """Keep chunks out, and pass on what comes back."""
        try:
            self._fill()
            while self._out:
                future = self._next()
                yield from self._ended_chunk(future, self._out.pop(future))
                self._fill()
        finally:
            if self._out:  # it ends early: nothing goes on that nobody waits for
                with suppress(OSError):  # the scheduler is gone
                    self._client.cancel(list(self._out), force=True)
                    self._client.run(stop_chunks, self._run, on_error="ignore")

    def _fill(self) -> None:
        """Send chunks until each thread has one to do and one that waits."""
        try:
            self._threads = self._client.nthreads()
        except OSError:
            raise self._lost() from None
        while len(self._out) < AHEAD * max(1, sum(self._threads.values())):
            tasks = tuple(islice(self._tasks, self._size))
            if not tasks:
                return
            self._send(tasks)

    def _send(self, tasks: Sequence[str]) -> None:
        chunk = Chunk(self._work, tasks, self._settings, self._run)
        future = self._client.submit(do_chunk, chunk, pure=False)
        self._out[future] = tasks
        future.add_done_callback(lambda _: self._came.set())

    def _ended_chunk(self, future: Future, tasks: Sequence[str]) -> Iterator[TaskResult]:
        """Results of a chunk; one whose workers died is done again, task by task."""
        if future.status == "finished":
            found: ChunkResult = future.result()
            future.release()
            self._size = _next_size(len(tasks), found.seconds)
            self._ended += len(found.results)
            self._tell(found)
            yield from found.results
            return
        if future.status == "error":
            error = future.exception()
            if not isinstance(error, KilledWorker):
                raise error if isinstance(error, TemplError) else TemplError(f"a chunk failed: {error}")
            # One of its tasks ends workers, or others end them: alone it can cost no other, and is soon done.
            self._size = 1
            for task in tasks:
                self._given_up[task] += len(tasks) == 1
                if self._given_up[task] < ALONE:
                    self._send((task,))
                else:
                    self._ended += 1
                    yield TaskResult(task, "crash", detail=f"the workers of Dask that had it died ({error})")
            return
        raise self._lost()

    def _next(self) -> Future:
        """Wait for a chunk to end; `TemplError` where the scheduler is lost, which Dask may not say."""
        while True:
            self._came.clear()
            if (ended := next((future for future in self._out if future.done()), None)) is not None:
                return ended
            if self._client.status != "running":
                raise self._lost()
            self._came.wait(LOOK_EVERY_S)

    def _lost(self) -> TemplError:
        return TemplError(
            f"the scheduler of {self._settings.on} is gone: start it, then the same command again; all that "
            "was recorded stays"
        )

    def _tell(self, found: ChunkResult) -> None:
        """Log what was seen of memory where the chunk was done, added to what the others held last."""
        if not found.memory:
            return
        self._held[found.process] = found.memory
        for process in list(self._held):
            if process.partition(" ")[0] not in self._threads:  # its worker is gone, and so is what it held
                del self._held[process]
        every = {
            "tree": sum(int(memory["tree"]) for memory in self._held.values()),
            "workers": [held for memory in self._held.values() for held in memory["workers"]],
        }
        self._on_memory({**found.memory, **every, "monotonic": time.monotonic(), "ended": self._ended})


def _next_size(tasks: int, seconds: float) -> int:
    """Tasks of the next chunks, by what this one took; at most twice as many."""
    wanted = int(tasks * CHUNK_S / max(seconds, 0.01))
    return max(1, min(wanted, 2 * tasks, LARGEST_CHUNK))
