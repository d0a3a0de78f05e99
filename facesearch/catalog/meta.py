"""Facts about an index, by key: its identity, its generation, its last run and its settings."""

from __future__ import annotations

import json
import uuid as uuids
from typing import Any

from facesearch.catalog.columns import META, damaged
from facesearch.catalog.database import Database
from facesearch.catalog.records import Grouped

__all__ = ["Meta"]


class Meta:
    """The table `meta`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def initialise(self) -> None:
        """Write the values of a new index."""
        self._database.many(
            "INSERT INTO meta (key, value) VALUES (?, ?)",
            [("uuid", uuids.uuid4().bytes), ("generation", 0), ("dead_since", 0)],
        )

    @property
    def uuid(self) -> bytes:
        """16 bytes that identify this index."""
        return bytes(self._value("uuid"))

    @property
    def generation(self) -> int:
        """A counter that triggers in the database increment whenever a vector is added or deleted."""
        return int(self._value("generation"))

    @property
    def dead_since(self) -> int:
        """The generation since which every deleted vector is still listed."""
        return int(self._value("dead_since"))

    def last_run(self) -> dict[str, Any] | None:
        """Return the report of the last indexing run, with `finished` in seconds since 1970; None if there was none."""
        kept = self._value("last_run")
        return None if kept is None else dict(json.loads(kept))

    def set_last_run(self, report: dict[str, Any]) -> None:
        """Store the report of an indexing run."""
        self._keep("last_run", json.dumps(report))

    def index_type(self) -> str:
        """Return the index type that the user chose: `auto`, or a kind of vector file."""
        return str(self._value("index_type") or "auto")

    def set_index_type(self, name: str) -> None:
        """Store the index type that the user chose."""
        self._keep("index_type", name)

    def groups_after_runs(self) -> bool:
        """Return whether an indexing run ends with grouping faces by person."""
        return bool(self._value("grouping") != "off")

    def set_groups_after_runs(self, wanted: bool) -> None:
        """Store whether an indexing run ends with grouping faces by person."""
        self._keep("grouping", "on" if wanted else "off")

    def grouped(self) -> Grouped | None:
        """Return what was grouped by person last; None if nothing ever was."""
        kept = self._value("grouped")
        return None if kept is None else Grouped(**{key: json.loads(kept)[key] for key in Grouped._fields})

    def set_grouped(self, grouped: Grouped) -> None:
        """Store what was grouped by person."""
        self._keep("grouped", json.dumps(grouped._asdict()))

    def calibration(self) -> str | None:
        """Return the calibration that was measured on this index, as JSON; None if there is none."""
        kept = self._value("calibration")
        return None if kept is None else str(kept)

    def set_calibration(self, table: str | None) -> None:
        """Store a calibration that was measured on this index, as JSON; None deletes it."""
        if table is None:
            self._database.run("DELETE FROM meta WHERE key = 'calibration'")
        else:
            self._keep("calibration", table)

    def _keep(self, key: str, value: str) -> None:
        self._database.run("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", key, value)

    def _value(self, key: str) -> Any:
        """Return the value of a key; None if an optional one is missing. Raises `IndexDamagedError`."""
        rows = self._database.rows("SELECT value FROM meta WHERE key = ?", key)
        value = rows[0][0] if rows else None
        if not META[key].takes(value):
            raise damaged(self._database.name, f"invalid {key} {value!r:.60}")
        return value
