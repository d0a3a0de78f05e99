"""Embeddings of photos that users ask with in SQL: each is stored for a while, and seen by its owner alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

    from facesearch.types import FloatArray

__all__ = ["drop_expired", "keep"]


def drop_expired(connection: psycopg.Connection[Any]) -> None:
    """Delete the expired probes of all users."""
    connection.execute("SELECT drop_expired_probes()")


def keep(connection: psycopg.Connection[Any], name: str, embedding: FloatArray, lasting: float) -> float:
    """Store an embedding, float32[dim], for so many seconds, and return when it expires, in seconds since 1970."""
    with connection.transaction():
        drop_expired(connection)
        rows = connection.execute(
            "INSERT INTO probes (name, embedding, expires)"
            " VALUES (%s, %s, now() + make_interval(secs => %s)) ON CONFLICT (owner, name)"
            " DO UPDATE SET embedding = excluded.embedding, expires = excluded.expires"
            " RETURNING extract(epoch FROM expires)::double precision",
            (name, embedding, lasting),
        ).fetchall()
    return float(rows[0][0])
