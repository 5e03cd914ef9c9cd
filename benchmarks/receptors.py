"""Search of 20,000 receptors, and the plan of the whole PDBbind time split, on libraries made for it.

    python benchmarks/receptors.py ../shared/data/complexes ../shared/data/splits [--count 20000 --no-atoms]

The libraries are no real data: the complexes that are there, again and again, each copy with some residues
exchanged for others (0 to 60 % of them) and its coordinates blurred by 0.3 Angstrom; for the plan they carry
the 17,710 ids of the lists. Measured in processes of their own: seconds and CPU seconds a query, and private
memory (USS) that the search adds; seconds and peak resident memory of `templ benchmark run timesplit --split
all --dry-run`, begun and then resumed with half of the targets done. `--no-atoms` leaves the receptors'
atoms out, which no search reads (450,000 receptors are then 3 GB), and the plan too. Prints a table; numbers
go to results/receptors.json.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from templ.engine.probe import uss_bytes
from templ.library.build import build_library
from templ.library.format import DATA_FILES, RECEPTOR_FILES, Counts, describe_file, write_manifest
from templ.library.kmer_index import LETTERS
from templ.library.ligands import LigandWriter
from templ.library.receptors import ReceptorWriter
from templ.library.store import open_library
from templ.runs.record import Record
from templ.settings import PredictionSettings
from templ.sources.complexes import read_complexes
from templ.sources.ledger import Ledger
from templ.sources.split_lists import read_split_lists
from templ.templates.frame import Frame

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from templ.chemistry.receptor import Receptor

HERE = Path(__file__).parent
MOST_EXCHANGED = 0.6
BLUR = 0.3
"""Angstrom."""
QUERIES = 40


def perturb(receptor: Receptor, generator: np.random.Generator) -> Receptor:
    """Exchange some residues and blur the coordinates."""
    residues = receptor.residues
    letters = np.array(list(residues.sequence))
    exchanged = generator.random(len(letters)) < generator.uniform(0, MOST_EXCHANGED)
    letters[exchanged] = generator.choice(list(LETTERS), exchanged.sum())
    ca = residues.ca + generator.normal(0, BLUR, residues.ca.shape).astype(np.float32)
    return replace(receptor, residues=replace(residues, sequence="".join(letters), ca=ca))


def without_atoms(receptor: Receptor) -> Receptor:
    """Only the chains, by which a search goes."""
    none = receptor.atoms.only(np.zeros(len(receptor.atoms), np.bool_))
    return replace(receptor, atoms=none)


def repeat_complexes(source: Path, out: Path, ids: Iterable[str], *, atoms: bool = True) -> None:
    """Write a library with these ids, each a perturbed copy of a complex of the source."""
    generator = np.random.default_rng(1)
    out.mkdir()
    with open_library(source) as library:
        with LigandWriter(out) as ligands, ReceptorWriter(out) as receptors:
            known: dict[int, tuple[dict[str, Any], NDArray[np.uint64], Receptor]] = {}
            for number, id in enumerate(ids):
                row = number % len(library)
                if row not in known:
                    values, fingerprint, receptor, _ = library.row(row)
                    assert receptor is not None
                    known[row] = values, fingerprint, receptor if atoms else without_atoms(receptor)
                values, fingerprint, receptor = known[row]
                ligands.add(values | {"id": id}, fingerprint)
                receptors.add(perturb(receptor, generator))
        files = {name: describe_file(out / name) for name in (*DATA_FILES, *RECEPTOR_FILES)}
        counts = Counts(ligands=len(ligands), left_out=0)
        update = {"counts": counts, "files": files, "source_paths": ()}
        write_manifest(out, library.manifest.model_copy(update=update))


def search(library: Path) -> dict[str, Any]:
    """Search for the relatives of some receptors; say what one search takes."""
    with open_library(library) as opened:
        settings = PredictionSettings()
        before, peak, seconds, found = uss_bytes(), 0, [], []
        by_index, cpu = [], []
        for row in range(0, len(opened), len(opened) // QUERIES):
            residues, _ = opened.residues(row)
            begin = time.perf_counter()
            opened.related("".join(residues.sequences()), 200)
            by_index.append(time.perf_counter() - begin)
            frame = Frame.of(opened, opened.receptor(row))
            begin, used = time.perf_counter(), time.process_time()
            related = frame.related(opened, np.ones(len(opened), np.bool_), settings, 1.0)
            seconds.append(time.perf_counter() - begin)
            cpu.append(time.process_time() - used)
            found.append(int(related.sum()))
            peak = max(peak, uss_bytes())
            opened.release_pages()
    return {
        "receptors": _count(library),
        "queries": len(found),
        "index_median_s": round(median(by_index), 3),
        "index_most_s": round(max(by_index), 3),
        "median_s": round(median(seconds), 3),
        "most_s": round(max(seconds), 3),
        "cpu_median_s": round(median(cpu), 3),
        "load": round(os.getloadavg()[0], 1),
        "added_private_mb": round((peak - before) / 1e6, 1),
        "related_median": median(found),
    }


def _count(library: Path) -> int:
    with open_library(library) as opened:
        return len(opened)


def plan(library: Path, splits: Path, run: Path) -> dict[str, Any]:
    """Plan the whole split through the command line; say what that took."""
    command = [sys.executable, "-m", "templ", "benchmark", "run", "timesplit", "--split", "all", "--dry-run"]
    command += ["--library", str(library), "--splits", str(splits), "-o", str(run)]
    begin = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {
        "seconds": round(time.perf_counter() - begin, 2),
        "peak_resident_mb": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3, 1),
        "said": next(line for line in done.stderr.splitlines() if "of them done" in line),
    }


def main() -> None:
    """Measure both."""
    shown = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=shown)
    parser.add_argument("complexes", type=Path)
    parser.add_argument("splits", type=Path)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--no-atoms", action="store_true")
    parser.add_argument("--search", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.search:
        print(json.dumps(search(options.complexes)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ledger = Ledger()
        entries = read_complexes(options.complexes, ledger)
        build_library(folder / "small.templ", entries, ledger=ledger, complexes=True)
        many = (f"copy-{number}" for number in range(options.count))
        repeat_complexes(folder / "small.templ", folder / "many.templ", many, atoms=not options.no_atoms)
        again = [sys.executable, __file__, str(folder / "many.templ"), str(options.splits), "--search"]
        searched = json.loads(subprocess.run(again, capture_output=True, text=True, check=True).stdout)
        if options.no_atoms:
            store({f"search of {options.count}": searched})
            return
        listed = [id for ids in read_split_lists(options.splits).values() for id in ids]
        repeat_complexes(folder / "small.templ", folder / "pdbbind.templ", listed)
        planned = [plan(folder / "pdbbind.templ", options.splits, folder / "run")]
        with (folder / "run" / "results.jsonl").open("wb") as records:
            records.writelines(Record(2 * n, id, "refused").to_line() for n, id in enumerate(listed[::2]))
        planned.append(plan(folder / "pdbbind.templ", options.splits, folder / "run"))
    store({"search": searched, "plan": planned[0], "resumed": planned[1]})


def store(result: dict[str, dict[str, Any]]) -> None:
    """Keep and print what was measured."""
    path = HERE / "results" / "receptors.json"
    stored = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(stored | result, indent=1) + "\n")
    print("| what | value |\n| --- | --- |")
    for what, numbers in result.items():
        for name, value in numbers.items():
            print(f"| {what}: {name} | {value} |")


if __name__ == "__main__":
    main()
