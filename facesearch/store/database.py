"""One SQLite database: opened, brought up to date, written to in transactions, checked, copied; its errors as ours.

Nothing is committed until `commit`; a failure is one of `facesearch.errors`, with the file's path. What is in it is the
catalog's matter.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote_from_bytes

from facesearch.errors import IndexDamagedError, IndexVersionError, LockedError, StorageError
from facesearch.store.migrations import APPLICATION_ID, MIGRATIONS
from facesearch.store.rows import Shape

__all__ = ["Database"]


class Database:
    """A connection to a database in write-ahead mode, or in memory. Use from one thread."""

    def __init__(self, connection: sqlite3.Connection, name: str) -> None:
        """Take over an open connection; `open` and the subclass have the ways to get one."""
        self._connection = connection
        self._name = name
        self._writing = False

    @classmethod
    def open(cls, path: Path, *, write: bool = False) -> Self:
        """One that exists. Raises `IndexDamagedError`, `IndexVersionError` or `StorageError`."""
        database = cls._connected(path, "rw" if write else "ro")
        try:
            database._check_version(write=write)
        except BaseException:
            database.close()
            raise
        return database

    def close(self) -> None:
        """Drop what was not committed, and let go of the file."""
        self._connection.close()

    # Transactions

    def begin(self, *, write: bool = True) -> None:
        """Start a transaction, unless one is open: a lasting view for a reader, the right to write for a writer.

        The right to write is asked for at once: a transaction that starts by reading and then writes fails when
        another has written in between, however long it is willing to wait.
        """
        if self._writing or (self._connection.in_transaction and not write):
            return
        self.rollback()  # a reader's view cannot become a writer's
        self._run("BEGIN IMMEDIATE" if write else "BEGIN")
        self._writing = write
        if not write:
            self._value("SELECT count(*) FROM sqlite_schema")  # the view begins at the first read

    def commit(self) -> None:
        """Make everything since `begin` durable."""
        if self._connection.in_transaction:
            self._run("COMMIT")
            self._writing = False

    def rollback(self) -> None:
        """Forget everything since `begin`."""
        self._writing = False
        if self._connection.in_transaction:
            self._run("ROLLBACK")

    @property
    def is_writing(self) -> bool:
        """Whether something may be waiting to be committed."""
        return self._writing

    def checkpoint(self) -> None:
        """Fold the write-ahead log into the database, so that it does not keep its size."""
        self._rows("PRAGMA busy_timeout = 1000")  # a reader in the way is no reason to wait long
        self._rows("PRAGMA wal_checkpoint(TRUNCATE)")
        self._rows("PRAGMA busy_timeout = 30000")

    # Care

    def integrity(self) -> list[str]:
        """What SQLite finds wrong with its pages and indexes, one line each; empty when they are sound."""
        return [" ".join(str(line).split()) for (line,) in self._rows("PRAGMA integrity_check") if line != "ok"]

    def ask(self, sql: str, *values: object) -> list[Any]:
        """Any statement, for those who look after the database; rows as they are, whatever is in them."""
        return self._rows(sql, *values)

    def each(self, sql: str, *values: object) -> Iterator[Any]:
        """The same, row by row."""
        with self._errors():
            yield from self._connection.execute(sql, values)

    @staticmethod
    def expected_schema() -> list[Any]:
        """Type, name, table and SQL of all that a database of this version has."""
        with closing(sqlite3.connect(":memory:")) as fresh:
            for script in MIGRATIONS:
                fresh.executescript(script)
            return fresh.execute(
                "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY rowid"
            ).fetchall()

    def vacuum(self) -> None:
        """Write the database anew, so that nothing deleted is left in its pages; outside of a transaction."""
        self._run("VACUUM")
        self.checkpoint()

    def backup(self, path: Path) -> None:
        """A copy of the database as it is committed now, while others may write. Raises `StorageError`."""
        unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            os.close(os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600))
            copy = sqlite3.connect(unfinished, isolation_level=None)
            try:
                with self._errors():
                    self._connection.backup(copy)
                    copy.execute("PRAGMA journal_mode = DELETE")
            finally:
                copy.close()
            unfinished.replace(path)
        except OSError as error:
            raise StorageError(f"{path}: cannot be written ({error.strerror}); check the folder") from error
        finally:
            unfinished.unlink(missing_ok=True)

    # SQLite

    @classmethod
    def _connected(cls, path: Path, mode: str) -> Self:
        uri = f"file:{quote_from_bytes(os.fsencode(path.absolute()))}?mode={mode}"
        if mode == "ro" and not os.access(path.parent, os.W_OK) and not path.with_name(path.name + "-wal").exists():
            # Even to read, write-ahead mode wants to make files beside the database. Where it cannot, nobody else can
            # write either, and the file may be taken as it is.
            uri += "&immutable=1"
        try:
            connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=30)
        except sqlite3.OperationalError as error:
            raise StorageError(
                f"{path}: cannot be opened ({error}); check that it is there and its permissions"
            ) from error
        database = cls(connection, str(path))
        try:
            database._prepare()
        except BaseException:
            connection.close()
            raise
        return database

    def _prepare(self) -> None:
        self._rows("PRAGMA foreign_keys = ON")
        self._rows(
            "PRAGMA trusted_schema = OFF"
        )  # a catalog from somebody else runs nothing but SQLite's harmless parts
        self._rows("PRAGMA synchronous = FULL")
        self._rows("PRAGMA secure_delete = ON")  # face vectors are biometric data: deleted means overwritten

    def _check_version(self, *, write: bool) -> None:
        if self._value("PRAGMA application_id") != APPLICATION_ID:
            raise IndexDamagedError(f"{self._name}: not a facesearch catalog; choose another index with --index")
        version = int(self._value("PRAGMA user_version"))
        if version > len(MIGRATIONS):
            raise IndexVersionError(
                f"{self._name}: made by a newer facesearch (schema {version}, this one knows {len(MIGRATIONS)}); "
                "upgrade facesearch"
            )
        if version < len(MIGRATIONS):
            if not write:
                raise IndexVersionError(
                    f"{self._name}: made by an older facesearch (schema {version} of {len(MIGRATIONS)}); "
                    "run `facesearch index` once to bring it up to date"
                )
            self._migrate(version)

    def _migrate(self, version: int) -> None:
        with self._errors():
            for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
                self._connection.executescript(f"BEGIN IMMEDIATE; {script}; PRAGMA user_version = {number}; COMMIT;")

    def _rows(self, sql: str, *values: object) -> list[Any]:
        with self._errors():
            return self._connection.execute(sql, values).fetchall()

    def _typed(self, shape: Shape, sql: str, *values: object) -> list[Any]:
        """Rows whose values are what they have to be. Raises `IndexDamagedError` for one that is not."""
        return list(shape.checked(self._rows(sql, *values), self._name))

    def _value(self, sql: str, *values: object) -> Any:
        return self._rows(sql, *values)[0][0]

    def _run(self, sql: str, *values: object) -> None:
        self._rows(sql, *values)

    def _insert(self, sql: str, *values: object) -> int:
        with self._errors():
            return int(self._connection.execute(sql, values).lastrowid or 0)

    def _many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        with self._errors():
            self._connection.executemany(sql, rows)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """SQLite's errors as ours, by its primary result code."""
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            undecoded = not code and str(error).startswith("Could not decode")  # the module's own error, without a code
            if undecoded or code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                raise IndexDamagedError(
                    f"{self._name}: the catalog is damaged ({error}); restore a backup into a new folder, "
                    "or move this one away and index anew"
                ) from error
            if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise LockedError(f"{self._name}: another process is writing; try again when it is done") from error
            if code == sqlite3.SQLITE_FULL:
                raise StorageError(
                    f"{self._name}: the disk is full; make room and run again, what was finished is kept"
                ) from error
            raise StorageError(
                f"{self._name}: the database failed ({error}); check that the disk is not full, and its permissions"
            ) from error
