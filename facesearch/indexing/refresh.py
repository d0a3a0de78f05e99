"""Build and refresh an index: plan what to read, extract faces, and write the results to the catalog.

Worker threads read and extract; see `pipeline`. This module runs on the thread that owns the catalog and decides which
contents are already known, and how new, edited, moved, copied and missing photos are recorded.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from facesearch.catalog.records import Status
from facesearch.events import SILENT, Observer
from facesearch.index.store import Store
from facesearch.indexing.contents import Content, read
from facesearch.indexing.diff import Plan, Task, forgotten_before, make_plan
from facesearch.indexing.edited import with_kept_faces
from facesearch.indexing.extraction import Outcome, extract
from facesearch.indexing.headers import date_by_name, dated, read_old_headers
from facesearch.indexing.leaving_out import leaves_out
from facesearch.indexing.moves import Moves, has_current_faces
from facesearch.indexing.options import DEFAULTS, Options
from facesearch.indexing.pipeline import Extractor
from facesearch.indexing.report import Report
from facesearch.indexing.scopes import find_scopes
from facesearch.indexing.writer import Writer
from facesearch.models.protocol import FaceModel

__all__ = ["preview", "refresh"]


def preview(store: Store, paths: Sequence[Path] = (), *, options: Options = DEFAULTS) -> Report:
    """Return what `refresh` would do, from names, sizes and times alone: a moved photo counts as new and as missing.

    No photo is read and nothing is written, so the index may be open for reading only. Raises what `refresh` raises.
    """
    report = Report()
    with store.catalog.dry_run():
        plan = make_plan(store, find_scopes(store, paths, options.shard), options, report)
        report.new = sum(task.known is None for task in plan.tasks)
        report.changed = len(plan.tasks) - report.new
        report.missing, report.handed_over = len(plan.gone), len(plan.handed_over)
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
    options: Options = DEFAULTS,
    observer: Observer = SILENT,
) -> Report:
    """Bring the index up to date with `paths`, or with every known root if none are given.

    A path inside a known root refreshes that part of it; another becomes a root. Of a root with a shard, only that is
    indexed; `options` can change it for later runs, too. Work is committed every few seconds.
    If `observer` cancels, the photos in progress are finished and kept, and the next run does the rest. Raises
    `InputError` if a path does not exist, `UsageError` if there is nothing to index, and what the store raises.
    """
    started = time.monotonic()
    report = Report()
    with store.transaction():
        scopes = find_scopes(store, paths, options.shard)
        report.expired = store.catalog.kept_out.delete_expired(int(time.time()))
    plan = make_plan(store, scopes, options, report, observer)
    _Run(store, model, plan, options, observer, report).carry_out()
    if not report.stopped:
        seen = [scope for scope in scopes if scope.root.id in plan.seen]
        read_old_headers(store, seen, report, workers=options.workers, observer=observer)
    counts = store.catalog.photos.counts()
    report.photos, report.faces = counts.photos, counts.faces
    report.seconds = round(time.monotonic() - started, 3)
    store.finish()
    return report


class _Run:
    """Carries out one plan. All methods here run on the caller's thread; the extractor uses worker threads."""

    def __init__(
        self, store: Store, model: FaceModel, plan: Plan, options: Options, observer: Observer, report: Report
    ) -> None:
        self._store = store
        self._model = model
        self._plan = plan
        self._options = options
        self._observer = observer
        self._report = report
        self._now = int(time.time())
        self._leave_out = leaves_out(store, self._now)
        self._writer = Writer(store, cancelled=observer.cancelled)
        self._moves = Moves(store, plan.tasks, now=self._now, cancelled=observer.cancelled)
        self._copies: dict[bytes, list[Content[Task]]] = {}
        """The other files with the same content, by each content that is being extracted."""
        self._done = self._faces = self._failures = 0

    def carry_out(self) -> None:
        extractor = Extractor(
            self._model,
            self._options,
            self._store.crash_guard(),
            select=self._select,
            keep=self._keep_later,
            flush=self._writer.commit,
            cancelled=self._observer.cancelled,
            is_suspect=lambda task: task.known is not None and task.known.deaths > 0,
        )
        extractor.run(self._plan.tasks)
        self._report.stopped = self._report.stopped or extractor.stopped
        self._writer.commit(self._end)

    def _select(self, contents: Iterable[Content[Task]]) -> Iterator[Content[Task] | None]:
        """Pass on what has to be extracted; handle unreadable files and contents that the catalog knows here."""
        for content in contents:
            self._moves.note_hash(content)
            if content.hash is None:
                if content.error is not None:
                    self._failures += 1
                    self._write_later(partial(self._fail, content, content.error))
                else:
                    self._step()  # it no longer exists
                yield None
            elif self._is_wanted_again(content.item) and not self._store.catalog.photos.is_unwanted(content.hash):
                yield content
            elif content.hash in self._copies:
                # The same content is being extracted: wait for its faces, without keeping the bytes.
                self._copies[content.hash].append(content.without_data())
                self._writer.commit_if_due()
                yield None
            elif self._store.catalog.photos.twin_of(content.hash) is not None:
                self._write_later(partial(self._adopt, content.without_data()))
                yield None
            else:
                self._copies[content.hash] = []
                yield content

    def _is_wanted_again(self, task: Task) -> bool:
        return self._options.again and task.known is not None

    def _keep_later(self, outcome: Outcome[Task]) -> None:
        self._faces += len(outcome.faces)
        self._failures += outcome.error is not None
        self._write_later(partial(self._keep, outcome))

    def _keep(self, outcome: Outcome[Task]) -> None:
        """Write what was extracted from a photo, and schedule its copies to be written."""
        content, error = outcome.content, outcome.error
        if error is not None:
            self._fail(content, error, lasting=outcome.lasting, deaths=outcome.deaths)
        elif outcome.facts is not None and not self._moves.make_way(content):
            self._report.stopped = True
        elif outcome.facts is not None:
            self._put(with_kept_faces(self._store.catalog, self._model, outcome, self._options))
        for copy in self._copies.pop(content.hash or b"", []):
            if not outcome.lasting:  # the error was about this file or this moment
                self._writer.add(partial(self._extract_now, copy.item))
            elif error is not None:
                self._writer.add(partial(self._fail, copy, error, deaths=outcome.deaths))
            else:
                self._writer.add_optional(partial(self._adopt, copy))  # the next run knows it by its content
            self._step()

    def _put(self, outcome: Outcome[Task]) -> None:
        assert outcome.facts is not None
        catalog, content, task = self._store.catalog, outcome.content, outcome.content.item
        status: Status = "faces" if outcome.faces else "no_face"
        was_moved = self._moves.bring_outdated(content)
        facts = dated(outcome.facts, task.root.path, task.file.path)
        photo = catalog.photos.put(
            task.root.id, task.file, content.hash, status, facts=facts, fingerprint=outcome.fingerprint
        )
        left_out = catalog.faces.replace(photo, outcome.faces, leave_out=self._leave_out)
        self._report.left_out += left_out
        self._report.no_face += not outcome.faces and not facts.ours
        if was_moved:
            self._report.moved += 1
        else:
            self._count(task, ours=facts.ours)

    def _fail(self, content: Content[Task], error: str, *, lasting: bool = True, deaths: int = 0) -> None:
        """Record a failure. The photo keeps its earlier faces: half a file may be a copy in progress."""
        task, known_as = content.item, content.hash if lasting else None
        self._store.catalog.photos.put(task.root.id, task.file, known_as, "failed", error=error, deaths=deaths)
        self._report.failed += 1
        if deaths:
            self._report.given_up.append(os.fsdecode(task.path))
        self._count(content.item)

    def _adopt(self, content: Content[Task]) -> None:
        """Take the faces from a known photo of the same content: itself, one that has moved here, or a copy.

        The cost does not depend on the number of photos with this content.
        """
        catalog, task = self._store.catalog, content.item
        assert content.hash is not None
        here = catalog.photos.at(task.root.id, task.file.path)
        if here is not None and has_current_faces(here) and catalog.photos.content_of(here.id) == content.hash:
            if catalog.photos.is_unwanted(content.hash):  # an earlier version did not forget copies
                catalog.photos.keep_out(here.id)
            catalog.photos.touch(here.id, task.root.id, task.file)
            self._report.unchanged += 1
            return
        if self._moves.bring(content, here):
            self._report.moved += 1
            return
        twin = catalog.photos.twin_of(content.hash)
        if twin is None:  # the photo that had this content was changed in the meantime
            self._extract_now(task)
            return
        if not self._moves.make_way(content):
            self._report.stopped = True
            return
        date_by_name(self._store, catalog.photos.copy(twin, task.root.id, task.file), task)
        self._count(task, ours=catalog.photos.is_ours(twin))

    def _extract_now(self, task: Task) -> None:
        """Read and extract a single photo on this thread."""
        content = read(task)
        if content.hash is not None:
            self._keep(extract(self._model, content, self._options))
        elif content.error is not None:
            self._fail(content, content.error)

    def _end(self) -> None:
        """Record what is known only at the end: which photos are missing, are back, or have been missing too long."""
        catalog, plan = self._store.catalog, self._plan
        catalog.photos.show(plan.back)
        catalog.photos.hand_over(plan.handed_over, self._now)
        self._report.handed_over = len(plan.handed_over)
        self._report.stopped = self._report.stopped or self._writer.left_over
        if not self._report.stopped:
            gone = [photo for photo in plan.gone if not self._moves.has_moved(photo)]
            catalog.photos.hide(gone, self._now)
            self._report.missing = len(gone) + self._moves.displaced
            self._delete_missing(plan.seen)

    def _delete_missing(self, roots: Iterable[int]) -> None:
        """Delete the photos that have been missing for too long."""
        before = forgotten_before(self._options)
        for root in roots:
            count = self._store.catalog.photos.count_hidden(root, before)
            if count:
                self._store.catalog.photos.delete_hidden(root, before)
                self._report.removed += count
        if self._options.keep_missing <= 0:
            self._report.missing = 0

    def _count(self, task: Task, *, ours: bool = False) -> None:
        if ours:
            self._report.ours += 1
        elif task.known is None:
            self._report.new += 1
        else:
            self._report.changed += 1

    def _write_later(self, write: Callable[[], None]) -> None:
        self._writer.add(write)
        self._step()
        self._writer.commit_if_due()

    def _step(self) -> None:
        """Count one more photo as done and report the progress."""
        self._done += 1
        self._observer.progress(self._done, len(self._plan.tasks), self._faces, self._failures)
