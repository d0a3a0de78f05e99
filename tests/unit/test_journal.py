"""What was in hand when a process died, whatever it was doing at that moment."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from facesearch.index import crash_guard as journal_module
from facesearch.index.crash_guard import Journal

names = st.sampled_from([b"a.jpg", b"b b.jpg", b"\xff\n.jpg", b"c", b"long" * 50])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80, deadline=None)
@given(
    steps=st.lists(st.tuples(st.sampled_from(["take", "drop", "die", "end"]), names), max_size=40), large=st.booleans()
)
def test_what_is_in_hand_is_what_was_taken_and_not_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: list[tuple[str, bytes]], large: bool
) -> None:
    monkeypatch.setattr(journal_module, "_LARGE", 10**6 if large else 50)
    path = tmp_path / "in-hand"
    path.unlink(missing_ok=True)
    journal = Journal(path)
    noted: set[bytes] = set()
    for step, name in steps:
        if step == "take":
            journal.take(name)
            noted.add(name)
        elif step == "drop":
            journal.drop(name)
            noted.discard(name)
        elif step == "die":
            journal = Journal(path)
            assert journal.suspects == noted
        else:
            noted &= journal.suspects
            journal.close()
            journal = Journal(path)
            assert journal.suspects == noted, "who was in hand when a run ended in good order is no suspect"
    for name in noted:
        journal.drop(name)
    journal.close()
    assert Journal(path).suspects == frozenset()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "in-hand"
    journal = Journal(path)
    journal.take(b"one")
    journal.take(b"two")
    data = path.read_bytes()
    path.write_bytes(data[:-cut])
    assert Journal(path).suspects == ({b"one"} if cut <= 9 else set())
    path.write_bytes(b"nonsense\n5\n\xff\xfe\n" + data)
    assert Journal(path).suspects == {b"one", b"two"}


def test_without_a_file_nothing_is_kept(tmp_path: Path) -> None:
    journal = Journal(None)
    journal.take(b"a")
    journal.drop(b"a")
    journal.close()
    (tmp_path / "folder").mkdir()
    blocked = Journal(tmp_path / "folder" / "missing" / "in-hand")
    blocked.take(b"a")
    blocked.drop(b"a")


def test_a_disk_that_was_full_for_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "in-hand"
    journal = Journal(path)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        journal.take(b"a")
    journal.take(b"b")
    assert Journal(path).suspects == {b"a", b"b"}


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_file_in_its_place_is_no_trouble(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "in-hand")
    journal = Journal(tmp_path / "in-hand")
    assert not journal.suspects
    journal.take(b"a")
    journal.drop(b"a")
    journal.close()
