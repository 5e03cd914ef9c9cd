"""What tests of faults need: the demo files as text, a disk that is full, files that nobody may read."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
from contextlib import ExitStack

import pytest
from hypothesis import strategies as st

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


@pytest.fixture(scope="session")
def damage():
    """``damage(data)``: a strategy of what disks, copies and editors make of the bytes of a file."""

    @st.composite
    def damaged(draw, data):
        start = draw(st.integers(0, len(data)))
        end = min(start + draw(st.integers(1, 100)), len(data))
        bit = draw(st.integers(0, 7))
        before, after = data[:start], data[start:]
        kinds = {
            "flipped": before + bytes(byte ^ 1 << bit for byte in after[:1]) + after[1:],
            "cut off": before,
            "lost": before + data[end:],
            "zeroed": before + bytes(end - start) + data[end:],
            "inserted": before + draw(st.binary(min_size=1, max_size=20)) + after,
            "doubled": data[:end] + after,
            "another digit": before + re.sub(rb"\d", lambda digit: bytes([digit[0][0] ^ 1]), after, count=1),
        }
        return kinds[draw(st.sampled_from(sorted(kinds)))]

    return damaged
