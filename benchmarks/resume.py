"""Kill a run of the whole demo with SIGKILL at random moments, and compare it with one never killed.

::

    python benchmarks/resume.py [--kills 3] [--seed 1]

Also compares one worker with two. Prints a table and writes ``benchmarks/results/resume.json``; ends with
exit code 1 when any run differs.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from templ.runlog.journal import JOURNAL_NAME, read_records
from templ.runlog.poses import POSES_FOLDER

RESULTS = Path(__file__).parent / "results" / "resume.json"
WORKERS = 2


def command(run: Path, workers: int = WORKERS) -> list[str]:
    options = ["-o", str(run), "--workers", str(workers)]
    return [sys.executable, "-m", "templ", "benchmark", "run", "demo", *options]


def finish(run: Path, workers: int = WORKERS) -> float:
    """Run to the end; return the seconds that took."""
    began = time.perf_counter()
    ended = subprocess.run(command(run, workers), capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit(f"the run in {run} ended with exit code {ended.returncode}:\n{ended.stderr}")
    return time.perf_counter() - began


def recorded(run: Path) -> int:
    """Targets with a whole record."""
    journal = run / JOURNAL_NAME
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def kill_after(run: Path, records: int, pause_s: float) -> int:
    """Run until there are so many records and a little longer, then kill; return how many there are."""
    process = subprocess.Popen(command(run), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while recorded(run) < records and process.poll() is None:
        time.sleep(0.002)
    time.sleep(pause_s)
    process.kill()
    if process.wait() != -signal.SIGKILL:
        raise SystemExit(f"the run in {run} ended by itself before it could be killed")
    return recorded(run)


def records_of(run: Path) -> list[dict[str, Any]]:
    """The records in their order, without what they cost."""
    records = list(read_records(run / JOURNAL_NAME))
    for record in records:
        del record["cost"]
    return records


def poses_of(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (run / POSES_FOLDER).iterdir()}


def measure(folder: Path, kills: int, seed: int) -> dict[str, Any]:
    """Do the whole benchmark in a folder."""
    undisturbed, killed, alone = folder / "undisturbed", folder / "killed", folder / "alone"
    figures: dict[str, Any] = {"seed": seed, "undisturbed seconds": finish(undisturbed)}
    expected, expected_poses = records_of(undisturbed), poses_of(undisturbed)
    figures |= {"targets": len(expected), "pose bytes": sum(map(len, expected_poses.values()))}

    moments = random.Random(seed)
    # A kill comes some records after the one before it; the last few records are left to the final start.
    marks = sorted(moments.sample(range(1, len(expected) - 10), kills))
    figures["records at each kill"] = [kill_after(killed, mark, moments.uniform(0, 0.5)) for mark in marks]
    finish(killed)
    figures["one worker seconds"] = finish(alone, workers=1)
    for name, run in (("killed", killed), ("one worker", alone)):
        figures[f"{name}: equal records"] = records_of(run) == expected
        figures[f"{name}: equal pose files"] = poses_of(run) == expected_poses
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1, help="of the moments of the kills")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), arguments.kills, arguments.seed)
    for name, value in figures.items():
        print(f"{name:30} {value:.1f}" if isinstance(value, float) else f"{name:30} {value}")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    if not all(value for name, value in figures.items() if "equal" in name):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
