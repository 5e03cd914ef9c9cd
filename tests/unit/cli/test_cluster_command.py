"""The scripts for clusters: what their own languages take, with the command in them word for word."""

from __future__ import annotations

import shlex
import subprocess

import pytest
import yaml
from program import run_templ as run

COMMAND = ("templ", "benchmark", "run", "my 'odd' {name}.toml", "-o", "runs/mine")
SIZES = ("--jobs", "3", "--cores", "2", "--memory", "3GiB", "--hours", "5")


def script(cwd, *words):
    done = run("cluster", "script", *words, cwd=cwd)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("scheduler", ["slurm", "pbs"])
def test_a_script_is_one_of_bash_and_runs_the_command_where_it_was_printed(scheduler, tmp_path):
    folder = tmp_path / "my runs"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/templ").write_text('#!/bin/bash\npwd > told\nprintf "%s\\n" "$@" >> told\nexit 7\n')
    (folder / "bin/templ").chmod(0o755)
    printed = script(folder, scheduler, *SIZES, "--", *COMMAND)
    subprocess.run(["bash", "-n"], input=printed, text=True, check=True)
    path = f"{folder / 'bin'}:/usr/bin:/bin"
    done = subprocess.run(["bash"], input=printed, text=True, cwd=tmp_path, env={"PATH": path})
    assert done.returncode == 7  # a scheduler is told how the run ended
    assert (folder / "told").read_text().splitlines() == [str(folder), *COMMAND[1:], "--join"]


def test_what_jobs_ask_for(tmp_path):
    slurm = script(tmp_path, "slurm", *SIZES, "--", *COMMAND)
    wanted = {"--array=1-3", "--cpus-per-task=2", "--mem=3072M", "--time=5:00:00", "--requeue"}
    assert wanted <= set(slurm.replace("#SBATCH ", "").splitlines())
    pbs = script(tmp_path, "pbs", *SIZES, "--", *COMMAND)
    assert {"#PBS -J 1-3", "#PBS -l select=1:ncpus=2:mem=3072mb", "#PBS -l walltime=5:00:00"} <= set(
        pbs.splitlines()
    )


def test_the_job_of_kubernetes(tmp_path):
    job = yaml.safe_load(script(tmp_path, "kubernetes", *SIZES, "--image", "me/templ:1", "--", *COMMAND))
    assert (job["kind"], job["spec"]["completions"], job["spec"]["parallelism"]) == ("Job", 3, 3)
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "me/templ:1"
    assert container["command"] == [*COMMAND, "--join"]
    assert container["resources"]["limits"] == {"cpu": "2", "memory": "3072Mi"}
    (volume,) = job["spec"]["template"]["spec"]["volumes"]
    assert [mount["name"] for mount in container["volumeMounts"]] == [volume["name"]]


@pytest.mark.parametrize("scheduler", ["slurm", "pbs"])
def test_one_job_is_asked_for_as_the_scheduler_takes_it(tmp_path, scheduler):
    printed = script(tmp_path, scheduler, "--jobs", "1", "--", *COMMAND)
    # qsub: -J needs a first index below the last one.
    assert ("#SBATCH --array=1-1\n" in printed, "-J" in printed) == (scheduler == "slurm", False)
    assert all(line.startswith("#") for line in printed.splitlines()[:5])


def test_kubernetes_gets_the_words_as_they_were_given(tmp_path):
    """It reads $(X) as a variable, and YAML has no escapes for halves of a letter."""
    words = ("templ", "predict", "-q", '\N{GRINNING FACE} $(HOME) $HOME "x".smi', "-l", "a\nb")
    job = yaml.safe_load(script(tmp_path, "kubernetes", "--", *words))
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert [word.replace("$$(", "$(") for word in container["command"]] == [*words, "--join"]
    assert "$$(HOME)" in container["command"][3]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--memory", "10MB", "--", *COMMAND), "--memory 10MB: a job needs at least 512MiB"),
        (("--", *COMMAND, "--dry-run"), "--dry-run: leave it out; nothing would be predicted"),
        (("--", "templ", "predict", "-s", "CCO"), "-s: leave it out; jobs share a list out"),
        (("--", "templ", "predict", "--smiles=CCO"), "--smiles: leave it out; jobs share a list out"),
        (("--", *COMMAND, "--shard", "1/2"), "--shard: leave it out; the jobs of a script share"),
    ],
)
def test_what_jobs_cannot_do_is_refused_before_they_wait_in_a_queue(tmp_path, words, says):
    done = run("cluster", "script", "slurm", *words, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr


def test_a_command_that_joins_already_stays_as_it_is(tmp_path):
    words = ("templ", "predict", "--join", "-q", "q.smi", "-l", "x.templ")
    assert f"exec {shlex.join(words)}\n" in script(tmp_path, "pbs", "--", *words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("lsf", "--", *COMMAND), "lsf: expected slurm, pbs, kubernetes"),
        (("slurm", "--", "ls", "-l"), "ls -l: expected templ benchmark run ... or templ predict ..."),
        (("slurm", "--", *COMMAND, "--shard", "1/3"), "--shard: leave it out"),
        (("slurm", "--memory", "much", "--", *COMMAND), "--memory much: expected a size"),
    ],
    ids=["scheduler", "command", "shard", "memory"],
)
def test_what_cannot_be_a_script(words, said, tmp_path):
    done = run("cluster", "script", *words, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_what_cannot_be_joined(tmp_path):
    shard = run("benchmark", "run", "demo", "-o", "run", "--join", "--shard", "1/2", cwd=tmp_path)
    assert (shard.returncode, "--shard and --join: either" in shard.stderr) == (2, True)
    one = run("predict", "-l", "x.templ", "--smiles", "CCO", "--join", cwd=tmp_path)
    assert (one.returncode, "--join is for --queries" in one.stderr) == (2, True)
    assert list(tmp_path.iterdir()) == []
