"""The CPU cores and memory available to this process, including the limits of a container."""

from __future__ import annotations

import ctypes
import math
import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["available_cores", "available_memory", "give_back_memory"]

_MEMBERSHIP, _MOUNT = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def available_cores(membership: Path = _MEMBERSHIP, mount: Path = _MOUNT) -> int:
    """Return the number of cores that this process may use, at least 1, within taskset and container limits.

    A container's CPU quota counts as a number of cores, rounded up: with more threads than that, all of them stop
    together whenever the quota is used up.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    shares = [_cpu_share(folder) for folder in _groups("cpu", membership, mount)]
    return max(1, min([allowed, *(math.ceil(share) for share in shares if share is not None)]))


def available_memory(membership: Path = _MEMBERSHIP, mount: Path = _MOUNT) -> int | None:
    """Return the memory in bytes for this process: the machine's or its control group's limit; None if unknown."""
    limits = [_memory_limit(folder) for folder in _groups("memory", membership, mount)]
    try:
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        pass
    return min((limit for limit in limits if limit and limit > 0), default=None)


def give_back_memory() -> None:
    """Return freed memory to the system if the C library keeps it, as glibc does per thread."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):  # another C library
        pass


def _groups(controller: str, membership: Path, mount: Path) -> Iterator[Path]:
    """Yield the folders of this process's control groups and their parents: each may set a limit.

    A line reads `0::/path` in version 2 and `4:cpu,cpuacct:/path` in version 1. In a container, the path may be the
    host's while the mount is the container's own group, so the mount itself is included.
    """
    try:
        lines = [line.split(":", 2) for line in membership.read_bytes().decode(errors="surrogateescape").splitlines()]
    except OSError:
        return
    for _, controllers, path in (line for line in lines if len(line) == 3):
        if controllers and controller not in controllers.split(","):
            continue
        top = mount / controllers if controllers else mount
        group = top / path.lstrip("/")
        yield top
        yield from (folder for folder in (group, *group.parents) if folder != top and folder.is_relative_to(top))


def _cpu_share(folder: Path) -> float | None:
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text().split()
        else:
            quota, period = ((folder / f"cpu.cfs_{name}_us").read_text().strip() for name in ("quota", "period"))
        share = float(quota) / float(period)
        return share if 0 < share < math.inf else None
    except (OSError, ValueError, ZeroDivisionError):  # missing, or `max`: no limit
        return None


def _memory_limit(folder: Path) -> int | None:
    for name in ("memory.max", "memory.limit_in_bytes"):
        try:
            return int((folder / name).read_text())
        except (OSError, ValueError):  # missing, or `max`
            continue
    return None
