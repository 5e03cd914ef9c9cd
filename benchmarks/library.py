"""Measure a library of the ligands of the PDB's component dictionary (about 43,300 of them).

The dictionary comes from the wheel of biotite, which TEMPL does not depend on. Run it from an environment
that has both::

    python -m pip install -e . biotite==1.6.0
    python benchmarks/library.py [--limit N] [--out DIR]

Non-polymers of at least two heavy atoms with model coordinates for every atom are written to an SDF file
by a process of its own; the build that is measured reads that file. Memory is what Linux calls private
(USS). Prints a table and writes ``benchmarks/results/library.json``.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np
from rdkit import Chem
from rdkit.Geometry import Point3D

from templ.library.build import build_library
from templ.library.store import Library, open_library
from templ.sources.ledger import Ledger
from templ.sources.sdf import read_sdf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

P = ParamSpec("P")
R = TypeVar("R")

RESULTS = Path(__file__).parent / "results" / "library.json"
BONDS = {"SING": Chem.BondType.SINGLE, "DOUB": Chem.BondType.DOUBLE, "TRIP": Chem.BondType.TRIPLE}
SAMPLE = 1000
SAMPLING_SECONDS = 0.05


def private_mb() -> float:
    """Private memory of this process in MB: pages that no other process has mapped."""
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="utf-8").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


def read_components() -> Iterator[Chem.Mol]:
    """Yield the dictionary's ligands, hydrogens included, not sanitised."""
    from biotite.structure.info import get_ccd  # an optional tool

    dictionary = get_ccd()
    atoms, bonds, components = (dictionary[f"chem_comp{part}"] for part in ("_atom", "_bond", ""))
    kinds = dict(zip(components["id"].as_array(str), components["type"].as_array(str), strict=True))
    element = atoms["type_symbol"].as_array(str)
    atom_name = atoms["atom_id"].as_array(str)
    charge = atoms["charge"].as_array(int)
    xyz = np.stack([atoms[f"model_Cartn_{axis}"].as_array(float, masked_value=np.nan) for axis in "xyz"], 1)
    begin, end = bonds["atom_id_1"].as_array(str), bonds["atom_id_2"].as_array(str)
    order = bonds["value_order"].as_array(str)
    bond_spans = dict(spans(bonds["comp_id"].as_array(str)))

    for name, span in spans(atoms["comp_id"].as_array(str)):
        heavy_atoms = np.count_nonzero(~np.isin(element[span], ["H", "D"]))
        if kinds[name].lower() != "non-polymer" or heavy_atoms < 2 or not np.isfinite(xyz[span]).all():
            continue
        mol = Chem.RWMol()
        conformer = Chem.Conformer(span.stop - span.start)
        number_of = {}
        for index in range(span.start, span.stop):
            atom = Chem.Atom("H" if element[index] == "D" else element[index].capitalize())
            atom.SetFormalCharge(int(charge[index]))
            atom.SetNoImplicit(True)
            number_of[atom_name[index]] = number = mol.AddAtom(atom)
            conformer.SetAtomPosition(number, Point3D(*xyz[index]))
        bond_span = bond_spans.get(name, slice(0, 0))
        for first, second, kind in zip(begin[bond_span], end[bond_span], order[bond_span], strict=True):
            mol.AddBond(number_of[first], number_of[second], BONDS[kind])
        mol.AddConformer(conformer)
        mol.SetProp("_Name", name)
        yield mol


def spans(names: np.ndarray[Any, Any]) -> Iterator[tuple[str, slice]]:
    """Yield every run of equal names with its position."""
    starts = np.flatnonzero(np.r_[True, names[1:] != names[:-1]])
    for start, stop in zip(starts, [*starts[1:], len(names)], strict=True):
        yield str(names[start]), slice(int(start), int(stop))


def convert(sdf: Path, limit: int | None) -> int:
    """Write the components to an SDF file."""
    written = 0
    with Chem.SDWriter(str(sdf)) as writer:
        writer.SetKekulize(False)
        for mol in read_components():
            if written == limit:
                break
            writer.write(mol)
            written += 1
    return written


