"""Finds again what a run was made with: its templates, the crystals of its targets, and its receptors."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from templ.errors import RunError
from templ.library.store import Library, open_library
from templ.runs.manifest import RunManifest
from templ.runs.run_folder import INPUTS_FOLDER


def open_templates(run: Path, manifest: RunManifest, libraries: Iterable[Path] = ()) -> Library:
    """Open the template library of a run, wherever it is now; it is looked for among `libraries` first.

    Raises
    ------
    RunError
        When it is not found, or another one is there.
    LibraryError
        When a library that is found is damaged, or one of `libraries` is none.
    """
    return _open(run, manifest, "templates", manifest.identity.library, libraries)


def open_targets(run: Path, manifest: RunManifest, libraries: Iterable[Path] = ()) -> Library:
    """Open the library that has the targets of a run with their crystal poses; else as `open_templates`."""
    if not manifest.identity.truth:
        raise RunError(f"{run} has no crystals to judge its poses by: it is of queries, not of a benchmark")
    return _open(run, manifest, "targets", manifest.identity.truth, libraries)


def find_receptors(run: Path, manifest: RunManifest, library: Path | None = None) -> list[Path]:
    """Receptor files of a run, wherever they are now; of one that is found nowhere, where it was.

    Each is looked for where it was, beside the run, and in `library`, whose own it may be.
    """
    found = []
    for name in map(Path, manifest.receptors):
        beside = [run.parent / name.name, *([] if library is None else [library / "receptors" / name.name])]
        found.append(next((path for path in (name, *beside) if path.is_file()), name))
    return found


def _open(run: Path, manifest: RunManifest, what: str, digest: str, libraries: Iterable[Path]) -> Library:
    made = sorted((run / INPUTS_FOLDER).glob("*.templ"))
    named = [Path(name) for name in (manifest.library, manifest.truth) if name]
    beside = [
        path for name in named for path in (name, run.parent / name, run.parent / name.name) if path.is_dir()
    ]
    for path in (*libraries, *made, *beside):
        library = open_library(path)
        if library.digest == digest:
            return library
        library.close()
    raise RunError(
        f"the library of {what} of {run} (digest {digest[:12]}) is not found: "
        "bring it back, or say with --library where it is"
    )
