"""Photos' files to their faces, many at once: read and hashed, looked at, embedded in batches across photos.

Three stages on worker threads, with the caller's own thread between them: read; let the caller decide, from the
content's hash, which are to be looked at; decode, detect and align; embed. Whole photos are worked on at the same time,
so that no thread waits for another. Faces of several photos are embedded together: insightface's own loop embeds one by
one, and a large recogniser takes 10 ms a face in batches of sixteen where it takes 19 alone (ResNet-50 in bf16).
"""

from __future__ import annotations

import hashlib
import io
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import BinaryIO, Generic, NamedTuple, Protocol, TypeVar

from facesearch.errors import Hint, PhotoError, PhotoTooLargeError
from facesearch.faces.extract import Look, faces_of, look_at
from facesearch.index.crash_guard import Journal
from facesearch.indexing.diff import Options
from facesearch.isolation import Isolation, ProcessDiedError
from facesearch.machine import give_back_memory
from facesearch.models.protocol import FaceModel
from facesearch.photos.decode import Photo, memory_needed
from facesearch.photos.fingerprint import fingerprint
from facesearch.types import Face, PhotoFacts

__all__ = ["Content", "Looker", "Outcome", "Readable", "look_at_content", "read"]

MAX_FILE_BYTES = 1 << 30
"""Larger files are refused: each is read whole, several at once."""

KEPT_BYTES = 32 * 2**20
"""Larger files are not kept while they wait to be looked at, but read again then."""

_LARGE = 128 * 2**20
_DEATHS = 2
_BATCH_FACES, _BATCH_PHOTOS, _BATCH_SECONDS = 16, 24, 1.0

_In = TypeVar("_In")
_Out = TypeVar("_Out")


class Readable(Protocol):
    """A file to be read: its absolute path in the system's bytes, and its size in bytes."""

    @property
    def path(self) -> bytes:
        """Absolute, in the system's bytes."""
        ...

    @property
    def size(self) -> int:
        """In bytes."""
        ...


Item = TypeVar("Item", bound=Readable)


class Content(NamedTuple, Generic[Item]):
    """A file's bytes and their SHA-256, or why it could not be read (no hash and no error: it is gone).

    `memory` is how many bytes looking at it may take. A large file's own are left away.
    """

    item: Item
    data: bytes
    hash: bytes | None
    error: str | None = None
    memory: int = 0

    def without_data(self) -> Content[Item]:
        """The same, with the bytes let go."""
        return self._replace(data=b"")


class Outcome(NamedTuple, Generic[Item]):
    """What came of a photo: its faces, or why it failed; `lasting` when only another content can change that.

    `deaths` is how many processes died while they looked at it and at nothing else.

    No faces, no facts and no error: the file has gone since it was listed.
    """

    content: Content[Item]
    faces: Sequence[Face]
    facts: PhotoFacts | None
    error: str | None
    lasting: bool = True
    fingerprint: int | None = None
    deaths: int = 0


class _Seen(NamedTuple, Generic[Item]):
    """A photo that was looked at, its faces not embedded yet; `look` is None where there is nothing to embed."""

    look: Look | None
    outcome: Outcome[Item]


