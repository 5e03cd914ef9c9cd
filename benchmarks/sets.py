"""The sets that accuracy is measured on and weights are fitted on: real crystals of eighty proteins.

========== ======================================================= ==========================================
name       targets                                                 templates
========== ======================================================= ==========================================
demo-mpro  144 Mpro ligands of the demo                            the demo's, dated before the target
sars       150 of the Polaris SARS training set (a fixed sample)   the others of that set
mers       the 17 of the Polaris MERS training set                 the others, and the SARS ones moved there
complexes  126 complexes of 19 proteins                            all the others
many       139 complexes of 61 proteins                            all the others
cdk2       164 CDK2 complexes deposited from 2007 on               those before the target; never fitted on
polaris    the 98 of the Polaris test set that are public          the training set; never fitted on
========== ======================================================= ==========================================

A target's own ligand, under whatever name, is never a template. Where each complex has its own receptor a
target is posed in that, or in that of another crystal which the program chooses (`nearest`); else in the one
receptor of the set, which is of another crystal.
"""

from __future__ import annotations

import csv
import datetime
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from templ.benchmark.builtin import MproBenchmark, PolarisBenchmark
from templ.benchmark.definition import list_targets
from templ.chemistry.molecules import positions
from templ.chemistry.receptor import Receptor
from templ.chemistry.receptor_file import read_receptor
from templ.evaluation.crystal_frame import crystal_poses
from templ.jobs.target import target_of
from templ.library.build import build_library
from templ.library.store import Library, open_library
from templ.sources.annotations import Annotation
from templ.sources.complexes import read_complexes
from templ.sources.ledger import Ledger
from templ.sources.polaris import TEMPLATE_GROUPS
from templ.templates.rule import TemplateRule

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rdkit.Chem import Mol

    from templ.records import Target

TRAINING = ("demo-mpro", "sars", "mers", "complexes", "many")
OWN_RECEPTORS = ("complexes", "many", "cdk2")
ALL = (*TRAINING, "cdk2", "polaris")
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
SARS_SAMPLE = 150
CDK2_FIRST_DATE = datetime.date(2007, 1, 1)


@dataclass(frozen=True, slots=True)
class TargetSet:
    """Targets, where their templates are, and which of those each may use."""

    name: str
    library: Library
    targets: Library
    ids: tuple[str, ...]
    rule: TemplateRule

    def target(self, id: str) -> Target:
        """Light reference to a target."""
        return target_of(self.targets.entry(self.targets.row_of(id)))

    def truth(self, id: str) -> Mol:
        """Crystal pose of a target."""
        return self.targets.ligand(self.targets.row_of(id))

    def carried(self, id: str, receptor: str) -> Mol:
        """Crystal pose of a target in the frame of another crystal's receptor, in the copy of its ligand."""
        used = self.library.receptor_of(receptor)
        return crystal_poses(self.targets, id, self.library, used, receptor)[0]

    def receptor(self, id: str) -> Receptor:
        """What a target binds to, as far as it is given: its own, or the one of its frame."""
        row = self.targets.row_of(id)
        if self.targets.has_receptors:
            return self.targets.receptor(row)
        path = self.library.receptor_path(self.targets.entry(row).group)
        if path is None:
            raise ValueError(f"{self.name}: no receptor for {id}")
        return _read(path)


def rmsd_of_poses(poses: NDArray[np.float64], query: Mol, truth: Mol) -> NDArray[np.float64] | None:
    """RMSD to the truth, Angstrom, of poses, shape (poses, atoms, 3); None where molecules do not match."""
    matches = truth.GetSubstructMatches(query, uniquify=False, maxMatches=400)
    if not matches:
        return None
    crystal = positions(truth)
    square = [((poses - crystal[list(match)]) ** 2).sum(axis=-1).mean(axis=-1) for match in matches]
    return np.asarray(np.sqrt(np.min(square, axis=0)))


@cache
def _read(path: Path) -> Receptor:
    return read_receptor(path)


@cache
def open_set(name: str, folder: Path) -> TargetSet:
    """Open a set; its libraries are made in `folder` unless they are there."""
    if name in OWN_RECEPTORS:
        path = folder / f"{name}.templ"
        if not path.exists():
            _build_complexes(name, path)
        library, dated = open_library(path), name == "cdk2"
        rule = TemplateRule(exclude_same_ligand=True, before_date=dated)
        dates = {id: library.entry(library.row_of(id)).date for id in library}
        complexes = tuple(id for id in library if not dated or _is_target(dates[id]))
        return TargetSet(name, library, library, complexes, rule)
    inputs = folder / ("demo-mpro" if name == "demo-mpro" else "polaris")
    inputs.mkdir(parents=True, exist_ok=True)
    source = MproBenchmark() if name == "demo-mpro" else PolarisBenchmark(SHARED / "polaris")
    made = source.make(inputs)
    library = open_library(made.library)
    if name in ("demo-mpro", "polaris"):
        targets = open_library(made.targets)
        return TargetSet(name, library, targets, tuple(list_targets(made).sizes), made.rule)
    ids = [id for id in library if library.entry(library.row_of(id)).group == name]
    if name == "sars":
        ids = sorted(sorted(ids, key=lambda id: hashlib.sha256(id.encode()).digest())[:SARS_SAMPLE])
    rule = TemplateRule(groups=TEMPLATE_GROUPS, exclude_same_ligand=True)
    return TargetSet(name, library, library, tuple(ids), rule)


def _is_target(date: datetime.date | None) -> bool:
    return date is not None and date >= CDK2_FIRST_DATE


def _build_complexes(name: str, path: Path) -> None:
    source = SHARED if name == "complexes" else SHARED / "wwpdb"
    with (source / f"{name}.csv").open(newline="") as file:
        known = {
            row["id"].lower(): Annotation(
                datetime.date.fromisoformat(row["date"]) if row.get("date") else None,
                row["group" if "group" in row else "target"],
            )
            for row in csv.DictReader(file)
        }
    ledger = Ledger()
    entries = read_complexes(source / name, ledger, known)
    build_library(path, entries, ledger=ledger, complexes=True)
