"""What it costs on the CPU to replace a worker after every 25 targets.

    python benchmarks/recycling.py [--repeats 3]

The whole demo benchmark, workers replaced after 25 targets and never, in turn; CPU seconds of all processes
together as a cgroup (v1, needs root) counts them. Prints a table; numbers go to results/recycling.json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from statistics import median

HERE = Path(__file__).parent
GROUP = Path("/sys/fs/cgroup/cpuacct/templ_recycling")
NEVER = 10**6
RECYCLING = {"after 25": 25, "never": NEVER}


def cpu_seconds(recycle_after: int) -> float:
    """Run the demo; return the CPU seconds of all its processes."""
    GROUP.mkdir()
    try:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "templ", "benchmark", "run", "demo-mpro", "-o", f"{folder}/run"]
            command += ["--workers", "2", "--recycle-after", str(recycle_after)]
            subprocess.run(command, check=True, capture_output=True, preexec_fn=partial(_join, GROUP))
        return int((GROUP / "cpuacct.usage").read_text()) / 1e9
    finally:
        GROUP.rmdir()


def _join(group: Path) -> None:
    """Put the new process into the group, before it becomes the program."""
    (group / "cgroup.procs").write_text(str(os.getpid()))


def main() -> None:
    """Measure both in turn."""
    shown = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=shown)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    seconds: dict[str, list[float]] = {when: [] for when in RECYCLING}
    for _ in range(options.repeats):
        for when, after in RECYCLING.items():
            seconds[when].append(round(cpu_seconds(after), 2))
    middle = {when: median(found) for when, found in seconds.items()}
    lost = middle["after 25"] / middle["never"] - 1
    result = {"cpu_seconds": seconds, "lost": round(lost, 4)}
    (HERE / "results" / "recycling.json").write_text(json.dumps(result, indent=1) + "\n")
    print("| workers replaced | CPU seconds, median | all |\n| --- | --- | --- |")
    for when, found in seconds.items():
        print(f"| {when} | {middle[when]:.1f} | {', '.join(map(str, found))} |")
    print(f"\nLost to recycling: {lost:.1%}")


if __name__ == "__main__":
    main()
