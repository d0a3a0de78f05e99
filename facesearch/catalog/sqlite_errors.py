"""Translate the errors of SQLite into those of facesearch."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from facesearch.errors import (
    DiskFullError,
    FacesearchError,
    Hint,
    IndexDamagedError,
    LockedError,
    StorageError,
)

__all__ = ["REPLACED", "cannot_open", "translated", "translating"]

REPLACED = "restore a backup, or index the photos again into a new folder"
"""What to do about a catalog that cannot be repaired."""

_NO_ROOM_FOR_SHM = sqlite3.SQLITE_IOERR_SHMSIZE


def cannot_open(path: Path, error: Exception) -> str:
    """Return the message that a database cannot be opened."""
    return f"{path}: cannot be opened ({error}); check that it exists, and its permissions"


def translated(error: sqlite3.Error | UnicodeDecodeError, name: str) -> FacesearchError:
    """Translate an error of SQLite's about the database `name` by its result code.

    Text that is not UTF-8 is an error of the `sqlite3` module, without a code; in a message of SQLite's it hides the
    actual error.
    """
    code = getattr(error, "sqlite_errorcode", 0)
    primary = code & 0xFF
    if not code and str(error).startswith("Could not decode"):
        return IndexDamagedError(f"{name}: the catalog is damaged ({error})", Hint.REPAIR)
    if isinstance(error, UnicodeDecodeError) or primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return IndexDamagedError(f"{name}: the catalog is damaged ({error}); {REPLACED}")
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return LockedError(f"{name}: another process is writing; try again when it is done")
    if primary == sqlite3.SQLITE_FULL or code == _NO_ROOM_FOR_SHM:
        return DiskFullError(f"{name}: the disk is full; free some space and run again, finished work is kept")
    if primary == sqlite3.SQLITE_CANTOPEN:
        return StorageError(cannot_open(Path(name), error))
    if primary == sqlite3.SQLITE_READONLY:
        return StorageError(f"{name}: the index can only be read here; ask its owner for the right to write", None)
    return StorageError(f"{name}: the database failed ({error}); check that the disk is not full, and its permissions")


@contextmanager
def translating(name: str) -> Iterator[None]:
    """Raise SQLite's errors in the block, about the database `name`, as those of facesearch."""
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise translated(error, name) from error
