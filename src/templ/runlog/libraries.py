"""Finds the libraries of a run again: its templates, and the crystals that its targets are judged by."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from templ.errors import RunError
from templ.library.store import open_library
from templ.runlog.manifest import INPUTS_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from templ.library.store import Library
    from templ.runlog.manifest import RunManifest

TRUTH = "truth"
"""The setting with the digest of the library of targets."""


def open_templates(run: Path, manifest: RunManifest, places: Iterable[Path] = ()) -> Library:
    """Open the template library of a run, wherever it is now.

    Parameters
    ----------
    run : Path
        The run folder.
    manifest : RunManifest
        Of the run.
    places : iterable of Path
        Where else to look, first.

    Raises
    ------
    RunError
        When it is at none of the places, or another one is there.
    LibraryError
        When a place holds a library that is damaged, or one of `places` is none.
    """
    return _open(run, manifest, "templates", manifest.library_digest, places)


def open_targets(run: Path, manifest: RunManifest, places: Iterable[Path] = ()) -> Library:
    """Open the library that has the targets of a run with their crystal poses; else as `open_templates`."""
    digest = manifest.settings.get(TRUTH)
    if not isinstance(digest, str):
        raise RunError(f"{run} does not say what its truth is: it is of an earlier version of TEMPL")
    return _open(run, manifest, "targets", digest, places)


def _open(run: Path, manifest: RunManifest, what: str, digest: str, places: Iterable[Path]) -> Library:
    made = sorted((run / INPUTS_FOLDER).glob("*.templ"))
    named = Path(manifest.library_path)
    beside = [path for path in (named, run.parent / named) if path.is_dir()]
    for path in (*places, *made, *beside):
        library = open_library(path)
        if library.digest == digest:
            return library
        library.close()
    raise RunError(
        f"the library of {what} of {run} (digest {digest[:12]}) is not found: "
        "bring it back, or say with --library where it is"
    )
