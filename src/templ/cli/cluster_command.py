"""``templ cluster``: scripts for the schedulers of clusters."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import typer

from templ.cli.options import parse_memory
from templ.errors import InputError

SHORT_OF_END_S = 60
"""Seconds before its end at which SLURM tells a job, which then ends in order and is queued again."""
SMALLEST_JOB_MIB = 512
"""Memory of a job: the budget of a run is 80 % of it, and less than 384 MiB are refused."""
NOT_FOR_JOBS = {
    "--shard": "the jobs of a script share the run out by --join",
    "--dry-run": "nothing would be predicted",
    "--smiles": "jobs share a list out, give it by --queries",
    "-s": "jobs share a list out, give it by --queries",
}
"""Options of commands that jobs cannot do together, and why."""
app = typer.Typer(help="Scripts for clusters.", no_args_is_help=True)


@app.command()
def script(
    scheduler: str = typer.Argument(..., help="slurm, pbs or kubernetes."),
    command: list[str] = typer.Argument(..., help="The command, after --: templ benchmark run ... -o RUN"),
    jobs: int = typer.Option(16, "--jobs", min=1, help="Jobs that do the run together."),
    cores: int = typer.Option(4, "--cores", min=1, help="Cores of each job."),
    memory: str = typer.Option("4GiB", "--memory", help="Memory of each job."),
    hours: int = typer.Option(2, "--hours", min=1, help="Hours that a job may take (SLURM, PBS)."),
    image: str = typer.Option("templ", "--image", help="Container image that has TEMPL (Kubernetes)."),
) -> None:
    """Print a script whose jobs do one run together. Send it off with sbatch, qsub or kubectl."""
    if scheduler not in SCRIPTS:
        raise InputError(f"{scheduler}: expected {', '.join(SCRIPTS)}")
    words = joining(command)
    mib = (parse_memory(memory) or 0) // 2**20
    if mib < SMALLEST_JOB_MIB:
        raise InputError(f"--memory {memory}: a job needs at least {SMALLEST_JOB_MIB}MiB")
    told = {
        "jobs": jobs,
        "array": PBS_ARRAY.format(jobs=jobs) if jobs > 1 else "",
        "cores": cores,
        "mib": mib,
        "hours": hours,
        "image": _yaml(image),
        "command": shlex.join(words),
        # Kubernetes puts the value of a variable X where it reads $(X), but for $$(X).
        "words": _yaml([word.replace("$(", "$$(") for word in words]),
        "folder": shlex.quote(str(Path.cwd())),
        "before_end": SHORT_OF_END_S,
    }
    typer.echo(SCRIPTS[scheduler].format(**told), nl=False)


def _yaml(value: str | list[str]) -> str:
    """Write what YAML reads as this; escapes of JSON for letters beyond 16 bits are none of YAML."""
    return json.dumps(value, ensure_ascii=False)


def joining(command: list[str]) -> list[str]:
    """Make a command one that joins a run; `InputError` where it cannot.

    Examples
    --------
    >>> joining(["templ", "benchmark", "run", "loo", "-o", "runs/mine"])[-3:]
    ['-o', 'runs/mine', '--join']
    """
    if command[:3] != ["templ", "benchmark", "run"] and command[:2] != ["templ", "predict"]:
        raise InputError(f"{shlex.join(command)}: expected templ benchmark run ... or templ predict ...")
    for option, why in NOT_FOR_JOBS.items():
        if any(word == option or word.startswith(f"{option}=") for word in command):
            raise InputError(f"{option}: leave it out; {why}")
    return [*command, *([] if "--join" in command else ["--join"])]


SLURM = """\
#!/bin/bash
#SBATCH --job-name=templ
#SBATCH --array=1-{jobs}
#SBATCH --cpus-per-task={cores}
#SBATCH --mem={mib}M
#SBATCH --time={hours}:00:00
#SBATCH --requeue
#SBATCH --signal=B:USR1@{before_end}
#SBATCH --open-mode=append
cd {folder} || exit
{command} &
run=$!
# Before its time is over, the run is stopped in order and the job queued again: it goes on where it was.
trap 'kill -TERM $run; wait $run; scontrol requeue "$SLURM_JOB_ID"; exit' USR1
wait $run
"""

PBS_ARRAY = "#PBS -J 1-{jobs}\n"
"""PBS takes no array of one job."""
PBS = """\
#!/bin/bash
#PBS -N templ
{array}#PBS -l select=1:ncpus={cores}:mem={mib}mb
#PBS -l walltime={hours}:00:00
#PBS -r y
cd {folder} || exit
exec {command}
"""

KUBERNETES = """\
apiVersion: batch/v1
kind: Job
metadata:
  name: templ
spec:
  completionMode: Indexed
  completions: {jobs}
  parallelism: {jobs}
  backoffLimit: {jobs}
  template:
    spec:
      restartPolicy: OnFailure
      containers:
        - name: templ
          image: {image}
          workingDir: /data
          command: {words}
          resources:
            requests: {{cpu: "{cores}", memory: {mib}Mi}}
            limits: {{cpu: "{cores}", memory: {mib}Mi}}
          volumeMounts:
            - {{name: data, mountPath: /data}}
      volumes:
        # A volume that all nodes can write (ReadWriteMany).
        - name: data
          persistentVolumeClaim: {{claimName: data}}
"""

SCRIPTS = {"slurm": SLURM, "pbs": PBS, "kubernetes": KUBERNETES}
