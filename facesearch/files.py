"""What keeps an index from being read or written: permissions, told in words, and disks without room."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

__all__ = ["NO_ROOM", "unreadable", "write_reserve"]

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
"""Errors of a disk, or a user's share of it, that has no room left."""


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
    except (ImportError, KeyError):
        return str(number)
