"""How other programs want a run: the columns of their tables, and the files beside them."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from rdkit.Chem import Mol

from templ.evaluation.run_table import SCHEMA, rows_of
from templ.runs.record import Record


@dataclass(frozen=True, slots=True)
class Item:
    """What becomes a row: a pose, or a molecule that has none.

    Attributes
    ----------
    position : int or None
        Of the pose among those of the molecule, from 0; None without one.
    ligand_file, receptor_file, truth_file : str or None
        Paths relative to the table; None where the format has no such file, or the molecule no pose.
    """

    record: Record
    position: int | None = None
    mol: Mol | None = None
    ligand_file: str | None = None
    receptor_file: str | None = None
    truth_file: str | None = None


@dataclass(frozen=True, slots=True)
class Format:
    """What a program wants.

    Attributes
    ----------
    table : str
        Name of the table.
    schema : pyarrow.Schema
        Its columns.
    row : callable
        Makes a row of an item; columns it leaves out are empty.
    first_only : bool
        Only the first pose of each molecule.
    single_poses : bool
        A file for each pose; else one for each molecule with its poses in order of rank.
    unposed : bool
        Molecules without poses have a row as well.
    receptor, truth : bool
        Whether receptors and crystal poses are written too.
    """

    table: str
    schema: pa.Schema
    row: Callable[[Item], dict[str, Any]]
    first_only: bool = False
    single_poses: bool = False
    unposed: bool = False
    receptor: bool = False
    truth: bool = False


EVERYTHING = SCHEMA.append(pa.field("ligand_file", pa.string()))
"""Every number of a run, and where the pose is."""


def _everything(item: Item) -> dict[str, Any]:
    return rows_of(item.record)[item.position or 0] | {"ligand_file": item.ligand_file}


def _plinder(item: Item) -> dict[str, Any]:
    assert item.position is not None
    return {
        "id": item.record.id,
        "reference_system_id": item.record.id,
        "receptor_file": item.receptor_file,
        "rank": item.position + 1,
        "confidence": item.record.poses[item.position].confidence,
        "ligand_file": item.ligand_file,
    }


def _posebusters(item: Item) -> dict[str, Any]:
    return {"mol_pred": item.ligand_file, "mol_true": item.truth_file, "mol_cond": item.receptor_file}


def _polaris(item: Item) -> dict[str, Any]:
    pose = None if item.mol is None else base64.b64encode(item.mol.ToBinary()).decode("ascii")
    return {"id": item.record.id, "group": item.record.group, "Ligand Pose": pose}


def _texts(*names: str) -> dict[str, pa.DataType]:
    return dict.fromkeys(names, pa.string())


FORMATS: Mapping[str, Format] = {
    "csv": Format("predictions.csv", EVERYTHING, _everything, unposed=True),
    "parquet": Format("predictions.parquet", EVERYTHING, _everything, unposed=True),
    "plinder": Format(
        "predictions.csv",
        pa.schema(
            {
                **_texts("id", "reference_system_id", "receptor_file"),
                "rank": pa.int32(),
                "confidence": pa.float64(),
                **_texts("ligand_file"),
            }
        ),
        _plinder,
        single_poses=True,
        receptor=True,
    ),
    "posebusters": Format(
        "predictions.csv",
        pa.schema(_texts("mol_pred", "mol_true", "mol_cond")),
        _posebusters,
        single_poses=True,
        receptor=True,
        truth=True,
    ),
    "polaris": Format(
        "predictions.csv",
        pa.schema(_texts("id", "group", "Ligand Pose")),
        _polaris,
        first_only=True,
        single_poses=True,
        unposed=True,
    ),
}
"""``csv`` and ``parquet`` have every number, for any program. ``plinder`` has the columns of plinder-eval;
ids of targets are taken for those of systems. ``posebusters`` has the columns of ``bust -t``. ``polaris`` has
the first pose of each target, in the order of the benchmark, as the ASAP antiviral challenge takes it: the
binary of RDKit in base64."""
