"""The gallery of one index, on this machine or in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from facesearch.filters import Filter
from facesearch.galleries.protocol import ALL, GallerySize, Part, ScoredFace
from facesearch.index.store import Store
from facesearch.locations import Locations
from facesearch.types import FaceRecord, ModelInfo

if TYPE_CHECKING:
    from facesearch.types import FloatArray, IdArray

__all__ = ["LocalGallery"]

_WIDER = 4
_SPARE = 16
_RECORDS_KEPT = 20_000
_RECORDS_AT_ONCE = 500
_SAMPLES_KEPT = 500


class LocalGallery:
    """A `Gallery` over an open index. Its caches are dropped whenever the index has changed."""

    def __init__(self, store: Store, name: str | None = None) -> None:
        self._store = store
        self._name = str(store.path or "memory") if name is None else name
        self._seen: tuple[int, int] | None = None
        self._size: GallerySize | None = None
        self._allowed: dict[Filter, IdArray] = {}
        self._records: dict[int, FaceRecord] = {}
        self._samples: dict[tuple[Filter, int], list[FaceRecord]] = {}

    @property
    def name(self) -> str:
        """See `Gallery.name`."""
        return self._name

    @property
    def model(self) -> ModelInfo:
        """See `Gallery.model`."""
        return self._store.model

    def own_calibration(self) -> str | None:
        """See `Gallery.own_calibration`."""
        return self._store.catalog.meta.calibration()

    def size(self) -> GallerySize:
        """See `Gallery.size`."""
        self._keep_up()
        if self._size is None:
            catalog = self._store.catalog
            counts, grouped = catalog.photos.counts(), catalog.meta.grouped()
            people = 0 if grouped is None and not catalog.meta.groups_after_runs() else None
            people = people if grouped is None else grouped.people
            self._size = GallerySize(counts.photos, counts.faces, catalog.faces.count_unmeasured(), people)
        return self._size

    def parts(self) -> list[Part]:
        """See `Gallery.parts`."""
        return [Part(ALL, self.size().people or 0)]

    def count(self, where: Filter = ALL) -> int:
        """See `Gallery.count`."""
        return self.size().faces if where.lets_all_through else len(self._ids(where))

    def search(self, probes: FloatArray, k: int, where: Filter = ALL) -> list[list[ScoredFace]]:
        """See `Gallery.search`.

        The vectors of hidden photos are kept, so a search finds them too. It therefore requests the number of extra
        results that hidden faces would take up if they were spread evenly, and more if that was not enough.
        """
        allowed = None if where.lets_all_through else self._ids(where)
        total = len(self._store) if allowed is None else len(allowed)
        found: list[list[ScoredFace]] = [[] for _ in probes]
        in_sight = self.count(where)
        spare = 0 if in_sight >= total else _SPARE + k * (total - in_sight) // max(in_sight, 1)
        pending, width = list(range(len(probes))), min(k + spare, total)
        while pending and width:
            scores, ids = self._store.search(probes[pending], width, allowed)
            records = self._records_of({key for row in ids.tolist() for key in row if key >= 0})
            for number, row_scores, row_ids in zip(pending, scores.tolist(), ids.tolist(), strict=True):
                found[number] = [
                    ScoredFace(min(1.0, score), records[key])
                    for score, key in zip(row_scores, row_ids, strict=True)
                    if key in records
                ][:k]
            if width == total:
                break
            pending = [number for number in pending if len(found[number]) < k]
            width = min(total, width * _WIDER)
        return found

    def vectors(self, faces: Sequence[FaceRecord]) -> FloatArray:
        """See `Gallery.vectors`."""
        return self._store.catalog.vectors.get([face.vector_id for face in faces], self._store.model.dim)

    def records(self, where: Filter = ALL) -> Iterator[FaceRecord]:
        """See `Gallery.records`."""
        ids = self._ids(where).tolist()
        for start in range(0, len(ids), _RECORDS_AT_ONCE):
            part = ids[start : start + _RECORDS_AT_ONCE]
            rows = self._store.catalog.faces.records(part)
            yield from (rows[key] for key in part if key in rows)

    def sample(self, where: Filter, most: int) -> list[FaceRecord]:
        """See `Gallery.sample`."""
        self._keep_up()
        if (where, most) not in self._samples:
            ids = self._ids(where)
            chosen = ids[:: max(1, -(-len(ids) // most))].tolist()
            records = self._store.catalog.faces.records(chosen)
            if len(self._samples) >= _SAMPLES_KEPT:
                self._samples = {}
            self._samples[where, most] = [records[key] for key in chosen if key in records]
        return self._samples[where, most]

    def current_person(self, number: int, index: str | None = None) -> int | None:
        """See `Gallery.current_person`."""
        return None if index is not None else self._store.catalog.people.current(number)

    def folders(self) -> list[bytes]:
        """See `Gallery.folders`."""
        return [root.path for root in self._store.catalog.roots.all()]

    def covers(self, path: bytes) -> bool:
        """See `Gallery.covers`."""
        return bool(Locations(self._store.catalog.roots.all()).places(path))

    def has_photos_at(self, path: bytes) -> bool:
        """See `Gallery.has_photos_at`."""
        return self._store.catalog.photos.any_at(path)

    def _ids(self, where: Filter) -> IdArray:
        """Return the vector ids, int64[n] ascending, of the faces that pass a filter; cached within a search."""
        self._keep_up()
        if where not in self._allowed:
            self._allowed = {where: self._store.catalog.faces.matching(where)}
        return self._allowed[where]

    def _records_of(self, keys: set[int]) -> dict[int, FaceRecord]:
        """Return the records of the vectors that can be found, cached: the best faces are requested again and again."""
        self._keep_up()
        if len(keys) > _RECORDS_KEPT:
            return self._store.catalog.faces.records(sorted(keys))
        if len(self._records) + len(keys) > 2 * _RECORDS_KEPT:
            self._records = {}
        new = keys - self._records.keys()
        if new:
            self._records |= self._store.catalog.faces.records(sorted(new))
        return self._records

    def _keep_up(self) -> None:
        version = self._store.catalog.database.version
        if version != self._seen:
            self._seen, self._size = version, None
            self._allowed, self._records, self._samples = {}, {}, {}
