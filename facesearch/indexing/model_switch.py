"""Another model for an index: it looks at every photo while questions are answered as before, then takes over at once.

What the next model sees is kept in the catalog as it comes, by the content of photos: a run that is stopped or killed
goes on where it was, photos may be moved or renamed meanwhile, and nothing that is known depends on the model that was
there before: it need not be installed any more. When all that can be read has been looked at, one transaction puts the
new faces in the place of the old (`Store.take_over`).
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

from facesearch.catalog.staging import UnseenPhoto
from facesearch.errors import Hint, StorageError, UsageError
from facesearch.events import SILENT, Observer
from facesearch.index.store import Store, Takeover
from facesearch.indexing.diff import Options, Report
from facesearch.indexing.extraction import Content, Looker, Outcome
from facesearch.indexing.refresh import COMMIT_SECONDS, refresh
from facesearch.models.protocol import FaceModel
from facesearch.photos.scan import is_offline
from facesearch.types import ModelInfo
from facesearch.wording import counted

__all__ = [
    "Preparation",
    "Switch",
    "begin_switch",
    "cancel_switch",
    "left_to_extract",
    "prepare",
    "require_switchable",
    "switch",
]

_COMMIT_PHOTOS = 500
_AS_USUAL = Options()


@dataclass(slots=True, kw_only=True)
class Preparation:
    """How far the next model is. Photos of one content count once.

    `looked_at` in this run, with so many `faces`; `known` were looked at before. `failed` could not be decoded,
    `elsewhere` are gone or have changed since the last indexing run: later ones see to them. `offline` lists roots that
    are not there and have photos that are still to be looked at; `stopped` tells that the run was asked to end early.
    """

    looked_at: int = 0
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
    preparation: Preparation
    takeover: Takeover | None = None
    refresh: Report | None = None

    @property
    def complete(self) -> bool:
        """Whether the index has the other model now, and nothing was left out."""
        return self.refresh is not None and self.refresh.complete and not self.preparation.failed


def require_switchable(store: Store, model: ModelInfo) -> None:
    """Raises `UsageError` where `model` is the index's own, or another one is about to take over."""
    if model.identity == store.model.identity:
        raise UsageError(f"{store.path}: has this model already, as {store.model.name}", Hint.ALREADY_ITS_MODEL)
    under_way = store.catalog.successor()
    if under_way is not None and under_way.identity != model.identity:
        seen = store.catalog.count_looks()
        raise UsageError(
            f"{store.path}: a switch to {under_way.name} is under way, {counted(seen, 'photo')} looked at",
            Hint.SWITCH_UNDER_WAY,
        )


def begin_switch(store: Store, model: ModelInfo) -> None:
    """Make `model`, where it is now, the one that is to take over; what it has seen already is kept.

    Raises `UsageError` where it cannot, see `require_switchable`.
    """
    require_switchable(store, model)
    if store.catalog.successor() is None:
        store.drop_looks()
    with store.transaction():
        store.catalog.dismiss()
        store.catalog.appoint(model)


def cancel_switch(store: Store) -> ModelInfo:
    """Drop a switch that is under way, with all that was seen for it. Raises `UsageError` where there is none."""
    model = store.catalog.successor()
    if model is None:
        raise UsageError(f"{store.path}: no switch to another model is under way; there is nothing to cancel")
    with store.transaction():
        store.catalog.dismiss()
    store.drop_looks()
    return model


def left_to_extract(store: Store, model: ModelInfo) -> tuple[int, int]:
    """How many contents `model` would have to look at before it takes over, and how many it has seen already."""
    under_way = store.catalog.successor()
    if under_way is not None and under_way.identity == model.identity:
        return len({photo.content for photo in store.catalog.unseen_photos()}), store.catalog.count_looks()
    return store.catalog.count_contents(), 0


