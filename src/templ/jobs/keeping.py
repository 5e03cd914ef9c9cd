"""Keeps poses where they are made, on whatever machine: in the run folder, where that is seen from there.

So the process that records a run gets records alone. Whether the folder is seen, a token tells.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from templ.disk import replacing
from templ.engine.executor import Work
from templ.errors import StorageError
from templ.jobs.recording import MoleculeResult
from templ.runs.pose_shards import OwnShard

FUNCTION = "templ.jobs.keeping:open_keeper"
"""How the engine finds this."""
TOKEN_NAME = "token"
"""File of the run folder, as long as a run is done by other machines."""


@contextmanager
def keeping_poses(run: Path, work: Work, *, elsewhere: bool) -> Iterator[Work]:
    """Have the poses of a run that is held kept where they are made, as long as the block runs.

    Parameters
    ----------
    run : pathlib.Path
        The run folder.
    work : Work
        What is done.
    elsewhere : bool
        By other machines, maybe. Else the work stays as it is.

    Raises
    ------
    StorageError
        When the disk refuses.
    """
    token = uuid.uuid4().hex
    try:
        if elsewhere:
            with replacing(run / TOKEN_NAME) as file:
                file.write(token.encode())
            work = replace(work, keeper=Work(FUNCTION, {"run": str(run.absolute()), "token": token}))
        yield work
    finally:
        (run / TOKEN_NAME).unlink(missing_ok=True)  # one that was killed may have left it


def open_keeper(context: Mapping[str, Any]) -> Callable[[MoleculeResult], MoleculeResult]:
    """Return what takes the poses out of a result, once they are on disk.

    Where the run folder is not seen from here, or nothing can be written there, results stay whole.

    Parameters
    ----------
    context : Mapping
        ``run``, the folder, and the ``token`` that is read there.
    """
    run = Path(context["run"])
    shard = None
    # Where there is no such folder, or nothing can be written in it, results are sent.
    with suppress(OSError, StorageError):
        if (run / TOKEN_NAME).read_bytes() == context["token"].encode():
            shard = OwnShard(run)

    def keep(result: MoleculeResult) -> MoleculeResult:
        address = shard.append(result.sdf) if shard is not None and result.sdf else None
        return result if address is None else MoleculeResult(result.record.at(address))

    return keep
