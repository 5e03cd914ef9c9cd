"""Predicts a list of queries as a run: recorded as they come, and resumed after any end."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from rdkit import Chem

from templ.chemistry.molecules import to_smiles
from templ.chemistry.receptor import Receptor, check_protein, describe
from templ.chemistry.receptor_file import find_ligand, read_receptor
from templ.disk import make_folder, path_text, replacing
from templ.engine.executor import TaskResult, Work, choose_executor
from templ.errors import InputError, RunError
from templ.evaluation.run import Run, load_run
from templ.evaluation.run_table import COST, SCHEMA, rows_of, table_writer
from templ.jobs.joining import record_run
from templ.jobs.query import FUNCTION, ONLY_QUERY, PRELOAD, unread
from templ.jobs.recording import Progress
from templ.library.store import Library, open_library
from templ.records import Target
from templ.runs.identity import Identity, software_here
from templ.runs.manifest import MANIFEST_NAME, RunManifest, read_manifest, start_run
from templ.runs.pose_shards import read_poses
from templ.runs.record import Record
from templ.runs.run_folder import INPUTS_FOLDER, hold_run_folder, run_of
from templ.settings import PredictionSettings, RunSettings
from templ.sources.files import STRUCTURE, file_digest
from templ.sources.ledger import Ledger
from templ.sources.queries import QueryReference, TableColumns, count_queries, queries_table, read_queries
from templ.sources.sdf import read_sdf
from templ.sources.sequences import read_sequences
from templ.templates.frame import check_site
from templ.templates.rule import TemplateRule
from templ.templates.sequence import Aligner, related_rows

NAME = "predict"
"""Of a run of queries, where a benchmark has its own."""


@dataclass(frozen=True, slots=True)
class BindingSite:
    """What queries are posed with: the templates, and where they bind.

    Attributes
    ----------
    library : str or Path
        Template library; opened by each worker for itself.
    receptor : str, Path or sequence of these, optional
        PDB or mmCIF of what the queries bind to, each posed in all of several; by default the library's own,
        and where its ligands have a receptor each those of the crystals with the ligands most like the query.
    sequence : str or Path
        Of the protein that queries bind to, where the receptor is to be chosen: letters, or a FASTA file; by
        default the protein is that of the ligand most like the query.
    group : str
        Use the templates of this group only.
    template_ids : sequence of str
        Use only these templates; all of them when empty.
    extra_poses : str or Path, optional
        SDF of poses that another program made in `receptor`: each record is of the query of its title, or all
        are of the only query.
    site : sequence of float or str, optional
        Where the pocket is, Angstrom, for libraries whose templates have a receptor each; or the residue name
        of the ligand that `receptor` has in it, which is then no part of the receptor.
    """

    library: str | Path
    receptor: str | Path | Sequence[str | Path] | None = None
    sequence: str | Path = ""
    group: str = ""
    template_ids: Sequence[str] = ()
    site: Sequence[float] | str | None = None
    extra_poses: str | Path | None = None

    @property
    def receptors(self) -> list[Path]:
        """Files of the receptors.

        Raises
        ------
        InputError
            When two have one name: poses name the receptor that they lie in.
        """
        given = [self.receptor] if isinstance(self.receptor, str | Path) else self.receptor or []
        paths = [Path(path) for path in given]
        if twice := [name for name, count in Counter(path.name for path in paths).items() if count > 1]:
            raise InputError(f"--receptor: two are called {twice[0]}; expected names that differ")
        return paths

    @property
    def rule(self) -> TemplateRule:
        """Which templates the queries may use."""
        groups = {self.group: (self.group,)} if self.group else {}
        return TemplateRule(groups=groups, ids=tuple(self.template_ids))


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
        Replace a run of other queries or settings that is there; else it is refused.
    on_start, on_progress : callable
        Told what the run takes from the machine, then how far it is.

    Returns
    -------
    Run
        The finished run.

    Raises
    ------
    InputError
        When the list as a whole cannot be read, the library has no such group, template or protein, or an
        embedding is needed and is not there.
    RunError
        When `out` belongs to another run, or one that is being written.
    StorageError
        When the disk refuses; what was recorded stays.
    """
    out, settings, machine = Path(out), settings or PredictionSettings(), machine or RunSettings()
    if out.suffix.lower() != ".sdf":
        raise InputError(f"-o {out}: expected the name of a file that ends in .sdf")
    if out.is_dir():
        raise InputError(f"-o {out} is a directory, expected the name of a file")
    context, notes = _context(binding, settings)  # a bad library or receptor leaves everything as it was
    folder = run_of(out)
    listed = _Queries.of(queries, folder, columns)
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
class _Queries:
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
    ) -> _Queries:
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


