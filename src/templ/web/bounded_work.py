"""Work on what visitors send, in processes of their own: one that hangs or crashes costs one request."""

from __future__ import annotations

import resource
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import anyio
import anyio.to_process
from anyio.lowlevel import RunVar

from templ.errors import InputError

T = TypeVar("T")
AT_A_TIME = 2
"""Processes that work at a time; the others wait."""
MOST_BYTES = 4 * 2**30
"""Of private memory that such a process may take."""
_LIMITER: RunVar[anyio.CapacityLimiter] = RunVar("work of visitors")


async def in_worker(function: Callable[..., T], *arguments: object, seconds: float = 30.0) -> T:
    """Call a function in another process.

    Parameters
    ----------
    function : callable
        Of a module; it, its arguments and what it returns can be pickled.
    seconds : float
        After which the process is killed; waiting for one does not count.

    Raises
    ------
    InputError
        When it takes too long, too much memory, or its process dies.
    TemplError
        As the function raises them.
    """
    limiter = _LIMITER.get(None)
    if limiter is None:
        limiter = anyio.CapacityLimiter(AT_A_TIME)
        _LIMITER.set(limiter)
    call: Callable[[], T] = partial(_limited, function, *arguments)
    async with limiter:
        try:
            with anyio.fail_after(seconds):
                return await anyio.to_process.run_sync(call, cancellable=True)
        except TimeoutError:
            raise InputError(f"it took more than {seconds:g} seconds and was stopped") from None
        except anyio.BrokenWorkerProcess:
            raise InputError("it ended the process that read it: the file is damaged or too large") from None
        except MemoryError:
            raise InputError(f"it needs more than {MOST_BYTES / 2**30:g} GiB of memory") from None


def _limited(function: Callable[..., T], *arguments: Any) -> T:  # noqa: ANN401
    """Call a function in this process, whose memory has a limit from then on."""
    with suppress(ValueError):  # the host may have set a lower one
        resource.setrlimit(resource.RLIMIT_DATA, (MOST_BYTES, MOST_BYTES))
    return function(*arguments)
