"""What memory and cores there really are, and what a process holds privately.

Resident memory (RSS) counts the pages of a mapped library in every process that looked at them, though they
belong to none; the unique set size (USS) counts what would be freed if the process ended.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import psutil

CGROUP = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
"""Which cgroups this process is in."""
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
UNLIMITED = 2**60
"""Bytes: cgroup v1 writes about 2^63 where there is no limit."""


def uss_bytes(pid: int | None = None) -> int:
    """Private memory of a process (this one by default), bytes: from the kernel's roll-up, else psutil.

    Raises
    ------
    ProcessLookupError
        When there is no such process any more.
    """
    return sum(held for name, held in _rollup(pid).items() if name.startswith("Private_"))


def anonymous_bytes(pid: int | None = None) -> int:
    """What a process (this one by default) adds to the memory in use, bytes: its share of pages with no file.

    Pages that forked processes still share are divided among them, so that these numbers may be added up.
    """
    rollup = _rollup(pid)
    return rollup.get("Pss_Anon", rollup.get("Pss", 0)) + rollup.get("Pss_Shmem", 0)


def cpu_seconds(pid: int) -> float:
    """CPU time that a process and its threads have used, seconds; 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123  asked for at every task: half of it was Path
            # The name in the second field may hold anything but what ends it.
            fields = file.read().rpartition(b")")[2].split(maxsplit=13)
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND


def tree_bytes() -> int:
    """`anonymous_bytes` of this process and all it has started, directly or not."""
    total = 0
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        with suppress(ProcessLookupError):  # it ended between two looks
            total += anonymous_bytes(process.pid)
    return total


def data_bytes() -> int:
    """What RLIMIT_DATA counts for this process: private writable mappings, bytes; 0 where not told."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    line = next((line for line in status.splitlines() if line.startswith("VmData:")), "VmData: 0")
    return 1024 * int(line.split()[1])


def _rollup(pid: int | None) -> dict[str, int]:
    """The kernel's summary of a process's memory in bytes; where there is none to read, what psutil knows."""
    with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
        text = Path(f"/proc/{pid or 'self'}/smaps_rollup").read_text()
        fields = (line.split() for line in text.splitlines()[1:])
        if rollup := {name.rstrip(":"): 1024 * int(value) for name, value, *_ in fields}:
            return rollup
    try:
        private = int(psutil.Process(pid).memory_full_info().uss)
    except psutil.NoSuchProcess:
        raise ProcessLookupError(pid) from None
    return {"Private_Clean": private, "Pss_Anon": private}


def host_memory() -> int:
    """Bytes of memory in this machine, whatever this process may take of it."""
    return int(psutil.virtual_memory().total)


def available_memory(root: Path = CGROUP, membership: Path = MEMBERSHIP) -> int:
    """Bytes that can still be taken: the container's limit (cgroup v2 or v1) if it is below the host's."""
    host = int(psutil.virtual_memory().available)
    return max(0, min([host, *(limit - used for limit, used in _group_limits(root, membership))]))


def memory_limit(root: Path = CGROUP, membership: Path = MEMBERSHIP) -> int:
    """Bytes there are at all: the container's limit if it is below the host's memory."""
    host = int(psutil.virtual_memory().total)
    return min([host, *(limit for limit, _ in _group_limits(root, membership))])


def _group_limits(root: Path, membership: Path) -> list[tuple[int, int]]:
    """Limit and use of each cgroup with a limit that this process is in, bytes."""
    return [
        (limit, used)
        for folder in _own_groups(root, membership)
        for limit_file, usage_file, reclaimable in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        )
        if (limit := _number(folder / limit_file)) is not None
        and limit < UNLIMITED
        and (used := _used(folder, usage_file, reclaimable)) is not None
    ]


def available_cores(root: Path = CGROUP, membership: Path = MEMBERSHIP) -> int:
    """Cores this process may use: its affinity, or the container's quota if that is less; at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = map(_quota, _own_groups(root, membership))
    return min([cores, *(max(1, int(quota)) for quota in quotas if quota is not None)])


def _own_groups(root: Path, membership: Path) -> list[Path]:
    """Folders of the cgroups this process is in, from the root down; limits hold at every level."""
    folders: list[Path] = []
    lines: list[str] = []
    with suppress(OSError):
        lines = membership.read_text().splitlines()
    for line in lines:
        _, controllers, path = line.split(":", 2)
        # v2 has one tree for all. The trees of v1 are found by a controller's own name: those joined in one
        # tree are not always listed in the order of its folder's name (cpuacct,cpu in cpu,cpuacct).
        for tree in {"memory", "cpu"}.intersection(controllers.split(",")) if controllers else {""}:
            folders.append(root / tree)
            for part in Path(path).parts[1:]:
                folders.append(folders[-1] / part)
    return folders or [root, root / "memory", root / "cpu"]


def _number(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def _used(folder: Path, usage_file: str, reclaimable: str) -> int | None:
    """Bytes in use without file pages that the kernel drops when memory runs short."""
    usage = _number(folder / usage_file)
    if usage is None:
        return None
    try:
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        stat = {}
    return usage - int(stat.get(reclaimable, 0))


def _quota(folder: Path) -> float | None:
    """Cores the group may use at a time, None without a quota."""
    try:
        quota, period = (folder / "cpu.max").read_text().split()
    except (OSError, ValueError):
        quota = str(_number(folder / "cpu.cfs_quota_us"))
        period = str(_number(folder / "cpu.cfs_period_us"))
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) else None
