"""People whom indexing runs leave out until a date, each as the mean embedding of their forgotten faces."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from facesearch.catalog.columns import Shape, damaged
from facesearch.catalog.database import Database
from facesearch.catalog.encoding import decode_vector, encode_vector
from facesearch.catalog.vectors import of_unit_length

if TYPE_CHECKING:
    from facesearch.types import FloatArray

__all__ = ["KeptOut", "Template"]

_TEMPLATE = Shape("kept_out.id", "kept_out.faces", "kept_out.made_at", "kept_out.until")
_WITH_VECTOR = Shape("kept_out.faces", "kept_out.vector")
_OURS = "model = (SELECT min(id) FROM models)"


class Template(NamedTuple):
    """A person who is left out: the number of faces that the embedding is the mean of, and since and until when.

    The moments are in seconds since 1970. Who it is, is not kept.
    """

    id: int
    faces: int
    made_at: int
    until: int


class KeptOut:
    """The table `kept_out`. The rows belong to a model, and are deleted with it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, vector: FloatArray, faces: int, made_at: int, until: int) -> int:
        """Keep an embedding, float32[dim] of unit length, and return its id."""
        return self._database.insert(
            "INSERT INTO kept_out (model, vector, faces, made_at, until) VALUES ((SELECT min(id) FROM models),"
            " ?, ?, ?, ?)",
            encode_vector(vector), faces, made_at, until,
        )  # fmt: skip

    def all(self) -> list[Template]:
        """Return all of them, the oldest first."""
        rows = self._database.typed(_TEMPLATE, f"SELECT {_TEMPLATE.sql} FROM kept_out WHERE {_OURS} ORDER BY id")
        return [Template(*row) for row in rows]

    def vectors(self, dim: int, now: int) -> list[tuple[FloatArray, int]]:
        """Return the embeddings that have not expired, float32[dim], each with its number of faces."""
        found = []
        for faces, vector in self._database.typed(
            _WITH_VECTOR, f"SELECT {_WITH_VECTOR.sql} FROM kept_out WHERE {_OURS} AND until > ? ORDER BY id", now
        ):
            if len(vector) != dim * 4:
                raise damaged(self._database.name, f"invalid vector of {len(vector)} bytes")
            found.append((decode_vector(vector), faces))
        return found

    def unusable(self, dim: int) -> list[int]:
        """Return the ids of embeddings of the wrong size, and of those that are not of unit length."""
        rows = self._database.rows("SELECT id, vector FROM kept_out")
        return [
            row
            for row, vector in rows
            if len(vector) != dim * 4 or not of_unit_length(decode_vector(vector)[None]).all()
        ]

    def delete(self, template: int) -> bool:
        """Delete the embedding with this id; return False if no embedding has it."""
        return bool(self._database.rows("DELETE FROM kept_out WHERE id = ? RETURNING 1", template))

    def delete_expired(self, now: int) -> int:
        """Delete what has expired, and return the number."""
        return len(self._database.rows("DELETE FROM kept_out WHERE until <= ? RETURNING 1", now))
