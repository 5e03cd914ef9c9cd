"""What tests of faults need: the demo files as text, a disk that is full, files that nobody may read."""

from __future__ import annotations

import gzip
import os
import subprocess
from contextlib import ExitStack

import pytest

from templ.sources.demo import demo_files


@pytest.fixture
def sdf():
    """The demo ligands."""
    return gzip.decompress(demo_files().ligands.read_bytes()).decode()


@pytest.fixture
def mount_disk(tmp_path):
    """Make a disk of a size given as mount takes it, such as 64k."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    with ExitStack() as mounted:

        def mount(size):
            disk = tmp_path / "disk"
            disk.mkdir()
            words = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)]
            if subprocess.run(words, capture_output=True).returncode:
                pytest.skip("this machine lets nobody mount a small disk")
            mounted.callback(subprocess.run, ["umount", "-l", str(disk)], check=True)
            return disk

        yield mount


@pytest.fixture
def locked(tmp_path):
    """Words before a command that take root's right to read everything away from it."""
    (tmp_path / "locked").touch(mode=0)
    before = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()
    try:
        if subprocess.run([*before, "cat", "locked"], cwd=tmp_path, capture_output=True).returncode != 1:
            pytest.skip("here nothing can be kept from being read")
    except FileNotFoundError:
        pytest.skip("no setpriv: nothing can be kept from root")
    return before