class Looker(Generic[Item]):
    """Looks at many photos with one model; `journal` knows what was in hand when an earlier run died.

    `admit` lets through what is to be looked at, and sees to the rest itself: it gives None for each of those, so that
    what was looked at before is finished though nothing more is to be looked at for a while. `finish` gets what came of
    each; `settle` is called before a photo is looked at that may end the process. All three run on the caller's thread.
    What was in hand at a death, or is a suspect for another reason (`is_suspect`), comes last and in a process of its
    own: whether it kills is found out there, and everything else has been kept by then.
    """

    def __init__(
        self,
        model: FaceModel,
        options: Options,
        journal: Journal,
        *,
        admit: Callable[[Iterable[Content[Item]]], Iterator[Content[Item] | None]],
        finish: Callable[[Outcome[Item]], None],
        settle: Callable[[], None],
        should_stop: Callable[[], bool],
        is_suspect: Callable[[Item], bool] = lambda _item: False,
    ) -> None:
        self._model = model
        self._options = options
        self._journal = journal
        self._admit = admit
        self._finish = finish
        self._settle = settle
        self._should_stop = should_stop
        self._is_suspect = is_suspect
        self.stopped = False
        """Whether it was asked to end early."""

    def work_off(self, items: Sequence[Item]) -> None:
        """Look at all."""
        before = self._journal.suspects
        suspects = [item for item in items if item.path in before or self._is_suspect(item)]
        others = [item for item in items if not (item.path in before or self._is_suspect(item))] if suspects else items
        try:
            self._look_together(others)
            if suspects and not self.stopped:
                self._settle()
                with Isolation(_begin, self._model) as alone:
                    for item in self._until_stopped(suspects):
                        self._look_alone(item, alone)
        finally:
            self._journal.close()

    def _look_together(self, items: Sequence[Item]) -> None:
        with ThreadPoolExecutor(self._options.workers, thread_name_prefix="photo") as pool:
            reading, looking = self._options.memory // 4, self._options.memory * 3 // 4
            ahead = _Ahead(pool, depth=self._options.workers * 2)
            try:
                contents = ahead(read, self._until_stopped(items), cost=lambda item: item.size, limit=reading)
                seen = ahead(self._see, self._taken(contents), cost=lambda content: content.memory, limit=looking)
                batches = _batches(seen)
                for outcomes in ahead(self._embed, batches, cost=lambda _batch: 1, limit=self._options.workers + 1):
                    for outcome in outcomes or ():
                        self._finished(outcome)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _look_alone(self, item: Item, alone: Isolation) -> None:
        """A suspect, in a process of its own: if that dies twice, it is the one."""
        for content in self._taken([read(item)]):
            outcome = None if content is None else self._outcome_alone(content, alone)
            if outcome is not None:
                self._finished(outcome)
            elif content is not None:
                self.stopped = True  # it stays a suspect

    def _outcome_alone(self, content: Content[Item], alone: Isolation) -> Outcome[Item] | None:
        """What came of a suspect; None where this run was asked to stop while its process died: anything may have."""
        deaths = 0
        while True:
            try:
                return alone(_look_in_isolation, content, self._options)
            except ProcessDiedError as died:
                if self._should_stop():
                    return None
                if not died.started:
                    reason = f"cannot be looked at alone now, and may have ended an earlier run ({died.how})"
                    return Outcome(content.without_data(), [], None, reason, lasting=False)
                deaths += 1
                if deaths == _DEATHS:
                    reason = f"facesearch died {deaths} times while looking at it alone ({died.how})"
                    reason += f"; {Hint.RETRY_FAILED}"
                    return Outcome(content.without_data(), [], None, reason, deaths=deaths)

    def _until_stopped(self, items: Iterable[Item]) -> Iterator[Item]:
        for item in items:
            if self._should_stop():
                self.stopped = True
                return
            yield item

    def _taken(self, contents: Iterable[Content[Item] | None]) -> Iterator[Content[Item] | None]:
        for content in self._admit(content for content in contents if content is not None):
            if content is not None:
                self._journal.take(content.item.path)
            yield content

    def _finished(self, outcome: Outcome[Item]) -> None:
        self._journal.drop(outcome.content.item.path)
        self._finish(outcome)

    def _see(self, content: Content[Item]) -> _Seen[Item]:
        return _see(self._model, content, self._options)

    def _embed(self, batch: list[_Seen[Item]]) -> list[Outcome[Item]]:
        return _embed(self._model, batch)


class _Isolated:
    """The model of a process that looks at suspects."""

    model: FaceModel | None = None


def _begin(model: FaceModel) -> None:
    _Isolated.model = model


def _look_in_isolation(content: Content[Item], options: Options) -> Outcome[Item]:
    assert _Isolated.model is not None
    return look_at_content(_Isolated.model, content, options)


def look_at_content(model: FaceModel, content: Content[Item], options: Options) -> Outcome[Item]:
    """Decode, detect, align and embed a single photo."""
    return _embed(model, [_see(model, content, options)])[0]


