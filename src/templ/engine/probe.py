"""What memory and cores there really are, and what a process holds privately.

Resident memory (RSS) counts the pages of a mapped library in every process that looked at them, though they
belong to none; the unique set size (USS) counts what would be freed if the process ended.
"""

from __future__ import annotations

import os
from pathlib import Path

import psutil

CGROUP = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
"""Which cgroups this process is in."""
UNLIMITED = 2**60
"""Bytes: cgroup v1 writes about 2^63 where there is no limit."""


def uss_bytes(pid: int | None = None) -> int:
    """Private memory of a process (this one by default), bytes: from the kernel's roll-up, else psutil."""
    try:
        text = Path(f"/proc/{pid or 'self'}/smaps_rollup").read_text()
    except OSError:
        return int(psutil.Process(pid).memory_full_info().uss)
    private = (line.split()[1] for line in text.splitlines() if line.startswith("Private_"))
    return 1024 * sum(map(int, private))


def available_memory(root: Path = CGROUP, membership: Path = MEMBERSHIP) -> int:
    """Bytes that can still be taken: the container's limit (cgroup v2 or v1) if it is below the host's."""
    host = int(psutil.virtual_memory().available)
    left = [
        limit - used
        for folder in _own_groups(root, membership)
        for limit_file, usage_file, reclaimable in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        )
        if (limit := _number(folder / limit_file)) is not None
        and limit < UNLIMITED
        and (used := _used(folder, usage_file, reclaimable)) is not None
    ]
    return max(0, min([host, *left]))


def available_cores(root: Path = CGROUP, membership: Path = MEMBERSHIP) -> int:
    """Cores this process may use: its affinity, or the container's quota if that is less; at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for folder in _own_groups(root, membership):
        quota = _quota(folder)
        if quota is not None:
            cores = min(cores, max(1, int(quota)))
    return cores


def _own_groups(root: Path, membership: Path) -> list[Path]:
    """Folders of the cgroups this process is in, from the root down; limits hold at every level."""
    folders = []
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        lines = []
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
