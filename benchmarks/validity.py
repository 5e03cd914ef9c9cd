"""Verdicts of PoseBusters on a run's first poses: as its authors run it, and as TEMPL does, faster.

    python benchmarks/validity.py RUN [RUN ...] [--complexes ../shared/data/complexes] [--limit 40]

Its authors' way is `PoseBusters("redock")` on the whole receptor file and 50 conformers, without the RMSD;
TEMPL's is `templ.evaluation.validity.failed_checks` on the receptor that a library keeps, cut around the
pose, and as few conformers as decide. `--complexes` is the folder that a library of complexes was built from,
where the whole receptors are. Prints a table, every verdict that differs, and how often each check fails, of
poses and of the crystals' own ligands in the same receptor; numbers go to results/validity.json.
"""

from __future__ import annotations

import argparse
import gzip
import json
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
from posebusters import PoseBusters
from rdkit import Chem

from templ.chemistry.receptor_file import read_receptor
from templ.evaluation.run import load_run
from templ.evaluation.validity import failed_checks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from templ.chemistry.receptor import Receptor

RESULTS = Path(__file__).parent / "results" / "validity.json"
NO_VALIDITY = {"rmsd_≤_2å", "mol_pred_loaded", "mol_true_loaded", "mol_cond_loaded"}


@dataclass
class Found:
    """What one run showed."""

    poses: int = 0
    fail: int = 0
    differ: dict[str, list[list[str]]] = field(default_factory=dict)
    official_s: list[float] = field(default_factory=list)
    ours_s: list[float] = field(default_factory=list)
    checks: Counter[str] = field(default_factory=Counter)
    crystal_checks: Counter[str] = field(default_factory=Counter)
    crystals_fail: int = 0


@dataclass(frozen=True, slots=True)
class Case:
    """A first pose with what it is compared with: the receptor as the run had it, and its file."""

    id: str
    pose: Chem.Mol
    truth: Chem.Mol
    receptor: Receptor
    file: Path


def cases(folder: Path, complexes: Path) -> Iterator[Case]:
    """First poses of a run."""
    run = load_run(folder)
    with run.templates() as library, run.targets() as targets:
        for record in run:
            if not record.poses:
                continue
            row = targets.row_of(record.id)
            if library.has_receptors:
                file = complexes / record.id / f"{record.id}_protein.pdb.gz"
                receptor = targets.receptor(row)
            else:
                found = library.receptor_path(record.group)
                if found is None:
                    continue
                file, receptor = found, read_receptor(found)
            yield Case(record.id, run.poses(record)[0], targets.ligand(row), receptor, file)


def official(case: Case, folder: Path) -> list[str]:
    """Run PoseBusters as its authors do."""
    whole = folder / "receptor.pdb"
    whole.write_bytes(gzip.decompress(case.file.read_bytes()))
    table = PoseBusters("redock").bust(Chem.Mol(case.pose), case.truth, whole)
    return sorted(
        name
        for name, passed in table.iloc[0].items()
        if name not in NO_VALIDITY and not (isinstance(passed, bool | np.bool_) and passed)
    )


def compare(run: Path, complexes: Path, limit: int | None) -> Found:
    """Judge the first poses of a run both ways."""
    found = Found()
    with tempfile.TemporaryDirectory() as folder:
        for case in islice(cases(run, complexes), limit):
            begin = time.process_time()
            ours = failed_checks(case.pose, truth=case.truth, receptor=case.receptor)
            middle = time.process_time()
            theirs = official(case, Path(folder))
            found.ours_s.append(middle - begin)
            found.official_s.append(time.process_time() - middle)
            crystal = failed_checks(case.truth, truth=case.truth, receptor=case.receptor)
            found.poses += 1
            found.fail += bool(theirs)
            found.crystals_fail += bool(crystal)
            found.checks.update(theirs)
            found.crystal_checks.update(crystal)
            if sorted(ours) != theirs:
                found.differ[case.id] = [ours, theirs]
    return found


def main() -> None:
    """Compare both ways on every run."""
    shown = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=shown)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    shared = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--complexes", type=Path, default=shared / "complexes")
    parser.add_argument("--limit", type=int, default=None)
    options = parser.parse_args()
    results = {run.name: compare(run, options.complexes, options.limit) for run in options.runs}
    RESULTS.write_text(json.dumps({name: vars(found) for name, found in results.items()}, indent=1) + "\n")
    print("| run | poses | fail | verdicts equal | CPU s a pose, PoseBusters | TEMPL | crystals that fail |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, found in results.items():
        print(
            f"| {name} | {found.poses} | {found.fail} | {found.poses - len(found.differ)} "
            f"| {median(found.official_s):.2f} | {median(found.ours_s):.2f} | {found.crystals_fail} |"
        )
    for name, found in results.items():
        print(f"\n{name}: poses (crystals) that fail a check")
        for check in found.checks | found.crystal_checks:
            print(f"  {check}: {found.checks[check]} ({found.crystal_checks[check]})")
        for id, (ours, theirs) in found.differ.items():
            print(f"  differs: {id}: TEMPL {ours}, PoseBusters {theirs}")


if __name__ == "__main__":
    main()
