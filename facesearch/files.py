"""Replace files atomically, flush, lock and hash them, and explain why one is unreadable."""

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
    "output_file",
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
"""Error numbers for a full disk or an exhausted quota."""

_CANNOT_FLUSH = (errno.EINVAL, errno.ENOTSUP, errno.EACCES)
"""Errors of flushing a folder that do not mean data loss: a network share, or a folder that may not be listed."""

_POLL_SECONDS = 0.2


@contextmanager
def replacing(path: Path, *, mode: int = 0o600, flush: bool = True) -> Iterator[BinaryIO]:
    """Write a new file that replaces `path` when the block ends; after an error, `path` is unchanged.

    Only the owner may read it, unless `mode` says otherwise. With `flush`, a power cut leaves either the old file or
    the complete new one. Raises `OSError`.
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


@contextmanager
def output_file(path: Path, *, private: bool = False) -> Iterator[BinaryIO]:
    """Open a file for output that appears at `path` as a whole when the block ends; an error leaves the old file.

    A `private` file has mode 0600; other files follow the umask. A symbolic link stays, and its target is replaced.
    Pipes and devices, and anything in /dev and /proc, such as /dev/stdout, are written to directly and never replaced.
    Raises `OSError`.
    """
    if _is_stream(path):
        with path.open("wb") as stream:
            yield stream
        return
    with replacing(path.resolve(), mode=0o600 if private else 0o666) as stream:
        if private:
            os.fchmod(stream.fileno(), 0o600)  # also if the umask is unusual or a killed process left the file
        yield stream


def _is_stream(path: Path) -> bool:
    """Return True for a pipe, a device, or a link to an open file in /dev or /proc. Raises `OSError`."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return True
    except FileNotFoundError:
        return False
    while True:
        folder = path.parent.resolve()
        if folder in (Path("/dev"), Path("/dev/fd")) or folder.is_relative_to("/proc"):
            return True
        if not path.is_symlink():
            return False
        path = folder / path.readlink()


def unfinished(path: Path) -> Path:
    """Return the hidden temporary file in the same folder to which this process writes a replacement for `path`."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def sync_folder(folder: Path) -> None:
    """Flush a folder if its file system supports it, so that a rename survives a power cut. Raises `OSError`."""
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
    """Return the SHA-256 digest of a file, 32 bytes. Raises `OSError`."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


def size_of(path: Path) -> int:
    """Return the size of a file in bytes; 0 if it is missing or inaccessible."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def lock(descriptor: int, *, wait: float = 0.0) -> bool:
    """Lock an open file exclusively, waiting up to `wait` seconds; return True if it is locked.

    The operating system releases the lock when the process ends. The content of the file is not touched. Raises
    `OSError` if the file system does not support locks.
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
    """Release a lock, also for child processes that have inherited the descriptor."""
    from filelock import unlock_descriptor

    unlock_descriptor(descriptor)


def unreadable(path: Path, reason: str) -> str:
    """Return the message that an index is unreadable, with the permissions that block it, maybe of a parent folder."""
    barrier = next((folder for folder in reversed(path.absolute().parents) if not os.access(folder, os.X_OK)), path)
    told = f"{path}: the index cannot be read ({reason}"
    try:
        found = os.stat(barrier)
    except OSError:
        return f"{told})"
    at = "its permissions are" if barrier == path else f"{barrier} has permissions"
    return f"{told}; {at} {stat.filemode(found.st_mode)}, owner {_owner(found.st_uid)})"


def write_reserve(path: Path, size: int) -> None:
    """Create a file that really occupies `size` bytes on disk; remove it on failure. Raises `OSError`."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "wb") as stream:
            stream.write(os.urandom(size))  # random: file systems cannot compress it or store it as holes
    except OSError:
        path.unlink(missing_ok=True)
        raise


def _owner(number: int) -> str:
    try:
        import pwd

        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
