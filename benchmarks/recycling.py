"""What replacing workers costs: CPU time of whole demo runs that do it after 25 targets, and that never do.

    python benchmarks/recycling.py [--runs 3]

CPU time is that of every process of the run, from a cgroup v1 of its own (needs root).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

GROUP = Path("/sys/fs/cgroup/cpuacct/templ_recycling")


def _join() -> None:
    (GROUP / "cgroup.procs").write_text(str(os.getpid()))


def cpu_seconds(recycle_after: int) -> float:
    """CPU seconds of one demo run."""
    GROUP.mkdir()
    try:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "templ", "benchmark", "run", "demo", "-o", f"{folder}/run"]
            command += ["--recycle-after", str(recycle_after)]
            subprocess.run(command, check=True, capture_output=True, preexec_fn=_join)
        return int((GROUP / "cpuacct.usage").read_text()) / 1e9
    finally:
        GROUP.rmdir()


def main() -> None:
    """Run the two in turn and print the ratio of each pair."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    pairs = [(cpu_seconds(25), cpu_seconds(10**6)) for _ in range(options.runs)]
    row = {
        "recycled after 25, CPU s": round(median(pair[0] for pair in pairs), 2),
        "never recycled, CPU s": round(median(pair[1] for pair in pairs), 2),
        "ratio, median of pairs": round(median(one / other for one, other in pairs), 3),
        "runs": options.runs,
    }
    print("| " + " | ".join(row) + " |\n|" + " --- |" * len(row))
    print("| " + " | ".join(map(str, row.values())) + " |")
    (Path(__file__).parent / "results" / "recycling.json").write_text(json.dumps(row, indent=1) + "\n")


if __name__ == "__main__":
    main()
