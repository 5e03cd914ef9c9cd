"""What ``templ predict`` prints: a card of one query, or counts and a table of many."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from heapq import nlargest, nsmallest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from templ.records import DOUBTFUL, confidence_in_words

if TYPE_CHECKING:
    from templ.evaluation.run import Run
    from templ.runs.record import PoseRecord, Record

WIDTH = 80
MOST_ROWS = 5
"""Of each part of the table."""
CLEARLY = 0.02
"""By which the confidence of a lower rank must be higher to be worth a word."""


def card(record: Record, receptor: str, files: Sequence[Path]) -> list[str]:
    """Lines about one query, at most 80 wide."""
    first = record.first
    rows: list[tuple[str, str]]
    if first is None:
        rows = [(record.status, f"{record.reason}: {record.detail}")]
    else:
        rows = [
            ("confidence", f"{first.confidence:.2f}, {confidence_in_words(first.confidence)}"),
            ("template", _template(record, first)),
            ("receptor", receptor or "none: judged by the templates alone"),
            ("poses", _poses(record)),
        ]
    rows += [("note", note) for note in record.notes]
    if first is not None:
        rows.append(("files", ", ".join(map(str, files))))
        rows.append(("next", f"templ report {files[0]}"))
    return [line for name, text in rows for line in _wrapped(name, text)]


def table(run: Run) -> list[str]:
    """Lines about many queries: the surest, the doubtful, and those without poses."""
    counts = {"posed": 0, "refused": 0, "failed": 0}
    surest: list[tuple[float, int, Record]] = []
    doubtful: list[tuple[float, int, Record]] = []
    unposed: list[Record] = []
    unsure = 0
    for number, record in enumerate(run):
        counts[record.status] += 1
        if record.first is None:
            unposed = [*unposed, record][:MOST_ROWS]
            continue
        item = (record.first.confidence, -number, record)
        if record.first.confidence < DOUBTFUL:
            unsure += 1
            doubtful = nsmallest(MOST_ROWS, [*doubtful, item], key=lambda item: item[:2])
        else:
            surest = nlargest(MOST_ROWS, [*surest, item], key=lambda item: item[:2])
    lines = [", ".join(f"{number:,} {status}" for status, number in counts.items())]
    sure = counts["posed"] - unsure
    for title, count, items in (("surest", sure, surest), ("doubtful", unsure, doubtful)):
        if items:
            lines += ["", f"{title}, {len(items):,} of {count:,}:"]
            lines += _aligned(_row(record) for *_, record in items)
    if unposed:
        lines += ["", f"without a pose, {len(unposed):,} of {counts['refused'] + counts['failed']:,}:"]
        lines += _aligned((record.id, record.status, record.reason) for record in unposed)
    return lines


def as_plain(record: Record) -> dict[str, Any]:
    """What of a record a script wants."""
    first = record.first
    plain: dict[str, Any] = {"id": record.id, "status": record.status, "smiles": record.smiles}
    if first is None:
        plain |= {"reason": record.reason, "detail": record.detail}
    else:
        plain |= {
            "confidence": first.confidence,
            "confidence_in_words": confidence_in_words(first.confidence),
            "template": first.template,
            "placement_method": first.placement_method,
            "poses": [{"score": pose.score, "confidence": pose.confidence} for pose in record.poses],
        }
    return plain | {"tanimoto": record.tanimoto, "receptor": record.receptor, "notes": list(record.notes)}


def _template(record: Record, first: PoseRecord) -> str:
    # A docked pose may lie where a template does, and nothing of it was copied.
    how = "copied" if first.placement_method in ("core", "partial-core") else "in common"
    shared = (
        f"{len(first.core)} of {record.query_atoms} heavy atoms {how}" if first.core else f"nothing {how}"
    )
    return f"{first.template} ({first.placement_method}, {shared}); nearest Tanimoto {record.tanimoto:.2f}"


def _poses(record: Record) -> str:
    """How many there are, and whether a lower rank looks surer."""
    confidences = [pose.confidence for pose in record.poses]
    highest = max(range(len(confidences)), key=confidences.__getitem__)
    told = f"{len(confidences)}, ranked by score"
    if confidences[highest] > confidences[0] + CLEARLY:
        told += f"; rank {highest + 1} has a higher confidence ({confidences[highest]:.2f}): look at both"
    return told


def _row(record: Record) -> tuple[str, ...]:
    first = record.first
    assert first is not None
    said = confidence_in_words(first.confidence)
    return record.id, f"{first.confidence:.2f}", said, f"{first.template}, {record.tanimoto:.2f} alike"


def _aligned(rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Rows in columns, cut at 80."""
    table = [tuple(cell if len(cell) <= 24 else f"{cell[:23]}…" for cell in row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        yield ("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))).rstrip()[
            :WIDTH
        ]


def _wrapped(name: str, text: str) -> list[str]:
    return textwrap.wrap(
        f"{name:<12}{text}", WIDTH, subsequent_indent=" " * 12, break_long_words=False, break_on_hyphens=False
    )
