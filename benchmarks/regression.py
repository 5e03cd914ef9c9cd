"""Compare the Polaris and demo benchmarks with the stored result: a change by more than noise fails.

    python benchmarks/regression.py ../shared/data/polaris [--store]

Runs both (about two minutes on two cores), prints success within 2 A then and now, and the targets that
changed sides. Fails (exit code 1) when a one-sided sign test over those says that the new result is worse
(p < 0.05). `--store` writes the present result as the one to compare with.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from math import comb
from pathlib import Path
from typing import TYPE_CHECKING

from templ.benchmark.builtin import MproBenchmark, PolarisBenchmark
from templ.benchmark.runner import run_benchmark
from templ.evaluation.run import load_run

if TYPE_CHECKING:
    from templ.benchmark.definition import BenchmarkSource

STORED = Path(__file__).parent / "results" / "regression.json"
WITHIN = 2.0


def run(source: BenchmarkSource, folder: Path) -> dict[str, float | None]:
    """First-pose RMSD of each target, Angstrom; None without a pose."""
    run_benchmark(source, folder)
    return {record.id: record.rmsd for record in load_run(folder)}


def good(rmsd: float | None) -> bool:
    """Tell whether that is a success."""
    return rmsd is not None and rmsd <= WITHIN


def sign_test(lost: int, won: int) -> float:
    """Chance of losing at least so many of the targets that changed sides if both ways were as likely.

    Examples
    --------
    >>> sign_test(0, 3)
    1.0
    >>> sign_test(5, 0)
    0.03125
    """
    changed = lost + won
    return sum(comb(changed, k) for k in range(lost, changed + 1)) / float(2**changed)


def main() -> None:
    """Run, compare, and fail if it got worse."""
    shown = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=shown)
    parser.add_argument("polaris", type=Path)
    parser.add_argument("--store", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        now = {
            "polaris": run(PolarisBenchmark(options.polaris), folder / "polaris"),
            "demo-mpro": run(MproBenchmark(), folder / "demo"),
        }
    before = json.loads(STORED.read_text())
    if options.store:
        STORED.write_text(json.dumps(now, indent=0) + "\n")
    worse = False
    for benchmark, rmsds in now.items():
        old = before[benchmark]
        lost = [id for id in rmsds if good(old.get(id)) and not good(rmsds[id])]
        won = [id for id in rmsds if good(rmsds[id]) and not good(old.get(id))]
        chance = sign_test(len(lost), len(won))
        worse |= chance < 0.05
        counts = [sum(map(good, result.values())) for result in (old, rmsds)]
        print(
            f"{benchmark}: {counts[0]} -> {counts[1]} of {len(rmsds)} within {WITHIN:g} A, p = {chance:.3f}"
        )
        print(f"  lost: {', '.join(lost) or 'none'}\n  won: {', '.join(won) or 'none'}")
    sys.exit(1 if worse else 0)


if __name__ == "__main__":
    main()
