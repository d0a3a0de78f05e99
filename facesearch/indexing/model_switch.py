"""Switch an index to another model: stage its faces next to the current ones, then promote them in one transaction.

While the next model extracts faces, queries are answered from the current model's. What it extracts is staged in the
catalog as it comes, by the content of photos. So a stopped or killed run can be continued, photos may be moved or
renamed meanwhile, and the current model need not be installed any more. When every readable photo is staged, one
transaction replaces the old faces with the new ones (`Store.promote_next_model`).
"""

from __future__ import annotations

import os
import stat
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from facesearch.catalog.promotion import Promotion
from facesearch.catalog.records import PendingPhoto
from facesearch.errors import Hint, PhotoError, StorageError, UsageError
from facesearch.events import SILENT, Observer
from facesearch.faces.extract import extract_faces
from facesearch.index.store import Store
from facesearch.indexing.contents import Content
from facesearch.indexing.extraction import Outcome
from facesearch.indexing.options import DEFAULTS, Options
from facesearch.indexing.pipeline import Extractor
from facesearch.indexing.refresh import refresh
from facesearch.indexing.report import Report
from facesearch.indexing.writer import Writer
from facesearch.models.protocol import FaceModel
from facesearch.photos.picture import Photo
from facesearch.photos.scan import is_offline
from facesearch.types import ModelInfo
from facesearch.wording import counted, duration

__all__ = [
    "StagingReport",
    "Switch",
    "begin_switch",
    "cancel_switch",
    "estimate",
    "left_to_extract",
    "require_switchable",
    "stage",
    "switch",
]

_SAMPLE, _LEAST_TO_ESTIMATE = 16, 200

_Left = TypeVar("_Left")


@dataclass(slots=True, kw_only=True)
class StagingReport:
    """The progress of the next model. Photos of one content count once.

    `extracted` counts the photos of this run, `faces` the faces in them, and `known` the photos staged before. `failed`
    photos could not be decoded; `elsewhere` photos are missing or have changed since the last indexing run and are left
    to the next one. `offline` lists missing roots with photos that are not staged yet; `stopped` is set if the run was
    cancelled. `seconds` is the duration of the run.
    """

    extracted: int = 0
    known: int = 0
    faces: int = 0
    failed: int = 0
    elsewhere: int = 0
    seconds: float = 0.0
    offline: list[str] = field(default_factory=list)
    stopped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """A switch from one model to another: its progress, and the results for faces and photos once it is done.

    `takeover` and `refresh` are None while the index still has the first model.
    """

    origin: ModelInfo
    target: ModelInfo
    staging: StagingReport
    takeover: Promotion | None = None
    refresh: Report | None = None

    @property
    def complete(self) -> bool:
        """Whether the index has the other model now, and no photo was skipped."""
        return self.refresh is not None and self.refresh.complete and not self.staging.failed


def require_switchable(store: Store, model: ModelInfo) -> None:
    """Raise `UsageError` if `model` is the index's own, or if a switch to another one is in progress."""
    if model.identity == store.model.identity:
        raise UsageError(f"{store.path}: already has this model, as {store.model.name}", Hint.ALREADY_ITS_MODEL)
    pending = store.catalog.models.next()
    if pending is not None and pending.identity != model.identity:
        staged = store.catalog.staging.count()
        raise UsageError(
            f"{store.path}: a switch to {pending.beside(store.model)} is in progress, {counted(staged, 'photo')} done",
            Hint.SWITCH_UNDER_WAY,
        )


def begin_switch(store: Store, model: ModelInfo) -> None:
    """Make `model`, in its current folder, the next model of the index; what is already staged for it is kept.

    Raises `UsageError` if it cannot be, see `require_switchable`.
    """
    require_switchable(store, model)
    if store.catalog.models.next() is None:
        store.drop_staging()
    with store.transaction():
        store.catalog.models.drop_next()
        store.catalog.models.set_next(model)


