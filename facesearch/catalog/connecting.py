"""Connect to a SQLite database, also on a full disk and in a folder that can only be read.

In write-ahead mode readers and writers share an index of the log, in a file next to the database, `-shm`, of 32 KiB or
more. If that file cannot be created, there are other ways to open the database; all of them see what is committed:

* On a full disk a reader opens `-shm` read-only (an empty file takes no room, so it exists by then) and builds the
  index of the log in its own memory. It takes the same locks as any reader and blocks no writer.
* In a read-only folder without `-shm` no process is writing. If the log is empty, the database is read as it is;
  otherwise SQLite keeps the index of the log in memory and takes no locks.
* On a full disk a writer locks the whole database and keeps the index of the log in memory. Readers wait for it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import quote_from_bytes

from facesearch.catalog.sqlite_errors import cannot_open, translating
from facesearch.errors import DiskFullError, StorageError
from facesearch.files import size_of

__all__ = ["connect", "connect_to_memory", "delete_traces"]

_SETTINGS = (
    "PRAGMA foreign_keys = ON",
    "PRAGMA trusted_schema = OFF",  # the schema of an untrusted catalog may use only SQLite's harmless functions
    "PRAGMA synchronous = FULL",
    "PRAGMA secure_delete = ON",  # face vectors are biometric data: deleted means overwritten
)


def connect(path: Path, mode: Literal["ro", "rw"]) -> sqlite3.Connection:
    """Connect in the first way that works; see the top of this module. Raises the error of the usual way."""
    try:
        return _connect_so(path, mode)
    except DiskFullError as error:
        failure: StorageError = error
        ways = [("", True)] if mode == "rw" else list(_ways_to_read(path))
    except StorageError as error:
        failure = error
        ways = [] if mode == "rw" else list(_ways_to_read(path))
    for parameter, alone in ways:
        try:
            return _connect_so(path, mode, parameter, alone=alone)
        except StorageError:
            continue
    raise failure


def connect_to_memory() -> sqlite3.Connection:
    """Connect to a new database in memory."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    _prepare(connection)
    return connection


def delete_traces(path: Path) -> None:
    """Delete `-shm` and an empty log. A reader creates them but cannot delete them; a writer that closes last does."""
    if size_of(path.with_name(f"{path.name}-wal")):
        return
    try:
        connection = sqlite3.connect(_uri(path, "rw"), uri=True, isolation_level=None, timeout=0)
        try:
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
        finally:
            connection.close()
    except (sqlite3.Error, UnicodeDecodeError):
        pass  # without the right to write, the reader has created nothing


def _connect_so(path: Path, mode: str, parameter: str = "", *, alone: bool = False) -> sqlite3.Connection:
    """Connect and read something. With `alone` no memory is shared with other processes."""
    try:
        connection = sqlite3.connect(_uri(path, mode) + parameter, uri=True, isolation_level=None, timeout=30)
    except sqlite3.OperationalError as error:
        raise StorageError(cannot_open(path, error)) from error
    try:
        with translating(str(path)):
            if alone:  # must come before the first read, or memory is shared
                connection.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()
            _prepare(connection)
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    for setting in _SETTINGS:
        connection.execute(setting).fetchall()


def _uri(path: Path, mode: str) -> str:
    return f"file:{quote_from_bytes(os.fsencode(path.absolute()))}?mode={mode}"


def _ways_to_read(path: Path) -> Iterator[tuple[str, bool]]:
    """Yield the ways to read if the usual one fails: parameters of the URI, and whether to share no memory."""
    if path.with_name(f"{path.name}-shm").exists():
        yield "&readonly_shm=1", False
    elif size_of(path.with_name(f"{path.name}-wal")):
        yield "&vfs=unix-none", True
    else:
        yield "&immutable=1", False
