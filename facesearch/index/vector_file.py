"""The vector file of an index, kept in step with its catalog, which is the source of truth.

It is brought up to date when it is opened, and rebuilt if it is missing, damaged or from another index. It is rewritten
only when the changes since have grown to a tenth of it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from facesearch.catalog.catalog import Catalog
from facesearch.errors import LockedError, ModelSwitchedError, StorageError
from facesearch.types import ModelInfo
from facesearch.vectors.kinds import KINDS, kind_for
from facesearch.vectors.layered import LayeredIndex
from facesearch.vectors.protocol import VectorIndex
from facesearch.vectors.snapshot import Snapshot, Stamp, read_kind, read_snapshot, read_stamp, write_snapshot

if TYPE_CHECKING:
    from facesearch.types import FloatArray, IdArray

__all__ = ["SearchFacts", "VectorFile"]

_TAIL_SHARE = 10
_TAIL_IN_A_RUN = 10_000
_TAIL_AT_REST = 0


@dataclass(frozen=True, slots=True)
class SearchFacts:
    """How an index is searched: the `kind` of vector index in use, and the type that was `chosen`, by default `auto`.

    If no vector file can be written, all vectors are compared in memory, which is `flat`, whatever was chosen. `recall`
    is the share of the true ten nearest that is found, 1 if exact; `probes` is the number of clusters that a query
    visits, None if there are none.
    """

    kind: str
    chosen: str
    recall: float
    probes: int | None

    @property
    def exact(self) -> bool:
        """Whether a search never misses a nearest face."""
        return KINDS[self.kind].exact


class VectorFile:
    """The vectors of a catalog, of one model, as a searchable index: the content of `file` plus the changes since.

    With `file` None they are in memory. `alone` takes the lock to write the file; if it raises `LockedError`, or is
    None, a lost file is not rebuilt for the next reader.
    """

    def __init__(
        self,
        catalog: Catalog,
        model: ModelInfo,
        file: Path | None,
        *,
        alone: Callable[[], AbstractContextManager[object]] | None,
        notify: Callable[[str], None],
    ) -> None:
        self.file = file
        self._catalog = catalog
        self._model = model
        self._alone = alone
        self._notify = notify
        self._loaded: VectorIndex | None = None
        self._generation = 0

    # Searching

    def __len__(self) -> int:
        """Return the number of vectors that a search covers."""
        return len(self._vectors())

    def search(self, queries: FloatArray, k: int, allowed: IdArray | None = None) -> tuple[FloatArray, IdArray]:
        """Return scores, from the catalog's own vectors, and ids of the nearest faces; see `VectorIndex.search`."""
        vectors = self._vectors()
        scores, ids = vectors.search(queries, k, allowed)
        return (scores, ids) if vectors.exact else self._scored_again(queries, ids)

    def facts(self) -> SearchFacts:
        """Return how the vectors are searched."""
        vectors = self._vectors()
        return SearchFacts(vectors.kind, self._catalog.meta.index_type(), vectors.recall, vectors.probes)

    # Keeping in step

    def load(self) -> None:
        """Load the vectors now. Raises `ModelSwitchedError` and `StorageError`."""
        self._vectors()

    def follow(self) -> None:
        """See what others have written since; outdated vectors are loaded again when they are next used."""
        self._catalog.end_view()
        if self._loaded is None:
            return
        self._catalog.view()
        if self._catalog.meta.generation != self._generation:
            self._loaded = None
            self._catalog.end_view()

    def let_go(self) -> None:
        """Unload the vectors after a change of the catalog; they are loaded again when they are next used."""
        self._loaded = None

    def kind_for(self, chosen: str) -> str:
        """Return the kind of vector file for one of `INDEX_TYPES` in an index of this size."""
        return kind_for(chosen, self._catalog.vectors.count(), self._model.dim).name

    def follow_choice(self) -> None:
        """Rewrite the file if it is not of the chosen kind. Raises `StorageError`."""
        if self.file is not None and read_kind(self.file, self._catalog.meta.uuid) != self._wanted_kind():
            self.write()

    def keep_up(self, *, in_a_run: bool) -> None:
        """Rewrite the file if the vectors added and deleted since exceed a tenth of it, and in a run also 10,000.

        So a few new faces in a large index cost little, and the cost of writing stays in proportion while it grows.
        Raises `StorageError`.
        """
        if self.file is None:
            return
        uuid = self._catalog.meta.uuid
        stamp = read_stamp(self.file, uuid)
        last_id = stamp.last_id if stamp else 0
        behind = self._catalog.vectors.count_changed(last_id)
        # A run may have died after another type was chosen, before the file of that type was written.
        wrong = stamp is not None and self._catalog.meta.index_type() != "auto"
        wrong = wrong and read_kind(self.file, uuid) != self._wanted_kind()
        if wrong or behind > max(_TAIL_IN_A_RUN if in_a_run else _TAIL_AT_REST, last_id // _TAIL_SHARE):
            self.write()

    def write(self) -> None:
        """Rewrite the file from the catalog. Raises `StorageError`."""
        assert self.file is not None
        self._loaded = None
        self._write(self.file)
        with self._catalog.transaction():
            self._catalog.vectors.forget_dead(self._catalog.meta.generation)

    # Care

    def is_there(self) -> bool:
        """Whether the file exists, or is not needed because there are no vectors."""
        return self.file is None or self.file.exists() or not self._catalog.vectors.last_id()

    def fault(self) -> str | None:
        """Return what is wrong with the file, in one line; None if it matches the catalog, with the changes since."""
        import numpy as np

        if self.file is None or not self._catalog.vectors.last_id():
            return None
        snapshot = read_snapshot(self.file, self._model.dim, self._catalog.meta.uuid, verify=True)
        if snapshot is None:
            return f"{self.file} is damaged"
        if not self._fits(snapshot.stamp):
            return f"{self.file} does not match the state of this index"
        vectors = self._brought_up_to_date(snapshot)
        for ids, expected in self._catalog.vectors.after(0, self._model.dim):
            if not np.allclose(vectors.vectors(ids), expected, rtol=0, atol=0 if vectors.exact else 1e-3):
                return f"{self.file} holds other vectors than the catalog"
        if len(vectors) != self._catalog.vectors.count():
            return f"{self.file} holds vectors that the catalog lacks"
        return None

    def _vectors(self) -> VectorIndex:
        if self._loaded is None:
            try:
                self._loaded = self._in_memory() if self.file is None else self._read(self.file)
                self._generation = self._catalog.meta.generation
            except BaseException:
                self._catalog.end_view()  # do not stay at this state for ever
                raise
        return self._loaded

    def _read(self, file: Path) -> VectorIndex:
        """Load the file and bring it up to date; begins the read transaction that keeps it in step with the catalog.

        The file is opened before the transaction begins, so it is never newer than what the transaction sees, and
        everything it lacks is in the catalog.
        """
        for _attempt in range(2):  # a writer may have replaced the file meanwhile: then the second attempt matches
            self._catalog.end_view()
            snapshot = self._opened(file)
            self._catalog.view()
            self._require_same_model()
            if snapshot is not None and self._fits(snapshot.stamp):
                return self._brought_up_to_date(snapshot)
        if self._catalog.vectors.last_id():
            self._notify(
                f"{file} is {'damaged or out of date' if file.exists() else 'missing'}: rebuilt from the catalog"
            )
        snapshot = self._opened(file) if self._made_again(file) else None
        # Searches use the file if it could be written, else vectors in memory.
        return self._in_memory() if snapshot is None else self._brought_up_to_date(snapshot)

    def _opened(self, file: Path) -> Snapshot | None:
        return read_snapshot(file, self._model.dim, self._catalog.meta.uuid)

    def _fits(self, stamp: Stamp) -> bool:
        meta = self._catalog.meta
        return meta.dead_since <= stamp.generation <= meta.generation

    def _brought_up_to_date(self, snapshot: Snapshot) -> VectorIndex:
        """Add the vectors that the catalog has gained since the file was written, and remove those it has lost."""
        vectors: VectorIndex = snapshot.vectors
        for ids, added in self._catalog.vectors.after(snapshot.stamp.last_id, self._model.dim):
            vectors.add(ids, added)
        vectors.remove(self._catalog.vectors.dead())
        return vectors

    def _in_memory(self) -> VectorIndex:
        """Return the vectors of the catalog in memory, without a file."""
        import numpy as np

        vectors: VectorIndex = LayeredIndex(self._model.dim)
        parts = list(self._catalog.vectors.after(0, self._model.dim))
        if parts:
            vectors.add(np.concatenate([ids for ids, _ in parts]), np.concatenate([added for _, added in parts]))
        return vectors

    def _made_again(self, file: Path) -> bool:
        """Rebuild the file for the next reader; return False if the index is read-only or busy."""
        if self._alone is None:
            return False
        try:
            with self._alone():
                self._write(file)
        except (LockedError, StorageError):
            return False
        return True

    def _write(self, file: Path) -> None:
        catalog, dim = self._catalog, self._model.dim
        stamp = Stamp(catalog.meta.uuid, catalog.meta.generation, catalog.vectors.last_id())
        kind = kind_for(catalog.meta.index_type(), catalog.vectors.count(), dim)
        write_snapshot(file, dim, stamp, kind, lambda: catalog.vectors.after(0, dim))

    def _wanted_kind(self) -> str:
        return self.kind_for(self._catalog.meta.index_type())

    def _require_same_model(self) -> None:
        """Raise `ModelSwitchedError` if the index has been switched to another model since it was opened."""
        now = self._catalog.models.current()
        if now.identity != self._model.identity:
            where = None if self.file is None else self.file.parent
            raise ModelSwitchedError(
                f"{where}: just switched from model {self._model.name} to {now.name}; run the query again"
            )

    def _scored_again(self, queries: FloatArray, ids: IdArray) -> tuple[FloatArray, IdArray]:
        """Score again with the catalog's own vectors: a large file may be altered, an approximate one rounds."""
        import numpy as np

        scores = np.full(ids.shape, -np.inf, dtype=np.float32)
        for row, query in enumerate(queries):
            found = ids[row] >= 0
            vectors = self._catalog.vectors.get(ids[row][found].tolist(), self._model.dim)
            exact = (vectors.astype(np.float64) * query).sum(axis=1).astype(np.float32)
            order = np.lexsort((ids[row][found], -exact))
            scores[row, : len(order)], ids[row, : len(order)] = exact[order], ids[row][found][order]
        return scores, ids
