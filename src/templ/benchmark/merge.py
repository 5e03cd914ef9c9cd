"""Joins the shards of a run: their results in target order, their poses beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path

from templ.benchmark.runner import write_summary
from templ.errors import RunError
from templ.evaluation.summary import Summary
from templ.runs.journal import JOURNAL_NAME, read_records
from templ.runs.manifest import RunManifest, read_manifest, start_run
from templ.runs.merging import merge_shards
from templ.runs.record import Cost
from templ.runs.run_folder import hold_run_folder

MERGED = "joined from shards: "
"""What the note of a merged run begins with."""


def is_merged(manifest: RunManifest) -> bool:
    """Whether a run was joined from shards, which have its logs."""
    return any(note.startswith(MERGED) for note in manifest.notes)


def merge_runs(out: str | Path, runs: Sequence[str | Path]) -> Summary:
    """Join finished shards into one finished run, the same as if it had never been divided.

    A shard may be given twice (a job that ran again) as long as both say the same.

    Raises
    ------
    RunError
        When one is unfinished, they are of different runs, a shard is missing, two disagree about a
        target, or `out` is in use.
    StorageError
        When the disk refuses.
    """
    out = Path(out)
    manifests = {Path(run): read_manifest(Path(run)) for run in runs}
    shards = _sorted_out(manifests)
    first = manifests[shards[0]]
    with hold_run_folder(out):
        if (out / JOURNAL_NAME).exists():
            raise RunError(f"{out} holds a run already; choose another folder")
        names = ", ".join(str(run) for run in shards)
        merged = first.model_copy(
            update={
                "shard": None,
                "targets": sum(manifests[run].targets for run in shards),
                "finished": None,
                "notes": [*first.notes, f"{MERGED}{names}"],
                "command": _undivided(first.command),
            }
        )
        start_run(out, merged)
        merge_shards(out, shards, merged.targets)
        return write_summary(out)


def _undivided(command: Sequence[str]) -> list[str]:
    """Take ``--shard`` out of a command: what is left does the whole run."""
    words = [word for word in command if not word.startswith("--shard=")]
    if "--shard" in words:
        at = words.index("--shard")
        del words[at : at + 2]
    return words


def _sorted_out(manifests: dict[Path, RunManifest]) -> list[Path]:
    """One run of each shard, in order."""
    chosen: dict[int, Path] = {}
    (first, head), *_ = manifests.items()
    if head.shard is None:
        raise RunError(f"{first} is not a shard; it needs no merging")
    for run, manifest in manifests.items():
        if manifest.finished is None:
            raise RunError(f"{run} is not finished; start its command again, then merge")
        if manifest.digest != head.digest or (manifest.shard or (0, 0))[1] != head.shard[1]:
            why = head.identity.difference(manifest.identity) or "divided otherwise"
            raise RunError(f"{run} and {first} are not shards of one run: their settings differ ({why})")
        index = (manifest.shard or (0, 0))[0]
        if index in chosen:
            _refuse_disagreement(chosen[index], run)
        else:
            chosen[index] = run
    missing = [index for index in range(1, head.shard[1] + 1) if index not in chosen]
    if missing:
        raise RunError(
            f"shard {missing[0]}/{head.shard[1]} is missing ({len(missing)} are); give all of them to merge"
        )
    return [chosen[index] for index in sorted(chosen)]


def _refuse_disagreement(one: Path, other: Path) -> None:
    """Two runs of one shard must say the same, apart from cost; finished runs are in target order."""
    for first, second in zip_longest(read_records(one / JOURNAL_NAME), read_records(other / JOURNAL_NAME)):
        if not first or not second or replace(first, cost=Cost()) != replace(second, cost=Cost()):
            id = (first or second).id
            raise RunError(f"{one} and {other} disagree about {id!r}; leave one of them out")
