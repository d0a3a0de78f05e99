"""Questions: to an index, or to folders that are searched once."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from facesearch.errors import ModelSwitchedError
from facesearch.events import Observer

if TYPE_CHECKING:
    from facesearch.api.opening import Models, Stores

    from facesearch.filters import Filter
    from facesearch.indexing.diff import Options, Report
    from facesearch.query_options import QueryOptions
    from facesearch.search.result import QueryResult

__all__ = ["ScanResult", "query", "scan"]

_MANY = 16
"""Photos from which the runtime that runs fastest beats the one that starts fastest."""


@dataclass(frozen=True, slots=True)
class ScanResult:
    """What a scan found, and what it read; there is no `result` where it was asked to stop."""

    result: QueryResult | None
    report: Report


def query(
    stores: Stores,
    models: Models,
    photos: Sequence[str | os.PathLike[str]],
    options: QueryOptions,
    where: Filter,
    observer: Observer,
    *,
    keep: bool = True,
) -> QueryResult:
    """Ask an index. Raises what opening it raises, and what `ask` and `answer` of `search.query` raise."""
    from facesearch.search.query import require_filter
    from facesearch.search.questions import photos_of

    require_filter(where, options)
    asked_about = photos_of(photos, observer)
    observer.lap("imports")
    try:
        return _query_once(stores, models, asked_about, options, where, observer, keep=keep)
    except ModelSwitchedError:  # at this moment, before anything was answered; it does not happen twice
        stores.close()
        return _query_once(stores, models, asked_about, options, where, observer, keep=keep)


def _query_once(
    stores: Stores,
    models: Models,
    photos: Sequence[str],
    options: QueryOptions,
    where: Filter,
    observer: Observer,
    *,
    keep: bool,
) -> QueryResult:
    """Raises `ModelSwitchedError` when another model takes over between opening the index and its vectors."""
    from facesearch.galleries.local import LocalGallery
    from facesearch.search.query import answer, ask
    from facesearch.vectors.faiss_index import preload

    store = stores.reading(keep=keep)
    observer.lap("open the catalog")
    model = models.open(store.model.source or store.model.name, few=len(photos) < _MANY, at_once=len(photos) > 1)
    store.require_model(model.info)
    Thread(target=preload).start()
    observer.lap("load the model")
    observer.detail(f"index {stores.path}, model {store.model.name}; {model.runtime}")
    asked = ask(model, photos, options, observer)
    len(store)
    observer.lap("open the vectors")
    gallery = LocalGallery(store, str(stores.path))
    return replace(answer(gallery, asked, options, where, observer), folders=tuple(gallery.folders()))


def scan(
    models: Models,
    photos: Sequence[str | os.PathLike[str]],
    paths: Sequence[Path],
    options: QueryOptions,
    where: Filter,
    observer: Observer,
    *,
    model: str | None = None,
    max_memory: int | None = None,
) -> ScanResult:
    """Search folders and photos without an index. Raises what `refresh` and a query raise."""
    from facesearch.galleries.local import LocalGallery
    from facesearch.index.store import Store
    from facesearch.indexing.diff import require_paths
    from facesearch.indexing.refresh import refresh
    from facesearch.models.resolve import choose_model
    from facesearch.search.query import answer, ask, require_filter
    from facesearch.search.questions import photos_of

    require_filter(where, options)
    require_paths(paths)
    choice = choose_model(model)
    if choice.note:
        observer.detail(choice.note)
    opened = models.open(choice.name)
    workers = models.runtime().threads
    observer.detail(f"model {opened.info.name}; {opened.runtime}, {workers} photos at once")
    asked = ask(opened, photos_of(photos, observer), options, observer)
    with Store.memory(opened.info) as store:
        report = refresh(store, opened, paths, options=_reading(options, workers, max_memory), observer=observer)
        if report.stopped:
            return ScanResult(None, report)
        gallery = LocalGallery(store, ", ".join(map(str, paths)))
        return ScanResult(answer(gallery, asked, options, where, observer), report)


def _reading(options: QueryOptions, workers: int, max_memory: int | None) -> Options:
    from facesearch.api.resources import photo_memory

    from facesearch.indexing.diff import Options

    return Options(
        rotations=options.rotations,
        max_pixels=options.max_pixels,
        workers=workers,
        memory=photo_memory(max_memory, workers),
    )
