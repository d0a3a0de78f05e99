"""Extract the faces of many photos concurrently: read and hash, detect and align, embed in batches across photos.

Three stages run on worker threads, with the caller's thread between them: read; let the caller select the contents to
extract by their hashes; decode, detect and align; embed. Each worker processes a whole photo, so that no thread waits
for another. Faces of several photos are embedded in one batch: insightface's own loop embeds them one by one, and a
large recogniser takes 10 ms per face in batches of sixteen, but 19 ms for a single face (ResNet-50 in bf16).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Generic, TypeVar

from facesearch.index.crash_guard import CrashGuard
from facesearch.indexing.contents import Content, Item, read
from facesearch.indexing.extraction import Detected, Outcome, detect, embed
from facesearch.indexing.options import Options
from facesearch.indexing.suspects import IsolatedExtractor
from facesearch.models.protocol import FaceModel

__all__ = ["Ahead", "Extractor"]

_BATCH_FACES, _BATCH_PHOTOS, _BATCH_SECONDS = 16, 24, 1.0

_In = TypeVar("_In")
_Out = TypeVar("_Out")


class Extractor(Generic[Item]):
    """Extracts the faces of many photos with one model; `guard` knows which were in progress when an earlier run died.

    `select` passes on the contents to extract and handles the others itself: it yields None for each of those, so that
    finished photos are handed over even if nothing needs extracting for a while. `keep` gets the outcome of each
    extracted photo. `flush` is called before the extraction of photos that may end the process. All three run on the
    caller's thread.

    Suspects come last, in a separate process, after everything else has been kept. They are the photos that were in
    progress when an earlier run died, and those for which `is_suspect` is true.
    """

    def __init__(
        self,
        model: FaceModel,
        options: Options,
        guard: CrashGuard,
        *,
        select: Callable[[Iterable[Content[Item]]], Iterator[Content[Item] | None]],
        keep: Callable[[Outcome[Item]], None],
        flush: Callable[[], None],
        cancelled: Callable[[], bool],
        is_suspect: Callable[[Item], bool] = lambda _item: False,
    ) -> None:
        self._model = model
        self._options = options
        self._guard = guard
        self._select = select
        self._keep = keep
        self._flush = flush
        self._cancelled = cancelled
        self._is_suspect = is_suspect
        self.stopped = False
        """Whether the run was cancelled before its end."""

    def run(self, items: Sequence[Item]) -> None:
        """Extract all items, or those that are done before the run is cancelled."""
        before = self._guard.suspects
        suspects = [item for item in items if item.path in before or self._is_suspect(item)]
        others = [item for item in items if not (item.path in before or self._is_suspect(item))] if suspects else items
        try:
            self._extract_together(others)
            if suspects and not self.stopped:
                self._flush()
                self._extract_alone(suspects)
        finally:
            self._guard.close()

    def _extract_together(self, items: Sequence[Item]) -> None:
        workers, memory = self._options.workers, self._options.memory
        with ThreadPoolExecutor(workers, thread_name_prefix="photo") as pool:
            ahead = Ahead(pool, depth=workers * 2)
            detecting = partial(detect, self._model, options=self._options)
            embedding = partial(embed, self._model)
            try:
                contents = ahead(read, self._until_cancelled(items), cost=lambda item: item.size, limit=memory // 4)
                detected = ahead(
                    detecting, self._selected(contents), cost=lambda content: content.memory, limit=memory * 3 // 4
                )
                for outcomes in ahead(embedding, _batches(detected), cost=lambda _batch: 1, limit=workers + 1):
                    for outcome in outcomes or ():
                        self._finish(outcome)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _extract_alone(self, suspects: Sequence[Item]) -> None:
        with IsolatedExtractor(self._model, self._options, cancelled=self._cancelled) as isolated:
            for item in self._until_cancelled(suspects):
                for content in self._selected([read(item)]):
                    outcome = None if content is None else isolated.extract(content)
                    if outcome is not None:
                        self._finish(outcome)
                    elif content is not None:
                        self.stopped = True  # it stays a suspect

    def _until_cancelled(self, items: Iterable[Item]) -> Iterator[Item]:
        for item in items:
            if self._cancelled():
                self.stopped = True
                return
            yield item

    def _selected(self, contents: Iterable[Content[Item] | None]) -> Iterator[Content[Item] | None]:
        for content in self._select(content for content in contents if content is not None):
            if content is not None:
                self._guard.take(content.item.path)
            yield content

    def _finish(self, outcome: Outcome[Item]) -> None:
        self._guard.drop(outcome.content.item.path)
        self._keep(outcome)


def _batches(photos: Iterable[Detected[Item] | None]) -> Iterator[list[Detected[Item]] | None]:
    """Yield batches of photos in their order, once they have enough faces for a batch or have waited long enough."""
    batch: list[Detected[Item]] = []
    faces, since = 0, time.monotonic()
    for photo in photos:
        if photo is None:
            yield None
        else:
            since = since if batch else time.monotonic()
            batch.append(photo)
            faces += 0 if photo.faces is None else len(photo.faces.detections)
        full = faces >= _BATCH_FACES or len(batch) >= _BATCH_PHOTOS
        if full or (batch and time.monotonic() - since >= _BATCH_SECONDS):
            yield batch
            batch, faces = [], 0
    if batch:
        yield batch


class Ahead:
    """Runs work on a pool's threads ahead of its consumer, within bounds."""

    def __init__(self, pool: ThreadPoolExecutor, *, depth: int) -> None:
        self._pool = pool
        self._depth = depth

    def __call__(
        self, work: Callable[[_In], _Out], items: Iterable[_In | None], *, cost: Callable[[_In], int], limit: int
    ) -> Iterator[_Out | None]:
        """Yield results in order; up to `depth` items, together costing up to `limit`, are in progress, at least one.

        None among the items is not work: it yields the results that are ready by then, and None after them.
        """
        running: deque[tuple[Future[_Out], int]] = deque()
        spent = 0
        for item in items:
            price = 0 if item is None else cost(item)
            while running and (
                running[0][0].done() if item is None else len(running) >= self._depth or spent + price > limit
            ):
                done, paid = running.popleft()
                yield done.result()
                spent -= paid
            if item is None:
                yield None
            else:
                running.append((self._pool.submit(work, item), price))
                spent += price
        while running:
            yield running.popleft()[0].result()
