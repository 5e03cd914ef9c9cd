"""A million queries in one SDF: memory of the parent process, and how soon the first result is there.

    python benchmarks/queries.py [--queries 1000000] [--seconds 60] [--folder DIR]

Writes a plain SDF of the demo's ligands again and again under titles of their own (2.1 kB each; the file is
deleted afterwards), and predicts it with the demo library in a process of its own. Measured from its start to
the first record on disk, and so many seconds longer: the largest private memory (USS) of that process, looked
at each second, and records a second. Then it is stopped with SIGTERM, and the same is measured of the process
that goes on. Prints a table; numbers go to results/queries.json.
"""

from __future__ import annotations

import argparse
import gzip
import json
import signal
import subprocess
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import psutil

from templ.engine.probe import uss_bytes
from templ.library.build import build_library
from templ.runs.journal import JOURNAL_NAME
from templ.runs.run_folder import run_of
from templ.sources.demo import demo_files
from templ.sources.ledger import Ledger
from templ.sources.sdf import read_sdf

RESULTS = Path(__file__).parent / "results" / "queries.json"
PROGRAM = """
import sys
import templ
from templ.jobs.binding_site import BindingSite
library, queries, out = sys.argv[1:]
templ.predict_queries(queries, BindingSite(library), out, on_start=print)
"""
PATIENCE_S = 600.0


def write_queries(path: Path, count: int) -> None:
    """Write so many records: the demo's ligands again and again, each with a title of its own."""
    text = gzip.decompress(demo_files().ligands.read_bytes())
    bodies = [record.lstrip(b"\n").partition(b"\n") for record in text.split(b"$$$$\n") if record.strip()]
    with path.open("wb") as file:
        for number, (title, _, body) in enumerate(islice(cycle(bodies), count)):
            file.write(b"%s-%d\n%s$$$$\n" % (title.strip(), number, body))


def build_demo(path: Path) -> Path:
    """Build the library of the demo's ligands with their receptor."""
    demo, ledger = demo_files(), Ledger()
    build_library(path, read_sdf(demo.ligands, ledger), ledger=ledger, receptors={"": demo.receptor})
    return path


def recorded(journal: Path) -> int:
    """Count the records on disk."""
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def watch(command: list[str], journal: Path, seconds: float) -> dict[str, Any]:
    """Start, wait for a new record, go on for some seconds, stop; say what was seen."""
    before = recorded(journal)
    begin = looked = time.monotonic()
    first = most = most_before_first = cpu = 0.0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        while not first or time.monotonic() < begin + first + seconds:
            if process.poll() is not None:
                raise SystemExit(f"the run ended by itself with exit code {process.returncode}")
            if not first and time.monotonic() > begin + PATIENCE_S:
                raise SystemExit(f"no record after {PATIENCE_S:g} s")
            if not first and recorded(journal) > before:
                first, most_before_first = time.monotonic() - begin, most
                cpu = sum(psutil.Process(process.pid).cpu_times()[:2])
            if time.monotonic() - looked >= 1:
                looked = time.monotonic()
                most = max(most, uss_bytes(process.pid))
            time.sleep(0.05)
        stopped = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    finally:
        process.kill()
        process.wait()
    return {
        "first_record_s": round(first, 1),
        "cpu_s_of_the_parent_until_then": round(cpu, 1),
        "parent_mb": round(most / 1e6, 1),
        "parent_mb_before_the_first_record": round(most_before_first / 1e6, 1),
        "records": recorded(journal) - before,
        "records_a_second": round((recorded(journal) - before - 1) / seconds, 2),
        "stopped_after_s": round(time.monotonic() - stopped, 1),
    }


def main() -> None:
    """Measure a start and a restart."""
    shown = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=shown)
    parser.add_argument("--queries", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--folder", type=Path, help="where the files lie meanwhile")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        queries, out = folder / "queries.sdf", folder / "poses.sdf"
        write_queries(queries, options.queries)
        library = build_demo(folder / "demo.templ")
        command = [sys.executable, "-c", PROGRAM, *map(str, (library, queries, out))]
        size = queries.stat().st_size
        found = {
            what: watch(command, run_of(out) / JOURNAL_NAME, options.seconds) for what in ("start", "restart")
        }
    result = {"queries": options.queries, "file_mb": round(size / 1e6, 1), **found}
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    print(
        f"{options.queries} queries, {size / 1e9:.2f} GB\n\n| what | start | restart |\n| --- | --- | --- |"
    )
    for what in found["start"]:
        print(f"| {what} | {found['start'][what]} | {found['restart'][what]} |")


if __name__ == "__main__":
    main()
