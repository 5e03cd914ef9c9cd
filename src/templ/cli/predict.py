"""``templ predict``: poses for one query or a list of them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import typer

from templ.cli.options import (
    FAILURES,
    MEMORY,
    SEED,
    TOP,
    WORKERS,
    parse_memory,
    parse_workers,
    progress,
    report_ledger,
    say,
)
from templ.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TextIO

    import numpy as np
    from numpy.typing import NDArray

    from templ.batch import QueryResult
    from templ.sources.ledger import Ledger
    from templ.sources.queries import Query

OUTCOME = ("id", "status", "reason", "detail", "notes")


def predict(
    library: Path = typer.Option(..., "--library", "-l", help="Template library, usually NAME.templ."),
    smiles: str | None = typer.Option(None, "--smiles", "-s", help="The query."),
    queries: Path | None = typer.Option(
        None, "--queries", "-q", help="Queries: SMILES, CSV, SDF or MOL file."
    ),
    receptor: Path | None = typer.Option(
        None,
        "--receptor",
        "-r",
        help="PDB or mmCIF that the query binds to. Needed for a library of complexes: poses come in its "
        "frame. Else in the templates' frame, and by default the library's own.",
    ),
    site: str | None = typer.Option(
        None, "--site", help="The pocket of --receptor: x,y,z or a ligand file; by default the templates say."
    ),
    group: str = typer.Option("", "--group", help="Use only the library's templates of this group."),
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
    out: Path = typer.Option(
        Path("poses.sdf"), "-o", "--out", help="SDF of the poses; a table goes beside it."
    ),
    top: int = TOP,
    seed: int = SEED,
    workers: str = WORKERS,
    memory: str | None = MEMORY,
    max_failures: int = FAILURES,
) -> None:
    """Predict how queries bind; writes poses (SDF) and a table (CSV) as they come, in the queries' order."""
    from templ.batch import predict_queries
    from templ.engine.local import choose_limits
    from templ.settings import PredictionSettings, RunSettings
    from templ.sources.ledger import Ledger
    from templ.sources.splits import read_ids

    if (smiles is None) == (queries is None):
        raise InputError("give either --smiles or --queries")
    table, ledger_path = _beside(out)
    if queries is not None and queries.resolve() in {path.resolve() for path in (out, table, ledger_path)}:
        raise InputError(f"{queries} would be overwritten by the results; choose another -o")
    run = RunSettings(workers=parse_workers(workers), memory=parse_memory(memory))
    limits = choose_limits(run, 1 if smiles is not None else None)
    with Ledger(ledger_path) as ledger:
        results = predict_queries(
            _read(smiles, queries, ledger),
            library,
            PredictionSettings(
                top=top, seed=seed, by=parse_by(by), min_identity=min_identity, min_confidence=min_confidence
            ),
            limits,
            receptor=receptor,
            group=group,
            template_ids=() if template_ids is None else read_ids(template_ids),
            site=None if site is None else parse_site(site),
        )
        failed = _write(results, out, table)
    report_ledger(ledger)
    if failed + ledger.total > max_failures:
        raise typer.Exit(1)


def parse_by(text: str) -> Literal["sequence", "embedding", "all"]:
    """Read ``--by``.

    Raises
    ------
    InputError
        When it is none of the ways there are.
    """
    if text in ("sequence", "embedding", "all"):
        return cast('Literal["sequence", "embedding", "all"]', text)
    raise InputError(f"--by {text}: expected sequence, embedding or all")


def parse_site(text: str) -> NDArray[np.float64]:
    """Read ``--site`` as a point, shape (3,), Angstrom: coordinates, or the middle of a molecule in a file.

    Raises
    ------
    InputError
        When it is neither.
    """
    import numpy as np

    from templ.molecules import positions
    from templ.sources.ledger import Ledger
    from templ.sources.sdf import read_sdf

    try:
        site = np.array([float(part) for part in text.split(",")])
    except ValueError:
        entry = next(read_sdf(Path(text), Ledger()), None)
        if entry is None:
            raise InputError(
                f"--site {text}: no molecule in it can be read; expected x,y,z or an SDF"
            ) from None
        middle: NDArray[np.float64] = positions(entry.mol).mean(axis=0)
        return middle
    if site.shape != (3,) or not np.isfinite(site).all():
        raise InputError(f"--site {text}: expected three coordinates x,y,z or a ligand file")
    return site


def _beside(out: Path) -> tuple[Path, Path]:
    """Name the table and the ledger that go beside the poses; any other suffix may be some other file's."""
    if out.suffix.lower() != ".sdf":
        raise InputError(f"-o {out}: expected a name that ends in .sdf")
    if out.is_dir():
        raise InputError(f"-o {out} is a directory, expected a file")
    return out.with_suffix(".csv"), Path(f"{out}.ledger.csv")


def _read(smiles: str | None, queries: Path | None, ledger: Ledger) -> Iterable[Query]:
    """Queries as they are read; a single SMILES that cannot be read is an error at once."""
    from templ.molecules import parse_smiles
    from templ.sources.queries import Query, read_queries

    if queries is not None:
        return read_queries(queries, ledger)
    assert smiles is not None
    parse_smiles(smiles)
    return [Query("query", smiles, "--smiles", 1)]


def _write(results: Iterator[QueryResult], out: Path, table: Path) -> int:
    """Write poses and table as results come; return how many queries failed."""
    from templ.disk import storage_errors

    counts = {"posed": 0, "refused": 0, "failed": 0}
    first = next(results, None)  # before the files are touched: a bad library or receptor leaves them alone
    if first is None:
        raise InputError("no query could be read; the ledger has the reason for each")
    with storage_errors(out), out.open("w") as poses, table.open("w", newline="") as rows:
        writer: csv.DictWriter[str] | None = None
        with progress("predicted") as show:
            for result in _again(first, results):
                poses.write(result.sdf)
                poses.flush()
                writer = writer or _open_table(rows)
                outcome = {
                    "id": result.id,
                    "status": result.status,
                    "reason": result.reason,
                    "detail": result.detail,
                    "notes": "; ".join(result.notes),
                }
                for pose in result.poses or ({},):
                    writer.writerow(outcome | pose)
                rows.flush()
                counts[result.status] += 1
                if result.status != "posed":
                    say(f"{result.id}: {result.status}, {result.reason}: {result.detail}")
                for note in result.notes:
                    say(f"{result.id}: {note}")
                show(sum(counts.values()), None, "")
    say(", ".join(f"{count} {status}" for status, count in counts.items()) + f"; written: {out}, {table}")
    return counts["failed"]


def _again(first: QueryResult, rest: Iterator[QueryResult]) -> Iterator[QueryResult]:
    yield first
    yield from rest


def _open_table(file: TextIO) -> csv.DictWriter[str]:
    from templ.posefile import PROPERTIES

    writer = csv.DictWriter(file, [*OUTCOME, *PROPERTIES])
    writer.writeheader()
    return writer
