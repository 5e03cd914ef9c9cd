"""Predicts many queries through the engine: one task a query, results in the order of the queries."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from templ.engine.local import Limits, run_tasks
from templ.engine.pool import Work
from templ.errors import InputError
from templ.library.store import open_library
from templ.pipeline import PARTS, predict
from templ.posefile import pose_properties, to_sdf
from templ.receptor import check_protein, read_receptor
from templ.records import Target
from templ.settings import PredictionSettings
from templ.sources.splits import TemplateRule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from templ.engine.worker import TaskResult
    from templ.receptor import Receptor
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
    template_ids: Sequence[str] = (),
    site: NDArray[np.float64] | None = None,
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
    template_ids : sequence of str
        Use only these templates; all of them when empty.
    site : array, shape (3,), optional
        Where the pocket is, Angstrom; for libraries whose templates have a receptor each.

    Raises
    ------
    InputError
        When the library has no such group or template, or a receptor or embedding is needed and is not there.
    """
    with open_library(library) as opened:
        if group and group not in opened.manifest.groups:
            known = ", ".join(name for name in opened.manifest.groups if name) or "none"
            raise InputError(f"{library} has no group '{group}'; its groups: {known}")
        for id in template_ids:
            opened.row_of(id)
        if opened.has_receptors and receptor is None:
            raise InputError(f"{library} holds complexes, each in a frame of its own: give --receptor")
        if not opened.has_receptors and (site is not None or settings.by != "sequence"):
            raise InputError(
                f"{library} has one frame and no receptors to choose by: leave out --site and --by"
            )
        if settings.by == "embedding":
            opened.embeddings  # noqa: B018  # refused here when there are none, and not by every worker
        receptor = receptor or opened.receptor_path(group)
    embedding = None
    if receptor is not None:
        protein = read_receptor(receptor)  # a bad file is refused once, here, and not by every worker
        if settings.by == "embedding":
            embedding = _embed(protein, receptor)
    context = {
        "library": str(library),
        "receptor": None if receptor is None else str(receptor),
        "rule": TemplateRule(groups={group: (group,)} if group else {}, ids=tuple(template_ids)).to_json(),
        "group": group,
        "site": None if site is None else site.tolist(),
        "embedding": embedding,
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
    group, rule = context["group"], TemplateRule.from_json(context["rule"])
    site = None if context["site"] is None else np.array(context["site"])
    embedding = None if context["embedding"] is None else np.array(context["embedding"], np.float32)

    def work(task: str) -> QueryResult:
        id, smiles = json.loads(task)
        # A query is no library entry, whatever it is called: no template is its own.
        target = Target(f"query {id}", smiles, group)
        outcome = predict(
            target, library, settings, rule=rule, receptor=receptor, site=site, embedding=embedding
        )
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


def _embed(protein: Receptor, path: Path) -> list[float]:
    """Embed the longest chain of a protein."""
    from templ.esm import embed

    check_protein(protein, str(path))
    chains = [protein.residues.sequence[part] for part in protein.residues.slices()]
    return [float(value) for value in embed([max(chains, key=len)])[0]]


def _unpack(result: TaskResult) -> QueryResult:
    if isinstance(result.value, QueryResult):
        return result.value
    id, _ = json.loads(result.task)
    return QueryResult(id, "failed", result.kind, result.detail)
