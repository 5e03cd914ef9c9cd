"""How long a run takes on a cluster, what it costs and what is lost, by the number of workers and the chunk.

    python benchmarks/cluster_simulation.py [--runs RUN...] [--targets 100000]

A simulation, not a run. CPU seconds of targets are drawn from those of real runs, of which
results/cluster_costs.json keeps the quantiles (`--runs` makes it anew). A worker starts after a time in the
queue, lives until its node fails or it is preempted, and starts again; its chunk is then done again, for what
a chunk has done comes back with its end. The client takes results one after the other. What is assumed, and
what was measured, are the constants below. Prints a table; numbers go to results/cluster_simulation.json.
"""

from __future__ import annotations

import argparse
import heapq
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).parent
COSTS = HERE / "results" / "cluster_costs.json"
CASES = ((1, 1), (10, 1), (100, 1), (1000, 1), (1000, 4))
"""Workers, and shards of the run with a client each, among which they are divided."""
CHUNKS_S = (2.0, 5.0, 10.0, 20.0, 40.0, 80.0, 300.0)
"""Seconds that a chunk is to take."""
AHEAD = 2
"""Chunks that each worker has: one it does, one that waits (`templ.engine.dask_executor`)."""
CLIENT_S = 0.008
"""Measured here: seconds of the client a target, most of them until record and poses are on the disk."""
CHUNK_START_S = 0.2
"""Seconds until a chunk's first target begins: 0.06 measured where tasks do nothing, the rest assumed."""
QUEUE_S, QUEUE_SPREAD = 60.0, 1.0
"""Assumed: median seconds until a worker starts, and the deviation of the logarithm (99 %: ten minutes)."""
LIFE_S = {"own nodes": 30 * 86400.0, "preemptible": 4 * 3600.0}
"""Assumed: mean seconds until a worker is gone by a fault of its node, or preempted."""
PRICE = {"own nodes": 0.04, "preemptible": 0.013}
"""Assumed: dollars a core and hour."""


@dataclass(frozen=True)
class Found:
    """What a simulated run took.

    Attributes
    ----------
    wall_s : float
        Until the last result is recorded.
    paid_h : float
        Hours of all workers together, from their start to the end of the run.
    lost_h : float
        Hours of chunks that were begun and not ended.
    busy : float
        Share of the hours paid in which targets were done that counted.
    client : float
        Share of the time in which the client was at work.
    """

    wall_s: float
    paid_h: float
    lost_h: float
    busy: float
    client: float


def costs_of(runs: list[Path]) -> dict[str, Any]:
    """Quantiles, by percent, of CPU seconds and private memory of the targets of runs."""
    records = [json.loads(line)["cost"] for run in runs for line in (run / "results.jsonl").open()]
    percents = np.arange(101)
    return {
        "targets": len(records),
        "mean_cpu_s": round(float(np.mean([cost["cpu_s"] for cost in records])), 3),
        "cpu_s": np.percentile([cost["cpu_s"] for cost in records], percents).round(3).tolist(),
        "private_mb": np.percentile([cost["uss_bytes"] / 1e6 for cost in records], percents)
        .round(1)
        .tolist(),
    }


