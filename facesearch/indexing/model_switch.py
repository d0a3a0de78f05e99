"""Switch an index to another model: stage its faces beside those of the first, then promote them in one transaction.

While the next model extracts faces, questions are answered from the first model's. What it extracts is staged in the
catalog as it comes, by the content of photos: so a run that is stopped or killed is continued, photos may be moved or
renamed meanwhile, and the first model need not be installed any more. When every photo that can be read is staged, one
transaction puts the new faces in the place of the old (`Store.promote_next_model`).
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

from facesearch.catalog.promotion import Promotion
from facesearch.catalog.records import PendingPhoto
from facesearch.errors import Hint, StorageError, UsageError
from facesearch.events import SILENT, Observer
from facesearch.index.store import Store
from facesearch.indexing.contents import Content
from facesearch.indexing.extraction import Outcome
from facesearch.indexing.options import DEFAULTS, Options
from facesearch.indexing.pipeline import Extractor
from facesearch.indexing.refresh import refresh
from facesearch.indexing.report import Report
from facesearch.indexing.writer import Writer
from facesearch.models.protocol import FaceModel
from facesearch.photos.scan import is_offline
from facesearch.types import ModelInfo
from facesearch.wording import counted

__all__ = [
    "StagingReport",
    "Switch",
    "begin_switch",
    "cancel_switch",
    "left_to_extract",
    "require_switchable",
    "stage",
    "switch",
]


@dataclass(slots=True, kw_only=True)
class StagingReport:
    """How far the next model is. Photos of one content count once.

    `extracted` in this run, with so many `faces`; `known` were staged before. `failed` could not be decoded,
    `elsewhere` are missing or have changed since the last indexing run, which later ones take care of. `offline` lists
    roots that are not there and have photos that are not staged yet; `stopped` says that the run was cancelled before
    its end. `seconds` is the time the run took.
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
    """From one model to another: how far it is, and what became of faces and photos once it was done.

    `takeover` and `refresh` are None where the index still has the first model.
    """

    origin: ModelInfo
    target: ModelInfo
    staging: StagingReport
    takeover: Promotion | None = None
    refresh: Report | None = None

    @property
    def complete(self) -> bool:
        """Whether the index has the other model now, and nothing was left out."""
        return self.refresh is not None and self.refresh.complete and not self.staging.failed


def require_switchable(store: Store, model: ModelInfo) -> None:
    """Raises `UsageError` where `model` is the index's own, or a switch to another one is under way."""
    if model.identity == store.model.identity:
        raise UsageError(f"{store.path}: has this model already, as {store.model.name}", Hint.ALREADY_ITS_MODEL)
    under_way = store.catalog.models.next()
    if under_way is not None and under_way.identity != model.identity:
        staged = store.catalog.staging.count()
        raise UsageError(
            f"{store.path}: a switch to {under_way.name} is under way, {counted(staged, 'photo')} looked at",
            Hint.SWITCH_UNDER_WAY,
        )


def begin_switch(store: Store, model: ModelInfo) -> None:
    """Make `model`, where it is installed now, the next model of the index; what it has staged already is kept.

    Raises `UsageError` where it cannot be, see `require_switchable`.
    """
    require_switchable(store, model)
    if store.catalog.models.next() is None:
        store.drop_staging()
    with store.transaction():
        store.catalog.models.drop_next()
        store.catalog.models.set_next(model)


def cancel_switch(store: Store) -> ModelInfo:
    """Drop a switch that is under way, with all that is staged for it, and return the model that was to be next.

    Raises `UsageError` where none is under way.
    """
    model = store.catalog.models.next()
    if model is None:
        raise UsageError(f"{store.path}: no switch to another model is under way; there is nothing to cancel")
    with store.transaction():
        store.catalog.models.drop_next()
    store.drop_staging()
    return model


def left_to_extract(store: Store, model: ModelInfo) -> tuple[int, int]:
    """How many contents `model` has to extract before the switch can be made, and how many are staged already."""
    under_way = store.catalog.models.next()
    if under_way is not None and under_way.identity == model.identity:
        return len({photo.content for photo in store.catalog.staging.pending()}), store.catalog.staging.count()
    return store.catalog.staging.count_contents(), 0


def switch(
    store: Store,
    model: FaceModel,
    *,
    options: Options = DEFAULTS,
    leave_offline: bool = False,
    observer: Observer = SILENT,
) -> Switch:
    """Stage what is left for the next model, make the switch, and refresh what has changed since the last run.

    `model` is the one of `begin_switch`. No switch is made while a root with photos that are not staged is missing,
    unless `leave_offline`: such photos are found again once they have been read. Raises what the store raises; until
    the switch is made nothing is changed.
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
    except StorageError as error:  # the switch is made all the same; the space is used again
        observer.note(f"the index could not be made smaller: {error}")
    return Switch(origin=origin, target=target, staging=staged, takeover=takeover, refresh=report)


def stage(store: Store, model: FaceModel, *, options: Options = DEFAULTS, observer: Observer = SILENT) -> StagingReport:
    """Have the next model extract every photo in sight that it has not; no answer changes.

    Work is committed every few seconds. Raises what the store raises.
    """
    started = time.monotonic()
    report = StagingReport(known=store.catalog.staging.count())
    _Staging(store, model, options, observer, report).carry_out()
    report.seconds = round(time.monotonic() - started, 3)
    store.catalog.checkpoint()
    return report


class _Staging:
    """Extracts one photo of each content; where that is missing or has changed, another of the same content."""

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
        """Of each content that is not staged yet, the photos that have not been tried."""
        self._total = len(self._photos)

    def carry_out(self) -> None:
        while not self._report.stopped:
            turn = [photos.popleft() for photos in self._photos.values() if photos]
            if not turn:
                break
            extractor = Extractor(
                self._model,
                self._options,
                self._store.crash_guard(),
                select=self._unchanged,
                keep=self._keep_later,
                flush=self._writer.commit,
                cancelled=self._observer.cancelled,
            )
            extractor.run(turn)
            self._report.stopped = extractor.stopped
        self._writer.commit()
        if not self._report.stopped:
            self._report.elsewhere = len(self._photos)

    def _unchanged(self, contents: Iterable[Content[PendingPhoto]]) -> Iterator[Content[PendingPhoto] | None]:
        """Pass on what still is what the catalog knows; a later indexing run takes care of the rest."""
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
    """The photos to extract, by their contents, and the missing roots that have contents which are nowhere else."""
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
