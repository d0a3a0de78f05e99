"""Open, migrate, write, verify and copy one SQLite database.

A transaction is committed as a whole or not at all. Every failure is one of `facesearch.errors`, with the file's path.
This module does not know what the tables hold.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any, Literal, Self

from facesearch.catalog.columns import Shape
from facesearch.catalog.connecting import connect, connect_to_memory, delete_traces
from facesearch.catalog.migrations import APPLICATION_ID, MIGRATIONS, only_new_tables
from facesearch.catalog.sqlite_errors import REPLACED, translated, translating
from facesearch.errors import (
    DiskFullError,
    FacesearchError,
    Hint,
    IndexDamagedError,
    IndexVersionError,
    StorageError,
)
from facesearch.files import sync_folder, unfinished

__all__ = ["Database"]


class Database:
    """A connection to a database in write-ahead mode, or in memory. Use from one thread."""

    def __init__(self, connection: sqlite3.Connection, name: str) -> None:
        """Wrap an open connection; see `open`, `create` and `memory`. `name` is its path, for messages."""
        self._connection = connection
        self.name = name
        self._writing = False
        self._traces: Path | None = None

    @classmethod
    def memory(cls) -> Self:
        """Return an empty in-memory database."""
        database = cls(connect_to_memory(), ":memory:")
        database._begin()
        return database

    @classmethod
    def _connected(cls, path: Path, mode: Literal["ro", "rw"]) -> Self:
        return cls(connect(path, mode), str(path))

    @classmethod
    def create(cls, path: Path, fill: Callable[[Self], None]) -> None:
        """Create a database that only its owner can read, and fill it with `fill`.

        Raises `DiskFullError`, `StorageError`.

        It is created under a temporary name and renamed, so it exists in full or not at all.
        """
        beside = path.with_name(f"{path.name}.{os.getpid()}.new")
        leftovers = [Path(f"{beside}{suffix}") for suffix in ("", "-wal", "-shm")]
        try:
            for leftover in leftovers:
                leftover.unlink(missing_ok=True)  # of an earlier process with the same PID
            os.close(os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            with closing(cls._connected(beside, "rw")) as database:
                if database.value("PRAGMA journal_mode = WAL") != "wal":
                    raise StorageError(
                        f"{path}: this file system cannot hold an index (no shared memory, as on network shares)",
                        Hint.LOCAL_DISK,
                    )
                database._begin()
                fill(database)
                database.checkpoint()  # on a full disk, closing it would leave a part in the log, without an error
            _take_place(beside, path)
        except DiskFullError as error:
            raise DiskFullError(f"{path}: the disk is full; free some space there, or choose another place") from error
        except OSError as error:
            raise StorageError(f"{path}: cannot be created ({error.strerror})", Hint.ANOTHER_PLACE) from error
        finally:
            for leftover in leftovers:
                leftover.unlink(missing_ok=True)

    @classmethod
    def restore(cls, source: Path, path: Path, check: Callable[[Self], None]) -> None:
        """Put a copy of the database `source` at `path`, upgraded to the present version.

        `check` is called with the copy first; if it raises, `path` stays as it was. Nobody may write to `path`
        meanwhile; readers that have it open keep what they have. Raises what `open` raises, `DiskFullError`,
        `StorageError`.
        """
        beside = path.with_name(f"{path.name}.{os.getpid()}.new")
        try:
            with closing(cls._connected(source, "ro")) as original:
                original._require_known()
                original.backup(beside)
            with closing(cls.open(beside, write=True)) as copy:
                check(copy)
                copy.rows("PRAGMA journal_mode = WAL")
            try:
                with closing(cls.open(path, write=True)) as old:
                    old.checkpoint()  # if this process dies before the next line ends, the old catalog is whole
            except FacesearchError:
                pass  # there is none, or it is damaged
            _take_place(beside, path)
        except OSError as error:
            raise StorageError(f"{path}: cannot be created ({error.strerror})", Hint.ANOTHER_PLACE) from error
        finally:
            for suffix in ("", "-wal", "-shm"):
                Path(f"{beside}{suffix}").unlink(missing_ok=True)

    @classmethod
    def open(cls, path: Path, *, write: bool = False, trace: bool = True, older: bool = True) -> Self:
        """Open an existing database. Without `trace` a reader leaves no new files of SQLite's next to it.

        A writer upgrades an older schema. A reader uses one as it is if only tables were added since, unless `older` is
        false.

        Raises `IndexDamagedError`, `IndexVersionError` or `StorageError`.
        """
        bare = not trace and not path.with_name(f"{path.name}-shm").exists()
        database = cls._connected(path, "rw" if write else "ro")
        database._traces = path if bare else None
        try:
            database._check_version(write=write, older=older)
        except BaseException:
            database.close()
            raise
        return database

    def close(self) -> None:
        """Discard uncommitted changes and close the file."""
        self._connection.close()
        if self._traces is not None:
            delete_traces(self._traces)

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection itself, for `facesearch.catalog.sql` alone."""
        return self._connection

    @property
    def is_current(self) -> bool:
        """Whether the file has the schema of this version; a reader may have opened an older one."""
        return int(self.value("PRAGMA user_version")) == len(MIGRATIONS)

    # Statements

    def rows(self, sql: str, *values: object) -> list[Any]:
        """Return all rows of a statement, unchecked."""
        with self._errors():
            return self._connection.execute(sql, values).fetchall()

    def each(self, sql: str, *values: object) -> Iterator[Any]:
        """Yield the rows of a statement, unchecked."""
        with self._errors():
            # `yield from` would close the cursor when the caller stops half-way: an error once the database is closed.
            for row in self._connection.execute(sql, values):  # noqa: UP028
                yield row

    def typed(self, shape: Shape, sql: str, *values: object) -> list[Any]:
        """Return all rows of a statement, checked. Raises `IndexDamagedError` for an invalid value."""
        return list(shape.checked(self.rows(sql, *values), self.name))

    def typed_each(self, shape: Shape, sql: str, *values: object) -> Iterator[Any]:
        """Yield the rows of a statement, checked. Raises `IndexDamagedError` for an invalid value."""
        with self._errors():
            yield from shape.checked(self._connection.execute(sql, values), self.name)

    def value(self, sql: str, *values: object) -> Any:
        """Return the first value of the first row."""
        return self.rows(sql, *values)[0][0]

    def run(self, sql: str, *values: object) -> None:
        """Execute a statement that returns no rows."""
        self.rows(sql, *values)

    def insert(self, sql: str, *values: object) -> int:
        """Insert one row and return its id."""
        with self._errors():
            return int(self._connection.execute(sql, values).lastrowid or 0)

    def many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Execute one statement for many rows of values."""
        with self._errors():
            self._connection.executemany(sql, rows)

    # Transactions

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit everything written in the block at its end, or none of it if the block raises an error.

        The write lock is taken immediately: a transaction that starts by reading and then writes fails if another
        process has written in between, however long it is willing to wait. A nested transaction is part of the outer
        one. If it raises an error, its own writes are rolled back, even if the outer one handles the error.
        """
        if self._writing:
            with self._savepoint():
                yield
            return
        self.end_view()  # a read transaction cannot become a write transaction
        self.run("BEGIN IMMEDIATE")
        self._writing = True
        try:
            yield
            self.run("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self.run("ROLLBACK")
            raise
        finally:
            self._writing = False

    @contextmanager
    def _savepoint(self) -> Iterator[None]:
        self.run("SAVEPOINT inner")
        try:
            yield
        except BaseException:
            if self._connection.in_transaction:  # a full disk may have ended it
                self.run("ROLLBACK TO inner")
                self.run("RELEASE inner")
            raise
        self.run("RELEASE inner")

    def view(self) -> None:
        """Keep seeing the database as it is now, whatever others write, until `end_view` or a transaction."""
        if self._connection.in_transaction:
            return
        self.run("BEGIN")
        try:
            self.value("SELECT count(*) FROM sqlite_schema")  # the view begins at the first read
        except BaseException:
            self.end_view()
            raise

    def end_view(self) -> None:
        """End the view and see what others have written since; does nothing in a transaction."""
        if self._connection.in_transaction and not self._writing:
            self.run("ROLLBACK")

    @contextmanager
    def rehearsal(self, *tables: str) -> Iterator[None]:
        """Keep a view in which writes to these tables go to in-memory copies, which are discarded at the end.

        A table that a later version added is such a copy already, and empty again at the end.

        The database itself is only read; others may write to it.
        """
        self.end_view()
        self.rows("PRAGMA temp_store = MEMORY")
        self.view()
        try:
            added = {name for (name,) in self.rows("SELECT name FROM sqlite_temp_schema")}
            tables = tuple(table for table in tables if table not in added)
            for table in tables:  # a temporary table hides the real one of its name
                rows = self.rows("SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?", table)
                if not rows:
                    raise IndexDamagedError(f"{self.name}: the catalog is damaged (no table {table}); {REPLACED}")
                self.run(rows[0][0].replace("CREATE TABLE", "CREATE TEMP TABLE", 1))
            for table in tables:
                self.run(f"INSERT INTO temp.{table} SELECT * FROM main.{table}")
            yield
        finally:
            self.end_view()
            self.rows("PRAGMA temp_store = DEFAULT")

    @property
    def version(self) -> tuple[int, int]:
        """A value that changes whenever the visible content changes, by this connection or by another."""
        return self.value("PRAGMA data_version"), self._connection.total_changes

    @property
    def is_writing(self) -> bool:
        """Whether a transaction is in progress."""
        return self._writing

    @property
    def is_viewing(self) -> bool:
        """Whether the writes of others are invisible: in a view, and in a transaction."""
        return self._connection.in_transaction

    def checkpoint(self) -> None:
        """Merge the write-ahead log into the database and truncate the log."""
        self.rows("PRAGMA busy_timeout = 1000")  # do not wait long for a reader that blocks this
        self.rows("PRAGMA wal_checkpoint(TRUNCATE)")
        self.rows("PRAGMA busy_timeout = 30000")

    # Care

    def integrity(self) -> list[str]:
        """Return what SQLite finds wrong with its pages and indexes, one line each; empty if nothing is."""
        return [" ".join(str(line).split()) for (line,) in self.rows("PRAGMA integrity_check") if line != "ok"]

    @staticmethod
    def expected_schema() -> list[Any]:
        """Return type, name, table and SQL of everything in a database of this version."""
        with closing(sqlite3.connect(":memory:")) as fresh:
            for script in MIGRATIONS:
                fresh.executescript(script)
            return fresh.execute(
                "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY rowid"
            ).fetchall()

    def vacuum(self) -> None:
        """Rewrite the database without deleted data. Call outside a transaction. Raises `DiskFullError`."""
        try:
            self.run("VACUUM")
        finally:
            self.checkpoint()  # also after a failure on a full disk: the log it has written is of no use

    def backup(self, path: Path) -> None:
        """Copy the committed state of the database to `path`, even while others write. Raises `StorageError`."""
        beside = unfinished(path)
        try:
            os.close(os.open(beside, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600))
            copy = sqlite3.connect(beside, isolation_level=None)
            try:
                self._connection.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")
            finally:
                copy.close()
            beside.replace(path)
            sync_folder(path.parent)
        except sqlite3.Error as error:
            failure = translated(error, self.name)
            if isinstance(failure, DiskFullError):  # the database itself is only read
                raise DiskFullError(
                    f"{path}: the disk is full; free some space there, or choose another place"
                ) from error
            raise failure from error
        except OSError as error:
            raise StorageError(f"{path}: cannot be written ({error.strerror}); check the folder") from error
        finally:
            for leftover in (beside, beside.with_name(f"{beside.name}-journal")):
                leftover.unlink(missing_ok=True)

    # Schema

    def _begin(self) -> None:
        """Create the tables of this version, without any rows."""
        self._migrate(0)
        self.rows(f"PRAGMA application_id = {APPLICATION_ID}")

    def _require_known(self) -> int:
        """Return the version of the schema. Raises `IndexDamagedError`, `IndexVersionError`."""
        if self.value("PRAGMA application_id") != APPLICATION_ID:
            raise IndexDamagedError(f"{self.name}: not a facesearch catalog", Hint.ANOTHER_INDEX)
        version = int(self.value("PRAGMA user_version"))
        if version > len(MIGRATIONS):
            raise IndexVersionError(
                f"{self.name}: made by a newer facesearch (schema {version}, this version supports {len(MIGRATIONS)}); "
                "upgrade facesearch"
            )
        return version

    def _check_version(self, *, write: bool, older: bool) -> None:
        version = self._require_known()
        if version < len(MIGRATIONS):
            if not write and older and self._add_empty(version):
                return
            if not write:
                raise IndexVersionError(
                    f"{self.name}: made by an older facesearch (schema {version} of {len(MIGRATIONS)})",
                    Hint.UPGRADE,
                )
            self._migrate(version)

    def _add_empty(self, version: int) -> bool:
        """Add the tables of later versions, empty and for this connection alone; nothing is written to disk.

        Returns False, and adds nothing, if later versions did more than add tables.
        """
        later = [only_new_tables(script) for script in MIGRATIONS[version:]]
        if None in later:
            return False
        self.run("PRAGMA temp_store = MEMORY")
        for table in (statement for script in later for statement in script or ()):
            self.run(table.replace("CREATE TABLE", "CREATE TEMP TABLE", 1))
        return True

    def _migrate(self, version: int) -> None:
        with self._errors():
            for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
                try:
                    self._connection.executescript(
                        f"BEGIN IMMEDIATE; {script}; PRAGMA user_version = {number}; COMMIT;"
                    )
                except sqlite3.OperationalError as error:
                    if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
                        raise
                    raise IndexDamagedError(
                        f"{self.name}: the catalog is damaged (not of schema {number - 1}: {error}); {REPLACED}"
                    ) from error

    def _errors(self) -> AbstractContextManager[None]:
        """Raise SQLite's errors as those of facesearch."""
        return translating(self.name)


def _take_place(beside: Path, path: Path) -> None:
    """Rename a finished database to `path`. Raises `OSError`."""
    for stale in (Path(f"{path}-wal"), Path(f"{path}-shm")):
        stale.unlink(missing_ok=True)  # of the catalog before: SQLite would replay it into the new one
    beside.replace(path)
    sync_folder(path.parent)
