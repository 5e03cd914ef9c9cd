"""A run as one table: a row for each pose, and one for each molecule that has none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from templ.disk import replacing
from templ.records import PoseBond
from templ.runs.record import PoseRecord, Record
from templ.scoring.terms import TERMS
from templ.templates.superposition import SUPERPOSITION

ROWS_AT_ONCE = 1000
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What text begins with that a spreadsheet takes for a formula."""

SCHEMA = pa.schema(
    {
        **dict.fromkeys(
            ("id", "group", "status", "reason", "detail", "notes", "smiles", "receptor"), pa.string()
        ),
        "rank": pa.int32(),
        "posed_smiles": pa.string(),
        "score": pa.float64(),
        "confidence": pa.float64(),
        "prior_confidence": pa.float64(),
        **{f"score_{term.name}": pa.float64() for term in TERMS},
        "template": pa.string(),
        "placement_method": pa.string(),
        "core_atoms": pa.int32(),
        "core_smarts": pa.string(),
        "core_rmsd": pa.float64(),
        **dict.fromkeys(SUPERPOSITION, pa.float64()),
        "pocket": pa.string(),
        "bond_residue": pa.string(),
        "bond_residue_atom": pa.string(),
        "bond_atom": pa.int32(),
        "bond_length": pa.float64(),
        "bond_angles": pa.string(),
        "rmsd": pa.float64(),
        "copy_rmsd": pa.float64(),
        "valid": pa.bool_(),
        "failed_checks": pa.string(),
        "nearest_tanimoto": pa.float64(),
        "nearest_identity": pa.float64(),
        "templates_allowed": pa.int64(),
        "query_atoms": pa.int32(),
        "rotors": pa.int32(),
        "stereo_kept": pa.bool_(),
        "cpu_s": pa.float64(),
        "wall_s": pa.float64(),
        "uss_bytes": pa.int64(),
    }
)
"""Columns. What is of the molecule is the same for each of its poses; ``valid`` and ``failed_checks`` are
known of the first pose alone."""


COST = ("cpu_s", "wall_s", "uss_bytes")
"""Columns that tell two equal runs apart."""


def rows_of(record: Record) -> list[dict[str, Any]]:
    """Rows of a molecule by the names of `SCHEMA`; columns that are left out are empty."""
    common = {
        **{
            name: getattr(record, name)
            for name in ("id", "group", "status", "reason", "detail", "smiles", "receptor")
        },
        "notes": "; ".join(record.notes),
        "prior_confidence": record.prior_confidence,
        "nearest_tanimoto": record.tanimoto,
        "nearest_identity": record.identity,
        **{
            name: getattr(record, name)
            for name in ("templates_allowed", "query_atoms", "rotors", "stereo_kept")
        },
        **{name: getattr(record.cost, name) for name in COST},
    }
    if record.failed_checks is not None:
        checked = {"valid": not record.failed_checks, "failed_checks": "; ".join(record.failed_checks)}
    else:
        checked = {}
    return [
        common | _pose_columns(pose, rank) | (checked if rank == 1 else {})
        for rank, pose in enumerate(record.poses, 1)
    ] or [common]


def _pose_columns(pose: PoseRecord, rank: int) -> dict[str, Any]:
    return {
        "rank": rank,
        "posed_smiles": pose.smiles,
        **{name: getattr(pose, name) for name in ("score", "confidence", "template", "placement_method")},
        **{f"score_{name}": value for name, value in pose.terms.items()},
        "core_atoms": len(pose.core),
        "core_smarts": pose.core_smarts,
        "core_rmsd": pose.core_rmsd,
        **pose.superposition,
        "pocket": " ".join(pose.pocket),
        **({} if pose.bond is None else _bond_columns(pose.bond)),
        "rmsd": pose.rmsd,
        "copy_rmsd": pose.copy_rmsd,
    }


def _bond_columns(bond: PoseBond) -> dict[str, Any]:
    """As the file of poses says it: the atom is counted from 1."""
    return {
        "bond_residue": bond.residue,
        "bond_residue_atom": bond.residue_atom,
        "bond_atom": bond.atom + 1,
        "bond_length": bond.length,
        "bond_angles": f"{bond.at_residue} {bond.at_ligand}",
    }


@contextmanager
def table_writer(path: Path, schema: pa.Schema) -> Iterator[Callable[[Iterable[Mapping[str, Any]]], None]]:
    """Write a table, Parquet or CSV by its name; yield what adds rows to it.

    Raises
    ------
    StorageError
        When the disk refuses; `path` is then as it was.
    """
    waiting: list[Mapping[str, Any]] = []
    open_table = pa.parquet.ParquetWriter if path.suffix == ".parquet" else pa.csv.CSVWriter
    with replacing(path) as file, open_table(file, schema) as table:

        def flush() -> None:
            table.write_batch(pa.RecordBatch.from_pylist(waiting, schema))
            waiting.clear()

        def add(rows: Iterable[Mapping[str, Any]]) -> None:
            waiting.extend(map(_without_formulas, rows) if path.suffix == ".csv" else rows)
            if len(waiting) >= ROWS_AT_ONCE:
                flush()

        yield add
        flush()


def _without_formulas(row: Mapping[str, Any]) -> dict[str, Any]:
    """Put an apostrophe before text that a spreadsheet would run; numbers stay numbers."""
    return {
        name: f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
        for name, value in row.items()
    }
