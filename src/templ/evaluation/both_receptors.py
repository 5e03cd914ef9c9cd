"""The same targets in both kinds of receptor: their own crystals' and those of others, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from templ.evaluation.run import Run, load_run
from templ.evaluation.summary import Accuracy, Summary, summarise
from templ.runs.manifest import MANIFEST_NAME
from templ.templates.target_receptor import NEAREST, OWN

BESIDE = "-nearest"
"""What the folder of a run in other crystals' receptors is called after, beside that in the targets' own."""


def folder_of(folder: Path, receptor: str) -> Path:
    """Folder of the run in other receptors, of those that one command makes (``--receptor both``).

    Examples
    --------
    >>> folder_of(Path("runs/loo"), "nearest"), folder_of(Path("runs/loo-nearest"), "own")
    (PosixPath('runs/loo-nearest'), PosixPath('runs/loo'))
    """
    folder = folder if folder.name else folder.absolute()
    return folder.with_name(folder.name.removesuffix(BESIDE) + (BESIDE if receptor == NEAREST else ""))


def in_both_receptors(run: Run, summary: Summary) -> Mapping[str, Accuracy | None]:
    """Success of a run and of the one beside it, by whose receptors their targets were posed in.

    Returns
    -------
    Mapping of str to (Accuracy or None)
        ``own`` and ``nearest``; None for one that was not run, or not with the same targets, templates and
        settings. Empty where the targets of the run have no receptors of their own.
    """
    whose = run.manifest.identity.receptor
    if whose not in (OWN, NEAREST) or not summary.receptors.keys() & {"own", "other"}:
        return {}
    if whose == OWN and "own" not in summary.receptors:
        return {}
    other = NEAREST if whose == OWN else OWN
    found = {whose: summary.overall, other: _beside(run, other)}
    return {name: found[name] for name in (OWN, NEAREST)}


def _beside(run: Run, whose: str) -> Accuracy | None:
    """Success of the finished run in the other receptors; None where it is absent or differs otherwise."""
    folder = folder_of(run.path, whose)
    if not (folder / MANIFEST_NAME).exists():
        return None
    beside = load_run(folder)
    same = run.manifest.identity.model_copy(update={"receptor": whose})
    if beside.manifest.finished is None or beside.manifest.identity != same:
        return None
    return summarise(beside).overall
