"""What an executor is: light references go in, and one result for each comes out."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal, Protocol

from templ.errors import InputError
from templ.settings import RunSettings

Kind = Literal["done", "error", "out-of-memory", "timeout", "crash"]


@dataclass(frozen=True, slots=True)
class Work:
    """What the workers do, by name, so that the engine imports none of it.

    Attributes
    ----------
    function : str
        ``package.module:function``; called with `context` once a worker, it returns the callable for tasks.
        An attribute ``release`` of that callable, if there is one, empties its caches.
    context : Mapping
        Plain values handed to that function.
    preload : sequence of str
        Modules imported once, before workers are forked from the process that holds them.
    keeper : Work, optional
        What each value goes through on the machine where it was made, before it is sent to another: it can
        keep there what is large. Where nothing is sent to another machine it is not used.
    folder : str
        Relative paths, in context and tasks, are relative to it, whatever the folder of a worker would be.
    """

    function: str
    context: Mapping[str, Any]
    preload: Sequence[str] = ()
    keeper: Work | None = None
    folder: str = field(default_factory=os.getcwd)

    def open(self) -> Callable[[Any], Any]:
        """Call the function of this name, in the process that works."""
        return open_function(self.function, self.context)


def open_function(name: str, context: Mapping[str, Any]) -> Callable[[Any], Any]:
    """Import ``package.module:function`` and call it with `context`."""
    module, _, function = name.partition(":")
    opened: Callable[[Any], Any] = getattr(import_module(module), function)(context)
    return opened


@dataclass(frozen=True, slots=True)
class TaskResult:
    """How one task ended.

    Attributes
    ----------
    task : str
        The reference that was submitted.
    kind : {"done", "error", "out-of-memory", "timeout", "crash"}
        What happened.
    value : object
        What the work returned; None unless done.
    detail : str
        What went wrong, as a sentence.
    stage : str
        Function of the program in which it went wrong; empty when unknown.
    cpu_s, wall_s : float
        Seconds.
    uss_bytes : int
        Private memory of the worker when the task ended, its data still held; for a worker that was stopped,
        when it was last looked at.
    """

    task: str
    kind: Kind
    value: Any = None
    detail: str = ""
    stage: str = ""
    cpu_s: float = 0.0
    wall_s: float = 0.0
    uss_bytes: int = 0


class Executor(Protocol):
    """Does tasks somewhere; `str()` of it says where, for the user."""

    def run(
        self, work: Work, tasks: Iterable[str], on_memory: Callable[[dict[str, Any]], None] = ...
    ) -> Generator[TaskResult]:
        """Do all tasks and yield their results as they come, one a task; closing it stops the workers.

        Parameters
        ----------
        work : Work
            What to do.
        tasks : iterable of str
            References, such as an id or a file and an offset; one is read when a worker is free for it. Where
            their number is known (a list), no more workers are started.
        on_memory : callable
            Told what was seen of memory, once a second, and every action with its reason.

        Raises
        ------
        TemplError
            When workers cannot be started.
        """
        ...


def choose_executor(settings: RunSettings, tasks: int | None = None) -> Executor:
    """Choose what does the tasks of a run, so many if that is known: processes of this machine, or Dask.

    Raises
    ------
    BudgetError
        When the memory allowed is less than one worker needs.
    InputError
        When a Dask cluster is asked for that is none, or Dask is not installed.
    """
    if settings.on:
        try:
            from templ.engine.dask_executor import DaskExecutor
        except ImportError:
            raise InputError(
                f"--on {settings.on} needs Dask, which is not installed: pip install 'templ-pose[dask]'"
            ) from None
        return DaskExecutor(settings)
    from templ.engine.local import LocalExecutor, choose_limits

    return LocalExecutor(choose_limits(settings, tasks))
