"""Indexing runs and model switches."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Unpack

from facesearch.api.galleries import push_after_run
from facesearch.api.grouping import group_within
from facesearch.api.opening import Models, Stores
from facesearch.api.resources import photo_memory
from facesearch.arguments import require_number, require_whole_number
from facesearch.errors import Hint
from facesearch.events import Observer
from facesearch.settings import DEFAULT_MAX_PIXELS
from facesearch.shards import Shard
from facesearch.visible import shown_path
from facesearch.wording import counted

if TYPE_CHECKING:
    from facesearch.api.run_options import ReadingKeywords, ScanKeywords
    from facesearch.index.store import Store
    from facesearch.indexing.model_switch import Switch
    from facesearch.indexing.options import Options
    from facesearch.indexing.report import Report
    from facesearch.models.protocol import FaceModel
    from facesearch.types import ModelInfo

__all__ = [
    "CancelledSwitch",
    "SwitchPreview",
    "cancel_switch",
    "preview",
    "preview_switch",
    "refresh",
    "switch_model",
]


_DAY = 86_400.0


class CancelledSwitch(NamedTuple):
    """A cancelled model switch: the model that the index keeps, and the one that was dropped."""

    kept: ModelInfo
    dropped: ModelInfo


class SwitchPreview(NamedTuple):
    """A switch from the model `origin` to `target`: the number of photos `left` to read, and of those `done`.

    The revisions are those of the embeddings. `seconds` is an estimate for the photos that are left, made by reading a
    few of them; None if there are too few.
    """

    origin: str
    target: str
    left: int
    done: int
    origin_revision: int
    target_revision: int
    seconds: float | None = None


def _options(
    *,
    rotations: bool = True,
    retry_failed: bool = False,
    again: bool = False,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    keep_missing_days: float = 30.0,
    shard: str | None = None,
) -> Options:
    """Return the options of an indexing run; see `Index.refresh`. Raises `UsageError` for an invalid value."""
    from facesearch.indexing.options import Options

    require_whole_number("max_pixels", max_pixels, 1)
    require_number("keep_missing_days", keep_missing_days, 0)
    return Options(
        rotations=rotations,
        retry_failed=retry_failed,
        again=again,
        max_pixels=max_pixels,
        keep_missing=keep_missing_days * _DAY,
        shard=None if shard is None else Shard.of(shard),
    )


def preview(
    stores: Stores,
    paths: Sequence[Path],
    *,
    max_memory: int | None = None,  # of no use: a preview reads no photo
    index_type: str | None = None,
    **scanning: Unpack[ScanKeywords],
) -> Report:
    """Report what `refresh` would do; see `Index.preview`. A new index needs paths."""
    options = _options(**scanning)
    _check_kind(index_type)
    return _preview(stores, paths, options)


def _preview(stores: Stores, paths: Sequence[Path], options: Options) -> Report:
    from facesearch.indexing.refresh import preview as previewed

    if stores.exist():
        return previewed(stores.reading(keep=False), paths, options=options)
    if not paths:
        stores.require_paths(paths)
    with stores.empty() as store:
        return previewed(store, paths, options=options)


def refresh(
    stores: Stores,
    models: Models,
    paths: Sequence[Path],
    observer: Observer,
    *,
    confirm: Callable[[Report], object] | None = None,
    max_memory: int | None = None,
    index_type: str | None = None,
    group: bool | None = None,
    **scanning: Unpack[ScanKeywords],
) -> Report:
    """Bring an index up to date, or create it; see `Index.refresh`."""
    from facesearch.indexing.refresh import preview as previewed
    from facesearch.indexing.refresh import refresh as refreshed
    from facesearch.indexing.scopes import require_divisible

    options = _options(**scanning)
    _check_kind(index_type)
    exists = stores.exist()
    if not exists:
        stores.require_paths(paths)  # before a folder is made for an empty index
        require_divisible(paths, options.shard)
        if confirm is not None:
            confirm(_preview(stores, paths, options))
    opened: AbstractContextManager[Store] = stores.writing() if exists else stores.made()
    with opened as store:
        if confirm is not None and exists:
            confirm(previewed(store, paths, options=options))
        model = models.open_for(store)
        _tell(observer, model)
        _tell_revision(observer, store.model)
        report = refreshed(store, model, paths, options=_shared(store, options, model, max_memory), observer=observer)
        if index_type is not None and not report.stopped:
            store.use_index_type(index_type)
        _group(store, report, observer, wanted=group)
        unmeasured = store.catalog.faces.count_unmeasured()
        if unmeasured:
            observer.note(f"faces of unknown quality, indexed by an earlier version: {unmeasured:,}; {Hint.READ_AGAIN}")
        if not report.stopped:
            report.unpushed = push_after_run(store, observer)
        store.keep_report({**_record(report, stores.path), "runtime": str(models.runtime()), **_finished()})
    return report


def switch_model(
    stores: Stores,
    models: Models,
    name: str | None,
    observer: Observer,
    *,
    leave_offline: bool = False,
    max_memory: int | None = None,
    index_type: str | None = None,
    **reading: Unpack[ReadingKeywords],
) -> Switch | None:
    """Read all photos with another model, then switch to it; see `Index.switch_model`."""
    from facesearch.indexing.model_switch import begin_switch, left_to_extract, switch

    options = _options(**reading)
    _check_kind(index_type)
    with stores.writing() as store:
        asked = _target(store, name)
        if asked is None:
            return None
        model = models.open(*asked)
        begin_switch(store, model.info)
        _tell_left_out(store, observer)
        origin, target = store.model.beside(model.info), model.info.beside(store.model)
        left, _done = left_to_extract(store, model.info)
        meanwhile = f"; until then {origin} answers queries" if _is_usable(store.model) else ""
        observer.note(f"{target} reads {counted(left, 'photo')}{meanwhile}; {models.runtime()}")
        done = switch(
            store,
            model,
            options=_shared(store, options, model, max_memory),
            leave_offline=leave_offline,
            observer=observer,
        )
        if done.takeover is not None and stores.asked is not None:
            stores.asked = asked[0]
        if done.takeover is not None:
            _tell_lost_calibration(observer, done.origin, done.target)
        if done.refresh is not None:
            _group(store, done.refresh, observer)
            store.keep_report({**_record(done.refresh, stores.path), **_finished()})
            if index_type is not None:
                store.use_index_type(index_type)
    return done


def cancel_switch(store: Store) -> CancelledSwitch:
    """Cancel a switch in progress; see `Index.cancel_switch`."""
    from facesearch.indexing.model_switch import cancel_switch as cancelled

    dropped = cancelled(store)
    store.vacuum()
    return CancelledSwitch(kept=store.model, dropped=dropped)


def preview_switch(
    store: Store,
    models: Models,
    name: str | None,
    observer: Observer,
    *,
    index_type: str | None = None,
    **reading: Unpack[ReadingKeywords],
) -> SwitchPreview | None:
    """Return what a switch would read, and how long that takes; see `Index.preview_switch`.

    Raises `UsageError` if the index already has this model or a switch to another one is in progress, `ModelError`.
    """
    from facesearch.indexing.model_switch import estimate, left_to_extract, require_switchable
    from facesearch.models.resolve import model_info

    options = _options(**reading)
    _check_kind(index_type)
    asked = _target(store, name)
    if asked is None:
        return None
    info, origin = model_info(*asked), store.model
    require_switchable(store, info)
    left, done = left_to_extract(store, info)
    seconds = estimate(store, lambda: models.open(*asked), options=options, observer=observer)
    return SwitchPreview(
        origin.name,
        info.name,
        left,
        done,
        origin.revision,
        info.revision,
        None if seconds is None else round(seconds, 1),
    )


def _target(store: Store, name: str | None) -> tuple[str, int] | None:
    """Return the name or folder and the embedding revision of the model to switch to; None if there is nothing to do.

    Without a name, it is the model of the switch in progress, else the latest revision of the index's own model. A
    switch in progress keeps its revision. Raises `ModelMismatchError` if a newer version of facesearch made the index.
    """
    from facesearch.models.framing import LATEST_REVISION
    from facesearch.models.resolve import model_info

    pending = store.catalog.models.next()
    if pending is not None and (name is None or model_info(name, pending.revision).identity == pending.identity):
        return pending.source or pending.name, pending.revision
    if name is not None:
        return name, LATEST_REVISION
    own = store.model.source or store.model.name
    if store.model.revision > LATEST_REVISION:
        store.require_model(model_info(own))
    return (own, LATEST_REVISION) if store.model.revision < LATEST_REVISION else None


def _is_usable(model: ModelInfo) -> bool:
    """Whether this version has the embedding revision of a model."""
    from facesearch.models.framing import LOOKS

    return model.revision in LOOKS


def _tell_lost_calibration(observer: Observer, origin: ModelInfo, target: ModelInfo) -> None:
    """Warn if the user has measured rates for one model that do not apply to the other."""
    from facesearch.calibration.storage import calibration_of, own_calibration_path

    before, after = own_calibration_path(origin), own_calibration_path(target)
    if before is None or after is None or not before.is_file() or after.is_file():
        return
    thresholds = f"{calibration_of(origin).threshold:g} to {calibration_of(target).threshold:g}"
    observer.warn(
        f"your calibration of {origin.beside(target)} does not apply to {target.beside(origin)}: the default threshold "
        f"changes from {thresholds}; {Hint.CALIBRATE}"
    )


def _tell_left_out(store: Store, observer: Observer) -> None:
    """Warn that people who are left out cannot be recognised with another model."""
    left_out = len(store.catalog.kept_out.all())
    if left_out:
        observer.warn(
            f"people who are left out of this index: {left_out:,}; the switch ends that, since another model cannot"
            " recognise them: faces that were deleted stay deleted, new photos of these people will be indexed"
        )


def _group(store: Store, report: Report, observer: Observer, *, wanted: bool | None = None) -> None:
    """End a run with grouping the new faces by person, unless that is switched off; `wanted` switches it."""
    meta = store.catalog.meta
    if wanted is not None and wanted != meta.groups_after_runs():
        with store.catalog.transaction():
            meta.set_groups_after_runs(wanted)
    if report.stopped or not meta.groups_after_runs():
        return
    done = group_within(store, observer)
    if done is None:
        report.stopped = True
    else:
        report.people, report.new_people, report.grouped = done.people, done.new, done.grouped


def _check_kind(index_type: str | None) -> None:
    from facesearch.index.store import check_index_type

    if index_type is not None:
        check_index_type(index_type)


def _shared(store: Store, options: Options, model: FaceModel, max_memory: int | None) -> Options:
    """Set one worker per stream of the model: each photo is processed by one thread, and no thread waits.

    The run also needs what the user said about the faces in photos, which cannot change while it has the lock.
    """
    from facesearch.people.given import corrections

    workers = model.runtime.streams
    return replace(
        options, workers=workers, memory=photo_memory(max_memory, workers), corrections=corrections(store.catalog)
    )


def _tell(observer: Observer, model: FaceModel) -> None:
    observer.detail(f"model {model.info.name}; {model.runtime}, {model.runtime.streams} photos at once")


def _tell_revision(observer: Observer, model: ModelInfo) -> None:
    from facesearch.models.framing import LATEST_REVISION

    if model.revision < LATEST_REVISION:
        observer.note(
            f"this index has embeddings of revision {model.revision}; revision {LATEST_REVISION} finds more photos; "
            f"{Hint.NEW_EMBEDDINGS}"
        )


def _record(report: Report, index: Path) -> dict[str, Any]:
    """Return a report as plain values, with paths that are valid text."""
    paths = {key: [shown_path(path) for path in getattr(report, key)] for key in ("given_up", "offline", "unreadable")}
    shards = {shown_path(folder): shard for folder, shard in report.shards.items()}
    return {**asdict(report), **paths, "shards": shards, "index": shown_path(str(index))}


def _finished() -> dict[str, int]:
    return {"finished": round(time.time())}
