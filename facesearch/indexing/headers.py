"""Headers of known photos, read again where an earlier reader read them: when each was taken, and what is no photo.

Nothing is decoded and no face is looked for. A photo whose metadata says nothing has its date from its name, or that of
a folder: so its header counts as unread, too, once it has another name.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from facesearch.index.store import Store
from facesearch.indexing.diff import Report, Scope, looks_unchanged
from facesearch.photos.header import HEADER_VERSION, read_header
from facesearch.photos.names import date_in_path
from facesearch.types import PhotoFacts, PhotoFile

__all__ = ["dated", "read_old_headers"]

_AT_ONCE = 200


def dated(facts: PhotoFacts, root: bytes, path: bytes) -> PhotoFacts:
    """The facts of the photo at a path relative to its root, with the date in its name where they have none.

    Of the root's own path the last folder counts: whoever indexes ~/Pictures/1962 has said so, `/mnt/2020` has not.
    """
    if facts.taken is not None and facts.taken.source != "name":
        return facts
    above, name = os.path.split(root.rstrip(b"/"))
    named = os.path.join(name, path) if path else os.path.join(os.path.basename(above), name)
    return replace(facts, taken=date_in_path(named))


def read_old_headers(
    store: Store, scopes: Iterable[Scope], report: Report, *, workers: int, should_stop: Callable[[], bool]
) -> None:
    """Read the headers of photos in sight that an earlier reader read, and commit what they say as it comes.

    Files that have changed or cannot be read now are left for another run. Raises what the store raises.
    """
    with ThreadPoolExecutor(workers, thread_name_prefix="header") as pool:
        for root, within in scopes:
            old = store.catalog.old_headers(root.id, within, HEADER_VERSION)
            for start in range(0, len(old), _AT_ONCE):
                if should_stop():
                    report.stopped = True
                    return
                read = pool.map(partial(_read, root.path), old[start : start + _AT_ONCE])
                _keep(store, [one for one in read if one is not None], report)


class _Reread(NamedTuple):
    """What a photo's header said before, and what it says now."""

    photo: int
    before: PhotoFacts
    now: PhotoFacts


def _read(root: bytes, known: tuple[int, PhotoFile, PhotoFacts]) -> _Reread | None:
    """On a worker thread."""
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
            store.catalog.put_header(photo, now)
        ours = sum(now.ours and not before.ours for _photo, before, now in headers)
    report.headers += len(headers)
    report.ours += ours
