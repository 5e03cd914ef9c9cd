"""The original way (every worker loads the whole library) beside ours: memory, speed, and where it dies.

    python benchmarks/memory_original_vs_mapped.py LIBRARY.templ [--sizes 1000,10000,40000,160000]
        [--mapped-sizes 1000000] [--targets 40] [--limit 1.5GiB] [--limited-targets 500]

Both ways predict the same targets with the same two workers and the same code; only where the molecules come
from differs. LIBRARY is the one that `benchmarks/library.py --out DIR` leaves; larger ones repeat its ligands
under new ids. With `--limit` (root, cgroup v1) both run once more on LIBRARY itself in a memory group of that
size, beside a neighbour that takes and returns 300 MB again and again; ours has the governor's defaults.
Prints a table (`worker_mb`: the most a worker held, `after_mb`: the median after a target); numbers and plot
go to benchmarks/results/.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from repeat import repeat_library

from templ.cli.options import parse_memory
from templ.engine import probe
from templ.engine.executor import Work
from templ.engine.local import Limits, LocalExecutor, choose_limits
from templ.jobs.query import PRELOAD as QUERY_PRELOAD
from templ.library.store import open_library
from templ.settings import RunSettings

LOADING = ("original", "mapped")
WORKERS = 2
PRELOAD = ("works", *QUERY_PRELOAD)


NEIGHBOUR = """
import time
while True:
    for megabytes in (300, 1):
        held = bytearray(megabytes * 1_000_000)
        time.sleep(3)
"""


def measure(loading: str, library: Path, targets: int, *, governed: bool) -> dict[str, Any]:
    """Run the targets and say what that took."""
    with open_library(library) as opened:
        step = max(1, 1000 // targets)
        ids = list(islice(opened, 0, step * targets, step))
    tree = worker = 0
    after: list[int] = []

    def look(sample: dict[str, Any]) -> None:
        nonlocal tree, worker
        tree, worker = max(tree, sample["tree"]), max([worker, *sample["workers"]])

    # By itself: a budget so large that the governor never acts, and each way takes what it takes.
    alone = Limits(probe.memory_limit() * 10, WORKERS, all_at_once=True)
    limits = choose_limits(RunSettings()) if governed else alone
    begin, first = time.perf_counter(), 0.0
    done = lost = 0
    work = Work(f"works:{loading}", {"library": str(library)}, PRELOAD)
    for result in LocalExecutor(limits).run(work, ids, look):
        first = first or time.perf_counter() - begin
        done += result.kind == "done"
        lost += result.kind != "done"
        worker = max(worker, result.uss_bytes)
        after.append(result.uss_bytes)
    seconds = time.perf_counter() - begin
    return {
        "loading": loading,
        "entries": _entries(library),
        "worker_mb": round(worker / 1e6, 1),
        "after_mb": round(median(after) / 1e6, 1),
        "all_mb": round(tree / 1e6, 1),
        "first_result_s": round(first, 2),
        "targets_a_second": round((len(ids) - 1) / (seconds - first), 2),
        "done": done,
        "lost": lost,
    }


def _entries(library: Path) -> int:
    with open_library(library) as opened:
        return len(opened)


def in_a_process(loading: str, library: Path, targets: int, group: Path | None = None) -> dict[str, Any]:
    """Measure in a process of its own, in a memory group if one is given; say how it died if it did."""
    command = [sys.executable, __file__, str(library), "--one", loading, "--targets", str(targets)]
    if group is not None and loading == "mapped":
        command.append("--governed")
    join = partial(_join, group) if group else None
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=join, check=False)
    if done.returncode == 0:
        return dict(json.loads(done.stdout.splitlines()[-1]))
    reason = (done.stderr.strip().splitlines() or [""])[-1]
    return {
        "loading": loading,
        "entries": _entries(library),
        "died": f"exit code {done.returncode} {reason}"[:120],
    }


def _join(group: Path) -> None:
    """Put the new process into the memory group, before it becomes the program."""
    (group / "cgroup.procs").write_text(str(os.getpid()))


def under_a_limit(library: Path, targets: int, limit: int) -> list[dict[str, Any]]:
    """Both ways in a cgroup v1 memory group of `limit` bytes, beside a neighbour that breathes."""
    rows = []
    for loading in LOADING:
        group = Path("/sys/fs/cgroup/memory/templ_benchmark")
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(limit))
        neighbour = subprocess.Popen([sys.executable, "-c", NEIGHBOUR], preexec_fn=partial(_join, group))
        try:
            row = in_a_process(loading, library, targets, group)
            killed = (group / "memory.oom_control").read_text().split("oom_kill ")[-1].split()[0]
            rows.append(row | {"limit_mb": round(limit / 1e6), "kernel_kills": int(killed)})
        finally:
            neighbour.kill()
            neighbour.wait()
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
    for loading in LOADING:
        points = [
            (row["entries"], row["worker_mb"])
            for row in rows
            if row["loading"] == loading and "worker_mb" in row
        ]
        axes.loglog(*zip(*points, strict=True), marker="o", label=loading)
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
    parser.add_argument("--mapped-sizes", default="1000000")
    parser.add_argument("--targets", type=int, default=40)
    parser.add_argument("--limit", default=None)
    parser.add_argument("--limited-targets", type=int, default=500)
    parser.add_argument("--one", choices=LOADING, help=argparse.SUPPRESS)
    parser.add_argument("--governed", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        governed = options.governed
        print(json.dumps(measure(options.one, options.library, options.targets, governed=governed)))
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        sizes: list[tuple[int, tuple[str, ...]]] = [(int(size), LOADING) for size in options.sizes.split(",")]
        sizes += [(int(size), ("mapped",)) for size in options.mapped_sizes.split(",") if size]
        for size, kinds in sizes:
            library = Path(folder) / f"{size}.templ"
            repeat_library(options.library, library, size)
            for loading in kinds:
                rows.append(in_a_process(loading, library, options.targets))
                print(rows[-1], file=sys.stderr)
    limit = parse_memory(options.limit)
    limited = under_a_limit(options.library, options.limited_targets, limit) if limit else []
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    name = "memory_original_vs_mapped"
    (results / f"{name}.json").write_text(json.dumps({"sizes": rows, "limited": limited}, indent=1) + "\n")
    print(table(rows))
    if limited:
        print("\n" + table(limited))
    plot(rows, results.parents[1] / "docs" / "pictures" / f"{name}.png")


if __name__ == "__main__":
    main()