def simulate(
    seconds: NDArray[np.float64], workers: int, chunk_s: float, life_s: float, seed: int = 1
) -> Found:
    """Do targets of these CPU seconds, in their order, in chunks that take about `chunk_s`."""
    generator = np.random.default_rng(seed)
    size = max(1, round(chunk_s / float(seconds.mean())))
    length = np.add.reduceat(seconds, np.arange(0, len(seconds), size)) + CHUNK_START_S
    waiting = list(range(len(length)))[::-1]
    up, gone, idle = np.zeros(workers), np.zeros(workers), list[int]()
    recorded: list[list[float]] = [[] for _ in range(workers)]
    doing: dict[int, tuple[int, float]] = {}  # of a worker: its chunk, and since when
    paid = lost = client_at = client_busy = 0.0
    left = len(length)

    def start(worker: int, now: float) -> None:
        up[worker] = now + generator.lognormal(np.log(QUEUE_S), QUEUE_SPREAD)
        gone[worker] = up[worker] + generator.exponential(life_s)

    for worker in range(workers):
        start(worker, 0.0)
    events = [(float(up[worker]), worker) for worker in range(workers)]
    heapq.heapify(events)
    while left:
        now, worker = heapq.heappop(events)
        ends = now >= gone[worker]
        if worker in doing:
            chunk, since = doing.pop(worker)
            if ends:
                lost += now - since
                waiting.append(chunk)
                if idle:
                    heapq.heappush(events, (now, idle.pop()))
            else:
                left -= 1
                taken = CLIENT_S * min(size, len(seconds) - size * chunk)
                client_at = max(client_at, now) + taken
                client_busy += taken
                recorded[worker] = [*recorded[worker][1 - AHEAD :], client_at]
        if ends:
            paid += gone[worker] - up[worker]
            start(worker, gone[worker])
            heapq.heappush(events, (max(now, float(up[worker])), worker))
        elif waiting:
            # What waits at the worker was sent when the chunk before its last one was recorded.
            begin = max(now, recorded[worker][0]) if len(recorded[worker]) == AHEAD else now
            chunk = waiting.pop()
            doing[worker] = chunk, begin
            stop = min(begin + float(length[chunk]), max(begin, float(gone[worker])))
            heapq.heappush(events, (stop, worker))
        else:
            idle.append(worker)
    paid += float(np.maximum(0, np.minimum(client_at, gone) - up).sum())
    return Found(client_at, paid / 3600, lost / 3600, float(seconds.sum()) / paid, client_busy / client_at)


def in_shards(
    seconds: NDArray[np.float64], workers: int, shards: int, chunk_s: float, life_s: float
) -> Found:
    """Do every so-manieth target in a run of its own, all at once."""
    all_of_them = [
        simulate(seconds[shard::shards], workers // shards, chunk_s, life_s, seed=1 + shard)
        for shard in range(shards)
    ]
    paid_h = sum(found.paid_h for found in all_of_them)
    return Found(
        max(found.wall_s for found in all_of_them),
        paid_h,
        sum(found.lost_h for found in all_of_them),
        float(seconds.sum()) / 3600 / paid_h,
        max(found.client for found in all_of_them),
    )


def main() -> None:
    """Simulate all; print a table."""
    shown = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=shown)
    parser.add_argument("--runs", type=Path, nargs="*", default=[])
    parser.add_argument("--targets", type=int, default=100_000)
    options = parser.parse_args()
    if options.runs:
        COSTS.write_text(json.dumps(costs_of(options.runs), indent=1) + "\n")
    costs = json.loads(COSTS.read_text())
    drawn = np.random.default_rng(1).uniform(0, 100, options.targets)
    seconds = np.interp(drawn, np.arange(101), costs["cpu_s"])
    rows = []
    for kind, life_s in LIFE_S.items():
        for workers, shards in CASES:
            for chunk_s in CHUNKS_S:
                found = in_shards(seconds, workers, shards, chunk_s, life_s)
                dollars = found.paid_h * PRICE[kind] * 1e6 / options.targets
                rows.append(
                    {"workers_live": kind, "workers": workers, "shards": shards, "chunk_s": chunk_s}
                    | {name: round(value, 3) for name, value in asdict(found).items()}
                    | {"dollars_a_million": round(dollars, 1)}
                )
    print("| " + " | ".join(rows[0]) + " |\n|" + " --- |" * len(rows[0]))
    for row in rows:
        print("| " + " | ".join(map(str, row.values())) + " |")
    result = {"targets": options.targets, "cpu_hours": round(float(seconds.sum()) / 3600, 1), "rows": rows}
    (HERE / "results" / "cluster_simulation.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
