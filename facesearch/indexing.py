"""Build and refresh an index: plan what is to be read, have it looked at, keep what comes of it.

What is read and looked at on worker threads is `looking`'s matter; here, on the thread that owns the catalog, is
decided which contents are known, and what becomes of photos that are new, edited, moved, copied or gone.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Protocol

from facesearch.faces.model import FaceModel
from facesearch.headers import dated, read_old_headers
from facesearch.looking import Content, Looker, Outcome, look_at_content, read
from facesearch.photos.scan import is_offline
from facesearch.planning import Options, Plan, Report, Task, find_scopes, forgotten_before, looks_unchanged, make_plan
from facesearch.store.catalog import KnownPhoto, Status
from facesearch.store.store import Store
from facesearch.types import PhotoFile

__all__ = ["Progress", "preview", "refresh"]

COMMIT_SECONDS = 5.0
"""What a crash can cost at most."""

_COMMIT_PHOTOS = 500
_AS_USUAL = Options()


class Progress(Protocol):
    """Is told how far a run is."""

    def __call__(self, done: int, total: int, faces: int, failed: int) -> None:
        """`done` of `total` photos to read are read; `faces` were found in them and `failed` could not be read."""
        ...


def _silent(done: int, total: int, faces: int, failed: int) -> None:
    pass


def preview(store: Store, paths: Sequence[Path] = (), *, options: Options = _AS_USUAL) -> Report:
    """What `refresh` would do, told by names, sizes and times alone: a moved photo counts as new and as missing.

    Nothing is read, and nothing is written. Raises what `refresh` raises.
    """
    report = Report()
    store.catalog.begin()
    try:
        plan = make_plan(store, find_scopes(store, paths), options, report)
        report.new = sum(task.known is None for task in plan.tasks)
        report.changed = len(plan.tasks) - report.new
        report.missing = len(plan.gone)
        report.removed = sum(store.catalog.count_hidden(root, forgotten_before(options)) for root in plan.seen)
        if options.keep_missing <= 0:
            report.removed, report.missing = report.removed + report.missing, 0
        counts = store.catalog.counts()
        report.photos, report.faces = counts.photos, counts.faces
    finally:
        store.catalog.rollback()
    return report


def refresh(
    store: Store,
    model: FaceModel,
    paths: Sequence[Path] = (),
    *,
    options: Options = _AS_USUAL,
    progress: Progress = _silent,
    should_stop: Callable[[], bool] = lambda: False,
) -> Report:
    """Bring the index up to date with `paths`, or with every known root when none are given.

    A path inside a known root refreshes that part of it; another becomes a root. Work is committed every few seconds;
    when `should_stop` says so the photos in hand are finished and kept. Raises `InputError` when a path is not there,
    `UsageError` when there is nothing to do, and what the store raises.
    """
    started = time.monotonic()
    report = Report()
    store.catalog.begin()
    scopes = find_scopes(store, paths)
    store.commit(vectors_changed=False)
    plan = make_plan(store, scopes, options, report)
    _Run(store, model, options, progress, should_stop, report).work_off(plan)
    if not report.stopped:
        seen = [scope for scope in scopes if scope.root.id in plan.seen]
        read_old_headers(store, seen, report, workers=options.workers, should_stop=should_stop)
    counts = store.catalog.counts()
    report.photos, report.faces = counts.photos, counts.faces
    report.seconds = round(time.monotonic() - started, 3)
    store.finish()
    return report


class _Run:
    """One pass over the tasks of a plan. Its methods run on the thread that owns the store, but for the two stages."""

    def __init__(
        self,
        store: Store,
        model: FaceModel,
        options: Options,
        progress: Progress,
        should_stop: Callable[[], bool],
        report: Report,
    ) -> None:
        self._store = store
        self._model = model
        self._options = options
        self._progress = progress
        self._should_stop = should_stop
        self._report = report
        self._offline = {root.id for root in store.catalog.roots() if is_offline(root.path)}
        self._now = int(time.time())
        self._waiting: dict[bytes, list[Content[Task]]] = {}
        self._moved: set[int] = set()
        self._displaced: set[int] = set()
        self._hashes: dict[bytes, bytes | None] = {}
        self._new_faces = 0
        self._new_failures = 0
        self._done = 0
        self._dirty = False
        self._unwritten: list[Callable[[], None]] = []
        self._committed_at = time.monotonic()

    def work_off(self, plan: Plan) -> None:
        self._total = len(plan.tasks)
        self._tasks = plan.tasks
        looker = Looker(
            self._model,
            self._options,
            self._store.journal(),
            admit=self._unknown,
            finish=self._finish,
            settle=self._write,
            should_stop=self._should_stop,
        )
        looker.work_off(plan.tasks)
        self._report.stopped = looker.stopped
        self._write(partial(self._end, plan))

    def _finish(self, outcome: Outcome[Task]) -> None:
        self._new_faces += len(outcome.faces)
        self._new_failures += outcome.error is not None
        self._later(partial(self._keep, outcome))

    def _end(self, plan: Plan) -> None:
        """What is known only when all has been looked at: who has gone, who is back, who has been gone for long."""
        self._store.catalog.show_photos(plan.back)
        if not self._report.stopped:
            gone = [photo for photo in plan.gone if photo not in self._moved]
            self._store.catalog.hide_photos(gone, self._now)
            self._report.missing = len(gone) + len(self._displaced)
            self._forget_hidden(plan.seen)

    def _forget_hidden(self, roots: Iterable[int]) -> None:
        """Delete what has been out of sight for long enough."""
        before = forgotten_before(self._options)
        for root in roots:
            count = self._store.catalog.count_hidden(root, before)
            if count:
                self._store.catalog.delete_hidden(root, before)
                self._report.removed += count
                self._dirty = True
        if self._options.keep_missing <= 0:
            self._report.missing = 0

    def _unknown(self, contents: Iterable[Content[Task]]) -> Iterator[Content[Task]]:
        """Let through what must be looked at; what the catalog knows by its content, or cannot be read, ends here."""
        for content in contents:
            if content.hash is None:
                if content.error is not None:
                    self._new_failures += 1
                    self._later(partial(self._fail, content, content.error))
                else:
                    self._step()  # it has gone since it was listed
            elif self._options.again and content.item.known is not None:
                yield content
            elif content.hash in self._waiting:
                # The same content is being looked at: wait for what comes of it, without keeping the bytes.
                self._waiting[content.hash].append(content.without_data())
            elif self._store.catalog.photos_with_hash(content.hash):
                self._later(partial(self._adopt, content.without_data()))
            else:
                self._waiting[content.hash] = []
                yield content

    def _adopt(self, content: Content[Task]) -> None:
        """Take the faces from a photo of the same content: itself, one that was moved here, or a twin."""
        catalog, task = self._store.catalog, content.item
        assert content.hash is not None
        same = catalog.photos_with_hash(content.hash)
        if not same:  # the photo that had this content was changed in the meantime
            self._look_again(task)
            return
        here = catalog.photo_at(task.root.id, task.file.path)
        itself = next((photo for photo, _ in same if here is not None and photo.id == here.id), None)
        moved = self._who_left(same)
        if itself is not None:
            catalog.touch_photo(itself.id, task.root.id, task.file)
            self._report.unchanged += 1
        elif moved is not None:
            self._move(moved, here, task)
            self._report.moved += 1
        else:
            # Of content that was forgotten for ever no copy is wanted either, whoever else has it.
            twin = min((photo for photo, _ in same), key=lambda photo: photo.status != "unwanted")
            self._make_way(content)
            catalog.copy_photo(twin.id, task.root.id, task.file)
            self._dirty = True
            self._count(task, ours=twin.ours)

    def _make_way(self, content: Content[Task]) -> None:
        """Another content comes to a known path: what was there is edited, or has moved and is met later in this run.

        A file that was moved has the size that it had: only others of that size are read to find out.
        """
        task, catalog = content.item, self._store.catalog
        here = None if task.known is None else catalog.photo_at(task.root.id, task.file.path)
        was = None if here is None else catalog.content_of(here.id)
        if here is None or was is None or was == content.hash:
            return
        for other in self._of_size.get(here.file.size, []):
            itself = other.known is not None and catalog.content_of(other.known.id) == was
            if other.path != task.path and not itself and self._hash_of(other) == was:
                self._displace(here)
                return

    @cached_property
    def _of_size(self) -> dict[int, list[Task]]:
        """What this run reads, by the files' sizes."""
        sizes: dict[int, list[Task]] = defaultdict(list)
        for task in self._tasks:
            sizes[task.file.size].append(task)
        return sizes

    def _hash_of(self, task: Task) -> bytes | None:
        if task.path not in self._hashes:
            self._hashes[task.path] = read(task).hash
        return self._hashes[task.path]

    def _displace(self, photo: KnownPhoto) -> None:
        """Its name belongs to another photo now: it is kept out of sight until it is met, or as one that has gone."""
        self._store.catalog.displace_photo(photo.id, self._now)
        self._displaced.add(photo.id)

    def _fetch_outdated(self, content: Content[Task]) -> bool:
        """Whether a photo whose faces an earlier model found has moved here since: it comes along with them."""
        catalog, task = self._store.catalog, content.item
        assert content.hash is not None
        here = catalog.photo_at(task.root.id, task.file.path)
        same = catalog.photos_with_hash(content.hash, outdated=True)
        moved = self._who_left(same)
        if moved is None or any(here is not None and photo.id == here.id for photo, _ in same):
            return False
        self._move(moved, here, task)
        return True

    def _who_left(self, same: Iterable[tuple[KnownPhoto, bytes]]) -> KnownPhoto | None:
        """Of photos of one content one that is no longer at its place; rather one that was in sight."""
        left = [photo for photo, path in same if self._has_left(photo, path)]
        return min(left, key=lambda photo: photo.missing, default=None)

    def _move(self, photo: KnownPhoto, here: KnownPhoto | None, task: Task) -> None:
        """A photo has come to where `here` was: names were swapped, or `here` is out of sight from now on."""
        if here is not None:
            self._displace(here)
        self._store.catalog.touch_photo(photo.id, task.root.id, task.file)
        self._moved.add(photo.id)
        self._displaced.discard(photo.id)

    def _look_again(self, task: Task) -> None:
        content = read(task)
        if content.hash is not None:
            self._keep(look_at_content(self._model, content, self._options))
        elif content.error is not None:
            self._fail(content, content.error)

    def _has_left(self, photo: KnownPhoto, path: bytes) -> bool:
        """Whether a known photo is no longer at its place: the file is gone, or has become another.

        On a disk that is not mounted it may well be there still.
        """
        if photo.root in self._offline:
            return False
        try:
            found = os.stat(path)
        except (OSError, ValueError):  # a displaced photo's path is none
            return True
        return photo.missing or not looks_unchanged(PhotoFile(path, found.st_size, found.st_mtime_ns), photo.file)

    def _keep(self, outcome: Outcome[Task]) -> None:
        content, faces, facts, error, lasting, seen = outcome
        task = content.item
        if error is not None:
            self._fail(content, error, lasting=lasting)
        elif facts is not None:
            status: Status = "faces" if faces else "no_face"
            self._make_way(content)
            came = self._fetch_outdated(content)
            facts = dated(facts, task.root.path, task.file.path)
            photo = self._store.catalog.put_photo(
                task.root.id, task.file, content.hash, status, facts=facts, fingerprint=seen
            )
            self._store.catalog.replace_faces(photo, faces)
            self._dirty = self._dirty or bool(faces) or task.known is not None
            self._report.no_face += not faces and not facts.ours
            if came:
                self._report.moved += 1
            else:
                self._count(task, ours=facts.ours)
        for twin in self._waiting.pop(content.hash or b"", []):
            if not lasting:  # that was about this file, or about the moment
                self._look_again(twin.item)
            elif error is not None:
                self._fail(twin, error)
            else:
                self._adopt(twin)
            self._step()

    def _fail(self, content: Content[Task], error: str, *, lasting: bool = True) -> None:
        """A photo that cannot be read keeps the faces it had: half a file may be a copy under way."""
        task, known_as = content.item, content.hash if lasting else None
        self._store.catalog.put_photo(task.root.id, task.file, known_as, "failed", error=error)
        self._report.failed += 1
        self._count(content.item)

    def _count(self, task: Task, *, ours: bool = False) -> None:
        if ours:
            self._report.ours += 1
        elif task.known is None:
            self._report.new += 1
        else:
            self._report.changed += 1

    def _step(self) -> None:
        self._done += 1
        self._progress(self._done, self._total, self._new_faces, self._new_failures)

    def _later(self, write: Callable[[], None]) -> None:
        """Write this with the next commit: between commits the catalog is free for other writers."""
        self._unwritten.append(write)
        self._step()
        if time.monotonic() - self._committed_at >= COMMIT_SECONDS or len(self._unwritten) >= _COMMIT_PHOTOS:
            self._write()

    def _write(self, last: Callable[[], None] = lambda: None) -> None:
        self._store.catalog.begin()
        for write in self._unwritten:
            write()
        last()
        self._store.commit(vectors_changed=self._dirty)
        self._unwritten.clear()
        self._dirty = False
        self._committed_at = time.monotonic()
