"""The embeddings of faces, by ids that are never reused; and the ids of deleted embeddings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from facesearch.catalog.batches import batches, marks
from facesearch.catalog.columns import Shape, damaged
from facesearch.catalog.database import Database
from facesearch.catalog.encoding import decode_vector

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from facesearch.types import FloatArray, IdArray

__all__ = ["Vectors", "of_unit_length"]

_READ_AT_ONCE = 50_000

_VECTOR = Shape("vectors.id", "vectors.vector")
_LAST = Shape("seq")


def of_unit_length(vectors: FloatArray) -> NDArray[np.bool_]:
    """Return for each row of float32[n, dim] whether it is finite and of unit length to 1e-3: bool[n].

    Any bytes of a damaged catalog may come in, so the squares are taken in float64, where none of float32 overflows.
    """
    import numpy as np

    with np.errstate(invalid="ignore"):  # a signalling NaN
        wide = vectors.astype(np.float64)
        near: NDArray[np.bool_] = np.abs(np.sqrt(np.einsum("nd,nd->n", wide, wide)) - 1) <= 1e-3
    return near


class Vectors:
    """The tables `vectors` and `dead_vectors`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, ids: Sequence[int], dim: int) -> FloatArray:
        """Return float32[n, dim] for vector ids, in their order; an unknown id gets zeros."""
        import numpy as np

        found = np.zeros((len(ids), dim), dtype=np.float32)
        place = {vector_id: row for row, vector_id in enumerate(ids)}
        for part in batches(list(place)):
            for vector_id, data in self._database.typed(
                _VECTOR, f"SELECT {_VECTOR.sql} FROM vectors WHERE id IN ({marks(part)})", *part
            ):
                found[place[vector_id]] = decode_vector(self._whole(data, dim))
        return found

    def after(self, vector_id: int, dim: int) -> Iterator[tuple[IdArray, FloatArray]]:
        """Yield the vectors with ids above `vector_id`, ascending, in batches: int64[n] and float32[n, dim]."""
        import numpy as np

        while True:
            rows = self._database.typed(
                _VECTOR, f"SELECT {_VECTOR.sql} FROM vectors WHERE id > ? ORDER BY id LIMIT ?", vector_id, _READ_AT_ONCE
            )
            if not rows:
                return
            ids = np.array([row[0] for row in rows], dtype=np.int64)
            data = b"".join(self._whole(row[1], dim) for row in rows)
            yield ids, decode_vector(data).reshape(-1, dim)
            vector_id = int(ids[-1])

    def last_id(self) -> int:
        """Return the highest vector id ever assigned, 0 before the first."""
        rows = self._database.typed(_LAST, "SELECT seq FROM sqlite_sequence WHERE name = 'vectors'")
        return int(rows[0][0]) if rows else 0

    def count(self) -> int:
        """Count all vectors, including those of hidden photos."""
        return int(self._database.value("SELECT count(*) FROM vectors"))

    def count_changed(self, vector_id: int) -> int:
        """Return the number of vectors added after `vector_id` plus the number listed as deleted."""
        return int(
            self._database.value(
                "SELECT (SELECT count(*) FROM vectors WHERE id > ?) + (SELECT count(*) FROM dead_vectors)", vector_id
            )
        )

    def dead(self) -> IdArray:
        """Return the ids, int64[n], of deleted vectors that a file written since generation `dead_since` may hold."""
        import numpy as np

        return np.array([row[0] for row in self._database.rows("SELECT id FROM dead_vectors")], dtype=np.int64)

    def forget_dead(self, generation: int) -> None:
        """Clear the list of deleted vectors after a vector file of this generation has been written."""
        self._database.run("DELETE FROM dead_vectors")
        self._database.run("UPDATE meta SET value = ? WHERE key = 'dead_since'", generation)

    def unusable(self, dim: int) -> list[int]:
        """Return the ids of vectors that are of the wrong size in bytes, not finite, or not of unit length to 1e-3."""
        bad = [row[0] for row in self._database.rows("SELECT id FROM vectors WHERE length(vector) != ?", dim * 4)]
        if bad:
            return bad
        for ids, vectors in self.after(0, dim):
            bad += ids[~of_unit_length(vectors)].tolist()
        return bad

    def discard(self, vector_ids: Sequence[int]) -> None:
        """Delete unusable vectors, and mark their photos as changed, so that the next run reads them again."""
        for part in batches(vector_ids):
            self._database.run(
                "UPDATE photos SET size = -1, hash = NULL WHERE id IN (SELECT photo FROM faces JOIN vectors ON"
                f" face = faces.id WHERE vectors.id IN ({marks(part)}))",
                *part,
            )
            self._database.run(f"DELETE FROM vectors WHERE id IN ({marks(part)})", *part)

    def _whole(self, vector: bytes, dim: int) -> bytes:
        if len(vector) != dim * 4:
            raise damaged(self._database.name, f"invalid vector of {len(vector)} bytes")
        return vector
