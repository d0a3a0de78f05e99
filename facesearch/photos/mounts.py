"""Recognise kernel file systems such as `/proc` and `/sys`, which are not disks and may hold endless files."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path

__all__ = ["KernelFiles"]

_MOUNTS = Path("/proc/self/mountinfo")
_KERNEL = frozenset(
    b"binfmt_misc bpf cgroup cgroup2 configfs debugfs devpts devtmpfs efivarfs fusectl hugetlbfs mqueue nsfs proc"
    b" pstore rpc_pipefs securityfs selinuxfs sysfs tracefs".split()
)
"""Without tmpfs, ramfs and autofs: these may hold photos."""


class KernelFiles:
    """The devices (`st_dev`) of kernel file systems, read at the first test; empty if the system lists no mounts."""

    def __init__(self, mounts: Path = _MOUNTS) -> None:
        self._mounts = mounts

    def __contains__(self, device: int) -> bool:
        return device in self._devices

    @cached_property
    def _devices(self) -> frozenset[int]:
        """Parse lines such as `36 35 98:0 /root /mount options - type source options`, with more before the dash."""
        try:
            lines = [line.split(b" ") for line in self._mounts.read_bytes().splitlines()]
        except OSError:
            return frozenset()
        devices = set()
        for fields in lines:
            if b"-" in fields[6:] and fields[fields.index(b"-", 6) + 1] in _KERNEL:
                major, _, minor = fields[2].partition(b":")
                devices.add(os.makedev(int(major), int(minor)))
        return frozenset(devices)
