"""What an index is: its identity, its generation, and what was chosen for it, by key."""

from __future__ import annotations

import json
import uuid as uuids
from typing import Any

from facesearch.catalog.columns import META, damaged
from facesearch.catalog.database import Database

__all__ = ["Meta"]


class Meta:
    """The table `meta`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def initialise(self) -> None:
        """The values of a new index."""
        self._database.many(
            "INSERT INTO meta (key, value) VALUES (?, ?)",
            [("uuid", uuids.uuid4().bytes), ("generation", 0), ("dead_since", 0)],
        )

    @property
    def uuid(self) -> bytes:
        """16 bytes that no other index has."""
        return bytes(self._value("uuid"))

    @property
    def generation(self) -> int:
        """Raised by the database itself whenever a vector comes or goes."""
        return int(self._value("generation"))

    @property
    def dead_since(self) -> int:
        """The dead vectors of every generation after this one are still listed."""
        return int(self._value("dead_since"))

    def last_run(self) -> dict[str, Any] | None:
        """The report of the last indexing run, with `finished` in seconds since 1970."""
        kept = self._value("last_run")
        return None if kept is None else dict(json.loads(kept))

    def set_last_run(self, report: dict[str, Any]) -> None:
        """Keep the report of an indexing run."""
        self._keep("last_run", json.dumps(report))

    def index_type(self) -> str:
        """How the vectors are to be searched: `auto`, or a kind of vector file."""
        return str(self._value("index_type") or "auto")

    def set_index_type(self, name: str) -> None:
        """Keep what the user has chosen."""
        self._keep("index_type", name)

    def _keep(self, key: str, value: str) -> None:
        self._database.run("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", key, value)

    def _value(self, key: str) -> Any:
        """What is kept under a key; None where that may be missing. Raises `IndexDamagedError`."""
        rows = self._database.rows("SELECT value FROM meta WHERE key = ?", key)
        value = rows[0][0] if rows else None
        if not META[key].takes(value):
            raise damaged(self._database.name, f"{key} {value!r:.60} cannot be")
        return value
