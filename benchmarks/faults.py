"""What machines do to a run, done for real, and what is lost and what is wrong afterwards.

::

    python benchmarks/faults.py [--targets 48] [--seed 1] [--only kills,stops,...]

Every fault happens to a run of the demo benchmark by its command line, which is then given again until it
ends well. *Lost* are results that were on disk and were computed again all the same, or are gone; *wrong* are
results that differ from those of a run that nothing happened to, without a word. A fault that has to be
asked of the system as root is left out, and said, where that is not possible. Prints a table and writes
``results/faults.json``; ends with exit code 1 when anything is lost or wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import psutil
from resume import RESULTS, Program

from templ.errors import TemplError
from templ.evaluation.run import load_run
from templ.library.store import open_library
from templ.runs.journal import JOURNAL_NAME, all_lines
from templ.runs.pose_shards import POSES_FOLDER
from templ.runs.recovery import TRIED_AGAIN
from templ.runs.run_folder import INPUTS_FOLDER

KILLS_A_RUN = 20
STOP_S = 200
BUSY = 20
NEIGHBOUR = """
import time
while True:
    taken = bytearray(1_000_000_000)
    time.sleep(3)
    del taken
    time.sleep(3)
"""
LIMIT = 1500 * 2**20
SITE = """
import os, time, fcntl, errno
if os.environ.get("CLOCK"):
    real, began = time.time, time.monotonic()
    time.time = lambda: real() - (3600 if time.monotonic() - began > 3 else 0)
