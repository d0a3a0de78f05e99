"""Build and refresh an index: plan what is to be read, have it looked at, keep what comes of it.

What is read and looked at on worker threads is `looking`'s matter; here, on the thread that owns the catalog, is
decided which contents are known, and what becomes of photos that are new, edited, moved, copied or gone.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Protocol

from facesearch.catalog.records import KnownPhoto, Status
from facesearch.index.store import Store
from facesearch.indexing.diff import (
    Options,
    Plan,
    Report,
    Task,
    find_scopes,
    forgotten_before,
    looks_unchanged,
    make_plan,
)
from facesearch.indexing.extraction import Content, Looker, Outcome, look_at_content, read
from facesearch.indexing.headers import dated, read_old_headers
from facesearch.models.protocol import FaceModel
from facesearch.photos.scan import is_offline
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

    No photo is read, and nothing is written: an index opened for reading will do. Raises what `refresh` raises.
    """
    report = Report()
    with store.catalog.dry_run():
        plan = make_plan(store, find_scopes(store, paths), options, report)
        report.new = sum(task.known is None for task in plan.tasks)
        report.changed = len(plan.tasks) - report.new
        report.missing = len(plan.gone)
        report.removed = sum(store.catalog.photos.count_hidden(root, forgotten_before(options)) for root in plan.seen)
        if options.keep_missing <= 0:
            report.removed, report.missing = report.removed + report.missing, 0
        counts = store.catalog.photos.counts()
        report.photos, report.faces = counts.photos, counts.faces
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
    when `should_stop` says so the photos in hand are finished and kept, and the next run does the rest. Raises
    `InputError` when a path is not there, `UsageError` when there is nothing to do, and what the store raises.
    """
    started = time.monotonic()
    report = Report()
    with store.transaction():
        scopes = find_scopes(store, paths)
    plan = make_plan(store, scopes, options, report, should_stop)
    _Run(store, model, options, progress, should_stop, report).work_off(plan)
    if not report.stopped:
        seen = [scope for scope in scopes if scope.root.id in plan.seen]
        read_old_headers(store, seen, report, workers=options.workers, should_stop=should_stop)
    counts = store.catalog.photos.counts()
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
        self._offline = {root.id for root in store.catalog.roots.all() if is_offline(root.path)}
        self._now = int(time.time())
        self._waiting: dict[bytes, list[Content[Task]]] = {}
        self._twins: deque[Content[Task]] = deque()
        self._may_have_left: dict[tuple[bytes, bool], deque[tuple[KnownPhoto, bytes]]] = {}
        self._moved: set[int] = set()
        self._displaced: set[int] = set()
        self._hashes: dict[bytes, bytes | None] = {}
        self._by_content: dict[int, dict[bytes, deque[Task]]] = {}
        self._new_faces = 0
        self._new_failures = 0
        self._done = 0
        self._unwritten: deque[Callable[[], None]] = deque()
        self._committed_at = time.monotonic()

    def work_off(self, plan: Plan) -> None:
        self._total = len(plan.tasks)
        self._tasks = plan.tasks
        looker = Looker(
            self._model,
            self._options,
            self._store.crash_guard(),
            admit=self._unknown,
            finish=self._finish,
            settle=self._write,
            should_stop=self._should_stop,
            is_suspect=lambda task: task.known is not None and task.known.deaths > 0,
        )
        looker.work_off(plan.tasks)
        self._report.stopped = self._report.stopped or looker.stopped
        self._write(partial(self._end, plan))

    def _finish(self, outcome: Outcome[Task]) -> None:
        self._new_faces += len(outcome.faces)
        self._new_failures += outcome.error is not None
        self._later(partial(self._keep, outcome))

    def _end(self, plan: Plan) -> None:
        """What is known only when all has been looked at: who has gone, who is back, who has been gone for long."""
        self._store.catalog.photos.show(plan.back)
        # Twins that are left wait for the next run.
        self._report.stopped = self._report.stopped or bool(self._twins)
        if not self._report.stopped:
            gone = [photo for photo in plan.gone if photo not in self._moved]
            self._store.catalog.photos.hide(gone, self._now)
            self._report.missing = len(gone) + len(self._displaced)
            self._forget_hidden(plan.seen)

    def _forget_hidden(self, roots: Iterable[int]) -> None:
        """Delete what has been out of sight for long enough."""
        before = forgotten_before(self._options)
        for root in roots:
            count = self._store.catalog.photos.count_hidden(root, before)
            if count:
                self._store.catalog.photos.delete_hidden(root, before)
                self._report.removed += count
        if self._options.keep_missing <= 0:
            self._report.missing = 0

    def _unknown(self, contents: Iterable[Content[Task]]) -> Iterator[Content[Task] | None]:
        """Let through what must be looked at; what the catalog knows by its content, or cannot be read, ends here."""
        for content in contents:
            if content.item.size in self._sizes_before and content.item.size in self._of_size:
                self._hashes[content.item.path] = content.hash
            if content.hash is None:
                if content.error is not None:
                    self._new_failures += 1
                    self._later(partial(self._fail, content, content.error))
                else:
                    self._step()  # it has gone since it was listed
                yield None
            elif self._looks_again_at(content.item) and not self._store.catalog.photos.is_unwanted(content.hash):
                yield content
            elif content.hash in self._waiting:
                # The same content is being looked at: wait for what comes of it, without keeping the bytes.
                self._waiting[content.hash].append(content.without_data())
                self._write_if_due()
                yield None
            elif self._store.catalog.photos.twin_of(content.hash) is not None:
                self._later(partial(self._adopt, content.without_data()))
                yield None
            else:
                self._waiting[content.hash] = []
                yield content

    def _looks_again_at(self, task: Task) -> bool:
        return self._options.again and task.known is not None

    def _adopt(self, content: Content[Task]) -> None:
        """Take the faces from a photo of the same content: itself, one that was moved here, or a twin.

        Costs the same however many photos have this content.
        """
        catalog, task = self._store.catalog, content.item
        assert content.hash is not None
        here = catalog.photos.at(task.root.id, task.file.path)
        if here is not None and _is_looked_at(here) and catalog.photos.content_of(here.id) == content.hash:
            if catalog.photos.is_unwanted(content.hash):  # an earlier version left the copies of what it was to forget
                catalog.photos.keep_out(here.id)
            catalog.photos.touch(here.id, task.root.id, task.file)
            self._report.unchanged += 1
            return
        moved = self._one_that_left(content.hash)
        if moved is not None:
            self._move(moved, here, task)
            self._report.moved += 1
            return
        twin = catalog.photos.twin_of(content.hash)
        if twin is None:  # the photo that had this content was changed in the meantime
            self._look_again(task)
            return
        if not self._make_way(content):
            self._report.stopped = True
            return
        self._date_by_name(catalog.photos.copy(twin, task.root.id, task.file), task)
        self._count(task, ours=catalog.photos.is_ours(twin))

    def _make_way(self, content: Content[Task]) -> bool:
        """Another content comes to a known path: what was there is edited, or has moved and is met later in this run.

        A file that was moved has the size that it had: only others of that size are read to find out. False where the
        run was asked to stop before that was done.
        """
        task, catalog = content.item, self._store.catalog
        here = None if task.known is None else catalog.photos.at(task.root.id, task.file.path)
        was = None if here is None else catalog.photos.content_of(here.id)
        if here is None or was is None or was == content.hash:
            return True
        others = self._of_content(was, here.file.size)
        if others is None:
            return False
        while others:
            other = others[0]
            itself = other.known is not None and catalog.photos.content_of(other.known.id) == was
            if other.path != task.path and not itself:
                self._displace(here)
                return True
            others.popleft()  # it has that content already, and keeps it to the end of this run
        return True

    def _of_content(self, content: bytes, size: int) -> deque[Task] | None:
        """What this run reads that is of a content of this size; None where it was asked to stop before that is known.

        All files of the size are read for it, once: those that were not read yet.
        """
        if size not in self._by_content:
            for task in self._of_size.get(size, []):
                if task.path not in self._hashes:
                    if self._should_stop():
                        return None
                    self._hashes[task.path] = read(task).hash
            contents: dict[bytes, deque[Task]] = {}
            for task in self._of_size.pop(size, []):
                found = self._hashes.pop(task.path)
                if found is not None:
                    contents.setdefault(found, deque()).append(task)
            self._by_content[size] = contents
        return self._by_content[size].get(content, deque())

    @cached_property
    def _sizes_before(self) -> frozenset[int]:
        """Sizes that known files had which this run reads."""
        return frozenset(task.known.file.size for task in self._tasks if task.known is not None)

    @cached_property
    def _of_size(self) -> dict[int, list[Task]]:
        """What this run reads, by the files' sizes."""
        sizes: dict[int, list[Task]] = defaultdict(list)
        for task in self._tasks:
            sizes[task.file.size].append(task)
        return sizes

    def _displace(self, photo: KnownPhoto) -> None:
        """Its name belongs to another photo now: it is kept out of sight until it is met, or as one that has gone."""
        catalog = self._store.catalog
        catalog.photos.displace(photo.id, self._now)
        self._displaced.add(photo.id)
        self._moved.discard(photo.id)
        content = catalog.photos.content_of(photo.id)
        candidates = None if content is None else self._may_have_left.get((content, photo.outdated))
        if candidates is not None and _is_looked_at(photo):
            candidates.append((replace(photo, missing=True), b""))  # it has left for certain

    def _fetch_outdated(self, content: Content[Task]) -> bool:
        """Whether a photo whose faces an earlier model found has moved here since: it comes along with them."""
        catalog, task = self._store.catalog, content.item
        assert content.hash is not None
        here = catalog.photos.at(task.root.id, task.file.path)
        if here is not None and here.outdated and catalog.photos.content_of(here.id) == content.hash:
            return False
        moved = self._one_that_left(content.hash, outdated=True)
        if moved is None:
            return False
        self._move(moved, here, task)
        return True

    def _one_that_left(self, content: bytes, *, outdated: bool = False) -> KnownPhoto | None:
        """Of photos of one content one that is no longer at its place; rather one that was in sight.

        Each is looked at once per run: one that is still there will not be asked about again.
        """
        key = content, outdated
        if key not in self._may_have_left:
            known = self._store.catalog.photos.with_content(content, outdated=outdated)
            self._may_have_left[key] = deque(sorted(known, key=lambda found: found[0].missing))
        candidates = self._may_have_left[key]
        while candidates:
            photo, path = candidates.popleft()
            if photo.id not in self._moved and self._has_left(photo, path):
                return photo
        return None

    def _move(self, photo: KnownPhoto, here: KnownPhoto | None, task: Task) -> None:
        """A photo has come to where `here` was: names were swapped, or `here` is out of sight from now on."""
        if here is not None:
            self._displace(here)
        self._store.catalog.photos.touch(photo.id, task.root.id, task.file)
        self._date_by_name(photo.id, task)
        self._moved.add(photo.id)
        self._displaced.discard(photo.id)

    def _date_by_name(self, photo: int, task: Task) -> None:
        """A photo without a date of its own has that of its name, and this one has another name now."""
        known = self._store.catalog.photos.facts_of(photo)
        now = dated(known, task.root.path, task.file.path)
        if now != known and not known.ours:
            self._store.catalog.photos.put_header(photo, now)

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
        content, faces, facts, error, lasting, seen, deaths = outcome
        task = content.item
        if error is not None:
            self._fail(content, error, lasting=lasting, deaths=deaths)
        elif facts is not None and not self._make_way(content):
            self._report.stopped = True
        elif facts is not None:
            status: Status = "faces" if faces else "no_face"
            came = self._fetch_outdated(content)
            facts = dated(facts, task.root.path, task.file.path)
            photo = self._store.catalog.photos.put(
                task.root.id, task.file, content.hash, status, facts=facts, fingerprint=seen
            )
            self._store.catalog.faces.replace(photo, faces)
            self._report.no_face += not faces and not facts.ours
            if came:
                self._report.moved += 1
            else:
                self._count(task, ours=facts.ours)
        for twin in self._waiting.pop(content.hash or b"", []):
            if not lasting:  # that was about this file, or about the moment
                self._unwritten.append(partial(self._look_again, twin.item))
            elif error is not None:
                self._unwritten.append(partial(self._fail, twin, error, deaths=deaths))
            else:
                self._twins.append(twin)
            self._step()

    def _fail(self, content: Content[Task], error: str, *, lasting: bool = True, deaths: int = 0) -> None:
        """A photo that cannot be read keeps the faces it had: half a file may be a copy under way."""
        task, known_as = content.item, content.hash if lasting else None
        self._store.catalog.photos.put(task.root.id, task.file, known_as, "failed", error=error, deaths=deaths)
        self._report.failed += 1
        if deaths:
            self._report.given_up.append(os.fsdecode(task.path))
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
        self._write_if_due()

    def _write_if_due(self) -> None:
        if time.monotonic() - self._committed_at >= COMMIT_SECONDS or len(self._unwritten) >= _COMMIT_PHOTOS:
            self._write()

    def _write(self, last: Callable[[], None] = lambda: None) -> None:
        """Write all that waits, with a commit every few seconds, and `last` at the end.

        Where the run is asked to stop, copies of photos that were looked at are left to the next one, which knows them
        by their content.
        """
        done = False
        while not done:
            with self._store.transaction():
                until = time.monotonic() + COMMIT_SECONDS
                while not done:
                    if self._unwritten:
                        self._unwritten.popleft()()
                    elif self._twins and not self._should_stop():
                        self._adopt(self._twins.popleft())
                    else:
                        done = True
                        last()
                    if time.monotonic() >= until:
                        break
        self._committed_at = time.monotonic()


def _is_looked_at(photo: KnownPhoto) -> bool:
    """Whether what is known of a photo's faces is of use."""
    return photo.status != "failed" and not photo.outdated
