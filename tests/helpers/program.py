"""Runs the command line as a process of its own, forked from a server that has the imports behind it.

What a command does and how it ends is that of a fresh process; only the second of imports is saved, and
there are some hundreds of such tests. Tests of start, streams, encodings and signals start Python themselves.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

IMPORTED = (
    "templ.benchmark.runner",
    "templ.benchmark.compare_runs",
    "templ.cli.predict_command",
    "templ.evaluation.summary",
    "templ.export.run_export",
    "templ.jobs.library_part",
    "templ.jobs.query_run",
    "templ.library.build",
    "templ.pipeline",
)


def run_templ(*words, cwd=None, timeout=120):
    """Run ``templ WORDS`` to its end; what `subprocess.run` gives, of text."""
    with tempfile.TemporaryDirectory() as folder:
        streams = [Path(folder, name) for name in ("stdout", "stderr")]
        order = [[*map(str, words)], str(cwd or Path.cwd()), dict(os.environ), [*map(str, streams)]]
        try:
            code = _Server.get().run(order, timeout)
        finally:
            out, errors = (path.read_text() if path.exists() else "" for path in streams)
        return subprocess.CompletedProcess(["templ", *order[0]], code, out, errors)


class _Server:
    """The process that forks; one for each process of pytest."""

    running = None

    @classmethod
    def get(cls):
        if cls.running is None:
            cls.running = cls()
            atexit.register(cls.running.end)
        return cls.running

    def __init__(self):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(
            [sys.executable, __file__], text=True, start_new_session=True, **pipes
        )

    def run(self, order, timeout):
        self.process.stdin.write(json.dumps([order, timeout]) + "\n")
        self.process.stdin.flush()
        code = self.process.stdout.readline()
        if code.strip() == "timeout":
            raise subprocess.TimeoutExpired(order[0], timeout)
        return int(code)

    def end(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def serve():
    """Fork for every order until there are no more; return the words of the command in the fork."""
    for name in IMPORTED:
        importlib.import_module(name)
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        (words, folder, environment, streams), timeout = json.loads(line)
        process = os.fork()
        if not process:
            answers.close()
            os.setsid()
            os.chdir(folder)
            os.environ.clear()
            os.environ.update(environment)
            for number, path in enumerate([os.devnull, *streams]):
                opened = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
                os.dup2(opened, number)
                os.close(opened)
            return words
        print(_wait(process, timeout), file=answers, flush=True)
    raise SystemExit


def _wait(process, timeout):
    """Exit code of a process, negative after a signal; "timeout" when it had to be killed."""
    import select
    import signal

    ended = os.pidfd_open(process)
    try:
        if not select.select([ended], [], [], timeout)[0]:
            os.killpg(process, signal.SIGKILL)
            os.waitpid(process, 0)
            return "timeout"
    finally:
        os.close(ended)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


if __name__ == "__main__":
    sys.argv = ["templ", *serve()]
    from templ.cli import main

    code = 0
    try:
        main()
    except SystemExit as ending:
        code = ending.code or 0
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(code)  # taking down what was imported would cost as much as a command
