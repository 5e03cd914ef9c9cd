"""The original way (every worker loads the whole library) beside ours: memory, speed, and where it dies.

    python benchmarks/memory_original_vs_mapped.py LIBRARY.templ [--sizes 1000,10000,40000,160000]
                                                   [--targets 40] [--limit 1.5GiB]

Both ways predict the same targets with the same two workers and the same code; only where the molecules come
from differs. LIBRARY is the one that `benchmarks/library.py --out DIR` leaves; larger ones repeat its ligands
under new ids. With `--limit` (root, cgroup v1) both run once more on the largest library in a memory group of
that size. Prints a table; numbers and plot go to benchmarks/results/.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from repeat import repeat_library

from templ.cli.options import parse_memory
from templ.engine import probe
from templ.engine.local import Limits, run_tasks
from templ.engine.pool import Work
from templ.library.store import open_library

WAYS = ("original", "mapped")
WORKERS = 2
PRELOAD = (
    "works",
    "templ.posing.finish",
    "templ.scoring.ranking",
    "templ.selection.policy",
    "templ.selection.screen",
)


def measure(way: str, library: Path, targets: int) -> dict[str, Any]:
    """Run the targets and say what that took."""
    with open_library(library) as opened:
        step = max(1, 1000 // targets)
        ids = [id for number, id in zip(range(1000), opened, strict=False) if number % step == 0][:targets]
    tree = worker = 0

    def look(sample: dict[str, Any]) -> None:
        nonlocal tree, worker
        tree, worker = max(tree, sample["tree"]), max([worker, *sample["workers"]])

    limits = Limits(
        probe.memory_limit() * 10, WORKERS, all_at_once=True
    )  # no governor: what it takes, it takes
    begin, first = time.perf_counter(), 0.0
    done = lost = 0
    for result in run_tasks(Work(f"works:{way}", {"library": str(library)}, PRELOAD), ids, limits, look):
        first = first or time.perf_counter() - begin
        done += result.kind == "done"
        lost += result.kind != "done"
        worker = max(worker, result.uss_bytes)
    seconds = time.perf_counter() - begin
    return {
        "way": way,
        "entries": len(ids) and _entries(library),
        "worker_mb": round(worker / 1e6, 1),
        "all_mb": round(tree / 1e6, 1),
        "first_result_s": round(first, 2),
        "targets_a_second": round((len(ids) - 1) / (seconds - first), 2),
        "done": done,
        "lost": lost,
    }


def _entries(library: Path) -> int:
    with open_library(library) as opened:
        return len(opened)


def in_a_process(way: str, library: Path, targets: int, group: Path | None = None) -> dict[str, Any]:
    """Measure in a process of its own, in a memory group if one is given; say how it died if it did."""
    command = [sys.executable, __file__, str(library), "--one", way, "--targets", str(targets)]
    join = (lambda: (group / "cgroup.procs").write_text(str(os.getpid())) and None) if group else None
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=join, check=False)
    if done.returncode == 0:
        return dict(json.loads(done.stdout.splitlines()[-1]))
    reason = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
    return {"way": way, "entries": _entries(library), "died": reason[0]}


def under_a_limit(library: Path, targets: int, limit: int) -> list[dict[str, Any]]:
    """Both ways in a cgroup v1 memory group of `limit` bytes."""
    rows = []
    for way in WAYS:
        group = Path("/sys/fs/cgroup/memory/templ_benchmark")
        group.mkdir()
        try:
            (group / "memory.limit_in_bytes").write_text(str(limit))
            row = in_a_process(way, library, targets, group)
            killed = (group / "memory.oom_control").read_text().split("oom_kill ")[-1].split()[0]
            rows.append(row | {"limit_mb": round(limit / 1e6), "kernel_kills": int(killed)})
        finally:
            group.rmdir()
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Rows as Markdown; not every row has every column."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [names, ["---"] * len(names), *([str(row.get(name, "")) for name in names] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Memory of a worker over library size, both ways."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    for way in WAYS:
        points = [
            (row["entries"], row["worker_mb"]) for row in rows if row["way"] == way and "worker_mb" in row
        ]
        axes.loglog(*zip(*points, strict=True), marker="o", label=way)
    axes.set(xlabel="library entries", ylabel="private memory of a worker (MB)")
    axes.legend()
    figure.savefig(path, dpi=150)


def main() -> None:
    """Measure all sizes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("library", type=Path)
    parser.add_argument("--sizes", default="1000,10000,40000,160000")
    parser.add_argument("--targets", type=int, default=40)
    parser.add_argument("--limit", default=None)
    parser.add_argument("--one", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one, options.library, options.targets)))
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for size in map(int, options.sizes.split(",")):
            library = Path(folder) / f"{size}.templ"
            repeat_library(options.library, library, size)
            for way in WAYS:
                rows.append(in_a_process(way, library, options.targets))
                print(rows[-1], file=sys.stderr)
        limited = (
            under_a_limit(library, options.targets, parse_memory(options.limit) or 0) if options.limit else []
        )
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    name = "memory_original_vs_mapped"
    (results / f"{name}.json").write_text(json.dumps({"sizes": rows, "limited": limited}, indent=1) + "\n")
    print(table(rows))
    if limited:
        print("\n" + table(limited))
    plot(rows, results / f"{name}.png")


if __name__ == "__main__":
    main()