if os.environ.get("NO_LOCKS"):
    def flock(file, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
    fcntl.flock = flock
"""
"""``sitecustomize`` of all processes of a run: a clock that is set back an hour, locks that are not there."""


class Unavailable(Exception):
    """What this machine does not let us do to it."""


@dataclass
class Watched:
    """A run that something happens to, and what was seen of it on the way."""

    program: Program
    environment: dict[str, str] = field(default_factory=dict)
    before: Callable[[], None] | None = None
    costs: dict[int, Any] = field(default_factory=dict)
    lost: int = 0

    def start(self) -> subprocess.Popen[str]:
        """Start the command."""
        return subprocess.Popen(
            self.program.command(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | self.environment,
            start_new_session=True,
            preexec_fn=self.before,
        )

    def look(self) -> None:
        """Note what is on disk; whatever was there before must be there still, not computed anew."""
        journal = self.program.run / JOURNAL_NAME
        if not journal.exists():
            return
        found = {line.record.index: line.record for line in all_lines(journal) if line.record}
        costs = {i: record.cost for i, record in found.items() if record.reason not in TRIED_AGAIN}
        self.lost += sum(costs.get(index) != cost for index, cost in self.costs.items())
        self.costs = costs

    def finish(self) -> None:
        """Give the command until it ends well."""
        for _ in range(5):
            process = self.start()
            _, said = process.communicate()
            self.look()
            if process.returncode == 0:
                return
        raise SystemExit(f"{self.program.out} does not end well:\n{said}")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a fault."""

    fault: str
    times: int
    lost: int
    wrong: int
    remark: str = ""


class Faults:
    """Every fault, each against a run of its own in `folder`."""

    def __init__(self, folder: Path, targets: int, seed: int) -> None:
        self._folder, self._targets, self._random = folder, targets, random.Random(seed)
        (folder / "site").mkdir()
        (folder / "site" / "sitecustomize.py").write_text(SITE)
        self._sound = self._program("sound")
        self._sound.finish()
        self._records, self._poses = self._sound.records(), self._sound.poses()

    def kills(self) -> Iterator[Outcome]:
        """SIGKILL of parent, workers and forkserver, at random."""
        for number in range(3):
            watched = Watched(self._program(f"kills-{number}"))
            process, killed = watched.start(), 0
            marks = sorted(self._random.choices(range(self._targets - 4), k=KILLS_A_RUN))
            for mark in marks:
                while watched.program.recorded() < mark:
                    if process.poll() is not None:
                        process = watched.start()
                    time.sleep(0.01)
                time.sleep(self._random.uniform(0, 0.5))
                with contextlib.suppress(psutil.NoSuchProcess):
                    self._random.choice(_family(process.pid)).kill()
                    killed += 1
                watched.look()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            watched.finish()
            yield self._outcome(f"SIGKILL of parent, worker or forkserver, run {number + 1}", killed, watched)

    def stops(self) -> Iterator[Outcome]:
        """Ctrl-Z, a laptop that is closed, a scheduler that suspends."""
        watched = Watched(self._program("stops"))
        process = watched.start()
        pauses = [0.5] * 8 + [STOP_S]
        for pause in pauses:
            time.sleep(self._random.uniform(0.5, 1.5))
            os.killpg(process.pid, signal.SIGSTOP)
            time.sleep(pause)
            os.killpg(process.pid, signal.SIGCONT)
        self._ends_well(process, watched)
        yield self._outcome(f"SIGSTOP and SIGCONT, the longest stop {STOP_S} s", len(pauses), watched)

    def load(self) -> Iterator[Outcome]:
        """Others keep all cores busy."""
        busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(BUSY)]
        try:
            watched = Watched(self._program("load"))
            self._ends_well(watched.start(), watched)
        finally:
            for process in busy:
                process.kill()
        yield self._outcome(f"{BUSY} busy processes beside the run", BUSY, watched)

    def neighbour(self) -> Iterator[Outcome]:
        """Another process in the same container takes two thirds of its memory and gives them back."""
        group = Path("/sys/fs/cgroup/memory/templ_faults")
        try:
            group.mkdir()
            (group / "memory.limit_in_bytes").write_text(str(LIMIT))
        except OSError as error:
            raise Unavailable("no memory cgroup (v1) can be made") from error
        join = partial(_join, group)
        breathing = subprocess.Popen([sys.executable, "-c", NEIGHBOUR], preexec_fn=join)
        try:
            watched = Watched(self._program("neighbour"), before=join)
            began = time.monotonic()
            self._ends_well(watched.start(), watched)
            breaths = int((time.monotonic() - began) / 6)
            kernel = int((group / "memory.oom_control").read_text().split("oom_kill ")[-1].split()[0])
        finally:
            breathing.kill()
            breathing.wait()
            time.sleep(1)
            group.rmdir()
        remark = f"container of {LIMIT >> 20} MiB, kernel kills: {kernel}"
        yield self._outcome("a neighbour that takes 1,000 MB and returns them", breaths, watched, remark)

    def full_disk(self) -> Iterator[Outcome]:
        """A disk that fills, and is enlarged by a little, again and again."""
        disk = self._folder / "disk"
        disk.mkdir()
        need, inputs = _bytes(self._sound.run), _bytes(self._sound.run / INPUTS_FOLDER)
        size, refused = inputs + 65536, 0
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)]
        if subprocess.run(mount, check=False).returncode:
            raise Unavailable("no tmpfs can be mounted")
        try:
            watched = Watched(Program(self._words, disk / "run"))
            while True:
                process = watched.start()
                _, said = process.communicate()
                watched.look()
                if process.returncode == 0:
                    break
                if process.returncode != 2 or "Traceback" in said or size > 3 * need:
                    raise SystemExit(f"not the end of a run on a full disk: {process.returncode}\n{said}")
                refused += 1
                size += (need - inputs) // 6
                subprocess.run(["mount", "-o", f"remount,size={size}", str(disk)], check=True)
            yield self._outcome("a disk that is full, enlarged by a sixth", refused, watched)
        finally:
            subprocess.run(["umount", "-l", disk], check=False)

    def clock(self) -> Iterator[Outcome]:
        """The time of day is set back an hour in every process of the run."""
        watched = Watched(self._program("clock"), self._customised("CLOCK"))
        self._ends_well(watched.start(), watched)
        yield self._outcome("the clock is set back an hour", 1, watched)

    def no_locks(self) -> Iterator[Outcome]:
        """A run on a file system that has no locks is refused: nobody could be kept out of it."""
        watched = Watched(Program(self._words, self._sound.out), self._customised("NO_LOCKS"))
        process = watched.start()
        _, said = process.communicate()
        if process.returncode != 2 or "Traceback" in said or "lock" not in said:
            raise SystemExit(f"not the refusal of a system without locks: {process.returncode}\n{said}")
        yield self._outcome("a file system without locks", 1, watched, "refused with a sentence")

    def bits(self) -> Iterator[Outcome]:
        """One bit flips in a file of a library or of a run; then everything is read."""
        library = next((self._sound.run / INPUTS_FOLDER).glob("*.templ"))
        run = self._sound.run
        files = [path for path in sorted(library.rglob("*")) if path.is_file()]
        results = [run / name for name in RUN_FILES] + [*(run / POSES_FOLDER).iterdir()]
        read_run = partial(_read_run, samples=load_run(run).samples())
        for kind, source, paths, read in (
            ("library", library, files, _read_library),
            ("run", run, results, read_run),
        ):
            names = [path.relative_to(source) for path in paths]
            expected, found, wrong = read(source), 0, 0
            for number in range(150):
                name = names[number % len(names)]
                with tempfile.TemporaryDirectory() as folder:
                    copy = shutil.copytree(source, Path(folder) / source.name, ignore=_all_but(source))
                    _flip(copy / name, self._random)
                    try:
                        wrong += read(copy) != expected
                    except TemplError as error:
                        found += 1
                        wrong += str(copy) not in str(error)
            remark = f"found: {found}; the others changed nothing that is read"
            yield Outcome(f"a flipped bit in any file of a {kind}", 150, 0, wrong, remark)

    def rot(self) -> Iterator[Outcome]:
        """Bits flip in results and poses of a finished run; the same command mends it."""
        out = shutil.copytree(self._sound.run, self._folder / "rot")
        watched, flips = Watched(Program(self._words, out)), 6
        for name in (JOURNAL_NAME, "poses/0000.sdf"):
            for _ in range(flips // 2):
                _flip(out / name, self._random)
        watched.finish()
        yield self._outcome("flipped bits in results and poses, then the same command", flips, watched)

    @property
    def _words(self) -> tuple[str, ...]:
        return ("benchmark", "run", "demo-mpro", "--limit", str(self._targets))

    def _program(self, name: str) -> Program:
        return Program(self._words, self._folder / name)

    def _customised(self, what: str) -> dict[str, str]:
        paths = [str(self._folder / "site"), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {"PYTHONPATH": os.pathsep.join(paths), what: "yes"}

    def _ends_well(self, process: subprocess.Popen[str], watched: Watched) -> None:
        """At once: here no target may fail and need a second start."""
        _, said = process.communicate()
        watched.look()
        if process.returncode:
            raise SystemExit(f"{watched.program.out} ended with {process.returncode}:\n{said}")

    def _outcome(self, fault: str, times: int, watched: Watched, remark: str = "") -> Outcome:
        records, poses = watched.program.records(), watched.program.poses()
        wrong = sum(one != other for one, other in zip(records, self._records, strict=True))
        wrong += sum(poses.get(name) != text for name, text in self._poses.items())
        return Outcome(fault, times, watched.lost, wrong, remark)


RUN_FILES = ("manifest.json", JOURNAL_NAME, "memory.jsonl")


def _family(pid: int) -> list[psutil.Process]:
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def _join(group: Path) -> None:
    (group / "cgroup.procs").write_text(str(os.getpid()))


def _all_but(source: Path) -> Callable[[str, list[str]], set[str]]:
    """Leave the libraries out of a copy of a run: they are found where they were."""
    return lambda folder, names: {INPUTS_FOLDER} & set(names) if Path(folder) == source else set()


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _flip(path: Path, choose: random.Random) -> None:
    data = bytearray(path.read_bytes())
    data[choose.randrange(len(data))] ^= 1 << choose.randrange(8)
    path.write_bytes(data)


def _read_library(path: Path) -> list[Any]:
    """Everything that a library gives out."""
    with open_library(path) as library:
        library.verify()
        rows = range(len(library))
        receptor = library.receptor_path()
        return [
            library.describe(),
            [library.entry(row) for row in rows],
            [library.ligand(row).GetConformer().GetPositions().tolist() for row in islice(rows, 0, None, 20)],
            library.fingerprints.tolist(),
            [library.row_of(id) for id in library],
            receptor and receptor.read_bytes(),
        ]


def _read_run(path: Path, samples: list[dict[str, Any]]) -> list[Any]:
    """Everything that a run gives out; of its memory log, whether that has nothing but these samples."""
    run = load_run(path)
    return [
        run.manifest,
        list(run),
        [len(run.poses(record)) for record in run],
        run.to_arrow().to_pylist(),
        run.summary,
        all(sample in samples for sample in run.samples()),
    ]


def table(outcomes: list[Outcome]) -> str:
    """Write outcomes as Markdown."""
    rows = ["| fault | times | results lost | wrong values | |", "| --- | --- | --- | --- | --- |"]
    rows += [f"| {o.fault} | {o.times} | {o.lost} | {o.wrong} | {o.remark} |" for o in outcomes]
    return "\n".join(rows)


def main() -> None:
    """Do every fault."""
    names = [name for name in vars(Faults) if not name.startswith("_")]
    shown = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=shown)
    parser.add_argument("--targets", type=int, default=48)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default=",".join(names), help=f"of {', '.join(names)}")
    options = parser.parse_args()
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory() as folder:
        faults = Faults(Path(folder), options.targets, options.seed)
        for name in options.only.split(","):
            try:
                for outcome in getattr(faults, name)():
                    outcomes.append(outcome)
                    print(outcome, file=sys.stderr)
            except Unavailable as error:
                print(f"{name} left out: {error}", file=sys.stderr)
    print(table(outcomes))
    rows = [{name: getattr(outcome, name) for name in Outcome.__slots__} for outcome in outcomes]
    (RESULTS / "faults.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    if any(outcome.lost or outcome.wrong for outcome in outcomes):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
