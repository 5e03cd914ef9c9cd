"""Growing numbers of targets, and whether the memory of a worker or of the parent grows with them.

    python benchmarks/stress.py QUERIES.csv.gz [--real 10,100,1000] [--cheap 10000]

Real targets are predictions of the queries from the demo library by workers that are never replaced; cheap
ones do nothing and write a record each. Drift is the median of the last tenth of the results minus that of
the second tenth (the first warms up). Prints a table; the numbers and the course go to results/stress.json.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from templ.engine.executor import Work
from templ.engine.local import Limits, LocalExecutor
from templ.engine.probe import uss_bytes
from templ.jobs.query import FUNCTION, PRELOAD
from templ.library.build import build_library
from templ.runs.identity import software_here
from templ.runs.journal import Journal
from templ.runs.record import Record
from templ.settings import PredictionSettings
from templ.sources.demo import demo_files
from templ.sources.ledger import Ledger
from templ.sources.queries import QueryReference
from templ.sources.sdf import read_sdf
from templ.templates.rule import TemplateRule

if TYPE_CHECKING:
    from collections.abc import Iterable

NEVER = 10**9
WORKERS = 2


def real_work(folder: Path) -> Work:
    """Predictions from a library of the demo ligands, with their receptor."""
    library, demo, ledger = folder / "demo.templ", demo_files(), Ledger()
    if not library.exists():
        build_library(library, read_sdf(demo.ligands, ledger), ledger=ledger, receptors={"": demo.receptor})
    context = {
        "library": str(library),
        "receptors": [str(demo.receptor)],
        "group": "",
        "rule": TemplateRule().to_json(),
        "site": None,
        "embeddings": [],
        "software": software_here(),
        "settings": PredictionSettings().model_dump(mode="json"),
    }
    return Work(FUNCTION, context, PRELOAD)


def stress(name: str, work: Work, tasks: Iterable[str], folder: Path) -> dict[str, Any]:
    """Run the tasks, a record each; follow the memory of the worker of every result and of this process."""
    workers: list[int] = []
    parent: list[int] = []
    kinds = dict.fromkeys(("done", "other"), 0)
    limits = Limits(8 * 2**30, WORKERS, all_at_once=True, recycle_after=NEVER)
    begin = time.perf_counter()
    with Journal.open(folder / f"{name}.jsonl") as journal:
        for number, result in enumerate(LocalExecutor(limits).run(work, tasks)):
            journal.append(Record(number, str(number), "refused", result.kind))
            kinds["done" if result.kind == "done" else "other"] += 1
            workers.append(result.uss_bytes)
            if len(workers) % 10 == 0:
                parent.append(uss_bytes())
    return {
        "targets": len(workers),
        "what": name,
        **kinds,
        "seconds": round(time.perf_counter() - begin, 1),
        "worker_peak_mb": round(max(workers) / 1e6, 1),
        "worker_drift_mb": drift(workers),
        "parent_drift_mb": drift(parent),
        "worker_mb": [round(held / 1e6, 1) for held in workers[:: max(1, len(workers) // 500)]],
    }


def drift(held: list[int]) -> float | None:
    """Median of the last tenth minus that of the second, MB."""
    tenth = len(held) // 10
    if not tenth:
        return None
    return round((median(held[-tenth:]) - median(held[tenth : 2 * tenth])) / 1e6, 2)


def main() -> None:
    """Measure all numbers of targets."""
    shown = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=shown)
    parser.add_argument("queries", type=Path)
    parser.add_argument("--real", default="10,100,1000")
    parser.add_argument("--cheap", default="10000")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for count in map(int, options.real.split(",")):
            with gzip.open(options.queries, "rt") as lines:
                rows_read = islice(csv.DictReader(lines), count)
                tasks = [
                    QueryReference(n, str(n), row["smiles"], str(options.queries)).to_json()
                    for n, row in enumerate(rows_read)
                ]
            rows.append(stress(f"real {count}", real_work(folder), tasks, folder))
            print(rows[-1] | {"worker_mb": "..."}, file=sys.stderr)
        cheap = Work("works:nothing", {}, ("works",))
        rows += [
            stress(f"cheap {count}", cheap, map(str, range(count)), folder)
            for count in map(int, options.cheap.split(","))
        ]
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / "stress.json").write_text(json.dumps(rows) + "\n")
    names = [name for name in rows[0] if name != "worker_mb"]
    print("| " + " | ".join(names) + " |\n|" + " --- |" * len(names))
    for row in rows:
        print("| " + " | ".join(str(row[name]) for name in names) + " |")


if __name__ == "__main__":
    main()
