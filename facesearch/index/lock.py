"""One writer at a time: a lock of the operating system's, which dies with the process that holds it."""

from __future__ import annotations

import os
import time
from datetime import datetime
from pathlib import Path
from typing import Self

from facesearch.errors import Hint, LockedError, StorageError

__all__ = ["WriterLock"]

_LOCKED_BYTE = 1 << 30  # where a locked byte cannot be read (Windows), the holder's name before it still can

_POLL_SECONDS = 0.2


class WriterLock:
    """Holds the file at `path` locked until `release`.

    Raises `LockedError`, saying who has it, when another process still does after `wait` seconds.

    The file stays; only the lock on it counts, so there is never a stale one to remove. It tells who holds it.
    """

    def __init__(self, path: Path, *, wait: float = 0.0) -> None:
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
        except OSError as error:
            raise StorageError(
                f"{path}: cannot be opened for writing ({error.strerror}); check its permissions"
            ) from error
        deadline = time.monotonic() + wait
        while True:
            try:
                _lock(self._descriptor)
                break
            except OSError as error:
                if time.monotonic() < deadline:
                    time.sleep(min(_POLL_SECONDS, wait))
                    continue
                holder = _holder(self._descriptor)
                os.close(self._descriptor)
                raise LockedError(
                    f"{path.parent}: another run is writing to this index ({holder})", Hint.WAIT
                ) from error
        _write_holder(self._descriptor, f"{os.getpid()} {time.time():.0f}\n")

    def release(self) -> None:
        """Let the next one in."""
        _write_holder(self._descriptor, "")
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _lock(descriptor: int) -> None:
    """Raises `OSError` when the lock is held."""
    if os.name == "nt":
        import msvcrt

        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _write_holder(descriptor: int, text: str) -> None:
    """Leave word of who holds the lock. On a full disk there is no room for it, and none is needed."""
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text.encode(), 0)
    except OSError:
        pass


def _holder(descriptor: int) -> str:
    try:
        pid, since = os.pread(descriptor, 64, 0).split()
        moment = datetime.fromtimestamp(int(since)).isoformat(sep=" ", timespec="seconds")
        return f"process {int(pid)}, since {moment}"
    except (OSError, ValueError):
        return "process unknown"
