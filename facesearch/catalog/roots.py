"""The folders and single files that the user indexed, and which shard of a folder the index takes."""

from __future__ import annotations

import os
import uuid as uuids

from facesearch.catalog.columns import Shape
from facesearch.catalog.database import Database
from facesearch.catalog.records import Root
from facesearch.locations import Locations
from facesearch.shards import Shard

__all__ = ["Roots"]

_ROOT = Shape("roots.id", "roots.path")
_SHARD = Shape("shards.root", "shards.shard")
_DATED_BY_NAME = "(date_source IS NULL OR date_source = 'name') AND NOT ours"


class Roots:
    """The tables `roots` and `shards`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[Root]:
        """Return all roots, in the order in which they were added."""
        return [Root(*row) for row in self._database.typed(_ROOT, f"SELECT {_ROOT.sql} FROM roots ORDER BY id")]

    def add(self, path: bytes, locations: Locations | None = None) -> Root:
        """Add a root. Roots inside it are merged into it: their photos keep everything and change their root.

        `locations` are the places of all roots and are updated; pass them to add several roots faster.
        """
        known = Locations(self.all()) if locations is None else locations
        run = self._database.run
        row_id = self._database.insert("INSERT INTO roots (uuid, path) VALUES (?, ?)", str(uuids.uuid4()), path)
        for inner in known.inside(path):
            # A photo that was known under two names is kept once: the duplicate is deleted with its root.
            run(
                "UPDATE OR IGNORE photos SET root = ?1,"
                " path = CAST(CASE WHEN path = x'' THEN ?2 ELSE ?2 || ?3 || path END AS BLOB) WHERE root = ?4",
                row_id, known.inner_path(inner, path), os.fsencode(os.sep), inner,
            )  # fmt: skip
            self._read_names_again(row_id)
            run("DELETE FROM roots WHERE id = ?", inner)
            known.remove(inner)
        known.add(row_id, path)
        return Root(row_id, path)

    def shards(self) -> dict[int, Shard]:
        """Return the shards of the roots that the index does not take as a whole, by the ids of the roots."""
        rows = self._database.typed(_SHARD, f"SELECT {_SHARD.sql} FROM shards ORDER BY root")
        return {root: Shard.of(text) for root, text in rows}

    def take_shard(self, root: int, shard: Shard) -> None:
        """Record that the index takes one shard of a root, or all of it."""
        self._database.run("DELETE FROM shards WHERE root = ?", root)
        if not shard.is_all:
            self._database.run("INSERT INTO shards (root, shard) VALUES (?, ?)", root, str(shard))

    def move(self, root: int, path: bytes) -> None:
        """Record that a root and its photos are mounted or moved elsewhere."""
        self._database.run("UPDATE roots SET path = ? WHERE id = ?", path, root)
        self._read_names_again(root)

    def remove(self, root: int) -> None:
        """Delete a root with its photos, faces and vectors."""
        self._database.run("DELETE FROM photos WHERE root = ?", root)
        self._database.run("DELETE FROM roots WHERE id = ?", root)

    def _read_names_again(self, root: int) -> None:
        """Mark headers as unread where a date may come from the path, which has changed."""
        self._database.run(f"UPDATE photos SET header = 0 WHERE root = ? AND {_DATED_BY_NAME}", root)
