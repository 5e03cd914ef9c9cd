"""Kill a run with SIGKILL at random moments, and compare it with one never killed.

::

    python benchmarks/resume.py [--queries 80] [--kills 3] [--seed 1]

The run is the whole demo benchmark; with ``--queries`` it is `templ predict` for so many queries in one SDF.
Also compares one worker with two. Prints a table and writes ``benchmarks/results/resume.json`` (or
``resume_queries.json``); ends with exit code 1 when any run differs.
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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from queries import build_demo, write_queries

from templ.evaluation.run import load_run
from templ.runs.journal import JOURNAL_NAME
from templ.runs.pose_shards import POSES_FOLDER
from templ.runs.record import Cost
from templ.runs.run_folder import run_of

if TYPE_CHECKING:
    from templ.runs.record import Record

RESULTS = Path(__file__).parent / "results"
WORKERS = 2


@dataclass(frozen=True, slots=True)
class Program:
    """A run as the command line starts it: the command, where its results go, and the folder of the run."""

    words: tuple[str, ...]
    out: Path

    @property
    def run(self) -> Path:
        """Folder of the run."""
        return run_of(self.out) if self.out.suffix == ".sdf" else self.out

    def command(self, workers: int = WORKERS) -> list[str]:
        """Arguments of the process."""
        options = ["-o", str(self.out), "--workers", str(workers)]
        return [sys.executable, "-m", "templ", *self.words, *options]

    def finish(self, workers: int = WORKERS) -> float:
        """Run to the end; return the seconds that took."""
        began = time.perf_counter()
        ended = subprocess.run(self.command(workers), capture_output=True, text=True, check=False)
        if ended.returncode:
            raise SystemExit(f"{self.out} ended with exit code {ended.returncode}:\n{ended.stderr}")
        return time.perf_counter() - began

    def recorded(self) -> int:
        """Molecules with a whole record."""
        journal = self.run / JOURNAL_NAME
        return journal.read_bytes().count(b"\n") if journal.exists() else 0

    def kill_after(self, records: int, pause_s: float) -> int:
        """Run until there are so many records and a little longer, then kill; return how many there are."""
        process = subprocess.Popen(self.command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while self.recorded() < records and process.poll() is None:
            time.sleep(0.002)
        time.sleep(pause_s)
        process.kill()
        if process.wait() != -signal.SIGKILL:
            raise SystemExit(f"the run of {self.out} ended by itself before it could be killed")
        return self.recorded()

    def records(self) -> list[Record]:
        """The records in their order, without what they cost."""
        return [replace(record, cost=Cost()) for record in load_run(self.out)]

    def poses(self) -> dict[str, bytes]:
        """Every pose file, and the table beside the poses where there is one."""
        files = [*(self.run / POSES_FOLDER).iterdir()]
        beside = [self.out, self.out.with_suffix(".csv")] if self.out.suffix == ".sdf" else []
        return {path.suffix if path in beside else path.name: path.read_bytes() for path in files + beside}


def measure(folder: Path, words: tuple[str, ...], suffix: str, kills: int, seed: int) -> dict[str, Any]:
    """Do the whole benchmark in a folder."""
    names = ("undisturbed", "killed", "alone")
    undisturbed, killed, alone = (Program(words, folder / f"{name}{suffix}") for name in names)
    figures: dict[str, Any] = {"seed": seed, "undisturbed seconds": undisturbed.finish()}
    expected, expected_poses = undisturbed.records(), undisturbed.poses()
    figures |= {"targets": len(expected), "pose bytes": sum(map(len, expected_poses.values()))}

    moments = random.Random(seed)
    # A kill comes some records after the one before it; the last few records are left to the final start.
    marks = sorted(moments.sample(range(1, len(expected) - 10), kills))
    figures["records at each kill"] = [killed.kill_after(mark, moments.uniform(0, 0.5)) for mark in marks]
    killed.finish()
    figures["one worker seconds"] = alone.finish(workers=1)
    for name, program in (("killed", killed), ("one worker", alone)):
        figures[f"{name}: equal records"] = program.records() == expected
        figures[f"{name}: equal pose files"] = program.poses() == expected_poses
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--queries", type=int, help="so many in `templ predict --queries`, no benchmark")
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1, help="of the moments of the kills")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if arguments.queries:
            write_queries(folder / "queries.sdf", arguments.queries)
            library = build_demo(folder / "demo.templ")
            words = ("predict", "--library", str(library), "--queries", str(folder / "queries.sdf"))
            figures = measure(folder, words, ".sdf", arguments.kills, arguments.seed)
        else:
            figures = measure(folder, ("benchmark", "run", "demo-mpro"), "", arguments.kills, arguments.seed)
    for name, value in figures.items():
        print(f"{name:30} {value:.1f}" if isinstance(value, float) else f"{name:30} {value}")
    RESULTS.mkdir(exist_ok=True)
    results = RESULTS / ("resume_queries.json" if arguments.queries else "resume.json")
    results.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    if not all(value for name, value in figures.items() if "equal" in name):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
