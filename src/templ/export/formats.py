"""How other programs want a run: the columns of their tables, and the files beside them."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from templ.posefile import PROPERTIES

if TYPE_CHECKING:
    from rdkit.Chem import Mol


@dataclass(frozen=True, slots=True)
class Item:
    """What becomes a row: a pose, or a target that has none.

    Attributes
    ----------
    record : Mapping
        Result record of the target.
    place : int or None
        Of the pose among those of the target, from 0; None without one.
    mol : rdkit.Chem.Mol or None
        The pose.
    properties : Mapping of str to str
        What the run wrote beside the pose.
    ligand_file, receptor_file, truth_file : str or None
        Paths relative to the table; None where the format has no such file, or the target no pose.
    """

    record: Mapping[str, Any]
    place: int | None
    mol: Mol | None
    properties: Mapping[str, str]
    ligand_file: str | None
    receptor_file: str | None
    truth_file: str | None

    def of_pose(self, field: str) -> Any:  # noqa: ANN401
        """Take the pose's own value out of a list of the record; None where there is none."""
        values = self.record.get(field)
        return values[self.place] if values and self.place is not None else None


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
        Only the first pose of each target.
    single_poses : bool
        A file for each pose; else one for each target with its poses in order of rank.
    unposed : bool
        Targets without poses have a row as well.
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


_WORDS = frozenset({"template", "way", "mcs_smarts"})
_COUNTS = frozenset({"rank", "mcs_atoms"})
_TYPES = {
    name: pa.string() if name in _WORDS else pa.int32() if name in _COUNTS else pa.float64()
    for name in PROPERTIES
}

EVERYTHING = pa.schema(
    {
        "id": pa.string(),
        "group": pa.string(),
        "status": pa.string(),
        "reason": pa.string(),
        "detail": pa.string(),
        **_TYPES,
        "rmsd": pa.float64(),
        "valid": pa.bool_(),
        "failed_checks": pa.string(),
        "prospect": pa.float64(),
        "nearest_tanimoto": pa.float64(),
        "nearest_identity": pa.float64(),
        "templates_allowed": pa.int64(),
        "query_atoms": pa.int32(),
        "rotors": pa.int32(),
        "stereo_kept": pa.bool_(),
        "notes": pa.string(),
        "cpu_s": pa.float64(),
        "wall_s": pa.float64(),
        "uss_bytes": pa.int64(),
        "ligand_file": pa.string(),
    }
)
"""Every number of a run. Those of the target are the same for each of its poses; ``valid`` and
``failed_checks`` are known of the first pose alone."""


def _everything(item: Item) -> dict[str, Any]:
    record = item.record
    checks = record.get("validity") if item.place == 0 else None
    return {
        **{name: record[name] for name in ("id", "group", "status", "reason", "detail")},
        **{name: _typed(name, text) for name, text in item.properties.items() if name in _TYPES},
        "confidence": item.of_pose("confidence"),
        "rmsd": item.of_pose("rmsd"),
        "valid": None if checks is None else not checks,
        "failed_checks": None if checks is None else "; ".join(checks),
        "prospect": record.get("prospect"),
        "nearest_tanimoto": record["tanimoto"],
        "nearest_identity": record["identity"],
        **{name: record[name] for name in ("templates_allowed", "query_atoms", "rotors", "stereo_kept")},
        "notes": "; ".join(record["notes"]),
        **{name: record["cost"][name] for name in ("cpu_s", "wall_s", "uss_bytes")},
        "ligand_file": item.ligand_file,
    }


def _typed(name: str, text: str) -> str | int | float:
    if name in _WORDS:
        return text
    return int(text) if name in _COUNTS else float(text)


def _plinder(item: Item) -> dict[str, Any]:
    return {
        "id": item.record["id"],
        "reference_system_id": item.record["id"],
        "receptor_file": item.receptor_file,
        "rank": int(item.properties["rank"]),
        "confidence": item.of_pose("confidence"),
        "ligand_file": item.ligand_file,
    }


def _posebusters(item: Item) -> dict[str, Any]:
    return {"mol_pred": item.ligand_file, "mol_true": item.truth_file, "mol_cond": item.receptor_file}


def _polaris(item: Item) -> dict[str, Any]:
    pose = None if item.mol is None else base64.b64encode(item.mol.ToBinary()).decode("ascii")
    return {"id": item.record["id"], "group": item.record["group"], "Ligand Pose": pose}


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