def cancel_switch(store: Store) -> ModelInfo:
    """Cancel a model switch in progress, delete everything staged for it, and return the model it was to.

    Raises `UsageError` if none is in progress.
    """
    model = store.catalog.models.next()
    if model is None:
        raise UsageError(f"{store.path}: no switch to another model is in progress; there is nothing to cancel")
    with store.transaction():
        store.catalog.models.drop_next()
    store.drop_staging()
    return model


def left_to_extract(store: Store, model: ModelInfo) -> tuple[int, int]:
    """Return the number of contents that `model` still has to extract before a switch, and the number staged.

    Contents that are only in missing folders do not count.
    """
    pending = store.catalog.models.next()
    done = store.catalog.staging.count() if pending is not None and pending.identity == model.identity else 0
    return len(_left_by_content(store)[0]), done


def estimate(
    store: Store, open_model: Callable[[], FaceModel], *, options: Options = DEFAULTS, observer: Observer = SILENT
) -> float | None:
    """Return the seconds that a switch would take from now on, measured on a few of the photos that are left.

    Nothing is stored. Photos in missing folders do not count. None if too few photos are left, or if none of the sample
    can be read. The model is opened only if it is needed.
    """
    photos = [copies[0] for copies in _left_by_content(store)[0].values()]
    if not _worth_a_sample(len(photos)):
        return None
    model = open_model()

    def extracted(photo: PendingPhoto) -> bool:
        try:
            if not stat.S_ISREG(os.stat(photo.path).st_mode):
                return False
            with open(photo.path, "rb") as stream:
                data = stream.read()
            extract_faces(model, Photo(data, max_pixels=options.max_pixels), rotations=options.rotations)
        except (OSError, PhotoError):
            return False
        return True

    first, rest = _sample(photos, model.runtime.streams)
    with ThreadPoolExecutor(model.runtime.streams) as pool:
        list(pool.map(extracted, first))
        started, read = time.monotonic(), 0
        for done in pool.map(extracted, rest):
            if observer.cancelled():
                return None
            read += done
    return (time.monotonic() - started) / read * len(photos) if read else None


def switch(
    store: Store,
    model: FaceModel,
    *,
    options: Options = DEFAULTS,
    leave_offline: bool = False,
    observer: Observer = SILENT,
) -> Switch:
    """Stage what is left for the next model, make the switch, and refresh what has changed since the last run.

    `model` is the one passed to `begin_switch`. If a root with photos that are not staged is missing, the switch is not
    made, unless `leave_offline` is set: such photos are found again once they have been read. Raises what the store
    raises; until the switch is made, nothing changes.
    """
    origin, target = store.model, model.info
    staged = stage(store, model, options=options, observer=observer)
    if staged.stopped or (staged.offline and not leave_offline):
        return Switch(origin=origin, target=target, staging=staged)
    takeover = store.promote_next_model()
    store.drop_staging()
    report = refresh(store, model, options=options, observer=observer)
    try:
        store.vacuum()
    except StorageError as error:  # the switch is made nevertheless; the space is reused
        observer.note(f"could not shrink the index: {error}")
    return Switch(origin=origin, target=target, staging=staged, takeover=takeover, refresh=report)


def stage(store: Store, model: FaceModel, *, options: Options = DEFAULTS, observer: Observer = SILENT) -> StagingReport:
    """Let the next model extract every visible photo that it has not processed; answers do not change.

    Work is committed every few seconds. Raises what the store raises.
    """
    started = time.monotonic()
    with store.transaction():  # what the user has said of faces since then
        for content, said in options.corrections.items():
            store.catalog.staging.drop_without(content, [face.box for face in said.kept])
    report = StagingReport(known=store.catalog.staging.count())
    _Staging(store, model, options, observer, report).carry_out()
    report.seconds = round(time.monotonic() - started, 3)
    store.catalog.checkpoint()
    return report


def _worth_a_sample(photos: int) -> bool:
    """Whether there are enough photos for an estimate; a few are read before it could be told."""
    return photos >= _LEAST_TO_ESTIMATE


