"""Virtual file systems of the kernel are distinguished from disks."""

from __future__ import annotations

import os
from pathlib import Path

from facesearch.photos.mounts import KernelFiles
from facesearch.photos.scan import scan

MOUNTS = rb"""24 29 0:22 / /proc rw,nosuid - proc proc rw
29 1 8:1 / / rw,relatime shared:1 master:2 - ext4 /dev/sda1 rw
30 29 0:30 / /dev/shm rw - tmpfs tmpfs rw
31 24 0:31 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw
32 29 0:40 / /mnt/a\040b - fuse.proc x rw
bad line
"""


def test_reading_the_mount_table(tmp_path: Path) -> None:
    (tmp_path / "mountinfo").write_bytes(MOUNTS)
    kernel = KernelFiles(tmp_path / "mountinfo")
    assert [os.makedev(*device) in kernel for device in ((0, 22), (0, 31))] == [True, True]
    assert [os.makedev(*device) in kernel for device in ((8, 1), (0, 30), (0, 40), (0, 0))] == [False] * 4
    assert 5 not in KernelFiles(tmp_path / "nowhere")


def test_proc_is_not_entered(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/kernel").symlink_to("/proc/self")
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk/a.jpg").write_bytes(b"x")
    (tmp_path / "tree/disk").symlink_to(tmp_path / "disk")
    troubles: list[bytes] = []
    found = [
        file.path for file in scan(os.fsencode(tmp_path / "tree"), unreadable=lambda path, _: troubles.append(path))
    ]
    assert found == [b"disk/a.jpg"]
    assert troubles == [], "it is not read at all"
