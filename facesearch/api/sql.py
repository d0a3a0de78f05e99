"""The user's own SQL on an index."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from facesearch.arguments import require_number, text_of_path
from facesearch.errors import UsageError

if TYPE_CHECKING:
    from facesearch.api.opening import Models, Stores
    from facesearch.catalog.sql import Table
    from facesearch.models.protocol import FaceModel

__all__ = ["sql"]

_LONGEST = 86_400.0


def sql(stores: Stores, models: Models, query: str, max_seconds: float) -> Table:
    """Answer one SELECT; see `Index.sql`."""
    import numpy as np

    from facesearch.catalog.sql import ask
    from facesearch.index.store import CATALOG_FILE
    from facesearch.search.probes import probe_faces

    require_number("max_seconds", max_seconds, 0, _LONGEST)
    stores.require()

    @cache
    def model() -> FaceModel:
        return models.open_for(stores.reading(keep=False), few=True, at_once=False)

    @cache
    def photo(path: object = None) -> bytes:
        if not isinstance(path, str):
            raise UsageError("sql: photo takes the path of a photo, such as photo('me.jpg')")
        largest = probe_faces(model(), text_of_path("photo", path))[0]
        return largest.face.embedding.astype("<f4").tobytes()

    def similarity(one: object = b"", other: object = b"") -> float | None:
        if one is None or other is None:
            return None
        if (
            not isinstance(one, bytes)
            or not isinstance(other, bytes)
            or not one
            or len(one) != len(other)
            or len(one) % 4
        ):
            raise UsageError("sql: similarity takes two embeddings, such as similarity(vector, photo('me.jpg'))")
        first, second = (np.frombuffer(vector, dtype="<f4") for vector in (one, other))
        return float(first @ second)

    return ask(
        stores.path / CATALOG_FILE, query, functions={"photo": photo, "similarity": similarity}, seconds=max_seconds
    )
