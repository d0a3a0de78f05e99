"""Push an index to a shared gallery: what changed since the last push, or what a comparison shows to differ.

The order keeps both sides right whenever a run is killed. The catalog first records the token that the gallery is about
to get. Then the gallery stores a batch together with the token and the last change of the batch; then the catalog
records that. A batch that is sent twice changes nothing. If the gallery has a token that the catalog does not know, the
catalog was restored from a backup, or another copy of it was pushed: then everything is compared.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from facesearch.catalog.changes import Connected
from facesearch.errors import ConflictError, GalleryError, Hint
from facesearch.galleries.rows import Row, row_of
from facesearch.galleries.shared import Facts, PushedIndex, SharedGallery, Token

if TYPE_CHECKING:
    from facesearch.index.store import Store

__all__ = [
    "Difference",
    "Pushed",
    "compare",
    "drop_all_forgotten",
    "drop_gone",
    "pending",
    "push",
    "remove",
    "repaired",
]

_BATCH = 5_000
_TOKEN_BYTES = 16


@dataclass(slots=True, kw_only=True)
class Pushed:
    """What a push did: the number of `faces` that were sent, and of those that `changed` the gallery.

    `compared` is set if everything was compared, since the gallery did not have what was pushed last.
    """

    faces: int = 0
    changed: int = 0
    compared: bool = False


@dataclass(slots=True)
class Difference:
    """How an index differs from its share of a gallery: ids of faces, and the number of those that agree."""

    missing: list[int] = field(default_factory=list)
    different: list[int] = field(default_factory=list)
    extra: list[int] = field(default_factory=list)
    same: int = 0

    def __bool__(self) -> bool:
        return bool(self.missing or self.different or self.extra)


def _place_of(store: Store) -> str:
    """Return the machine and the folder of an index, by which two copies of it are told apart."""
    place = f"{socket.gethostname()}:{'' if store.path is None else store.path.resolve()}"
    return place.encode(errors="backslashreplace").decode()


def pending(store: Store, gallery: Connected) -> int:
    """Count the faces that a gallery does not have as they are now."""
    return store.catalog.changes.count(gallery.pushed)


def push(
    store: Store,
    shared: SharedGallery,
    gallery: Connected,
    *,
    take_over: bool = False,
    check: Callable[[], object] = lambda: None,
) -> Pushed:
    """Bring a gallery up to date with an index that is open for writing.

    Deletions come first. `check` is called between batches and may raise an error. With `take_over` the gallery gets
    what this index has, even if another copy of it was pushed last.

    Raises `ConflictError` if another copy of the index was pushed last, and what the gallery raises.
    """
    _require_model(store, shared)
    index = _index_in(store, shared, gallery)
    done = Pushed()
    known = _is_known(index, gallery)
    if not known and not take_over:
        _require_same_place(store, index, gallery)
    token = secrets.token_bytes(_TOKEN_BYTES)
    with store.catalog.transaction():
        store.catalog.changes.begin(gallery.id, index.token.token if known else None, token)
    if not known:
        done.compared = True
        index = _reconcile(store, shared, gallery, index, token, done, check)
    else:
        index = _drop_forgotten(store, shared, gallery, index, token, done)
        index = _send_changes(store, shared, gallery, index, token, done, check)
    tenant = store.catalog.changes.tenant(gallery.id)
    shared.describe(index._replace(name=gallery.known_as, place=_place_of(store), tenant=tenant), _facts(store))
    return done


def _is_known(index: PushedIndex, gallery: Connected) -> bool:
    """Whether a gallery has what this index pushed last; nothing, if it never pushed.

    A gallery with less was restored from a backup.
    """
    if index.token.token is None:
        return gallery.token is None and gallery.pushed == 0
    return index.token.token in {gallery.token, gallery.pending} and index.token.change >= gallery.pushed


def _require_same_place(store: Store, index: PushedIndex, gallery: Connected) -> None:
    if index.token.token is not None and index.place != _place_of(store):
        raise ConflictError(
            f"{gallery.name}: this index was pushed from {index.place} last, this copy is {_place_of(store)}",
            Hint.GALLERY_COPY,
        )


def _send_changes(
    store: Store,
    shared: SharedGallery,
    gallery: Connected,
    index: PushedIndex,
    token: bytes,
    done: Pushed,
    check: Callable[[], object],
) -> PushedIndex:
    after = gallery.pushed
    while True:
        check()
        changes = store.catalog.changes.since(after, _BATCH)
        if not changes:
            break
        rows = _rows_of(store, [change.vector for change in changes if change.vector])
        sent = {row.face for row in rows}
        gone = [change.face for change in changes if change.face not in sent]
        after = changes[-1].id
        reached = Token(token, after)
        done.changed += shared.put(index, rows, gone, reached)
        index = index._replace(token=reached)
        with store.catalog.transaction():
            store.catalog.changes.acknowledge(gallery.id, after, token)
        done.faces += len(changes)
    return index


def drop_all_forgotten(store: Store, shared: SharedGallery, gallery: Connected) -> None:
    """Delete from a gallery all faces that are not in the index any more.

    Raises `ConflictError` if the gallery does not have what this index pushed last: the next push compares everything.
    """
    index = _find(store, shared)
    if index is None or not store.catalog.changes.gone(gallery.pushed, 1):
        return
    if not _is_known(index, gallery):
        raise ConflictError(f"{gallery.name}: does not have what this index pushed last, but what {index.place} did")
    token = secrets.token_bytes(_TOKEN_BYTES)
    with store.catalog.transaction():
        store.catalog.changes.begin(gallery.id, index.token.token, token)
    index = _drop_forgotten(store, shared, gallery, index, token, Pushed())
    shared.describe(index, _facts(store))


def drop_gone(store: Store, shared: SharedGallery, gallery: Connected) -> None:
    """Delete the faces that were deleted or hidden here from a gallery that the index is not pushed to now.

    Faces that only wait for the new model stay there until it takes the place of the gallery.

    Raises `ConflictError` if another copy of the index was pushed to it last.
    """
    index = _find(store, shared)
    if index is None or not store.catalog.changes.lost(gallery.pushed, 1):
        return
    _require_same_place(store, index, gallery)
    after = gallery.pushed
    while changes := store.catalog.changes.lost(after, _BATCH):
        shared.put(index, [], [change.face for change in changes], index.token)
        after = changes[-1].id
    shared.describe(index, _facts(store))


def remove(store: Store, shared: SharedGallery, gallery: Connected) -> None:
    """Delete everything of an index from a gallery. Raises `ConflictError` if another copy of it was pushed last."""
    index = _find(store, shared)
    if index is not None:
        if not _is_known(index, gallery):
            _require_same_place(store, index, gallery)
        shared.remove_index(index)


def _drop_forgotten(
    store: Store, shared: SharedGallery, gallery: Connected, index: PushedIndex, token: bytes, done: Pushed
) -> PushedIndex:
    """Delete from a gallery the faces that are not in the index any more, before anything else is sent.

    The token changes, so that a catalog restored from before is noticed. The changes stay listed: others come between.
    """
    after = gallery.pushed
    while changes := store.catalog.changes.gone(after, _BATCH):
        reached = Token(token, index.token.change)
        done.changed += shared.put(index, [], [change.face for change in changes], reached)
        index = index._replace(token=reached)
        with store.catalog.transaction():
            store.catalog.changes.acknowledge(gallery.id, gallery.pushed, token)
        after = changes[-1].id
    return index


def compare(store: Store, shared: SharedGallery) -> Difference:
    """Compare every face of an index with its share of a gallery."""
    _require_model(store, shared)
    return _compared(store, shared, _find(store, shared))


def repaired(store: Store, shared: SharedGallery, gallery: Connected) -> Difference:
    """Compare every face of an index with its share of a gallery, and correct the gallery.

    Raises `ConflictError` if another copy of the index was pushed last.
    """
    found = compare(store, shared)
    index = _find(store, shared)
    if index is not None and not _is_known(index, gallery):
        _require_same_place(store, index, gallery)
    push(store, shared, gallery._replace(token=b"", pending=b""), take_over=True)
    return found


def _compared(store: Store, shared: SharedGallery, index: PushedIndex | None) -> Difference:
    own = {row.face: row.digest for batch in _all_rows(store) for row in batch}
    found = Difference()
    for face, digest in shared.digests(index) if index is not None else ():
        known = own.pop(face, None)
        if known is None:
            found.extra.append(face)
        elif known != digest:
            found.different.append(face)
        else:
            found.same += 1
    found.missing = list(own)
    return found


def _reconcile(
    store: Store,
    shared: SharedGallery,
    gallery: Connected,
    index: PushedIndex,
    token: bytes,
    done: Pushed,
    check: Callable[[], object],
) -> PushedIndex:
    """Send what a comparison shows to differ."""
    last = store.catalog.changes.last()
    found = _compared(store, shared, index)
    wanted = {*found.missing, *found.different}
    done.changed += shared.put(index, [], found.extra, index.token)
    done.faces = len(wanted) + len(found.extra)
    for batch in _all_rows(store):
        check()
        rows = [row for row in batch if row.face in wanted]
        if rows:
            done.changed += shared.put(index, rows, [], index.token)
    reached = Token(token, last)
    shared.put(index, [], [], reached)  # only now: until then the next push compares again
    index = index._replace(token=reached)
    with store.catalog.transaction():
        store.catalog.changes.acknowledge(gallery.id, last, token)
    return index


def _all_rows(store: Store) -> Iterator[list[Row]]:
    for ids, _ in store.catalog.vectors.after(0, store.model.dim):
        yield _rows_of(store, ids.tolist())


def _rows_of(store: Store, vector_ids: Sequence[int]) -> list[Row]:
    """Return the rows of faces that can be found, by the ids of their vectors."""
    records = store.catalog.faces.records(vector_ids)
    found = [key for key in vector_ids if key in records]
    counts = store.catalog.faces.count_in_photos({records[key].photo_id for key in found})
    vectors = store.catalog.vectors.get(found, store.model.dim)
    return [
        row_of(records[key], counts[records[key].photo_id], vector) for key, vector in zip(found, vectors, strict=True)
    ]


def _facts(store: Store) -> Facts:
    catalog = store.catalog
    counts, grouped = catalog.photos.counts(), catalog.meta.grouped()
    return Facts(
        counts.photos, counts.faces, catalog.faces.count_unmeasured(), None if grouped is None else grouped.people,
        tuple(root.path for root in catalog.roots.all()), tuple(catalog.people.merged()),
    )  # fmt: skip


def _find(store: Store, shared: SharedGallery) -> PushedIndex | None:
    return next((index for index in shared.indexes() if index.uuid == store.catalog.meta.uuid), None)


def _index_in(store: Store, shared: SharedGallery, gallery: Connected) -> PushedIndex:
    known = _find(store, shared)
    return known or shared.add_index(store.catalog.meta.uuid, gallery.known_as, _place_of(store))


def _require_model(store: Store, shared: SharedGallery) -> None:
    if shared.model.identity != store.model.identity:
        raise GalleryError(
            f"{shared.name}: has faces embedded with {shared.model.beside(store.model)}, this index has"
            f" {store.model.beside(shared.model)}; switch the index, or make another gallery"
        )
