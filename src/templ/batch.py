"""Predicts many queries through the engine: one task a query, results in the order of the queries."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from templ.engine.local import Limits, run_tasks
from templ.engine.pool import Work
from templ.errors import InputError
from templ.library.store import open_library
from templ.pipeline import NO_RULE, PARTS, predict
from templ.posefile import pose_properties, to_sdf
from templ.records import Target
from templ.scoring.pocket import read_receptor
from templ.settings import PredictionSettings
from templ.sources.splits import TemplateRule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from templ.engine.worker import TaskResult
    from templ.sources.queries import Query

FUNCTION = "templ.batch:open_work"
PRELOAD = ("templ.batch", *PARTS)


@dataclass(frozen=True, slots=True)
class QueryResult:
    """How one query ended, in plain values.

    Attributes
    ----------
    id, status, reason, detail : str
        As in `templ.records.Outcome`.
    notes : tuple of str
        What the user should know.
    sdf : str
        The poses, best first; empty when there are none.
    poses : tuple of dict
        Properties of each pose.
    """

    id: str
    status: str
    reason: str = ""
    detail: str = ""
    notes: tuple[str, ...] = ()
    sdf: str = ""
    poses: tuple[dict[str, str], ...] = ()


def predict_queries(
    queries: Iterable[Query],
    library: Path,
    settings: PredictionSettings,
    limits: Limits,
    *,
    receptor: Path | None = None,
    group: str = "",
) -> Iterator[QueryResult]:
    """Predict each query and yield the results in order.

    Parameters
    ----------
    queries : iterable of Query
        Read as workers become free.
    library : Path
        Opened by each worker for itself.
    settings : PredictionSettings
        Science.
    limits : Limits
        Machine.
    receptor : Path, optional
        By default the library's own.
    group : str
        Use the templates of this group only.
    """
    with open_library(library) as opened:
        if group and group not in opened.manifest.groups:
            known = ", ".join(name for name in opened.manifest.groups if name) or "none"
            raise InputError(f"{library} has no group '{group}'; its groups: {known}")
        receptor = receptor or opened.receptor_path(group)
    if receptor is not None:
        read_receptor(receptor)  # a bad file is refused once, here, and not by every worker
    context = {
        "library": str(library),
        "receptor": None if receptor is None else str(receptor),
        "group": group,
        "settings": settings.model_dump(mode="json"),
    }
    order: deque[str] = deque()
    ready: dict[str, QueryResult] = {}

    def tasks() -> Iterator[str]:
        for query in queries:
            order.append(json.dumps([query.id, query.smiles]))
            yield order[-1]

    for result in run_tasks(Work(FUNCTION, context, PRELOAD), tasks(), limits):
        ready[result.task] = _unpack(result)
        while order and order[0] in ready:
            yield ready.pop(order.popleft())


def open_work(context: Mapping[str, Any]) -> Callable[[str], QueryResult]:
    """Open the library in this process and return the function that does one query."""
    library = open_library(context["library"])
    settings = PredictionSettings.model_validate(context["settings"])
    receptor = context["receptor"] and read_receptor(Path(context["receptor"]))
    group = context["group"]
    rule = TemplateRule(groups={group: (group,)}) if group else NO_RULE

    def work(task: str) -> QueryResult:
        id, smiles = json.loads(task)
        # A query is no library entry, whatever it is called: no template is its own.
        target = Target(f"query {id}", smiles, group)
        outcome = predict(target, library, settings, rule=rule, receptor=receptor)
        return QueryResult(
            id,
            outcome.status,
            outcome.reason,
            outcome.detail,
            outcome.notes,
            to_sdf(id, outcome.poses),
            tuple(map(pose_properties, outcome.poses)),
        )

    return work


def _unpack(result: TaskResult) -> QueryResult:
    if isinstance(result.value, QueryResult):
        return result.value
    id, _ = json.loads(result.task)
    return QueryResult(id, "failed", result.kind, result.detail)