def switch(
    store: Store,
    model: FaceModel,
    *,
    options: Options = _AS_USUAL,
    leave_offline: bool = False,
    observer: Observer = SILENT,
) -> Switch:
    """Let the appointed model look at what is left, take over, and look at what has changed since the last run.

    It does not take over while a root with photos that it has not seen is not there, unless they are to be left: they
    are found again once they were looked at. Raises what the store raises; until it has taken over nothing is changed.
    """
    origin, target = store.model, model.info
    done = prepare(store, model, options=options, observer=observer)
    if done.stopped or (done.offline and not leave_offline):
        return Switch(origin=origin, target=target, preparation=done)
    takeover = store.take_over()
    store.drop_looks()
    report = refresh(store, model, options=options, observer=observer)
    try:
        store.vacuum()
    except StorageError as error:  # it has taken over all the same; the room is used again
        observer.warn(f"the index could not be made smaller: {error}")
    return Switch(origin=origin, target=target, preparation=done, takeover=takeover, refresh=report)


def prepare(
    store: Store,
    model: FaceModel,
    *,
    options: Options = _AS_USUAL,
    observer: Observer = SILENT,
) -> Preparation:
    """Have the appointed model look at every photo in sight that it has not seen; nothing that is found changes.

    Work is committed every few seconds. Raises what the store raises.
    """
    started = time.monotonic()
    report = Preparation(known=store.catalog.count_looks())
    _Preparing(store, model, options, observer, report).work_off()
    report.seconds = round(time.monotonic() - started, 3)
    store.catalog.checkpoint()
    return report


class _Preparing:
    """Looks at one photo of each content; where it is gone or has changed, at another of the same content."""

    def __init__(
        self,
        store: Store,
        model: FaceModel,
        options: Options,
        observer: Observer,
        report: Preparation,
    ) -> None:
        self._store = store
        self._model = model
        self._options = options
        self._observer = observer
        self._report = report
        self._photos: dict[bytes, deque[UnseenPhoto]] = {}
        for photo in store.catalog.unseen_photos():
            self._photos.setdefault(photo.content, deque()).append(photo)
        self._total = len(self._photos)
        self._offline = {root.id: root.path for root in store.catalog.roots() if is_offline(root.path)}
        self._unwritten: list[Callable[[], None]] = []
        self._written_at = time.monotonic()

    def work_off(self) -> None:
        self._leave_out_offline()
        while not self._report.stopped:
            turn = [photos.popleft() for photos in self._photos.values() if photos]
            if not turn:
                break
            looker = Looker(
                self._model,
                self._options,
                self._store.journal(),
                admit=self._unchanged,
                finish=self._finish,
                settle=self._write,
                should_stop=self._observer.cancelled,
            )
            looker.work_off(turn)
            self._report.stopped = looker.stopped
        self._write()
        if not self._report.stopped:
            self._report.elsewhere = len(self._photos)

    def _leave_out_offline(self) -> None:
        """What lies on a disk that is not there waits for it, unless the same content is elsewhere, too."""
        waiting: set[int] = set()
        for content, photos in list(self._photos.items()):
            there = deque(photo for photo in photos if photo.root not in self._offline)
            if there:
                self._photos[content] = there
            else:
                waiting.update(photo.root for photo in photos)
                del self._photos[content]
        self._total = len(self._photos)
        self._report.offline = sorted(os.fsdecode(self._offline[root]) for root in waiting)

    def _unchanged(self, contents: Iterable[Content[UnseenPhoto]]) -> Iterator[Content[UnseenPhoto] | None]:
        """Let through what is what the catalog knows; a later indexing run sees to the rest."""
        for content in contents:
            yield content if content.hash == content.item.content else None

    def _finish(self, outcome: Outcome[UnseenPhoto]) -> None:
        content = outcome.content.item.content
        if outcome.facts is not None:
            self._report.looked_at += 1
            self._report.faces += len(outcome.faces)
            self._unwritten.append(partial(self._store.catalog.put_look, content, outcome.faces, outcome.fingerprint))
            del self._photos[content]
        elif outcome.error is not None:
            self._report.failed += 1
            del self._photos[content]
        done = self._total - len(self._photos)
        self._observer.progress(done, self._total, self._report.faces, self._report.failed)
        if time.monotonic() - self._written_at >= COMMIT_SECONDS or len(self._unwritten) >= _COMMIT_PHOTOS:
            self._write()

    def _write(self) -> None:
        with self._store.transaction():
            for write in self._unwritten:
                write()
        self._unwritten.clear()
        self._written_at = time.monotonic()
