"""Limits of a container, read from its control groups."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from facesearch.machine import available_cores, available_memory

CORES = len(os.sched_getaffinity(0))


def group(mount: Path, path: str, **files: str) -> None:
    folder = mount / path
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text + "\n")


@pytest.fixture
def membership(tmp_path: Path) -> Path:
    path = tmp_path / "cgroup"
    path.write_text("0::/docker/abc\n")
    return path


@pytest.mark.parametrize(
    ("quota", "cores"), [("50000 100000", 1), ("100000 100000", 1), ("max 100000", CORES), ("9900000 100000", CORES)]
)
def test_a_share_of_processor_time(tmp_path: Path, membership: Path, quota: str, cores: int) -> None:
    group(tmp_path / "mount", "docker/abc", cpu__max=quota)
    assert available_cores(membership, tmp_path / "mount") == cores


def test_the_limit_of_a_parent_group_counts(tmp_path: Path, membership: Path) -> None:
    group(tmp_path / "mount", "docker", cpu__max="100000 100000", memory__max="3000000")
    group(tmp_path / "mount", "docker/abc", cpu__max="max 100000", memory__max="max")
    assert available_cores(membership, tmp_path / "mount") == 1
    assert available_memory(membership, tmp_path / "mount") == 3_000_000


def test_inside_a_container_its_own_group_is_the_mount(tmp_path: Path, membership: Path) -> None:
    group(tmp_path / "mount", "", cpu__max="150000 150000", memory__max="5000000")
    assert available_cores(membership, tmp_path / "mount") == 1
    assert available_memory(membership, tmp_path / "mount") == 5_000_000


def test_the_first_version_of_control_groups(tmp_path: Path) -> None:
    membership = tmp_path / "cgroup"
    membership.write_text("5:memory:/box\n4:cpu,cpuacct:/box\n1:name=systemd:/x\n")
    group(tmp_path / "mount", "cpu,cpuacct/box", cpu__cfs_quota_us="50000", cpu__cfs_period_us="100000")
    group(tmp_path / "mount", "memory/box", memory__limit_in_bytes="7000000")
    assert available_cores(membership, tmp_path / "mount") == 1
    assert available_memory(membership, tmp_path / "mount") == 7_000_000
    group(tmp_path / "mount", "cpu,cpuacct/box", cpu__cfs_quota_us="-1")
    assert available_cores(membership, tmp_path / "mount") == CORES


@pytest.mark.parametrize("text", [b"", b"nonsense", b"0::/missing", b"a:b", b"0::/../../../etc", b"0::/caf\xe9\n"])
def test_without_control_groups_the_whole_machine_is_used(tmp_path: Path, text: bytes) -> None:
    membership = tmp_path / "cgroup"
    membership.write_bytes(text)
    assert available_cores(membership, tmp_path / "mount") == CORES
    assert available_cores(tmp_path / "missing", tmp_path / "mount") == CORES
    memory = available_memory(membership, tmp_path / "mount")
    assert memory is not None
    assert memory > 2**28


@pytest.mark.parametrize("quota", ["inf 100000", "1e400 1", "10 nan", "10 0", "-1 -1", "x y z", ""])
def test_invalid_limits_are_ignored(tmp_path: Path, membership: Path, quota: str) -> None:
    group(tmp_path / "mount", "docker/abc", cpu__max=quota, memory__max="-5")
    assert available_cores(membership, tmp_path / "mount") >= 1
    memory = available_memory(membership, tmp_path / "mount")
    assert memory is not None
    assert memory > 2**28
