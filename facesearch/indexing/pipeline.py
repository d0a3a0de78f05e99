"""Many photos to their faces at once: read and hashed, detected and aligned, embedded in batches across photos.

Three stages run on worker threads, with the caller's own thread between them: read; let the caller select, by the
contents' hashes, which are to be extracted; decode, detect and align; embed. Whole photos are worked on at the same
time, so that no thread waits for another. Faces of several photos are embedded together: insightface's own loop embeds
one by one, and a large recogniser takes 10 ms a face in batches of sixteen where it takes 19 alone (ResNet-50 in bf16).
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
    """Extracts the faces of many photos with one model; `guard` knows which were in work when an earlier run died.

    `select` passes on the contents to extract and deals with the others itself: it gives None for each of those, so
    that finished photos are handed over though nothing more may need extracting for a while. `keep` gets the outcome of
    each extracted photo. `flush` is called before a photo is extracted that may end the process. All three run on the
    caller's thread.

    Suspects come last, each in a process of its own, when everything else has been kept: what was in work at a death,
    and what `is_suspect` says.
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
        """Whether it was cancelled before its end."""

    def run(self, items: Sequence[Item]) -> None:
        """Extract all of them, or as many as there are before it is cancelled."""
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
    """Photos in the order in which they come, together once they have enough faces for a batch, or waited long."""
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
    """Work that is done on a pool's threads ahead of whoever asks for it, within bounds."""

    def __init__(self, pool: ThreadPoolExecutor, *, depth: int) -> None:
        self._pool = pool
        self._depth = depth

    def __call__(
        self, work: Callable[[_In], _Out], items: Iterable[_In | None], *, cost: Callable[[_In], int], limit: int
    ) -> Iterator[_Out | None]:
        """Results in order; under way are up to `depth` items that together cost up to `limit`, and always one.

        None among the items is no work: what is done by then is given out, and None after it.
        """
        under_way: deque[tuple[Future[_Out], int]] = deque()
        spent = 0
        for item in items:
            price = 0 if item is None else cost(item)
            while under_way and (
                under_way[0][0].done() if item is None else len(under_way) >= self._depth or spent + price > limit
            ):
                done, paid = under_way.popleft()
                yield done.result()
                spent -= paid
            if item is None:
                yield None
            else:
                under_way.append((self._pool.submit(work, item), price))
                spent += price
        while under_way:
            yield under_way.popleft()[0].result()
