"""The crash guard: the photos in progress when a process died, at any moment."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from facesearch.index import crash_guard as crash_guard_module
from facesearch.index.crash_guard import CrashGuard

names = st.sampled_from([b"a.jpg", b"b b.jpg", b"\xff\n.jpg", b"c", b"long" * 50])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80, deadline=None)
@given(
    steps=st.lists(st.tuples(st.sampled_from(["take", "drop", "die", "end"]), names), max_size=40), large=st.booleans()
)
def test_suspects_are_the_photos_taken_and_not_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: list[tuple[str, bytes]], large: bool
) -> None:
    monkeypatch.setattr(crash_guard_module, "_LARGE", 10**6 if large else 50)
    path = tmp_path / "in-hand"
    path.unlink(missing_ok=True)
    guard = CrashGuard(path)
    noted: set[bytes] = set()
    for step, name in steps:
        if step == "take":
            guard.take(name)
            noted.add(name)
        elif step == "drop":
            guard.drop(name)
            noted.discard(name)
        elif step == "die":
            guard = CrashGuard(path)
            assert guard.suspects == noted
        else:
            noted &= guard.suspects
            guard.close()
            guard = CrashGuard(path)
            assert guard.suspects == noted, "photos in progress at a normal end are not suspects"
    for name in noted:
        guard.drop(name)
    guard.close()
    assert CrashGuard(path).suspects == frozenset()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_truncated_line_is_ignored(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "in-hand"
    guard = CrashGuard(path)
    guard.take(b"one")
    guard.take(b"two")
    data = path.read_bytes()
    path.write_bytes(data[:-cut])
    assert CrashGuard(path).suspects == ({b"one"} if cut <= 9 else set())
    path.write_bytes(b"nonsense\n5\n\xff\xfe\n" + data)
    assert CrashGuard(path).suspects == {b"one", b"two"}


def test_without_a_file_nothing_is_kept() -> None:
    guard = CrashGuard(None)
    guard.take(b"a")
    assert guard.suspects == frozenset()
    guard.drop(b"a")
    guard.close()
    assert CrashGuard(None).suspects == frozenset()


def test_photos_are_read_even_if_no_file_can_be_written(tmp_path: Path) -> None:
    blocked = CrashGuard(tmp_path / "missing" / "in-hand")
    blocked.take(b"a")
    blocked.drop(b"a")
    blocked.take(b"b")
    blocked.close()
    assert blocked.suspects == frozenset()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("failing", ["write", "replace"])
def test_a_disk_that_was_full_for_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    path = tmp_path / "in-hand"
    guard = CrashGuard(path)
    if failing == "write":
        guard.take(b"z")  # the file exists now and is open for writing

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, failing, full)
        guard.take(b"a")
        assert b"a" not in CrashGuard(path).suspects
    guard.take(b"b")
    assert CrashGuard(path).suspects >= {b"a", b"b"}
    guard.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_a_folder_or_pipe_in_its_place_does_no_harm(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "in-hand")
    guard = CrashGuard(tmp_path / "in-hand")
    assert not guard.suspects
    guard.take(b"a")
    guard.drop(b"a")
    guard.close()
