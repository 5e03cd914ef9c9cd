"""Leave one out over complexes that each have a frame of their own, and the same with every frame shuffled.

    python benchmarks/complexes.py ../shared/data/complexes ../shared/data/complexes.csv

Builds a library of the complexes (timed), predicts each from the others (its own ligand never a template),
and prints success by target and by similarity of the nearest template, and for how many targets that have
another complex of the same protein the best template lies within 5 Angstrom of the truth. Then it turns and
shifts every complex at random, does it all again, and compares target by target. Numbers go to
results/complexes.json.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.transform import Rotation

from templ.benchmark.builtin import LeaveOneOut
from templ.benchmark.runner import run_benchmark
from templ.chemistry.conformers import PreparedQuery
from templ.chemistry.molecules import heavy, parse_smiles, positions
from templ.chemistry.receptor import Receptor
from templ.evaluation.markdown import to_markdown
from templ.evaluation.run import load_run
from templ.jobs.target import target_of
from templ.library.build import build_library
from templ.library.store import Library, open_library
from templ.settings import PredictionSettings, RunSettings
from templ.sources.annotations import read_annotations
from templ.sources.complexes import read_complexes
from templ.sources.ledger import Ledger
from templ.templates.frame import Frame
from templ.templates.rule import TemplateRule
from templ.templates.screening import AllowedTemplates, find_templates

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray
    from rdkit.Chem import Mol

    from templ.records import Entry
    from templ.runs.record import Record

HERE = Path(__file__).parent
NEAR = 5.0
SAME = 0.05
"""Angstrom."""


def build(folder: Path, index: Path, library: Path, *, shuffled: bool = False) -> float:
    """Build the library; return the seconds it took."""
    begin = time.perf_counter()
    ledger = Ledger()
    entries = read_complexes(folder, ledger, read_annotations(index))
    if shuffled:
        entries = shuffle(entries)
    build_library(library, entries, ledger=ledger, complexes=True)
    assert not ledger.total, ledger.first
    return time.perf_counter() - begin


def shuffle(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Turn and shift each complex at random."""
    generator = np.random.default_rng(7)
    for entry in entries:
        rotation = Rotation.random(random_state=generator)
        shift = generator.uniform(-100, 100, 3)
        receptor = entry.receptor
        assert receptor is not None
        conformer = entry.mol.GetConformer()
        conformer.SetPositions(rotation.apply(conformer.GetPositions()) + shift)
        ca, xyz = (rotation.apply(points) + shift for points in (receptor.residues.ca, receptor.atoms.xyz))
        moved = Receptor(
            replace(receptor.residues, ca=ca.astype(np.float32)),
            replace(receptor.atoms, xyz=xyz.astype(np.float32)),
            receptor.pocket,
        )
        yield replace(entry, receptor=moved)


def leave_one_out(library: Path, run: Path) -> tuple[dict[str, Record], str]:
    """Run the benchmark; return its records by target, and the summary."""
    summary = run_benchmark(LeaveOneOut(library), run, RunSettings())
    assert summary is not None
    return {record.id: record for record in load_run(run)}, to_markdown(summary)


def template_distances(library: Library) -> dict[str, float | None]:
    """Distance, Angstrom, from the best template's middle to the true ligand's, by target with a relative."""
    rule, settings = TemplateRule(exclude_same_ligand=True), PredictionSettings()
    found: dict[str, float | None] = {}
    for row, id in enumerate(library):
        entry = library.entry(row)
        target = target_of(entry)
        allowed = AllowedTemplates(target, library, rule)
        if not (allowed.rows & library.groups_equal([entry.group])).any():
            continue
        query = PreparedQuery(heavy(parse_smiles(entry.smiles)), 1, 1)
        frame = Frame.of(library, library.receptor(row))
        best = find_templates(query, library, allowed, settings, frame)[0]
        found[id] = float(np.linalg.norm(_middle(best.mol) - _middle(library.ligand(row))))
    return found


def _middle(mol: Mol) -> NDArray[np.float64]:
    middle: NDArray[np.float64] = positions(mol).mean(axis=0)
    return middle


def main() -> None:
    """Measure both."""
    shown = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=shown)
    parser.add_argument("complexes", type=Path)
    parser.add_argument("table", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with options.table.open() as lines, (folder / "index.csv").open("w") as index:
            index.write("id,group\n")
            index.writelines(f"{row['id']},{row['target']}\n" for row in csv.DictReader(lines))
        seconds = build(options.complexes, folder / "index.csv", folder / "own.templ")
        records, summary = leave_one_out(folder / "own.templ", folder / "own")
        with open_library(folder / "own.templ") as library:
            distances = template_distances(library)
        build(options.complexes, folder / "index.csv", folder / "shuffled.templ", shuffled=True)
        again, _ = leave_one_out(folder / "shuffled.templ", folder / "shuffled-run")
    first = {id: record.rmsd for id, record in records.items()}
    second = {id: record.rmsd for id, record in again.items()}
    gaps = {
        id: abs(rmsd - other)
        for id, rmsd in first.items()
        if rmsd is not None and (other := second[id]) is not None
    }
    by_target: defaultdict[str, list[bool]] = defaultdict(list)
    for record in records.values():
        by_target[record.group].append(record.rmsd is not None and record.rmsd <= 2)
    near = sum(distance is not None and distance <= NEAR for distance in distances.values())
    print(summary)
    print("by protein, within 2 A: ", {name: f"{sum(hits)}/{len(hits)}" for name, hits in by_target.items()})
    print(f"library built in {seconds:.1f} s")
    print(f"best template within {NEAR:g} A of the truth: {near} of {len(distances)}")
    changed = {id: round(gap, 3) for id, gap in gaps.items() if gap > SAME}
    print(f"frames shuffled: largest change {max(gaps.values()):.4f} A; over {SAME} A: {changed or 'none'}")
    result = {"rmsd": first, "shuffled": second, "template_distance": distances, "build_s": round(seconds, 2)}
    (HERE / "results" / "complexes.json").write_text(json.dumps(result, indent=0) + "\n")


if __name__ == "__main__":
    main()
