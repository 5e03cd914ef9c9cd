"""Reads what is to be reported: a run, of a benchmark or of queries."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from templ.benchmark.merge import is_merged
from templ.errors import RunError
from templ.evaluation.both_receptors import in_both_receptors
from templ.evaluation.run import Run, load_run
from templ.evaluation.success_rate import HEADLINE
from templ.evaluation.summary import Summary, summarise
from templ.runs.record import Record


@dataclass(frozen=True, slots=True)
class Results:
    """What a run came to, and in `notes` what could not be read or must be known first.

    Queries have no summary, since there are no crystals to judge them by. `samples` is the memory log.
    """

    run: Run
    records: list[Record]
    summary: Summary | None = None
    samples: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_results(path: str | Path) -> Results:
    """Read a run, finished or not.

    Raises
    ------
    RunError
        When it is none, nothing is recorded yet, or the records are broken.
    """
    run = load_run(path)
    manifest, records = run.manifest, list(run)
    if not records:
        raise RunError(f"{run.path} has no results yet; start the same command again to go on")
    summary, notes = None, []
    if manifest.identity.truth:
        summary = summarise(records, missing=len(manifest.missing))
        summary = replace(summary, both_receptors=in_both_receptors(run, summary))
    if manifest.finished is None:
        notes.append(
            "Partial: this run is not finished. "
            f"{len(records):,} of {manifest.targets:,} {manifest.molecules} "
            "have ended (of a benchmark the larger ones first); every figure is of those alone."
        )
    try:
        samples = run.samples()
    except RunError as error:
        samples = []
        if not is_merged(manifest):  # the shards of such a run have the logs
            notes.append(f"Memory over time is left out: {error}.")
    return Results(run, records, summary, samples, notes)


def outcome_of(record: Record) -> str:
    """Name the ending of a molecule, and whether it is near the crystal, so that equal ones can be counted.

    Examples
    --------
    >>> from templ.runs.record import Record
    >>> outcome_of(Record(0, "a", "refused", "peptide")), outcome_of(Record(0, "a", "posed"))
    ('refused: peptide', 'posed')
    """
    if record.rmsd is None:
        return record.ending
    return f"{'within' if record.rmsd <= HEADLINE else 'farther than'} {HEADLINE:g} A"
