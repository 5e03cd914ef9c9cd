"""``templ library``: build, look into and check the memory-mapped template library."""

from __future__ import annotations

import sys
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from templ.cli.options import FAILURES, ON, WORKERS, parse_workers, progress, report_ledger, say
from templ.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from templ.library.store import Library
    from templ.records import Entry

app = typer.Typer(help="Build, look into and check template libraries.", no_args_is_help=True)

LIBRARY = typer.Argument(..., help="A library folder, usually NAME.templ.")


@app.command()
def build(
    out: Path = typer.Argument(..., help="The library to make, usually NAME.templ; must not exist."),
    more: list[Path] = typer.Argument(
        None, metavar="[FILES]...", help="More files or folders for --ligands or --structures."
    ),
    ligands: list[Path] = typer.Option([], "--ligands", help="SDF, SDF.gz or MOL in one frame."),
    structures: list[Path] = typer.Option(
        [], "--structures", help="PDB or mmCIF with the ligands inside, or folders of such; one frame each."
    ),
    complexes: Path | None = typer.Option(
        None, "--complexes", help="Folder with <id>/<id>_protein.pdb and <id>_ligand.sdf, as PDBbind has it."
    ),
    index: Path | None = typer.Option(
        None, "--index", help="Date and group of each complex: a CSV (id, date, group, cluster) or an INDEX."
    ),
    ligands_csv: Path | None = typer.Option(
        None, "--ligands-csv", help="SMILES of the ligands in --structures: a CSV (id, residue, smiles)."
    ),
    all_copies: bool = typer.Option(
        False, "--all-copies", help="Of --structures all copies of a ligand, not the best-resolved one."
    ),
    embeddings: Path | None = typer.Option(
        None, "--embeddings", help="Embeddings of the complexes' receptors: .npz with pdb_ids, embeddings."
    ),
    receptor: Path | None = typer.Option(None, "--receptor", help="PDB of the protein, same frame."),
    date_property: str | None = typer.Option(
        None, "--date-property", help="SDF property with the date (YYYY-MM-DD) of each ligand."
    ),
    group: str = typer.Option("", "--group", help="Name of the protein or series of these ligands."),
    append_to: Path | None = typer.Option(
        None, "--append-to", metavar="LIBRARY", help="Begin with the ligands of this one, copied as they are."
    ),
    workers: str = WORKERS,
    on: str = ON,
    max_failures: int = FAILURES,
) -> None:
    """Build a library; what cannot be read goes to OUT.ledger.csv.

    A build of complexes or structures that was stopped goes on with the same command.
    """
    from contextlib import ExitStack

    from templ.engine.executor import choose_executor
    from templ.jobs.library_part import build_complexes, build_structures
    from templ.library.build import build_library
    from templ.library.store import open_library
    from templ.settings import RunSettings
    from templ.sources.ledger import Ledger
    from templ.sources.sdf import read_sdf

    if sum((bool(ligands), complexes is not None, bool(structures))) != 1:
        raise InputError("give one of --ligands, --complexes and --structures")
    if more and complexes is not None:
        raise InputError(f"{more[0]}: --complexes takes one folder")
    if ligands and (index is not None or embeddings is not None):
        raise InputError("--index and --embeddings are for --complexes")
    if not ligands and (receptor is not None or date_property is not None or group):
        raise InputError("--receptor, --date-property and --group are for --ligands; see --index")
    if not structures and (ligands_csv is not None or all_copies):
        raise InputError("--ligands-csv and --all-copies are for --structures")
    if structures and embeddings is not None:
        raise InputError("--embeddings are for --complexes")
    with ExitStack() as opened, Ledger(f"{out}.ledger.csv") as ledger, progress("reading") as show:
        before = [] if append_to is None else [opened.enter_context(open_library(append_to))]

        def count(read: int) -> None:
            show(read, None, "")

        if ligands:
            ligands = [*ligands, *(more or ())]
            _refuse_flat(ligands)
            read = (read_sdf(path, ledger, group=group, date_property=date_property) for path in ligands)
            manifest = build_library(
                out,
                _dated(chain.from_iterable(read), date_property, ligands),
                ledger=ledger,
                sources=[path.name for path in ligands],
                receptors={group: receptor} if receptor else None,
                before=before,
                on_progress=count,
            )
        else:
            executor = choose_executor(RunSettings(workers=parse_workers(workers), on=on))
            say(str(executor))
            if complexes is not None:
                manifest = build_complexes(
                    *(out, complexes, executor),
                    ledger=ledger,
                    index=index,
                    embeddings=embeddings,
                    before=before,
                    on_progress=count,
                )
            else:
                manifest = build_structures(
                    *(out, [*structures, *(more or ())], executor),
                    ledger=ledger,
                    index=index,
                    ligands=ligands_csv,
                    all_copies=all_copies,
                    before=before,
                    on_progress=count,
                )
    report_ledger(ledger)
    say(f"{out}: {manifest.counts.ligands} ligands")
    if embeddings is not None:
        say(f"{manifest.counts.embeddings} of them with an embedding of their receptor")
    if ledger.total > max_failures:
        raise typer.Exit(1)


