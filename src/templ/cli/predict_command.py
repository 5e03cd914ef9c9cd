"""``templ predict``: poses for one query or a list of them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import typer

from templ.cli.options import (
    FAILURES,
    JOIN,
    MEMORY,
    ON,
    QUIET,
    RETRY,
    SEED,
    TOP,
    WORKERS,
    parse_memory,
    parse_workers,
    progress,
    say,
)
from templ.cli.science import CONFIG, JSON, SET, changed, read_science
from templ.errors import InputError

if TYPE_CHECKING:
    from templ.evaluation.run import Run
    from templ.jobs.recording import Progress
    from templ.runs.record import Record


SETTINGS = ("top", "seed", "by", "min_identity", "min_confidence", "covalent", "states")
"""Science settings that have an option of their own."""


def predict(
    context: typer.Context,
    library: Path = typer.Option(..., "--library", "-l", help="Template library, usually NAME.templ."),
    smiles: str | None = typer.Option(None, "--smiles", "-s", help="The query."),
    queries: Path | None = typer.Option(
        None, "--queries", "-q", help="Queries: SMILES, CSV, SDF or MOL file."
    ),
    smiles_column: str | None = typer.Option(
        None, "--smiles-column", help="Column of a table with the SMILES, where its name does not say so."
    ),
    id_column: str | None = typer.Option(
        None, "--id-column", help="Column of a table, or property of an SDF, with the ids."
    ),
    receptor: list[Path] = typer.Option(
        [],
        "--receptor",
        "-r",
        help="PDB or mmCIF that the query binds to; given several times, that in which the first pose is "
        "surest. For a library of complexes poses come in its frame, and by default it is that of a crystal "
        "with a ligand like the query. Else it must be in the templates' frame, and by default is the "
        "library's own.",
    ),
    sequence: str | None = typer.Option(
        None,
        "--sequence",
        help="Of the protein, letters or a FASTA file: the receptor is chosen among its crystals.",
    ),
    site: str | None = typer.Option(
        None,
        "--site",
        help="The pocket of --receptor: x,y,z, a ligand file, or the name of the ligand that it has in it, "
        "which is left out of it; by default the templates say.",
    ),
    extra_poses: Path | None = typer.Option(
        None,
        "--extra-poses",
        help="SDF of poses by another program in --receptor, titled as the queries: judged with the others.",
    ),
    group: str = typer.Option("", "--group", help="Use only the library's templates of this group."),
    template: list[str] = typer.Option(
        [], "--template", metavar="ID", help="Use only this template; may be given often."
    ),
    template_ids: Path | None = typer.Option(
        None, "--template-ids", help="File of ids, one a line: use only these templates."
    ),
    by: str = typer.Option(
        "sequence",
        "--by",
        help="How complexes are found: sequence, embedding, or all that can be superposed.",
    ),
    min_identity: float = typer.Option(
        0.3, "--min-identity", min=0, max=1, help="Sequence identity of a complex found by sequence."
    ),
    min_confidence: float = typer.Option(
        0.0,
        "--min-confidence",
        min=0,
        max=1,
        help="Refuse where the best pose is less likely right than this.",
    ),
    covalent: str = typer.Option(
        "auto",
        "--covalent",
        metavar="RESIDUE",
        help="Residue that the queries bond to, such as CYS145 or A:CYS145; auto: one in reach, where a "
        "warhead or covalent templates tell; none.",
    ),
    states: bool = typer.Option(
        False, "--states", help="Pose tautomers and protonation states near pH 7.4 too (extra: states)."
    ),
    out: Path = typer.Option(
        Path("poses.sdf"), "-o", "--out", help="SDF of the poses; a table goes beside it."
    ),
    complexes: bool = typer.Option(
        False,
        "--complex",
        help="Write each first pose with its receptor too, PDB and mmCIF, in a folder beside the poses.",
    ),
    top: int = TOP,
    seed: int = SEED,
    workers: str = WORKERS,
    memory: str | None = MEMORY,
    retry_failed: bool = RETRY,
    on: str = ON,
    join: bool = JOIN,
    max_failures: int = FAILURES,
    pairs: list[str] = SET,
    config: Path | None = CONFIG,
    as_json: bool = JSON,
    quiet: bool = QUIET,
) -> None:
    """Predict how queries bind: poses (SDF) and a table (CSV). The same command resumes what was stopped."""
    from templ.chemistry.molecules import parse_smiles
    from templ.cli.query_card import as_plain, card, table
    from templ.jobs.binding_site import BindingSite
    from templ.jobs.query_run import predict_queries
    from templ.settings import PredictionSettings, RunSettings
    from templ.sources.files import exists
    from templ.sources.queries import TableColumns
    from templ.sources.split_lists import read_ids

    if smiles is not None and (smiles_column is not None or id_column is not None):
        raise InputError("--smiles-column and --id-column are for --queries")
    if (smiles is None) == (queries is None):
        raise InputError("give either --smiles or --queries")
    if smiles is not None and join:
        raise InputError("--join is for --queries")
    if smiles is not None:
        if exists(smiles) and not _is_smiles(smiles):
            raise InputError(f"--smiles {smiles} is a file; give it by --queries")
        parse_smiles(smiles)  # a single SMILES that cannot be read is an error at once
    if queries is not None and not exists(queries) and _is_smiles(str(queries)):
        raise InputError(f"--queries {queries}: no such file; a SMILES is given by --smiles")
    read = [queries, extra_poses, template_ids, config, *receptor]
    _refuse_overwriting(out, [*read, *(Path(text) for text in (site, sequence) if text is not None)])

    own = {name: context.params[name] for name in SETTINGS if _is_given(context, name)}
    if "by" in own:
        parse_by(by)
    if "covalent" in own:
        own["covalent"] = parse_covalent(covalent)
    settings = PredictionSettings(**read_science(pairs, config, own))
    for line in changed(settings):
        say(line)

    def tell(state: Progress) -> None:
        if state.latest is not None and smiles is None:
            _tell(state.latest)
        show(state.done, state.total, str(state))

    with progress("predicted") as show:
        run = predict_queries(
            queries if queries is not None else [("query", str(smiles))],
            BindingSite(
                library,
                receptor,
                sequence or "",
                group,
                (*template, *(() if template_ids is None else read_ids(template_ids))),
                None if site is None else parse_site(site),
                extra_poses,
            ),
            out,
            settings,
            RunSettings(
                workers=parse_workers(workers),
                memory=parse_memory(memory),
                retry_failed=retry_failed,
                on=on,
                join=join,
            ),
            columns=TableColumns(smiles_column, id_column),
            replace_other=smiles is not None,
            on_start=say if smiles is None else lambda line: None,
            on_progress=tell,
        )
    for note in run.manifest.notes:
        say(note)
    if complexes:
        from templ.export.complex_file import write_complexes

        folder = out.with_name(f"{out.stem}_complexes")
        say(f"{write_complexes(run, folder)} complexes written: {folder}")
    counts = Counter(record.status for record in run)
    files = (out, out.with_suffix(".csv"), run.path)
    if as_json:
        told = {
            "counts": {name: counts[name] for name in ("posed", "refused", "failed")},
            "files": [str(path) for path in files],
        }
        typer.echo(json.dumps(told | {"queries": [as_plain(record) for record in run]}, indent=1))
    elif not quiet and smiles is not None:
        record = next(iter(run))
        typer.echo("\n".join(card(record, _receptor(run, record), files)))
    elif not quiet:
        typer.echo("\n".join(table(run)))
    told_counts = ", ".join(f"{counts[status]} {status}" for status in ("posed", "refused", "failed"))
    say(f"{told_counts}; written: {', '.join(map(str, files))}")
    if counts["failed"] > max_failures:
        raise typer.Exit(1)


def _refuse_overwriting(out: Path, inputs: list[Path | None]) -> None:
    """Refuse to write poses or table over a file that is read."""
    written = {out.resolve(), (out.parent / f"{out.stem}.csv").resolve()}
    for path in inputs:
        if path is not None and path.resolve() in written:
            raise InputError(f"{path} would be overwritten by the results; choose another -o")


def _is_given(context: typer.Context, name: str) -> bool:
    """Whether an option is on the command line, and no default."""
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def _receptor(run: Run, record: Record) -> str:
    """What a query was posed in, and who chose it."""
    if not record.receptor:
        return ""
    given = {Path(path).name for path in run.manifest.receptors}
    return record.receptor if record.receptor in given else f"{record.receptor}, a crystal of the library"


def _tell(record: Record) -> None:
    """Say why a query has no pose, and what its user should know."""
    if record.status != "posed":
        say(f"{record.id}: {record.status}, {record.reason}: {record.detail}")
    for note in record.notes:
        say(f"{record.id}: {note}")


def _is_smiles(text: str) -> bool:
    from templ.chemistry.molecules import parse_smiles

    try:
        parse_smiles(text)
    except InputError:
        return False
    return True


def parse_by(text: str) -> Literal["sequence", "embedding", "all"]:
    """Read ``--by``; `InputError` when it is none of these."""
    if text in ("sequence", "embedding", "all"):
        return cast('Literal["sequence", "embedding", "all"]', text)
    raise InputError(f"--by {text}: expected sequence, embedding or all")


def parse_covalent(text: str) -> str:
    """Read ``--covalent``; `InputError` when it names no residue."""
    from templ.settings import residue_to_bond

    try:
        return residue_to_bond(text)
    except ValueError as error:
        raise InputError(f"--covalent {text}: {error}") from None


LONGEST_NAME = 5
"""Characters of a residue name."""


def parse_site(text: str) -> list[float] | str:
    """Read ``--site``: coordinates, Angstrom, those of the middle of a file's molecule, or a residue name.

    Raises
    ------
    InputError
        When it is none of these.
    """
    import numpy as np

    from templ.chemistry.molecules import positions
    from templ.sources.files import exists
    from templ.sources.ledger import Ledger
    from templ.sources.sdf import read_sdf

    if text.isascii() and text.isalnum() and len(text) <= LONGEST_NAME and not exists(text):
        return text
    expected = "expected x,y,z, a ligand file (SDF), or the name of a ligand in the receptor, such as LIG"
    try:
        site = np.array([float(part) for part in text.split(",")])
    except ValueError:
        if not exists(text):
            raise InputError(f"--site {text}: no such file; {expected}") from None
        entry = next(read_sdf(Path(text), Ledger()), None)
        if entry is None:
            raise InputError(f"--site {text}: no molecule in it can be read; {expected}") from None
        return [float(number) for number in positions(entry.mol).mean(axis=0)]
    if site.shape != (3,) or not np.isfinite(site).all():
        raise InputError(f"--site {text}: {expected}")
    return [float(number) for number in site]