def _sample(photos: Sequence[_Left], streams: int) -> tuple[list[_Left], list[_Left]]:
    """Return photos to warm up the networks on each stream, and photos from all folders to measure the pace on."""
    step = max(1, len(photos) // (_SAMPLE + streams))
    spread = list(photos[::step][: _SAMPLE + streams])
    return spread[:streams], spread[streams:]


class _Staging:
    """Extracts one photo per content; if that is missing or has changed, another one of the same content."""

    def __init__(
        self, store: Store, model: FaceModel, options: Options, observer: Observer, report: StagingReport
    ) -> None:
        self._store = store
        self._model = model
        self._options = options
        self._observer = observer
        self._report = report
        self._writer = Writer(store, cancelled=observer.cancelled)
        self._photos, self._report.offline = _left_by_content(store)
        """The photos that have not been tried, by each content that is not staged yet."""
        self._total = len(self._photos)

    def carry_out(self) -> None:
        self._extract_a_sample()
        while not self._report.stopped:
            turn = [photos.popleft() for photos in self._photos.values() if photos]
            if not turn:
                break
            self._extract(turn)
        self._writer.commit()
        if not self._report.stopped:
            self._report.elsewhere = len(self._photos)

    def _extract_a_sample(self) -> None:
        """Extract a few photos of all folders first, and say how long the rest takes."""
        left = list(self._photos.values())
        if not _worth_a_sample(len(left)):
            return
        first, rest = _sample(left, self._model.runtime.streams)
        self._extract([photos.popleft() for photos in first])
        if self._report.stopped:
            return
        before, started = len(self._photos), time.monotonic()
        self._extract([photos.popleft() for photos in rest])
        done = before - len(self._photos)
        if done and not self._report.stopped:
            seconds = (time.monotonic() - started) / done * len(self._photos)
            self._observer.note(
                f"this takes about {duration(seconds)}; it may be stopped at any time, and the next run continues"
            )

    def _extract(self, photos: Sequence[PendingPhoto]) -> None:
        extractor = Extractor(
            self._model,
            self._options,
            self._store.crash_guard(),
            select=self._unchanged,
            keep=self._keep_later,
            flush=self._writer.commit,
            cancelled=self._observer.cancelled,
        )
        extractor.run(photos)
        self._report.stopped = extractor.stopped

    def _unchanged(self, contents: Iterable[Content[PendingPhoto]]) -> Iterator[Content[PendingPhoto] | None]:
        """Pass on files that are unchanged since they were indexed; a later indexing run handles the rest."""
        for content in contents:
            yield content if content.hash == content.item.content else None

    def _keep_later(self, outcome: Outcome[PendingPhoto]) -> None:
        content = outcome.content.item.content
        if outcome.facts is not None:
            self._report.extracted += 1
            self._report.faces += len(outcome.faces)
            self._writer.add(partial(self._store.catalog.staging.put, content, outcome.faces, outcome.fingerprint))
            del self._photos[content]
        elif outcome.error is not None:
            self._report.failed += 1
            del self._photos[content]
        done = self._total - len(self._photos)
        self._observer.progress(done, self._total, self._report.faces, self._report.failed)
        self._writer.commit_if_due()


def _left_by_content(store: Store) -> tuple[dict[bytes, deque[PendingPhoto]], list[str]]:
    """Return the photos to extract, by content, and the missing roots with contents that exist nowhere else."""
    offline = {root.id: root.path for root in store.catalog.roots.all() if is_offline(root.path)}
    left: dict[bytes, deque[PendingPhoto]] = {}
    waiting: dict[bytes, set[int]] = {}
    for photo in store.catalog.staging.pending():
        if photo.root in offline:
            waiting.setdefault(photo.content, set()).add(photo.root)
        else:
            left.setdefault(photo.content, deque()).append(photo)
    roots = {root for content, roots in waiting.items() if content not in left for root in roots}
    return left, sorted(os.fsdecode(offline[root]) for root in roots)
