"""One run by every engine, processes killed on the way: records and poses are to be the same bytes.

::

    python benchmarks/equal_records.py demo-mpro
    python benchmarks/equal_records.py loo COMPLEXES [--every 10] [--seed 1] [--keep FOLDER]

The whole benchmark by the local engine, which nothing happens to. Then, all three at once, for a crowded
machine is part of it: by Dask with two workers and with four, one of which is killed every ten seconds; and
by four processes with `--join`, of which one is killed every ten seconds and another takes its place. A kill
waits until something was recorded since the last one. `loo` is over the complexes of a folder. Each manner is
a command line in processes of its own; what of it is finished in FOLDER already is only compared. Compared
are the lines of ``results.jsonl`` but for ``cost`` (and the checksum over it), and the bytes of each pose
file. Prints a table, writes results/equal_records.json, and ends with exit code 1 where anything differs.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from templ.benchmark.run_status import status_of
from templ.errors import TemplError
from templ.runs.journal import JOURNAL_NAME
from templ.runs.pose_shards import POSES_FOLDER

RESULTS = Path(__file__).parent / "results" / "equal_records.json"
LOOK_EVERY_S = 0.2
JOINED = 4
"""Processes that join one run."""
WORKER = "from multiprocessing"
"""In the command of a worker of Dask, as its nanny starts it."""


@dataclass
class Manner:
    """One way to do a run: what starts it, and what may be killed meanwhile."""

    command: Sequence[str]
    folder: Path
    log: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    killed: int = 0

    def start(self) -> subprocess.Popen[bytes]:
        """Start the command once more."""
        with self.log.open("ab") as log:
            process = subprocess.Popen(self.command, stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def recorded(self) -> int:
        """Targets with a record, as far as the run can be read in this moment."""
        with suppress(TemplError):
            return status_of(self.folder).done
        return 0

    def finish(self, many: int, kill: Callable[[Manner], None], every_s: float) -> None:
        """Run so many processes of the command to their end; `kill` something every few seconds.

        Not while nothing was recorded since the last kill: on a crowded machine that would go on for ever.
        One that was killed is replaced; one that ends by itself has to end well.
        """
        for _ in range(many):
            self.start()
        last, done = time.monotonic(), 0
        while self.processes:
            time.sleep(LOOK_EVERY_S)
            if time.monotonic() - last > every_s and (now := self.recorded()) > done:
                last, done = time.monotonic(), now
                kill(self)
            for process in [each for each in self.processes if each.poll() is not None]:
                self.processes.remove(process)
                if process.returncode == -signal.SIGKILL:
                    self.start()
                elif process.returncode:
                    raise SystemExit(
                        f"{' '.join(self.command)}: exit code {process.returncode}; see {self.log}"
                    )


def kill_nothing(manner: Manner) -> None:
    """Let it be."""


def kill_joined(manner: Manner, moments: random.Random) -> None:
    """Kill one of the processes that joined, as long as one is left that ends by itself."""
    if len(manner.processes) == JOINED:
        moments.choice(manner.processes).kill()
        manner.killed += 1


@contextmanager
def cluster(folder: Path, workers: int) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """Start a scheduler and workers by Dask's commands; give the address, and the nannies of the workers."""
    found, log = folder / "scheduler.json", (folder / "dask.log").open("wb")
    found.unlink(missing_ok=True)
    dask = [sys.executable, "-m", "dask"]

    def start(*words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([*dask, *words], stdout=log, stderr=log, cwd=folder)

    host = ("--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0")
    started = [start("scheduler", *host, "--scheduler-file", str(found))]
    try:
        while not found.exists():
            time.sleep(LOOK_EVERY_S)
        time.sleep(1)
        options = (
            "--scheduler-file",
            str(found),
            "--nthreads",
            "1",
            "--memory-limit",
            "2GB",
            "--no-dashboard",
        )
        nannies = [start("worker", *options) for _ in range(workers)]
        started += nannies
        yield json.loads(found.read_text())["address"].replace("tcp://", "dask://"), nannies
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()
            process.wait()
        log.close()


def killer(nannies: Sequence[subprocess.Popen[bytes]], moments: random.Random) -> Callable[[Manner], None]:
    """Give what kills one worker of a cluster, whose nanny then starts another."""

    def kill(manner: Manner) -> None:
        nanny = psutil.Process(moments.choice(nannies).pid)
        for child in nanny.children():
            with suppress(psutil.Error):
                if any(WORKER in word for word in child.cmdline()) and "resource_tracker" not in str(
                    child.cmdline()
                ):
                    child.kill()
                    manner.killed += 1

    return kill


def contents(run: Path) -> tuple[list[str], dict[str, bytes]]:
    """What must be equal: lines of the results without cost and checksum, and pose files by name."""
    lines = []
    for line in (run / JOURNAL_NAME).read_text().splitlines():
        record = json.loads(line)
        assert record.pop("cost") is not None
        record.pop("checksum")
        lines.append(json.dumps(record, sort_keys=True))
    return lines, {path.name: path.read_bytes() for path in (run / POSES_FOLDER).iterdir()}


def differences(one: Path, two: Path) -> tuple[list[str], list[str]]:
    """Names of the targets whose records differ, or are in one run only, and of such pose files."""
    (lines, poses), (others, other_poses) = contents(one), contents(two)
    changed = set(lines) ^ set(others)
    records = sorted({json.loads(line)["id"] for line in changed})
    if lines != others and not records:
        records = ["their order"]
    return records, sorted(
        name for name in poses.keys() | other_poses.keys() if poses.get(name) != other_poses.get(name)
    )


def measure(words: Sequence[str], folder: Path, every_s: float, seed: int) -> dict[str, dict[str, Any]]:
    """Do the benchmark in every manner; tell what each came to."""
    found: dict[str, dict[str, Any]] = {}

    def run(name: str, *options: str) -> Manner:
        out = folder / name.replace(" ", "-")
        command = [sys.executable, "-m", "templ", "benchmark", "run", *words, "-o", str(out), *options]
        return Manner(command, out, folder / f"{out.name}.log")

    def note(name: str, manner: Manner) -> None:
        records, poses = differences(local.folder, manner.folder)
        found[name] = {
            "targets": len(contents(manner.folder)[0]),
            "killed": manner.killed,
            "records that differ": records,
            "pose files that differ": poses,
            "load": round(os.getloadavg()[0], 1),
        }
        print(name, found[name], flush=True)

    local = run("local", "--workers", "2")
    local.finish(1, kill_nothing, every_s)
    note("local engine, 2 workers", local)

    def by_dask(workers: int) -> None:
        place, moments = folder / f"dask-{workers}", random.Random(seed + workers)
        place.mkdir(exist_ok=True)
        with cluster(place, workers) as (address, nannies):
            manner = run(f"dask-{workers}-run", "--on", address)
            manner.finish(1, killer(nannies, moments), every_s)
        note(f"Dask, {workers} workers", manner)

    def by_joining() -> None:
        joined, moments = run("joined", "--workers", "1", "--join"), random.Random(seed)
        joined.finish(JOINED, lambda manner: kill_joined(manner, moments), every_s)
        note(f"{JOINED} processes that join", joined)

    with ThreadPoolExecutor(3) as pool:
        for ended in [pool.submit(by_dask, 2), pool.submit(by_dask, 4), pool.submit(by_joining)]:
            ended.result()
    return found


def main() -> None:
    """Do one benchmark in every manner."""
    shown = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=shown)
    parser.add_argument("benchmark")
    parser.add_argument("complexes", type=Path, nargs="?", help="folder that a library for loo is built of")
    parser.add_argument("--every", type=float, default=10.0, help="seconds between kills")
    parser.add_argument("--seed", type=int, default=1, help="of what is killed")
    parser.add_argument("--keep", type=Path, help="work in this folder, and leave the runs there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = options.keep or Path(name)
        folder.mkdir(exist_ok=True)
        words = [options.benchmark]
        if options.complexes:
            library = folder / "complexes.templ"
            if not library.exists():
                build = ["library", "build", str(library), "--complexes", str(options.complexes)]
                subprocess.run([sys.executable, "-m", "templ", *build], check=True)
            words += ["--library", str(library)]
        found = measure(words, folder, options.every, options.seed)
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.write_text(json.dumps(kept | {options.benchmark: found}, indent=1) + "\n")
    print("| manner | targets | killed | records that differ | pose files that differ |")
    print("| --- | --- | --- | --- | --- |")
    for manner, numbers in found.items():
        differ = [len(numbers[f"{what} that differ"]) for what in ("records", "pose files")]
        print(f"| {manner} | {numbers['targets']} | {numbers['killed']} | {differ[0]} | {differ[1]} |")
    if any(numbers["records that differ"] or numbers["pose files that differ"] for numbers in found.values()):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
