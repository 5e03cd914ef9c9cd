"""What many targets cost besides their chemistry: the engines, and the plan of a run.

    python benchmarks/scale.py engine [--tasks 100000 --workers 2]
    python benchmarks/scale.py targets LIBRARY
    python benchmarks/scale.py queries [--count 10000000]

`engine`: tasks that do nothing, by the local engine and by Dask on this machine, each result on disk (fsync)
before it counts; CPU seconds of all processes as a cgroup (v1, needs root) counts them, for the machine may
do other work besides. `targets`: `templ benchmark run loo --dry-run` of every complex of a library.
`queries`: the list of a file of made-up SMILES, from the count to the last reference that would be sent.
Numbers go to results/scale.json.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parent))

from templ.engine.executor import Work, choose_executor
from templ.engine.probe import uss_bytes
from templ.jobs.query_run import ListedQueries
from templ.runs.journal import Journal
from templ.runs.record import Record
from templ.settings import RunSettings
from templ.sources.queries import TableColumns

HERE = Path(__file__).parent
GROUP = Path("/sys/fs/cgroup/cpuacct/templ_scale")
LOOK_EVERY_S = 0.1
MB = 1e6


@contextmanager
def watched() -> Iterator[dict[str, float]]:
    """Seconds, CPU seconds and most private memory of this process while the block runs."""
    found: dict[str, float] = {}
    peak, ended = [uss_bytes()], threading.Event()
    found["before_mb"] = round(peak[0] / MB, 1)

    def look() -> None:
        while not ended.wait(LOOK_EVERY_S):
            peak[0] = max(peak[0], uss_bytes())

    thread = threading.Thread(target=look)
    thread.start()
    begin, cpu = time.perf_counter(), time.process_time()
    try:
        yield found
    finally:
        ended.set()
        thread.join()
    found["seconds"] = round(time.perf_counter() - begin, 2)
    found["cpu_s"] = round(time.process_time() - cpu, 2)
    found["most_private_mb"] = round(peak[0] / MB, 1)


def engine(on: str, tasks: int, workers: int) -> dict[str, Any]:
    """Do tasks that do nothing; say what this process, which keeps the results, took."""
    machine = RunSettings(workers=workers, memory=4 * 2**30, on=on)
    work = Work("works:nothing", {}, ("works",))
    with tempfile.TemporaryDirectory() as folder, Journal.open(Path(folder) / "results.jsonl") as journal:
        with watched() as found:
            names = (str(number) for number in range(tasks))
            for number, result in enumerate(choose_executor(machine).run(work, names)):
                journal.append(Record(number, result.task, "refused", result.kind))
        assert number == tasks - 1
    return found


def engine_in_group(on: str, tasks: int, workers: int) -> dict[str, Any]:
    """Do the same in a process of its own, whose CPU time is counted with that of all it starts."""
    GROUP.mkdir()
    command = [sys.executable, __file__, "engine", "--on", on or "here", "--tasks", str(tasks)]
    try:
        done = subprocess.run(
            [*command, "--workers", str(workers)],
            check=True,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": f"{HERE}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"},
            preexec_fn=partial(_join, GROUP),
        )
        cpu_s = int((GROUP / "cpuacct.usage").read_text()) / 1e9
    finally:
        while (GROUP / "cgroup.procs").read_text():
            time.sleep(0.1)
        GROUP.rmdir()
    found: dict[str, Any] = json.loads(done.stdout)
    return {
        "tasks": tasks,
        "cpu_ms_a_task": round(1000 * cpu_s / tasks, 3),
        "wall_ms_a_task": round(1000 * found["seconds"] / tasks, 3),
        "client_cpu_ms_a_task": round(1000 * found["cpu_s"] / tasks, 3),
        "client_grown_mb": round(found["most_private_mb"] - found["before_mb"], 1),
        "load": os.getloadavg()[0],
    }


def _join(group: Path) -> None:
    """Put the new process into the group, before it becomes the program."""
    (group / "cgroup.procs").write_text(str(os.getpid()))


def plan_targets(library: Path) -> dict[str, Any]:
    """Plan a leave-one-out run of a library through the command line; say what that took."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        command = [
            sys.executable,
            "-m",
            "templ",
            "benchmark",
            "run",
            "loo",
            "--dry-run",
            "--receptor",
            "none",
        ]
        begin, peak = time.perf_counter(), 0
        process = subprocess.Popen(
            [*command, "--library", str(library), "-o", str(run)], stderr=subprocess.PIPE
        )
        while process.poll() is None:
            try:
                peak = max(peak, uss_bytes(process.pid))
                times = psutil.Process(process.pid).cpu_times()
            except (ProcessLookupError, psutil.NoSuchProcess):
                break
            time.sleep(LOOK_EVERY_S)
        assert process.stderr is not None
        said = process.stderr.read().decode().splitlines()
        files = [path for path in run.rglob("*") if path.is_file()]
        return {
            "said": next((line for line in said if "of them done" in line), said[-1]),
            "seconds": round(time.perf_counter() - begin, 1),
            "cpu_s": round(times.user + times.system, 1),
            "most_private_mb": round(peak / MB, 1),
            "files": len(files),
            "files_mb": round(sum(path.stat().st_size for path in files) / MB, 2),
        }


def plan_queries(count: int) -> dict[str, Any]:
    """Go through a list of queries as a run does: count and digest it, then make every reference."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "queries.smi"
        with path.open("w") as file:
            for number in range(count):
                chain = "".join("CNO"[number // 3**at % 3] for at in range(15))
                file.write(f"c1ccccc1C(=O)N{chain} query-{number}\n")
        with watched() as found:
            listed = ListedQueries.of(path, Path(folder), TableColumns())
            assert listed.count == count
            bytes_of_references = 0
            for reference in listed:
                bytes_of_references += len(pickle.dumps(reference.to_json()))
        return {
            "queries": count,
            "file_mb": round(path.stat().st_size / MB, 1),
            **found,
            "bytes_a_reference": round(bytes_of_references / count, 1),
        }


def store(result: dict[str, Any]) -> None:
    """Keep and print what was measured."""
    path = HERE / "results" / "scale.json"
    kept = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(kept | result, indent=1) + "\n")
    for what, numbers in result.items():
        print(f"{what}: " + ", ".join(f"{name} {value}" for name, value in numbers.items()))


def main() -> None:
    """Measure what was asked for."""
    shown = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=shown)
    parser.add_argument("what", choices=["engine", "targets", "queries"])
    parser.add_argument("library", type=Path, nargs="?")
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--count", type=int, default=10_000_000)
    parser.add_argument("--on", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.on:
        on = "" if options.on == "here" else options.on
        print(json.dumps(engine(on, options.tasks, options.workers)))
    elif options.what == "engine":
        for name, on in (("local engine", ""), ("Dask", f"local:{options.workers}")):
            store({name: engine_in_group(on, options.tasks, options.workers)})
    elif options.what == "queries":
        store({"plan of queries": plan_queries(options.count)})
    else:
        store({"plan of targets": plan_targets(options.library)})


if __name__ == "__main__":
    main()
