"""Runs a script in PyMOL, as it was installed beside Python or by the system."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def run_pymol(script, *commands):
    """What PyMOL prints for a script and further commands; a test without PyMOL is skipped."""
    found = shutil.which("pymol")
    if found is None:
        pytest.skip("PyMOL is not installed: apt-get install pymol")
    # Debian's starts the first python3 of the path, which must be that of the system.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment["PATH"] = f"{Path(found).parent}:/usr/bin:/bin"
    words = [word for command in commands for word in ("-d", command)]
    done = subprocess.run(
        [found, "-cq", script.name, *words],
        cwd=script.parent,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout + done.stderr
