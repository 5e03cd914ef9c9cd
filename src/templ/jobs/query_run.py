"""Predicts a list of queries as a run: recorded as they come, and resumed after any end."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from rdkit import Chem

from templ.chemistry.molecules import to_smiles
from templ.disk import make_folder, replacing
from templ.engine.executor import TaskResult, Work, choose_executor
from templ.errors import InputError, RunError
from templ.evaluation.run import Run, load_run
from templ.evaluation.run_table import COST, SCHEMA, rows_of, table_writer
from templ.jobs.binding_site import BindingSite, context_of, receptor_digest
from templ.jobs.joining import record_run
from templ.jobs.query import FUNCTION, ONLY_QUERY, PRELOAD, unread
from templ.jobs.recording import Progress
from templ.library.store import open_library
from templ.records import Target
from templ.runs.identity import Identity
from templ.runs.journal import count_records
from templ.runs.manifest import MANIFEST_NAME, RunManifest, read_manifest, start_run
from templ.runs.pose_shards import read_poses
from templ.runs.record import Record
from templ.runs.run_folder import INPUTS_FOLDER, hold_run_folder, run_of
from templ.settings import PredictionSettings, RunSettings
from templ.sources.files import file_digest
from templ.sources.ledger import Ledger
from templ.sources.queries import QueryReference, TableColumns, count_queries, queries_table, read_queries
from templ.sources.sdf import read_sdf

NAME = "predict"
"""Of a run of queries, where a benchmark has its own."""


def predict_queries(
    queries: str | Path | Iterable[str | tuple[str, str] | Chem.Mol | Target],
    binding: BindingSite,
    out: str | Path,
    settings: PredictionSettings | None = None,
    machine: RunSettings | None = None,
    *,
    columns: TableColumns = TableColumns(),  # noqa: B008
    replace_other: bool = False,
    on_start: Callable[[str], None] = lambda line: None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Run:
    """Predict queries and write their poses and a table, in the order of the list.

    The same call again goes on where it was stopped, however that was.

    Parameters
    ----------
    queries : str, Path or iterable
        A file of them (`templ.sources.queries.read_queries`), read one by one; or SMILES, (id, SMILES) pairs,
        molecules or targets.
    binding : BindingSite
        Library, receptor, site and choice of templates.
    out : str or Path
        SDF file for the poses, its folder made if need be; ``.csv`` beside it has a row a pose and one for
        each query without, and the folder ``.run`` the run.
    settings : PredictionSettings, optional
        Science.
    machine : RunSettings, optional
        Workers, memory, deadlines.
    columns : TableColumns
        Which columns of a table have the SMILES and the ids, where they have unusual names.
    replace_other : bool
        Replace a run of other queries or settings that is there, unless it is of more queries; else it is
        refused.
    on_start, on_progress : callable
        Told what the run takes from the machine, then how far it is.

    Returns
    -------
    Run
        The finished run.

    Raises
    ------
    InputError
        When the list as a whole cannot be read, the library has no such group, template or protein, an
        embedding is needed and is not there, or `binding` is something else.
    RunError
        When `out` belongs to another run, or one that is being written.
    StorageError
        When the disk refuses; what was recorded stays.
    """
    out, settings, machine = Path(out), settings or PredictionSettings(), machine or RunSettings()
    if not isinstance(binding, BindingSite):
        raise InputError(f"binding is {binding!r}; expected templ.BindingSite(LIBRARY, receptor=PATH)")
    if out.suffix.lower() != ".sdf":
        raise InputError(f"-o {out}: expected the name of a file that ends in .sdf")
    if out.is_dir():
        raise InputError(f"-o {out} is a directory, expected the name of a file")
    context, notes = context_of(binding, settings)  # a bad library or receptor leaves everything as it was
    folder = run_of(out)
    listed = ListedQueries.of(queries, folder, columns)
    if binding.extra_poses is not None:
        context["extra_poses"], told = _extra_poses(Path(binding.extra_poses), listed)
        notes += told
    manifest = _manifest(listed, binding, context, settings, machine).model_copy(update={"notes": notes})
    executor = choose_executor(machine, listed.count)
    with ExitStack() as held:
        held.enter_context(hold_run_folder(folder, on_start if machine.join else None))
        if replace_other:
            _remove_other(folder, manifest)
        manifest = start_run(folder, manifest)
        listed.keep()
        on_start(str(executor))
        record_run(
            folder,
            held,
            manifest,
            executor,
            Work(FUNCTION, context, PRELOAD),
            listed.tasks,
            _failure,
            on_progress,
            machine=machine,
            on_start=on_start,
        )
        run = load_run(folder)
        _write_results(run, out)
    return run


@dataclass(frozen=True, slots=True)
class ListedQueries:
    """A list of queries: where it is, its digest and length; its content, where a file must be made."""

    path: Path
    digest: str
    count: int
    content: bytes | None = None
    columns: TableColumns = TableColumns()  # noqa: RUF009  it is frozen
    names: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        queries: str | Path | Iterable[str | tuple[str, str] | Chem.Mol | Target],
        run: Path,
        columns: TableColumns,
    ) -> ListedQueries:
        """Count and digest what a user gave."""
        if isinstance(queries, str | Path):
            count = count_queries(queries, columns)  # first, for it says best what is wrong with the file
            digest = file_digest(Path(queries), "a list of queries")
            if columns != TableColumns():  # other columns are other queries
                digest = hashlib.sha256(f"{digest} {columns}".encode()).hexdigest()
            return cls(Path(queries), digest, count, columns=columns)
        named = [_named(number, query) for number, query in enumerate(queries, 1)]
        content = queries_table(named)
        digest = hashlib.sha256(content).hexdigest()
        ids = tuple(id for id, _ in named)
        return cls(run / INPUTS_FOLDER / "queries.csv", digest, len(named), content, names=ids)

    def __iter__(self) -> Iterator[QueryReference]:
        """References, one by one, from the file, which must be there."""
        return read_queries(self.path, self.columns)

    def tasks(self, order: range) -> Iterator[tuple[int, str]]:
        """Positions and references of those at some positions, one by one from the file."""
        return ((query.index, query.to_json()) for query in self if query.index in order)

    def ids(self) -> Iterator[str]:
        """Names, one by one."""
        return iter(self.names) if self.content is not None else (query.id for query in self)

    def keep(self) -> None:
        """Write the file, where there was none."""
        if self.content is not None:
            make_folder(self.path.parent)
            with replacing(self.path) as file:
                file.write(self.content)


def _named(number: int, query: str | tuple[str, str] | Chem.Mol | Target) -> tuple[str, str]:
    if isinstance(query, Target):
        return query.id, query.smiles
    if isinstance(query, Chem.Mol):
        return query.GetProp("_Name") if query.HasProp("_Name") else f"query-{number}", to_smiles(query)
    return (f"query-{number}", query) if isinstance(query, str) else query


def _extra_poses(path: Path, queries: ListedQueries) -> tuple[dict[str, Any], list[str]]:
    """Where the extra poses of each query are in their file; and what of the file is of no use."""
    ledger, records = Ledger(), dict[str, list[list[int]]]()
    for entry in read_sdf(path, ledger):
        assert entry.reference is not None
        id = ONLY_QUERY if queries.count == 1 else entry.name
        records.setdefault(id, []).append([entry.reference.offset, entry.reference.checksum])
    notes = [f"extra poses: {count} records left out: {reason}" for reason, count in ledger.counts.items()]
    if queries.count > 1:
        unknown = set(records)
        for id in queries.ids():
            unknown.discard(id)
        if unknown:
            some = ", ".join(sorted(unknown)[:5])
            notes.append(f"extra poses: {len(unknown)} titles are no query's and are not used: {some}")
    return {"file": str(path.absolute()), "records": records}, notes


def _manifest(
    queries: ListedQueries,
    binding: BindingSite,
    context: dict[str, Any],
    settings: PredictionSettings,
    machine: RunSettings,
) -> RunManifest:
    if not queries.count:
        raise InputError(f"{queries.path} holds no query; expected at least one molecule")
    with open_library(binding.library) as library:
        library_digest = library.digest
    identity = Identity(
        settings=settings.model_dump(mode="json"),
        rule=binding.rule.to_json(),
        library=library_digest,
        targets=queries.digest,
        receptor=receptor_digest(context),
        site=" ".join(filter(None, (str(context["site"] or ""), context["ligand"], _poses_digest(context)))),
    )
    return RunManifest(
        name=NAME,
        identity=identity,
        digest=identity.digest,
        run_settings=machine.model_dump(mode="json"),
        library=context["library"],
        receptors=context["receptors"],
        queries=str(queries.path),
        targets=queries.count,
    )


def _poses_digest(context: dict[str, Any]) -> str:
    """Digest of the file of extra poses; empty without one."""
    extra = context["extra_poses"]
    return "" if extra is None else f"extra poses {file_digest(Path(extra['file']), 'an SDF file')}"


def _remove_other(run: Path, manifest: RunManifest) -> None:
    """Remove results of other queries or settings, but never of more of them.

    Raises
    ------
    RunError
        When they are of more queries.
    """
    if not (run / MANIFEST_NAME).exists():
        return
    # Of another version it cannot be gone on with either, but its records say how much work it is.
    queries = count_records(run)
    with suppress(RunError):
        other = read_manifest(run)
        if other.digest == manifest.digest:
            return
        queries = other.targets
    if queries > manifest.targets:
        raise RunError(f"{run} holds a run of {queries} queries, which would be lost; choose another -o")
    for path in run.iterdir():
        if path.is_dir() and path.name != INPUTS_FOLDER:
            shutil.rmtree(path)
        elif path.suffix in (".json", ".jsonl", ".md"):
            path.unlink()


def _failure(result: TaskResult) -> Record:
    reference = QueryReference.from_json(result.task)
    return unread(reference, result.kind, result.detail, result.stage)


def _write_results(run: Run, out: Path) -> None:
    """Write poses and table beside the run, whole or not at all; nothing in them says what it cost."""
    schema = pa.schema([field for field in SCHEMA if field.name not in COST])
    with replacing(out) as poses, table_writer(out.with_suffix(".csv"), schema) as add:
        for record in run:
            if record.address is not None:
                poses.write(read_poses(run.path, record.address).encode())
            add(rows_of(record))
