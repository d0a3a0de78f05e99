"""Search folders once, without an index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from facesearch.api.opening import Models, as_model, as_paths
from facesearch.api.resources import photo_memory
from facesearch.arguments import AnyPath, AnyPaths
from facesearch.events import SILENT, Observer
from facesearch.filters import Filter
from facesearch.query_options import QueryKeywords, QueryOptions

if TYPE_CHECKING:
    from facesearch.index.store import Store
    from facesearch.indexing.report import Report
    from facesearch.models.protocol import FaceModel
    from facesearch.search.result import QueryResult

__all__ = ["ScanResult", "scan"]

_ALL = Filter()


@dataclass(frozen=True, slots=True)
class ScanResult:
    """The result of a scan and the report of what it read. `result` is None if the scan was cancelled."""

    result: QueryResult | None
    report: Report


def scan(
    photos: AnyPaths,
    paths: AnyPaths,
    options: QueryOptions | None = None,
    *,
    where: Filter = _ALL,
    model: AnyPath | None = None,
    device: str = "auto",
    threads: int = 0,
    max_memory: int | None = None,
    observer: Observer = SILENT,
    **keywords: Unpack[QueryKeywords],
) -> ScanResult:
    """Search folders and photos at `paths` for the person in `photos`. Nothing is written.

    Query options are those of `Index.query`; `model`, `device` and `threads` are those of `Index.open`; `max_memory`
    is the memory of the whole process, in bytes.

    Raises `InputError` if a path is not found, and otherwise what `Index.query` raises.
    """
    from facesearch.galleries.local import LocalGallery
    from facesearch.index.store import Store
    from facesearch.indexing.scopes import require_paths
    from facesearch.models.resolve import choose_model
    from facesearch.search.query import answer, ask, require_filter
    from facesearch.search.questions import photos_of

    asked_for = replace(QueryOptions.of(keywords, options), direct=True)
    require_filter(where, asked_for)
    folders = as_paths(paths)
    require_paths(folders)
    models = Models(device, threads, observer)
    choice = choose_model(as_model(model))
    if choice.note:
        observer.detail(choice.note)
    opened = models.open(choice.name)
    asked = ask(opened, photos_of(photos, observer), asked_for, observer)
    with Store.memory(opened.info) as store:
        report = _read(store, opened, folders, asked_for, models.runtime().threads, max_memory, observer)
        if report.stopped:
            return ScanResult(None, report)
        gallery = LocalGallery(store, ", ".join(map(str, folders)))
        return ScanResult(answer(gallery, asked, asked_for, where, observer), report)


def _read(
    store: Store,
    model: FaceModel,
    folders: Sequence[Path],
    options: QueryOptions,
    workers: int,
    max_memory: int | None,
    observer: Observer,
) -> Report:
    from facesearch.indexing.options import Options
    from facesearch.indexing.refresh import refresh

    observer.detail(f"model {model.info.name}; {model.runtime}, {workers} photos at once")
    reading = Options(
        rotations=options.rotations,
        max_pixels=options.max_pixels,
        workers=workers,
        memory=photo_memory(max_memory, workers),
    )
    return refresh(store, model, folders, options=reading, observer=observer)
