"""What a run is: its settings, what computed it, and who holds its folder."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, ValidationError

from templ.disk import make_folder, replacing, storage_errors
from templ.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

MANIFEST_NAME = "manifest.json"
LOCK_NAME = "run.lock"
INPUTS_FOLDER = "inputs"
"""Where a benchmark puts the libraries that it makes for a run."""
FORMAT_VERSION = 1


class Host(BaseModel):
    """The machine a run was started on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    cores: int
    memory_bytes: int
    platform: str


class RunManifest(BaseModel):
    """Everything needed to say what a run computed, and to compute it again.

    Attributes
    ----------
    format_version : int
        Layout of the run folder.
    benchmark : str
        Name of the benchmark.
    settings : dict
        Settings of the prediction: they make the results what they are.
    rule : dict
        Which templates a target may use.
    run_settings : dict
        Settings of the machine (workers, memory, deadlines); they do not change results.
    identity : str
        Digest over settings, rule, library and targets: see `templ.identity.identity_digest`.
    library_path, library_digest : str
        Where the library was, and its content.
    versions : dict
        Software that computed the run.
    host : Host
        Machine that the run was started on.
    targets : int
        Number of targets of this run.
    missing : list of str
        Targets that the benchmark lists and there are no data for: they have no record.
    shard : tuple of (int, int) or None
        ``(i, n)``: this run is the i-th of n (from 1) that share the targets; None when it has them all.
    created : datetime.datetime
        When the run was first started, UTC.
    finished : datetime.datetime or None
        When the last target was recorded and the run put into final form; None until then.
    command : list of str
        The command line that started it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: int = FORMAT_VERSION
    benchmark: str
    settings: dict[str, JsonValue]
    rule: dict[str, JsonValue]
    run_settings: dict[str, JsonValue]
    identity: str
    library_path: str
    library_digest: str
    versions: dict[str, str]
    host: Host
    targets: int
    missing: list[str] = Field(default_factory=list)
    shard: tuple[int, int] | None = None
    created: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    finished: AwareDatetime | None = None
    command: list[str]


def software_versions() -> dict[str, str]:
    """Return the versions of TEMPL and of what decides its numbers."""
    return {
        "templ": version("templ-pose"),
        "rdkit": version("rdkit"),
        "numpy": version("numpy"),
        "python": ".".join(map(str, sys.version_info[:3])),
    }


class RunLock:
    """The right to write in a run folder, for one process at a time; a killed process loses it.

    Parameters
    ----------
    folder : pathlib.Path
        The run folder, which must exist.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK_NAME

    def __enter__(self) -> Self:
        """Take the lock.

        Raises
        ------
        RunError
            When another process has it; the message names that process.
        StorageError
            When the lock file cannot be written.
        """
        with storage_errors(self._path):
            self._file = self._path.open("a+", encoding="utf-8")
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._file.seek(0)
                holder = self._file.read().strip() or "unknown"
                self._file.close()
                raise RunError(
                    f"{self._path.parent} is being written by process {holder}; "
                    "wait for it, stop it, or choose another folder"
                ) from None
            self._file.truncate(0)
            self._file.write(f"{os.getpid()} on {socket.gethostname()}\n")
            self._file.flush()
        return self

    def __exit__(self, *_: object) -> None:
        # The file stays: deleting it would let two processes lock two files of the same name.
        self._file.close()


@contextmanager
def hold_run_folder(folder: Path) -> Iterator[None]:
    """Make `folder` ours while the block runs: refuse what is no run, create it, take its lock.

    Raises
    ------
    RunError
        When the folder holds something else, or another process writes there.
    StorageError
        When the disk refuses.
    """
    _refuse_what_is_no_run(folder)
    make_folder(folder)
    with RunLock(folder):
        yield