def read(item: Item) -> Content[Item]:
    """A file's bytes, and their hash; of a large file the hash alone."""
    size = item.size
    if size > MAX_FILE_BYTES:
        return Content(item, b"", None, f"{size / 1e6:,.0f} MB are over the limit of 1,074 MB for a photo")
    try:
        with open(item.path, "rb") as stream:
            if size > KEPT_BYTES:
                digest = hashlib.file_digest(stream, "sha256").digest()
                stream.seek(0)
                return Content(item, b"", digest, memory=size + memory_needed(stream))
            data = stream.read()
    except FileNotFoundError:
        return Content(item, b"", None)
    except MemoryError:
        return Content(item, b"", None, "not enough memory to read it")
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        return Content(item, b"", None, f"cannot be read: {getattr(error, 'strerror', error)}")
    return Content(item, data, hashlib.sha256(data).digest(), memory=len(data) + memory_needed(io.BytesIO(data)))


@contextmanager
def _read_again(content: Content[Item]) -> Iterator[BinaryIO]:
    """A photo's bytes: those that were kept, or the file itself, a large one's, which is never in memory as a whole.

    Raises `FileNotFoundError`, and `PhotoError` when they are not those that were hashed.
    """
    if content.data:
        yield io.BytesIO(content.data)
        return
    try:
        stream = open(content.item.path, "rb")  # noqa: SIM115 - what is done with it has errors of its own
    except FileNotFoundError:
        raise
    except OSError as error:
        raise PhotoError(f"cannot be read: {error.strerror}") from error
    with stream:
        if hashlib.file_digest(stream, "sha256").digest() != content.hash:
            raise PhotoError("changed while it was read")
        yield stream


def _see(model: FaceModel, content: Content[Item], options: Options) -> _Seen[Item]:
    """On a worker thread: decode, detect, align."""
    seen = _seen(model, content, options)
    if content.memory > _LARGE:
        give_back_memory()
    return seen


def _seen(model: FaceModel, content: Content[Item], options: Options) -> _Seen[Item]:
    try:
        with _read_again(content) as stream:
            return _looked_at(model, stream, content.without_data(), options)
    except FileNotFoundError:
        return _Seen(None, Outcome(content.without_data(), [], None, None, lasting=False))
    except PhotoError as error:
        return _Seen(None, Outcome(content.without_data(), [], None, str(error), lasting=False))


def _looked_at(model: FaceModel, stream: BinaryIO, done: Content[Item], options: Options) -> _Seen[Item]:
    """What came of a photo; pictures that facesearch made are known from their headers and not looked at."""
    try:
        photo = Photo(stream, max_pixels=options.max_pixels)
        if photo.facts.ours:
            return _Seen(None, Outcome(done, [], photo.facts, None))
        look = look_at(model, photo, rotations=options.rotations)
        return _Seen(look, Outcome(done, [], photo.facts, None, fingerprint=fingerprint(photo)))
    except PhotoTooLargeError as error:
        # Not the content's fault: without its hash it is tried again by every run, with the limits of the day.
        return _Seen(None, Outcome(done, [], None, str(error), lasting=False))
    except PhotoError as error:
        # What the disk could not read now, unlike what makes no sense, has a number of the system's.
        lasting = getattr(error.__cause__, "errno", None) is None
        return _Seen(None, Outcome(done, [], None, str(error), lasting=lasting))
    except MemoryError:
        return _Seen(None, Outcome(done, [], None, "not enough memory to look at it", lasting=False))


def _embed(model: FaceModel, batch: list[_Seen[Item]]) -> list[Outcome[Item]]:
    """On a worker thread: the faces of several photos in one go."""
    faces = iter(faces_of(model, [seen.look for seen in batch if seen.look is not None]))
    return [seen.outcome if seen.look is None else seen.outcome._replace(faces=next(faces)) for seen in batch]


def _batches(seen: Iterable[_Seen[Item] | None]) -> Iterator[list[_Seen[Item]] | None]:
    """Photos in the order in which they come, together once they have enough faces for a batch, or waited long."""
    batch: list[_Seen[Item]] = []
    faces, since = 0, time.monotonic()
    for one in seen:
        if one is None:
            yield None
        else:
            since = since if batch else time.monotonic()
            batch.append(one)
            faces += 0 if one.look is None else len(one.look.detections)
        full = faces >= _BATCH_FACES or len(batch) >= _BATCH_PHOTOS
        if full or (batch and time.monotonic() - since >= _BATCH_SECONDS):
            yield batch
            batch, faces = [], 0
    if batch:
        yield batch


class _Ahead:
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
