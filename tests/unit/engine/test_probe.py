from __future__ import annotations

import mmap
import os
import subprocess
import sys
from types import SimpleNamespace

import psutil
import pytest

from templ.engine import probe
from templ.engine.probe import available_cores, available_memory, uss_bytes

MB = 2**20
HOST = 1000 * MB
V1_UNLIMITED = 9223372036854771712
MAPPER = """
import mmap, sys
with open(sys.argv[1], "rb") as file:
    pages = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
sum(pages[::4096])
print("mapped", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def host(monkeypatch):
    """A machine with 1000 MB available and 16 cores."""
    monkeypatch.setattr(probe.psutil, "virtual_memory", lambda: SimpleNamespace(available=HOST))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)


@pytest.fixture
def cgroups(tmp_path):
    """Writes a recorded tree: what this process is in, then files by their path; returns what to probe."""

    def write(membership, files):
        root = tmp_path / "cgroup"
        root.mkdir()
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{content}\n", encoding="utf-8")
        (tmp_path / "membership").write_text(membership, encoding="utf-8")
        return root, tmp_path / "membership"

    return write


V2 = "0::/system.slice/job.scope\n"
V1 = """\
12:cpuacct,cpu:/docker/4f
11:memory:/docker/4f
10:cpuset:/docker/4f
1:name=systemd:/docker/4f
0::/system.slice/containerd.service
"""


def v2(limit, used, *, inactive=0, folder="system.slice/job.scope"):
    return {
        f"{folder}/memory.max": limit,
        f"{folder}/memory.current": used,
        f"{folder}/memory.stat": f"anon 4096\ninactive_file {inactive}\nactive_file 8192",
    }


def v1(limit, used, *, inactive=0, folder="memory/docker/4f"):
    return {
        f"{folder}/memory.limit_in_bytes": limit,
        f"{folder}/memory.usage_in_bytes": used,
        f"{folder}/memory.stat": f"cache 1\ninactive_file 0\ntotal_inactive_file {inactive}",
    }


@pytest.mark.parametrize(
    ("membership", "files", "available"),
    [
        pytest.param(V2, v2(500 * MB, 100 * MB), 400 * MB, id="v2"),
        pytest.param(V2, v2(500 * MB, 100 * MB, inactive=60 * MB), 460 * MB, id="v2: dropped file pages"),
        pytest.param(V2, v2("max", 100 * MB), HOST, id="v2: no limit"),
        pytest.param(
            V2,
            v2("max", 100 * MB) | v2(300 * MB, 150 * MB, folder="system.slice"),
            150 * MB,
            id="v2: limit above",
        ),
        pytest.param(
            V2,
            v2(200 * MB, 50 * MB) | v2(900 * MB, 850 * MB, folder="system.slice"),
            50 * MB,
            id="v2: full above",
        ),
        pytest.param("0::/\n", v2(500 * MB, 100 * MB, folder="."), 400 * MB, id="v2: seen from inside"),
        pytest.param(V2, v2(5000 * MB, 0), HOST, id="v2: limit above the host's"),
        pytest.param(V2, v2(100 * MB, 120 * MB), 0, id="v2: over its limit"),
        pytest.param(V2, {"system.slice/job.scope/memory.max": 500 * MB}, HOST, id="v2: use unknown"),
        pytest.param(V1, v1(500 * MB, 100 * MB, inactive=30 * MB), 430 * MB, id="v1"),
        pytest.param(V1, v1(V1_UNLIMITED, 100 * MB), HOST, id="v1: no limit"),
        pytest.param(
            V1,
            v1(V1_UNLIMITED, 0) | v1(300 * MB, 100 * MB, folder="memory/docker"),
            200 * MB,
            id="v1: limit above",
        ),
        pytest.param(V1, v1(500 * MB, 100 * MB, folder="memory"), 400 * MB, id="v1: seen from inside"),
        pytest.param(V1, {}, HOST, id="v1: no files"),
        pytest.param("", v2(500 * MB, 100 * MB, folder="."), 400 * MB, id="membership unknown: v2"),
        pytest.param("", v1(500 * MB, 100 * MB, folder="memory"), 400 * MB, id="membership unknown: v1"),
    ],
)
def test_available_memory(host, cgroups, membership, files, available):
    assert available_memory(*cgroups(membership, files)) == available


@pytest.mark.parametrize(
    ("membership", "files", "cores"),
    [
        pytest.param(V2, {"system.slice/job.scope/cpu.max": "400000 100000"}, 4, id="v2"),
        pytest.param(V2, {"system.slice/job.scope/cpu.max": "max 100000"}, 16, id="v2: no quota"),
        pytest.param(V2, {"system.slice/cpu.max": "250000 100000"}, 2, id="v2: above, part of a core"),
        pytest.param(V2, {"system.slice/job.scope/cpu.max": "20000 100000"}, 1, id="v2: less than a core"),
        pytest.param(V2, {"system.slice/job.scope/cpu.max": "9900000 100000"}, 16, id="v2: more than all"),
        pytest.param(
            V1,
            {"cpu/docker/4f/cpu.cfs_quota_us": 300000, "cpu/docker/4f/cpu.cfs_period_us": 100000},
            3,
            id="v1, listed as cpuacct,cpu",
        ),
        pytest.param(
            V1,
            {"cpu/docker/4f/cpu.cfs_quota_us": -1, "cpu/docker/4f/cpu.cfs_period_us": 100000},
            16,
            id="v1: no quota",
        ),
        pytest.param(V1, {"cpu/cpu.cfs_quota_us": 200000, "cpu/cpu.cfs_period_us": 0}, 16, id="no period"),
    ],
)
def test_available_cores(host, cgroups, membership, files, cores):
    assert available_cores(*cgroups(membership, files)) == cores


def test_without_cgroups_the_host_counts(host, tmp_path):
    absent = tmp_path / "absent"
    assert available_memory(absent, absent) == HOST
    assert available_cores(absent, absent) == 16


def test_this_machine_has_cores_and_memory():
    assert 0 < available_memory() <= psutil.virtual_memory().total
    assert 1 <= available_cores() <= psutil.cpu_count()


def test_private_memory_agrees_with_psutil():
    assert uss_bytes() == pytest.approx(psutil.Process().memory_full_info().uss, abs=2 * MB)


def test_private_memory_of_another_process(tmp_path):
    command = [sys.executable, "-c", "import sys; block = b'x' * (64 << 20); print(); sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        assert 64 * MB < uss_bytes(process.pid) < 128 * MB
        process.stdin.close()


def test_private_memory_without_the_kernels_summary(monkeypatch):
    with_summary = uss_bytes()

    def absent(path, *args, **kwargs):
        raise FileNotFoundError(path)

    monkeypatch.setattr(probe.Path, "read_text", absent)
    # A process that has run many tests goes on moving: this is about the order of things, not the last page.
    assert uss_bytes() == pytest.approx(with_summary, rel=0.05)


def test_private_memory_grows_by_what_is_allocated():
    before = uss_bytes()
    block = b"x" * (64 * MB)
    assert uss_bytes() - before == pytest.approx(len(block), abs=2 * MB)


def test_private_memory_leaves_out_a_file_that_another_process_maps_too(tmp_path):
    path = tmp_path / "library"
    path.write_bytes(b"x" * (64 * MB))
    command = [sys.executable, "-c", MAPPER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        before, resident = uss_bytes(), psutil.Process().memory_info().rss
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as pages:
            assert sum(pages[at] for at in range(0, len(pages), mmap.PAGESIZE)) > 0
            assert psutil.Process().memory_info().rss - resident > 60 * MB
            assert uss_bytes() - before < 4 * MB
        other.stdin.close()
