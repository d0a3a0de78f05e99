"""Allow one writer at a time, with a lock of the operating system that ends with the process that holds it."""

from __future__ import annotations

import os
import time
from datetime import datetime
from pathlib import Path
from typing import Self

from facesearch.errors import Hint, LockedError, StorageError
from facesearch.files import lock, unlock

__all__ = ["WriterLock"]


class WriterLock:
    """A lock on the file at `path`, held until `release`.

    Raises `LockedError`, naming the holder, if another process still holds it after `wait` seconds, and `StorageError`
    if the file cannot be opened or locked.

    The file stays and names the holder; only the lock on it counts, so there is never a stale one to remove.
    """

    def __init__(self, path: Path, *, wait: float = 0.0) -> None:
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise StorageError(
                f"{path}: cannot be opened for writing ({error.strerror}); check its permissions"
            ) from error
        try:
            if not lock(self._descriptor, wait=wait):
                raise LockedError(
                    f"{path.parent}: another run is writing to this index ({_holder(self._descriptor)})", Hint.WAIT
                )
        except BaseException as error:
            os.close(self._descriptor)
            if isinstance(error, OSError):
                raise StorageError(
                    f"{path}: cannot be locked ({error.strerror}); keep the index on a local disk"
                ) from error
            raise
        _write_holder(self._descriptor, f"{os.getpid()} {time.time():.0f}\n")

    def release(self) -> None:
        """Release the lock, even if a child process has inherited the descriptor."""
        _write_holder(self._descriptor, "")
        unlock(self._descriptor)
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _write_holder(descriptor: int, text: str) -> None:
    """Write who holds the lock. This is optional, so a full disk is ignored."""
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
