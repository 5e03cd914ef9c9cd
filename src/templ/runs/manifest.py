"""The manifest of a run: what is computed, what computed it, and whether it is finished."""

from __future__ import annotations

import json
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, ValidationError

from templ.checksums import CHECKSUM, checksum_agrees, with_checksum
from templ.disk import path_text, printable, replacing
from templ.engine import probe
from templ.errors import RunError, first_fault
from templ.runs.identity import Identity

MANIFEST_NAME = "manifest.json"
FORMAT_VERSION = 4
PathText = Annotated[str, BeforeValidator(path_text)]


class Host(BaseModel):
    """The machine a run was started on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(default_factory=platform.node)
    cores: int = Field(default_factory=probe.available_cores)
    memory_bytes: int = Field(default_factory=probe.host_memory)
    system: str = Field(default_factory=platform.platform)
    python: str = Field(default_factory=platform.python_version)


class RunManifest(BaseModel):
    """Everything needed to say what a run computed, and to compute it again.

    docs/formats.md describes the fields. A `shard` ``(i, n)`` is the i-th of n runs, from 1, that share the
    targets; without one the run has them all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: int = FORMAT_VERSION
    name: str
    identity: Identity
    digest: str
    run_settings: dict[str, JsonValue]
    library: PathText
    truth: PathText = ""
    receptors: list[PathText] = Field(default_factory=list)
    queries: PathText = ""
    host: Host = Field(default_factory=Host)
    targets: int
    missing: list[str] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
    shard: tuple[int, int] | None = None
    created: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    finished: AwareDatetime | None = None
    command: list[str] = Field(default_factory=lambda: [printable(word) for word in sys.argv])

    @property
    def molecules(self) -> str:
        """What the molecules of the run are: targets, whose crystal is known, or queries."""
        return "targets" if self.identity.truth else "queries"

    @property
    def order(self) -> range:
        """Positions, in the whole list, of the molecules of this run."""
        first, step = self.shard or (1, 1)
        return range(first - 1, first - 1 + step * self.targets, step)


def start_run(folder: Path, manifest: RunManifest) -> RunManifest:
    """Begin a run in a folder that is held, or go on with the one of the same identity that is there.

    Parameters
    ----------
    folder : pathlib.Path
        Held by `templ.runs.run_folder.hold_run_folder`.
    manifest : RunManifest
        What is to be computed.

    Returns
    -------
    RunManifest
        `manifest` for a new run; for a resumed one what was written when it was first started.

    Raises
    ------
    RunError
        When the folder holds a run of another identity, or one whose manifest was edited since.
    StorageError
        When the disk refuses.
    """
    if not (folder / MANIFEST_NAME).exists():
        write_manifest(folder, manifest)
        return manifest
    stored = read_manifest(folder)
    if stored.digest != manifest.digest or stored.shard != manifest.shard:
        difference = f"shard: {stored.shard} -> {manifest.shard}"
        if stored.shard == manifest.shard:
            difference = stored.identity.difference(manifest.identity)
        raise RunError(f"{folder} holds a run with other settings ({difference}); choose another folder")
    return stored


def read_manifest(folder: Path) -> RunManifest:
    """Read the manifest of a run folder.

    Raises
    ------
    RunError
        When the folder is not a run, was written by another version of TEMPL, or its manifest was edited.
    """
    path = folder / MANIFEST_NAME
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise RunError(f"{folder} is not a run ({path.name}: {error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path} is not the manifest of a run (no JSON); choose another folder") from error
    # Before the fields: those of another format are not known here.
    found = content.get("format_version") if isinstance(content, dict) else None
    if isinstance(found, int) and found != FORMAT_VERSION:
        writer, mend = "an older", "read it with that version, or run again"
        if found > FORMAT_VERSION:
            writer, mend = "a newer", "upgrade with pip install -U templ-pose"
        raise RunError(
            f"{path} was written by {writer} TEMPL (format {found}; this one reads {FORMAT_VERSION}): {mend}"
        )
    if not isinstance(content, dict) or not checksum_agrees(content):
        raise RunError(
            f"{path} was edited or is damaged, it is not what the run was started with: undo the change, "
            "bring the file back, or start a new run in another folder"
        )
    del content[CHECKSUM]
    try:
        return RunManifest.model_validate(content)
    except ValidationError as error:
        raise RunError(
            f"{path} is not the manifest of a run ({first_fault(error)}); choose another folder"
        ) from error


def write_manifest(folder: Path, manifest: RunManifest) -> None:
    """Write the manifest so that a reader sees the old one or the new one, whole.

    Raises
    ------
    StorageError
        When the disk refuses.
    """
    with replacing(folder / MANIFEST_NAME) as file:
        content = with_checksum(manifest.model_dump(mode="json"))
        file.write(json.dumps(content, indent=2, allow_nan=False).encode() + b"\n")


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
