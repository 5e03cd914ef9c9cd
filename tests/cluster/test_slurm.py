"""Runs under a real SLURM on this machine: shards, the printed script, jobs out of time and out of memory."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from templ.benchmark.run_status import status_of
from templ.evaluation.run import load_run
from templ.runs.memory_log import read_samples
from templ.runs.pose_shards import POSES_FOLDER
from templ.runs.record import Cost

HERE = Path(__file__).parent
TARGETS = 9
MIB = 2**20
PATIENCE_S = 240
"""Only a failing test waits that long."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """Environment in which the commands of SLURM find the one that was started for these tests."""
    if os.geteuid() != 0:
        pytest.skip("SLURM is started by root only")
    folder = tmp_path_factory.mktemp("slurm")
    words = [str(HERE / "slurm.sh"), "start", str(folder)]
    started = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE_S)
    if started.returncode:
        pytest.skip(f"SLURM does not start here (apt-get install slurm-wlm munge): {started.stderr.strip()}")
    try:
        yield os.environ | {"SLURM_CONF": str(folder / "slurm.conf")}
    finally:
        subprocess.run([words[0], "stop", words[2]], check=True, timeout=PATIENCE_S)


class Jobs:
    """What a user does at the command line of a cluster."""

    def __init__(self, folder, environment):
        self.folder, self.environment = folder, environment

    def run(self, *words, stdin=None):
        done = subprocess.run(
            [*map(str, words)],
            cwd=self.folder,
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}\n{self.said()}"
        return done.stdout

    def submit(self, script, *options):
        """Number of the job."""
        said = self.run("sbatch", "--parsable", "--output", "job-%A-%a.log", *options, stdin=script)
        return said.strip()

    def states(self, job):
        """State of each task of an array, and how often each was started again."""
        shown = self.run("scontrol", "show", "job", job)
        return re.findall(r"JobState=(\w+)", shown), [int(n) for n in re.findall(r"Restarts=(\d+)", shown)]

    def wait(self, until):
        end = time.monotonic() + PATIENCE_S
        while not until():
            assert time.monotonic() < end, self.said()
            time.sleep(0.2)

    def end(self, job):
        self.wait(lambda: not {"PENDING", "RUNNING", "COMPLETING", "CONFIGURING"} & set(self.states(job)[0]))
        return self.states(job)

    def said(self):
        return "\n".join(path.read_text() for path in sorted(self.folder.glob("job-*.log")))


@pytest.fixture
def jobs(slurm, tmp_path):
    programs = Path(sys.executable).parent
    return Jobs(tmp_path, slurm | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"})


@pytest.fixture
def faulty_jobs(jobs, helpers):
    """Jobs in which `templ` meets the faults that FAULTS names."""
    (jobs.folder / "bin").mkdir()
    program = jobs.folder / "bin/templ"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {helpers}/faulty_templ.py "$@"\n')
    program.chmod(0o755)
    jobs.environment["PATH"] = f"{jobs.folder / 'bin'}{os.pathsep}{jobs.environment['PATH']}"
    return jobs


@pytest.fixture
def memory_is_limited(slurm):
    if "task/cgroup" not in Path(slurm["SLURM_CONF"]).read_text():
        pytest.skip("no cgroup (v1) for memory can be made here, so SLURM does not hold jobs to theirs")


@pytest.fixture(scope="module")
def expected(fast_benchmark, tmp_path_factory):
    """What one process gives, and the ids."""
    run = tmp_path_factory.mktemp("alone") / "run"
    command = f"{sys.executable} -m templ benchmark run {fast_benchmark} --limit {TARGETS} -o {run}"
    subprocess.run(shlex.split(command), check=True, capture_output=True, timeout=PATIENCE_S)
    return outcome(run)


def outcome(run):
    """Everything a finished run says, but for what it cost: records in their order, and all pose files."""
    assert load_run(run).manifest.finished is not None
    records = [replace(record, cost=Cost()) for record in load_run(run)]
    return records, {path.name: path.read_bytes() for path in (run / POSES_FOLDER).iterdir()}


def done(run):
    """Targets with a record, of a run that may not have begun."""
    return status_of(run).done if (run / "manifest.json").exists() else 0


def samples(run):
    """What the only process of a joined run saw of memory."""
    (process,) = (run / "processes").iterdir()
    return read_samples(process)


def script_of(jobs, command, *options):
    sizes = ("--cores", 1, "--memory", "900MiB", "--hours", 1)
    return jobs.run("templ", "cluster", "script", "slurm", *sizes, *options, "--", *shlex.split(command))


def command_of(fast_benchmark):
    return f"templ benchmark run {fast_benchmark} --limit {TARGETS} -o run"


def test_an_array_of_shards_and_a_job_that_merges_them(jobs, fast_benchmark, expected):
    shard = f"templ benchmark run {fast_benchmark} --limit {TARGETS} -o s$SLURM_ARRAY_TASK_ID"
    script = f"#!/bin/bash\n{shard} --shard $SLURM_ARRAY_TASK_ID/3\n"
    array = jobs.submit(script, "--array=1-3", "--mem=900M")
    merge = "#!/bin/bash\ntempl benchmark merge run s1 s2 s3\n"
    last = jobs.submit(merge, f"--dependency=afterok:{array}", "--mem=900M")
    assert jobs.end(last)[0] == ["COMPLETED"]
    assert jobs.states(array)[0] == ["COMPLETED"] * 3
    assert outcome(jobs.folder / "run") == expected


def test_the_script_that_is_printed(jobs, fast_benchmark, expected):
    script = script_of(jobs, command_of(fast_benchmark), "--jobs", 3)
    assert jobs.end(jobs.submit(script))[0] == ["COMPLETED"] * 3
    assert outcome(jobs.folder / "run") == expected
    assert status_of(jobs.folder / "run").state == "finished"
    processes = [path.name for path in (jobs.folder / "run/processes").iterdir()]
    assert len(processes) >= 2  # a job that begins when all is done has nothing to do


def test_a_job_whose_time_is_over_is_queued_again_and_goes_on(faulty_jobs, fast_benchmark, expected):
    jobs, run = faulty_jobs, faulty_jobs.folder / "run"
    go_on, waits = jobs.folder / "go-on", expected[0][4].id
    jobs.environment["FAULTS"] = json.dumps({waits: f"wait-for {go_on}"})
    begin = time.monotonic()
    job = jobs.submit(script_of(jobs, command_of(fast_benchmark), "--jobs", 1), "--signal=B:USR1@45")
    jobs.wait(lambda: done(run) == TARGETS - 1)
    minutes = 2 + int(time.monotonic() - begin) // 60  # SLURM knows no seconds
    jobs.run("scontrol", "update", f"job={job}", f"TimeLimit={minutes}")
    jobs.wait(lambda: jobs.states(job) == (["PENDING"], [1]))
    assert (status_of(run).state, done(run)) == ("stopped", TARGETS - 1)
    go_on.touch()
    jobs.run("scontrol", "update", f"job={job}", "StartTime=now")  # else it waits two minutes
    assert jobs.end(job) == (["COMPLETED"], [1])
    assert "interrupted; a run goes on when the same command is given again" in jobs.said()
    assert "is taken over from one that ended" in jobs.said()
    assert outcome(run) == expected


def test_a_job_that_is_cancelled_stays_so(faulty_jobs, fast_benchmark, expected):
    jobs, run = faulty_jobs, faulty_jobs.folder / "run"
    jobs.environment["FAULTS"] = json.dumps({expected[0][4].id: f"wait-for {jobs.folder / 'never'}"})
    job = jobs.submit(script_of(jobs, command_of(fast_benchmark), "--jobs", 1))
    jobs.wait(lambda: done(run) == TARGETS - 1)
    jobs.run("scancel", job)
    assert jobs.end(job) == (["CANCELLED"], [0])
    assert status_of(run).state == "stopped"


@pytest.mark.usefixtures("memory_is_limited")
def test_a_target_that_takes_more_than_the_job_has_is_stopped_before_the_job_is(
    faulty_jobs, fast_benchmark, expected
):
    """Even where --memory says too much: the governor sees the limit of the job's cgroup."""
    jobs, run = faulty_jobs, faulty_jobs.folder / "run"
    jobs.environment["FAULTS"] = json.dumps({expected[0][4].id: "grow 500"})
    command = f"{command_of(fast_benchmark)} --memory 8GiB --max-failures 1"
    job = jobs.submit(script_of(jobs, command, "--jobs", 1))
    assert jobs.end(job) == (["COMPLETED"], [0])
    records = list(load_run(run))
    assert [record.reason for record in records if record.status == "failed"] == ["out-of-memory"]
    assert records[4].status == "failed"
    (kill, *_) = [sample for sample in samples(run) if sample["action"] == "kill"]
    assert max(kill["workers"]) > 300 * MIB
    assert kill["available"] < 100 * MIB


@pytest.mark.usefixtures("memory_is_limited")
def test_a_job_killed_for_memory_that_something_else_took(faulty_jobs, helpers, fast_benchmark, expected):
    """The cgroup of the job kills; `memory.jsonl` tells that it was not the run that took the memory."""
    jobs, run = faulty_jobs, faulty_jobs.folder / "run"
    jobs.environment["FAULTS"] = json.dumps({expected[0][4].id: f"wait-for {jobs.folder / 'go-on'}"})
    script = script_of(jobs, command_of(fast_benchmark), "--jobs", 1)
    first, line, rest = script.partition("run=$!\n")
    assert rest
    grow = shlex.quote("import engine_work; engine_work.grow(500)")
    other = f"until [ -d run/processes ]; do sleep 0.1; done; {sys.executable} -c {grow}; touch go-on"
    job = jobs.submit(f"{first}{line}(export PYTHONPATH={helpers}; {other}) &\n{rest}")
    assert jobs.end(job) == (["OUT_OF_MEMORY"], [0])
    assert outcome(run) == expected
    least = min(samples(run), key=lambda sample: sample["available"])
    assert least["available"] < 300 * MIB
    assert least["tree"] < 600 * MIB
    assert any("other processes" in sample["reason"] for sample in samples(run))
