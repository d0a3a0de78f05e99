"""Read the headers of known photos again that an earlier version read: the date, and whether facesearch made the file.

Nothing is decoded and no face is detected. A photo without a date in its metadata gets one from its name, or from the
name of a folder, so its header also counts as unread after a change of name.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from facesearch.events import SILENT, Observer
from facesearch.index.store import Store
from facesearch.indexing.diff import Task, looks_unchanged
from facesearch.indexing.report import Report
from facesearch.indexing.scopes import Scope
from facesearch.photos.header import HEADER_VERSION, read_header
from facesearch.photos.names import date_in_path
from facesearch.types import PhotoFacts, PhotoFile

__all__ = ["date_by_name", "dated", "read_old_headers"]

_AT_ONCE = 200


def dated(facts: PhotoFacts, root: bytes, path: bytes) -> PhotoFacts:
    """Return the facts of the photo at a path relative to its root, with the date from its name if they have none.

    Of the root's own path only the last folder counts: the user chose `1962` in `~/Pictures/1962`, but not a
    folder above it such as `/mnt/2020`.
    """
    if facts.taken is not None and facts.taken.source != "name":
        return facts
    above, name = os.path.split(root.rstrip(b"/"))
    named = os.path.join(name, path) if path else os.path.join(os.path.basename(above), name)
    return replace(facts, taken=date_in_path(named))


def date_by_name(store: Store, photo: int, task: Task) -> None:
    """Date a photo without a date of its own by its current name, at the path of `task`."""
    known = store.catalog.photos.facts_of(photo)
    now = dated(known, task.root.path, task.file.path)
    if now != known and not known.ours:
        store.catalog.photos.put_header(photo, now)


def read_old_headers(
    store: Store, scopes: Iterable[Scope], report: Report, *, workers: int, observer: Observer = SILENT
) -> None:
    """Read the headers of visible photos that an earlier reader read, and commit the results in batches.

    Files that have changed or cannot be read now are left for a later run. Raises what the store raises.
    """
    with ThreadPoolExecutor(workers, thread_name_prefix="header") as pool:
        for root, within, _ in scopes:
            old = store.catalog.photos.with_old_headers(root.id, within, HEADER_VERSION)
            for start in range(0, len(old), _AT_ONCE):
                if observer.cancelled():
                    report.stopped = True
                    return
                read = pool.map(partial(_read, root.path), old[start : start + _AT_ONCE])
                _keep(store, [one for one in read if one is not None], report)


class _Reread(NamedTuple):
    """The facts from a photo's header before and now."""

    photo: int
    before: PhotoFacts
    now: PhotoFacts


def _read(root: bytes, known: tuple[int, PhotoFile, PhotoFacts]) -> _Reread | None:
    """Read one header, on a worker thread; None if the file has changed or cannot be read."""
    photo, file, facts = known
    try:
        with open(os.path.join(root, file.path) if file.path else root, "rb") as stream:
            found = os.fstat(stream.fileno())
            if not looks_unchanged(PhotoFile(file.path, found.st_size, found.st_mtime_ns), file):
                return None
            taken, position, _orientation, ours = read_header(stream)
    except (OSError, ValueError):
        return None
    now = replace(facts, taken=taken, position=position, ours=ours, header=HEADER_VERSION)
    return _Reread(photo, facts, dated(now, root, file.path))


def _keep(store: Store, headers: list[_Reread], report: Report) -> None:
    with store.transaction():
        for photo, _before, now in headers:
            store.catalog.photos.put_header(photo, now)
        ours = sum(now.ours and not before.ours for _photo, before, now in headers)
    report.headers += len(headers)
    report.ours += ours
