"""The writer lock: it waits, names its holder, and ends with its process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from facesearch.errors import LockedError, StorageError
from facesearch.index.lock import WriterLock

HOLDER = (
    "import sys; from pathlib import Path; from facesearch.index.lock import WriterLock\n"
    "lock = WriterLock(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read(); lock.release()"
)


def holder(path: Path) -> subprocess.Popen[str]:
    """Start a process that holds the lock until its stdin ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_it_names_its_holder_and_ends_with_that_process(tmp_path: Path) -> None:
    path = tmp_path / "writer.lock"
    with holder(path) as other:
        for _attempt in range(2):  # an attempt does not change the file
            with pytest.raises(LockedError, match=rf"another run is writing.*process {other.pid}, since 20"):
                WriterLock(path)
        other.send_signal(signal.SIGKILL)
        other.wait()
    with WriterLock(path):
        assert path.read_text().split()[0] == str(os.getpid())
    assert path.read_text() == ""
    assert path.stat().st_mode & 0o777 == 0o600


def test_waiting_for_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "writer.lock"
    with holder(path) as other:
        assert other.stdin is not None
        later = threading.Timer(0.3, other.stdin.close)
        later.start()
        with WriterLock(path, wait=60):
            assert path.read_text().split()[0] == str(os.getpid())
        later.join()


def test_a_child_process_does_not_keep_an_inherited_lock(tmp_path: Path) -> None:
    path = tmp_path / "writer.lock"
    lock = WriterLock(path)
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[lock._descriptor]
    ) as child:
        with pytest.raises(LockedError):
            WriterLock(path)
        lock.release()
        WriterLock(path).release()
        assert child.poll() is None
        child.kill()


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "writer.lock").symlink_to(tmp_path / "precious")
    with pytest.raises(StorageError, match="cannot be opened for writing"):
        WriterLock(tmp_path / "writer.lock")
    assert (tmp_path / "precious").read_text() == "kept"