def _context(binding: BindingSite, settings: PredictionSettings) -> tuple[dict[str, Any], list[str]]:
    """What workers are told, once everything in it was looked at; and what its user should know."""
    library, receptors = Path(binding.library), binding.receptors
    with open_library(library) as opened:
        opened.verify()
        if binding.group and binding.group not in opened.manifest.groups:
            known = ", ".join(name for name in opened.manifest.groups if name) or "none"
            raise InputError(f"{library} has no group '{binding.group}'; its groups: {known}")
        for id in binding.template_ids:
            opened.row_of(id)
        if binding.sequence and (receptors or not opened.has_receptors):
            raise InputError("--sequence is for choosing a receptor of a library of complexes: leave it out")
        ligand = binding.site if isinstance(binding.site, str) else ""
        for option, value in (("--extra-poses", binding.extra_poses), ("--site", binding.site)):
            if value is not None and (len(receptors) > 1 or (opened.has_receptors and not receptors)):
                raise InputError(f"{option}: in which structure? give one --receptor")
        if ligand and not receptors:
            raise InputError(f"--site {ligand}: a ligand of which file? give --receptor")
        protein = _protein(opened, binding, settings)
        if not opened.has_receptors and ((binding.site and not ligand) or settings.by != "sequence"):
            raise InputError(
                f"{library} has one frame and no receptors to choose by: leave out --site and --by"
            )
        if settings.by == "embedding":
            opened.embeddings  # noqa: B018  # refused here when there are none, and not by every worker
        shared = opened.receptor_path(binding.group)
        receptors = receptors or ([] if shared is None else [shared])
        has_receptors = opened.has_receptors
    given = {path: read_receptor(path, ligand=ligand) for path in receptors}
    site = find_ligand(receptors[0], ligand) if ligand else binding.site
    if not has_receptors:
        site = None
    elif site is not None and not isinstance(site, str) and receptors:
        check_site(site, given[receptors[0]], receptors[0])
    return {
        "library": str(library.absolute()),
        "receptors": [str(path.absolute()) for path in given],
        "rule": binding.rule.to_json(),
        "group": binding.group,
        "site": None if site is None else [float(number) for number in site],
        "ligand": ligand,
        "protein": protein,
        "extra_poses": None,
        "embeddings": [
            _embed(receptor, str(path)) for path, receptor in given.items() if settings.by == "embedding"
        ],
        "settings": settings.model_dump(mode="json"),
        "software": software_here(),
    }, [_note(path, receptor) for path, receptor in given.items()]


def _protein(library: Library, binding: BindingSite, settings: PredictionSettings) -> list[str]:
    """Sequences of the protein that was named, of which the library has a crystal; none where none was."""
    if not binding.sequence:
        return []
    chains = read_sequences(binding.sequence)
    everything = np.ones(len(library), np.bool_)
    if not related_rows(chains, library, everything, settings.min_identity, 1.0, Aligner()).any():
        raise InputError(f"--sequence: {library.path} has no receptor of a related protein")
    return chains


def _extra_poses(path: Path, queries: _Queries) -> tuple[dict[str, Any], list[str]]:
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


def _note(path: Path, receptor: Receptor) -> str:
    """Say what was read of a receptor file, and what was not."""
    parts = (f"{what} {names}" for what, names in describe(receptor).items() if names != "none")
    return f"receptor {path_text(path.name)}: {'; '.join(parts)}"


def _embed(protein: Receptor, what: str) -> list[float]:
    """Embed the longest chain of a protein."""
    from templ.chemistry.protein_embedding import embed

    check_protein(protein, what)
    chains = [protein.residues.sequence[part] for part in protein.residues.slices()]
    return [float(value) for value in embed([max(chains, key=len)])[0]]


def _manifest(
    queries: _Queries,
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
        receptor=_receptor_digest(context),
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


def _receptor_digest(context: dict[str, Any]) -> str:
    """Digest of what was named of the receptor: its files, or the sequences of the protein; else empty."""
    if context["receptors"]:
        digests = [file_digest(Path(path), STRUCTURE) for path in context["receptors"]]
        return digests[0] if len(digests) == 1 else hashlib.sha256(" ".join(digests).encode()).hexdigest()
    chains = " ".join(context["protein"])
    return hashlib.sha256(chains.encode()).hexdigest() if chains else ""


def _poses_digest(context: dict[str, Any]) -> str:
    """Digest of the file of extra poses; empty without one."""
    extra = context["extra_poses"]
    return "" if extra is None else f"extra poses {file_digest(Path(extra['file']), 'an SDF file')}"


def _remove_other(run: Path, manifest: RunManifest) -> None:
    """Remove results of other queries or settings."""
    if not (run / MANIFEST_NAME).exists():
        return
    with suppress(RunError):  # of another version: it cannot be gone on with either
        if read_manifest(run).digest == manifest.digest:
            return
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
