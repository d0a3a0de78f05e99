"""Files at rest: replaced in one step, flushed, locked, hashed; and what keeps them from being read or written."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

__all__ = [
    "NO_ROOM",
    "lock",
    "replacing",
    "sha256",
    "size_of",
    "sync_folder",
    "unfinished",
    "unlock",
    "unreadable",
    "write_reserve",
]

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
"""Errors of a disk, or a user's share of it, that has no room left."""

_CANNOT_FLUSH = (errno.EINVAL, errno.ENOTSUP, errno.EACCES)
"""Errors of flushing a folder that say nothing of what is in it: a network share, one that may not be listed."""

_POLL_SECONDS = 0.2


@contextmanager
def replacing(path: Path, *, mode: int = 0o600, flush: bool = True) -> Iterator[BinaryIO]:
    """A file that takes the place of `path` when the block ends; until then, and after an error, that is as it was.

    It is for its owner alone, unless `mode` says otherwise. With `flush` a power cut leaves the old file or the new
    one, whole. Raises `OSError`.
    """
    beside = unfinished(path)
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
        with open(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            if flush:
                os.fsync(stream.fileno())
        beside.replace(path)
        if flush:
            sync_folder(path.parent)
    finally:
        if os.path.lexists(beside):
            beside.unlink()


def unfinished(path: Path) -> Path:
    """Where this process writes what is to take the place of `path`: hidden, beside it."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def sync_folder(folder: Path) -> None:
    """Flush a folder, where its file system can: a rename in it survives a power cut then. Raises `OSError`."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_FLUSH:
            raise


def sha256(path: Path) -> bytes:
    """The digest of a file, 32 bytes. Raises `OSError`."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


def size_of(path: Path) -> int:
    """Bytes; 0 for a file that is not there or cannot be seen."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def lock(descriptor: int, *, wait: float = 0.0) -> bool:
    """Lock an open file for its process alone, waiting up to so many seconds; whether that succeeded.

    The lock is the system's own and goes with the process. What is in the file is not touched. Raises `OSError` where
    the file system has no locks.
    """
    from filelock import lock_descriptor

    deadline = time.monotonic() + wait
    while not lock_descriptor(descriptor, blocking=False):
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(_POLL_SECONDS, left))
    return True


def unlock(descriptor: int) -> None:
    """Give a lock up, also for children that have inherited the descriptor."""
    from filelock import unlock_descriptor

    unlock_descriptor(descriptor)


def unreadable(path: Path, reason: str) -> str:
    """That an index cannot be read, and the permissions that stand in the way: those of a folder above it, maybe."""
    barrier = next((folder for folder in reversed(path.absolute().parents) if not os.access(folder, os.X_OK)), path)
    told = f"{path}: the index cannot be read ({reason}"
    try:
        found = os.stat(barrier)
    except OSError:
        return f"{told})"
    at = "its permissions are" if barrier == path else f"{barrier} has permissions"
    return f"{told}; {at} {stat.filemode(found.st_mode)}, owner {_owner(found.st_uid)})"


def write_reserve(path: Path, size: int) -> None:
    """Make a file of that many bytes, whole or not at all, that takes them up on any disk. Raises `OSError`."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "wb") as stream:
            stream.write(os.urandom(size))  # nothing that a file system would leave out or compress
    except OSError:
        path.unlink(missing_ok=True)
        raise


def _owner(number: int) -> str:
    try:
        import pwd

        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
