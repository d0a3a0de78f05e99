"""Export every face of an index, with its vector."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from facesearch.index.store import Store
from facesearch.types import FaceRecord

if TYPE_CHECKING:
    from facesearch.types import FloatArray

__all__ = ["every_face"]

_AT_ONCE = 500


def every_face(store: Store) -> Iterator[tuple[FaceRecord, FloatArray]]:
    """Yield each face that can be found, with its vector, float32[dim]; the state is that of the first request."""
    store.catalog.view()
    batch: list[FaceRecord] = []
    for row in store.catalog.faces.all():
        batch.append(row)
        if len(batch) == _AT_ONCE:
            yield from _with_vectors(store, batch)
            batch = []
    yield from _with_vectors(store, batch)


def _with_vectors(store: Store, rows: list[FaceRecord]) -> Iterator[tuple[FaceRecord, FloatArray]]:
    yield from zip(rows, store.catalog.vectors.get([row.vector_id for row in rows], store.model.dim), strict=True)
