"""Approximate search in PostgreSQL: an index of pgvector proposes faces, their own embeddings decide.

The index holds embeddings in half precision, which takes half the space and shifts a similarity by less than 0.001.
More candidates than wanted are taken from it and scored again exactly. Their order is certain only if the candidates
reach below the last wanted face by more than that shift; otherwise more are taken, and in the end every face is
compared. A filter that few faces pass is not for the index: it would have to go through most of the faces to find them.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from facesearch.galleries.postgres.filter import Condition
from facesearch.galleries.shared import Method

if TYPE_CHECKING:
    import psycopg

    from facesearch.types import FloatArray

__all__ = ["DEFAULT_LIMITS", "Limits", "build", "nearest", "statement"]

_NAME = "nearest"
"""The index has this name in the schema, or one that starts with it and an underscore."""

_SHIFT = 1e-3
"""Half precision rounds each of two numbers by at most one part in 2,048, so a similarity by less than this."""

_WIDER = 4
_GRAPH = "m = 16, ef_construction = 64"
_BREADTH = 4
"""Faces that a search of the graph keeps in sight per candidate; twice as many with a filter.

Among 100,000 faces this found 99 % of the ten nearest without a filter, and 95 % with one that every fourth face
passes; keeping only the candidates themselves found 97 % and 71 %.
"""
_BROADEST = 1000
"""The most that pgvector allows."""
_SCANNED = 20_000
_LISTS_SEARCHED = 0.2
_PER_MORE_LISTS = 200
"""The share of the lists that is searched for a few candidates, and for how many as many more; twice as many with a
filter."""
_FEWEST_LISTS_SEARCHED = 10


@dataclass(frozen=True, slots=True)
class Limits:
    """When the index is used at all.

    It is not if about `few` faces or less pass the filter, judged by a sample of `sampled` faces, since comparing them
    takes no longer, nor for more than `most` results. `spare` candidates at least are taken in addition to the results.
    An index of photos gets lists from this many faces (`listed`) on.
    """

    few: int = 20_000
    sampled: int = 10_000
    most: int = 1000
    spare: int = 40
    listed: int = 1000

    def candidates(self, k: int) -> int:
        """Return the number of faces to take from the index for k results."""
        return max(2 * k, k + self.spare)

    def enough(self, k: int) -> int:
        """Return the number of faces up to which comparing those that pass a filter is better than the index."""
        return max(self.few, 2 * self.candidates(k))


DEFAULT_LIMITS = Limits()


def statement(method: Method, dim: int, *, name: str = _NAME, table: str = "face_rows", lists: int = 0) -> str:
    """Return the SQL that makes the index of a method over a table or one of its partitions."""
    using = f"hnsw ((embedding::halfvec({dim})) halfvec_ip_ops) WITH ({_GRAPH})"
    if method == "ivf":
        using = f"ivfflat ((embedding::halfvec({dim})) halfvec_ip_ops) WITH (lists = {lists})"
    return f"CREATE INDEX {name} ON {table} USING {using}"


def build(connection: psycopg.Connection[Any], method: Method, dim: int, limits: Limits) -> None:
    """Build the index of a method, and drop the one before. Call in a transaction.

    A graph also takes in the faces of indexes that are added later. Lists are made from the faces there are, for each
    index of photos by itself; an index without lists is compared face by face.
    """
    before = _indexes(connection)
    made = f"{_NAME}_{secrets.token_hex(4)}"
    connection.execute("ANALYZE face_rows")
    if method == "hnsw":
        connection.execute(statement(method, dim, name=made))
    elif method == "ivf":
        for table, rows in _partitions(connection):
            if rows >= limits.listed:
                name = f"{made}_{table.removeprefix('face_rows_')}"
                connection.execute(statement(method, dim, name=name, table=table, lists=round(math.sqrt(rows))))
    for name in before:  # last, since searches have to wait from here on
        connection.execute(f"DROP INDEX {name}")


def nearest(
    connection: psycopg.Connection[Any],
    method: Method,
    probe: FloatArray,
    k: int,
    passing: Condition,
    columns: str,
    limits: Limits,
    faces: int,
) -> list[tuple[Any, ...]] | None:
    """Return the rows of the k nearest faces that pass a condition: the similarity, then the columns.

    The first three columns must be index, face and vector. `faces` is the number of faces in the largest index. Returns
    None if the index does not show for certain which they are.
    """
    vector = f"({len(probe)})"
    for times in (1, _WIDER):
        candidates = times * limits.candidates(k)
        with connection.transaction():
            settings = dict(_settings(method, candidates, faces, times, filtered=bool(passing.values)))
            connection.execute(
                f"SELECT {', '.join(['set_config(%s, %s, true)'] * len(settings))}",
                [text for pair in settings.items() for text in pair],
            )
            rows = connection.execute(
                f"SELECT -(embedding::halfvec{vector} <#> %s::halfvec{vector}), -(embedding <#> %s), {columns}"
                f" FROM face_rows WHERE {passing.sql}"
                f" ORDER BY embedding::halfvec{vector} <#> %s::halfvec{vector} LIMIT %s",
                (probe, probe, *passing.values, probe, candidates),
                binary=True, prepare=False,
            ).fetchall()  # fmt: skip
        best = sorted((row[1:] for row in rows), key=lambda row: (-row[0], row[1], row[3]))[:k]
        if len(best) == k and rows[-1][0] < best[-1][0] - _SHIFT:
            return best
    return None


def _settings(method: Method, candidates: int, faces: int, times: int, *, filtered: bool) -> Iterator[tuple[str, str]]:
    """Yield the settings of one search."""
    yield "jit", "off"  # a plan whose estimate is high would take longer to compile than to run
    if method == "hnsw":
        yield "hnsw.iterative_scan", "strict_order"
        yield "hnsw.ef_search", str(min(_BROADEST, _BREADTH * candidates * (1 + filtered)))
        yield "hnsw.max_scan_tuples", str(_SCANNED * times)
    else:
        lists = max(
            _FEWEST_LISTS_SEARCHED, round(_LISTS_SEARCHED * math.sqrt(faces) * (1 + candidates / _PER_MORE_LISTS))
        )
        yield "ivfflat.iterative_scan", "relaxed_order"
        yield "ivfflat.probes", str(min(32768, lists * (1 + filtered)))


def _indexes(connection: psycopg.Connection[Any]) -> Sequence[str]:
    """Return the names of the indexes that `build` made; those of partitions go with that of their table."""
    rows = connection.execute(
        "SELECT quote_ident(relname) FROM pg_class WHERE relnamespace = current_schema()::regnamespace"
        " AND relkind IN ('i', 'I') AND NOT relispartition AND relname ~ %s",
        (f"^{_NAME}(_|$)",),
    )
    return [name for (name,) in rows]


def _partitions(connection: psycopg.Connection[Any]) -> Sequence[tuple[str, int]]:
    """Return the tables of the indexes, and how many rows they have as the last ANALYZE saw it."""
    rows = connection.execute(
        "SELECT relname, reltuples::bigint FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid"
        " WHERE inhparent = 'face_rows'::regclass"
    )
    return list(rows)