def _dated(entries: Iterator[Entry], date_property: str | None, files: Iterable[Path]) -> Iterator[Entry]:
    """Hand on what is read; refuse it at the end when a property was named and none of it has a date."""
    from templ.sources.ledger import Ledger
    from templ.sources.sdf import read_records

    read, dated = 0, date_property is None
    for read, entry in enumerate(entries, 1):  # noqa: B007
        dated = dated or entry.date is not None
        yield entry
    if read and not dated:
        records = islice(chain.from_iterable(read_records(path, Ledger()) for path in files), LOOKED_AT)
        names = sorted({name for record in records for name in record.properties})
        raise InputError(
            f"--date-property {date_property}: no ligand has a date there; the properties in the file are "
            f"{', '.join(names) or 'none'}"
        )


LOOKED_AT = 1000
"""Records whose properties are named where none is as it was told."""
FLAT = frozenset({".smi", ".smiles", ".csv", ".tsv", ".txt", ".ism"})
"""Ends of the names of files without coordinates."""


def _refuse_flat(files: Iterable[Path]) -> None:
    """Refuse lists of SMILES, which no reading can turn into templates."""
    for file in files:
        if file.suffix.lower() in FLAT:
            raise InputError(
                f"--ligands {file}: a list has no coordinates, and a template needs 3D, as in its crystal; "
                "expected SDF, SDF.gz or MOL"
            )


@app.command()
def merge(
    out: Path = typer.Argument(..., help="The library to make; must not exist."),
    libraries: list[Path] = typer.Argument(..., help="Libraries of one kind without a common id."),
) -> None:
    """Put libraries into one. In the order given, as one build of all would; no molecule is read."""
    from templ.library.build import merge_libraries

    manifest = merge_libraries(out, libraries)
    say(f"{out}: {manifest.counts.ligands} ligands")


@app.command()
def info(
    library: Path = LIBRARY,
    receptor: str | None = typer.Option(
        None,
        "--receptor",
        metavar="ID",
        help="What the receptor of this ligand has, and has not.",
    ),
) -> None:
    """Print what a library holds and what built it."""
    from templ.chemistry.receptor import describe
    from templ.library.store import open_library

    with open_library(library) as opened:
        if receptor is not None:
            bond = opened.entry(opened.row_of(receptor)).covalent
            bonded = {} if bond is None else {"bonded to": str(bond)}
            _print_rows({**describe(opened.receptor_of(receptor)), **bonded})
            return
        manifest = opened.manifest
        rows = {
            **opened.describe(),
            "left out": str(manifest.counts.left_out),
            "sources": ", ".join(manifest.sources),
            "size": f"{sum(file.bytes for file in manifest.files.values()) / 1e6:.1f} MB",
            "built": f"{manifest.created} by templ {manifest.built_by}, RDKit {manifest.rdkit}",
            "format": str(manifest.version),
            "digest": opened.digest,
        }
    _print_rows(rows)


@app.command()
def verify(library: Path = LIBRARY) -> None:
    """Compare every byte of a library with its checksums."""
    from templ.library.store import open_library

    with open_library(library) as opened:
        opened.verify()
        typer.echo(f"{library}: {len(opened)} ligands, all checksums agree")


@app.command()
def get(library: Path = LIBRARY, id: str = typer.Argument(..., help="Id of a ligand.")) -> None:
    """Print one ligand as SDF."""
    from templ.library.store import open_library

    with open_library(library) as opened:
        _write_sdf(opened, [opened.row_of(id)])


@app.command()
def export(library: Path = LIBRARY) -> None:
    """Print all ligands as SDF."""
    from templ.library.store import open_library

    with open_library(library) as opened:
        _write_sdf(opened, range(len(opened)))


def _print_rows(rows: Mapping[str, str]) -> None:
    for name, value in rows.items():
        typer.echo(f"{name:<10} {value}")


def _write_sdf(library: Library, rows: Iterable[int]) -> None:
    from rdkit import Chem

    for number, row in enumerate(rows):
        mol, entry = library.ligand(row), library.entry(row)
        for name in ("date", "group", "source", "inchikey", "resolution", "covalent", "note"):
            value = getattr(entry, name)
            if value:
                mol.SetProp(name, str(value))
        # UTF-8, as every file of TEMPL, whatever the terminal has.
        sys.stdout.buffer.write(Chem.SDWriter.GetText(mol, molid=number).encode())
    sys.stdout.flush()
