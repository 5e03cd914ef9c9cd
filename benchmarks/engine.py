"""What the engine itself costs: tasks that do nothing, each result on disk before it counts.

python benchmarks/engine.py [--tasks 10000] [--workers 2]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))


from templ.engine.executor import Work
from templ.engine.local import Limits, LocalExecutor
from templ.engine.probe import uss_bytes
from templ.runs.journal import Journal
from templ.runs.record import Record


def main() -> None:
    """Run and print a table; the numbers also go to results/engine.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    limits = Limits(4 * 2**30, options.workers, all_at_once=True)
    with tempfile.TemporaryDirectory() as folder, Journal.open(Path(folder) / "results.jsonl") as journal:
        before = uss_bytes()
        begin, first = time.perf_counter(), 0.0
        tasks = (str(number) for number in range(options.tasks))
        work = Work("works:nothing", {}, ("works",))
        for number, result in enumerate(LocalExecutor(limits).run(work, tasks)):
            journal.append(Record(number, result.task, "refused", result.kind))
            first = first or time.perf_counter() - begin
        seconds = time.perf_counter() - begin
        grown = uss_bytes() - before
    row = {
        "tasks": options.tasks,
        "workers": options.workers,
        "ms_a_task": round(1000 * seconds / options.tasks, 3),
        "first_result_ms": round(1000 * first, 1),
        "parent_grown_mb": round(grown / 1e6, 2),
        "workers_started": -(-options.tasks // limits.recycle_after),
    }
    print("| " + " | ".join(row) + " |\n|" + " --- |" * len(row))
    print("| " + " | ".join(str(value) for value in row.values()) + " |")
    (Path(__file__).parent / "results").mkdir(exist_ok=True)
    (Path(__file__).parent / "results" / "engine.json").write_text(json.dumps(row, indent=1) + "\n")


if __name__ == "__main__":
    main()