def build(sdf: Path, out: Path) -> dict[str, Any]:
    """Build the library while a thread watches the private memory."""
    peak = before = private_mb()
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(SAMPLING_SECONDS):
            peak = max(peak, private_mb())

    watcher = threading.Thread(target=watch)
    watcher.start()
    ledger = Ledger()
    start = time.perf_counter()
    manifest = build_library(out, read_sdf(sdf, ledger), ledger=ledger, sources=[sdf.name])
    seconds = time.perf_counter() - start
    done.set()
    watcher.join()
    return {
        "ligands": manifest.counts.ligands,
        "left out": dict(ledger.counts),
        "build seconds": seconds,
        "builder private MB before": before,
        "builder private MB peak": peak,
    }


def read_randomly(out: Path) -> float:
    """Open the library in this process and read random molecules; return what that added, in MB."""
    before = private_mb()
    library = open_library(out)
    for row in np.random.default_rng(1).choice(len(library), min(SAMPLE, len(library)), replace=False):
        library.ligand(int(row))
    return private_mb() - before


def time_reading(library: Library) -> dict[str, float]:
    """Time look-up with rebuild, and neighbours, over random ids; then touch every row."""
    ids = list(library)
    random = np.random.default_rng(2)
    gets = [seconds(partial(library.get, id)) for id in random.choice(ids, min(SAMPLE, len(ids)))]
    queries = [library.get(id) for id in random.choice(ids, 20)]
    nearest = [seconds(partial(library.nearest, mol)) for mol in queries]
    for row in range(len(library)):
        library.ligand(row)
    return {
        "get median us": float(np.median(gets)) * 1e6,
        "get 95 % us": float(np.quantile(gets, 0.95)) * 1e6,
        "nearest median ms": float(np.median(nearest)) * 1e3,
    }


def seconds(action: Callable[[], object]) -> float:
    """Wall time of a call."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def in_new_process(function: Callable[P, R], *arguments: P.args, **options: P.kwargs) -> R:
    """Call a function in a process that shares nothing with this one."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments, **options).result()


def measure(folder: Path, limit: int | None) -> dict[str, Any]:
    """Do the whole benchmark in a folder."""
    sdf, out = folder / "components.sdf", folder / "components.templ"
    start = time.perf_counter()
    components = in_new_process(convert, sdf, limit)
    figures: dict[str, Any] = {"components": components, "convert seconds": time.perf_counter() - start}
    shutil.rmtree(out, ignore_errors=True)
    figures |= in_new_process(build, sdf, out)
    figures["size MB"] = sum(file.stat().st_size for file in out.rglob("*") if file.is_file()) / 2**20
    figures["open median ms"] = (
        float(np.median([seconds(lambda: open_library(out)) for _ in range(20)])) * 1e3
    )
    with open_library(out) as library:
        figures |= time_reading(library)
        # Every page is mapped here too, as in a run with several workers: only what is private counts.
        figures["second process, private MB added"] = in_new_process(read_randomly, out)
    figures["only process, private MB added"] = in_new_process(read_randomly, out)
    figures["verify seconds"] = seconds(lambda: open_library(out).verify())
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--limit", type=int, help="only the first N components")
    parser.add_argument("--out", type=Path, help="keep the SDF file and the library in this folder")
    arguments = parser.parse_args()
    if find_spec("biotite") is None:
        parser.exit(2, "biotite has the component dictionary: python -m pip install biotite==1.6.0\n")
    if arguments.out is not None:
        arguments.out.mkdir(parents=True, exist_ok=True)
        figures = measure(arguments.out, arguments.limit)
    else:
        with tempfile.TemporaryDirectory() as folder:
            figures = measure(Path(folder), arguments.limit)
    for name, value in figures.items():
        print(f"{name:35} {value:.2f}" if isinstance(value, float) else f"{name:35} {value}")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
