"""The protocol of a shared gallery: one on a server, which the indexes of many machines are pushed to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, get_args

from facesearch.filters import Filter
from facesearch.galleries.protocol import ALL, Gallery, ScoredFace

if TYPE_CHECKING:
    from facesearch.galleries.rows import Row
    from facesearch.types import FloatArray

__all__ = ["METHODS", "Facts", "Method", "PushedIndex", "Recall", "SharedGallery", "Token"]

Method = Literal["exact", "hnsw", "ivf"]
"""How a shared gallery searches: it compares every face, or follows a graph (hnsw) or lists of near faces (ivf)."""

METHODS: tuple[Method, ...] = get_args(Method)


class Recall(NamedTuple):
    """The share of the exact results that an approximate search found, in [0, 1], when the gallery had `faces` faces.

    `measured_at` is in seconds since 1970.
    """

    share: float
    faces: int
    measured_at: float


class Token(NamedTuple):
    """How far a gallery has an index: everything up to `change`, as the push with the random `token` left it."""

    token: bytes | None
    change: int


class Facts(NamedTuple):
    """What a gallery knows about an index as a whole.

    `photos` and `faces` are the numbers of those that can be found, `unmeasured` faces have no known quality, `people`
    is the number of people, None if faces were never grouped; `roots` are absolute paths, and `merged` are people that
    became part of others.
    """

    photos: int
    faces: int
    unmeasured: int
    people: int | None
    roots: tuple[bytes, ...]
    merged: tuple[tuple[int, int], ...]


class PushedIndex(NamedTuple):
    """An index in a gallery: its `number` there, its name, and the machine and folder that it was pushed from.

    `pushed_at` is in seconds since 1970, None if nothing was pushed yet. `tenant` is whom it belongs to, for services
    whose users share one role.
    """

    number: int
    uuid: bytes
    name: str
    place: str
    token: Token
    photos: int
    faces: int
    people: int | None
    pushed_at: float | None
    tenant: str | None = None


class SharedGallery(Gallery, Protocol):
    """A `Gallery` to which indexes are pushed. Its ids are whole ids; see `facesearch.types.whole_id`.

    Methods raise `GalleryError` if the server cannot be reached, is too old, or refuses.
    """

    @property
    def method(self) -> Method:
        """How it searches now."""
        ...

    def use_method(self, method: Method) -> None:
        """Search by another method from now on: build its index over all faces, and drop that of the one before.

        The stored recall is dropped. Only who owns the gallery may do this.
        """
        ...

    def search_exactly(self, probes: FloatArray, k: int, where: Filter = ALL) -> list[list[ScoredFace]]:
        """Search as `search` does, but compare every face that passes the filter, whatever the method is."""
        ...

    def recall(self) -> Recall | None:
        """Return the recall that was stored last; None if it was not measured for this method."""
        ...

    def keep_recall(self, recall: Recall) -> None:
        """Store a measured recall. Only who owns the gallery may do this."""
        ...

    def keep_probe(self, name: str, embedding: FloatArray, lasting: float) -> float:
        """Store an embedding, float32[dim], under a name for the user's SQL, for so many seconds.

        It replaces the user's probe of this name. Returns when it expires, in seconds since 1970. Raises `GalleryError`
        if the gallery cannot be queried with SQL.
        """
        ...

    def indexes(self) -> list[PushedIndex]:
        """Return the indexes in the gallery, by number."""
        ...

    def add_index(self, uuid: bytes, name: str, place: str) -> PushedIndex:
        """Add an index without faces. Raises `GalleryError` if another index has this name."""
        ...

    def put(self, index: PushedIndex, rows: Sequence[Row], gone: Sequence[int], token: Token) -> int:
        """Store rows, delete faces by id, and set the token, all or nothing. Return the number of rows that differed.

        Raises `ConflictError` if the token of the index is no longer the one in `index`.
        """
        ...

    def describe(self, index: PushedIndex, facts: Facts) -> None:
        """Store the name of an index, its place and tenant, and what is known about it as a whole.

        Raises `GalleryError` if another index has this name.
        """
        ...

    def digests(self, index: PushedIndex) -> Iterator[tuple[int, int]]:
        """Yield the id and the digest of every face of an index, ascending by id."""
        ...

    def remove_index(self, index: PushedIndex) -> None:
        """Delete an index with all its faces."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...