def start_run(folder: Path, manifest: RunManifest) -> RunManifest:
    """Begin a run in a folder that is held, or go on with the one of the same identity that is there.

    Parameters
    ----------
    folder : pathlib.Path
        Held by `hold_run_folder`.
    manifest : RunManifest
        What is to be computed.

    Returns
    -------
    RunManifest
        `manifest` for a new run; for a resumed one what was written when it was first started.

    Raises
    ------
    RunError
        When the folder holds a run with other settings.
    StorageError
        When the disk refuses.
    """
    if not (folder / MANIFEST_NAME).exists():
        write_manifest(folder, manifest)
        return manifest
    stored = read_manifest(folder)
    if (stored.identity, stored.shard) != (manifest.identity, manifest.shard):
        raise RunError(
            f"{folder} holds a run with other settings ({_first_difference(stored, manifest)}); "
            "choose another folder"
        )
    return stored


def read_manifest(folder: Path) -> RunManifest:
    """Read the manifest of a run folder.

    Raises
    ------
    RunError
        When the folder is not a run, or was written by a newer TEMPL.
    """
    path = folder / MANIFEST_NAME
    try:
        content = json.loads(path.read_bytes())
        # Before the fields: those of a newer format are not known here.
        _refuse_newer(path, content)
        return RunManifest.model_validate(content)
    except OSError as error:
        raise RunError(f"{folder} is not a run ({path.name}: {error.strerror})") from error
    except ValidationError as error:
        first = error.errors()[0]
        reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise RunError(f"{path} is not the manifest of a run ({reason}); choose another folder") from error
    except ValueError as error:
        raise RunError(f"{path} is not the manifest of a run (no JSON); choose another folder") from error


def _refuse_newer(path: Path, content: object) -> None:
    found = content.get("format_version") if isinstance(content, dict) else None
    if isinstance(found, int) and found > FORMAT_VERSION:
        raise RunError(
            f"{path} was written by a newer TEMPL (format {found}; this one reads up to {FORMAT_VERSION}): "
            "upgrade with pip install -U templ-pose"
        )


def write_manifest(folder: Path, manifest: RunManifest) -> None:
    """Write the manifest so that a reader sees the old one or the new one, whole.

    Raises
    ------
    StorageError
        When the disk refuses.
    """
    with replacing(folder / MANIFEST_NAME) as file:
        file.write(manifest.model_dump_json(indent=2).encode() + b"\n")


def mark_finished(folder: Path) -> RunManifest:
    """Write the time into the manifest, the last thing a run does; a finished run keeps its first time.

    Raises
    ------
    RunError
        When the folder is not a run.
    StorageError
        When the disk refuses.
    """
    manifest = read_manifest(folder)
    if manifest.finished is None:
        manifest = manifest.model_copy(update={"finished": datetime.now(UTC)})
        write_manifest(folder, manifest)
    return manifest


def _refuse_what_is_no_run(folder: Path) -> None:
    """Look before anything is written: not even a lock file belongs into somebody else's folder."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise RunError(f"{folder} is a file; a run needs a folder")
    ours = (MANIFEST_NAME, LOCK_NAME, INPUTS_FOLDER, f".{MANIFEST_NAME}.new")
    if not (folder / MANIFEST_NAME).exists() and any(path.name not in ours for path in folder.iterdir()):
        raise RunError(f"{folder} is not empty and not a run; choose another folder")


def _first_difference(old: RunManifest, new: RunManifest) -> str:
    """Name the first setting that differs, old -> new."""
    before, after = _flat(_identifying(old)), _flat(_identifying(new))
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            return f"{name}: {before.get(name, 'absent')!r} -> {after.get(name, 'absent')!r}"
    return "another list of targets"


def _identifying(manifest: RunManifest) -> dict[str, Any]:
    return manifest.settings | {
        "shard": manifest.shard,
        "rule": manifest.rule,
        "library": manifest.library_digest,
        "targets": manifest.targets,
    }


def _flat(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Turn ``{"a": {"b": 1}}`` into ``{"a.b": 1}``."""
    flat: dict[str, Any] = {}
    for name, value in nested.items():
        if isinstance(value, dict) and value:
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat
