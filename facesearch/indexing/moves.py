"""Match content at a new path to a known photo: one that has moved, been copied, or lost its path to another.

A photo that moves keeps its id and its faces. So before a known path is given to another content, the run determines
whether the earlier content was edited, or has moved and is found later in the same run. Each of these checks has the
same cost, however many photos share a content.
"""

from __future__ import annotations

import os
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property

from facesearch.catalog.records import KnownPhoto
from facesearch.index.store import Store
from facesearch.indexing.contents import Content, read
from facesearch.indexing.diff import Task, looks_unchanged
from facesearch.indexing.headers import date_by_name
from facesearch.photos.scan import is_offline
from facesearch.types import PhotoFile

__all__ = ["Moves", "has_current_faces"]


def has_current_faces(photo: KnownPhoto) -> bool:
    """Whether the catalog has the faces that the index's current model finds in a photo."""
    return photo.status != "failed" and not photo.outdated


class Moves:
    """The moves of one run, which reads `tasks` at the time `now`, in seconds since 1970.

    Use on the thread that owns the store, inside its transactions.
    """

    def __init__(self, store: Store, tasks: Sequence[Task], *, now: int, cancelled: Callable[[], bool]) -> None:
        self._store = store
        self._tasks = tasks
        self._cancelled = cancelled
        self._offline = {root.id for root in store.catalog.roots.all() if is_offline(root.path)}
        self._now = now
        self._moved: set[int] = set()
        self._displaced: set[int] = set()
        self._may_have_left: dict[tuple[bytes, bool], deque[tuple[KnownPhoto, bytes]]] = {}
        self._hashes: dict[bytes, bytes | None] = {}
        self._by_content: dict[int, dict[bytes, deque[Task]]] = {}

    @property
    def displaced(self) -> int:
        """The number of photos that have lost their path to another one and were not found elsewhere."""
        return len(self._displaced)

    def has_moved(self, photo: int) -> bool:
        """Whether a photo, by its id, has moved to another path in this run."""
        return photo in self._moved

    def note_hash(self, content: Content[Task]) -> None:
        """Remember the hash of a file that was read, if `make_way` may need it: otherwise it would read it again."""
        size = content.item.size
        if size in self._sizes_before and size in self._of_size:
            self._hashes[content.item.path] = content.hash

    def bring(self, content: Content[Task], here: KnownPhoto | None, *, outdated: bool = False) -> bool:
        """Move a photo of this content that has left its place to the path of `content`, where `here` was.

        With `outdated`, move a photo whose faces come from an earlier model. Returns False if no such photo has left
        its place.
        """
        assert content.hash is not None
        moved = self._one_that_left(content.hash, outdated=outdated)
        if moved is None:
            return False
        task = content.item
        if here is not None:  # names were swapped, or it is missing now
            self._displace(here)
        self._store.catalog.photos.touch(moved.id, task.root.id, task.file)
        date_by_name(self._store, moved.id, task)
        self._moved.add(moved.id)
        self._displaced.discard(moved.id)
        return True

    def bring_outdated(self, content: Content[Task]) -> bool:
        """Move a photo with an earlier model's faces to where its content is now, so that the faces keep their ids."""
        catalog, task = self._store.catalog, content.item
        here = catalog.photos.at(task.root.id, task.file.path)
        if here is not None and here.outdated and catalog.photos.content_of(here.id) == content.hash:
            return False
        return self.bring(content, here, outdated=True)

    def make_way(self, content: Content[Task]) -> bool:
        """Prepare a known path for another content: the photo there was edited, or has moved and is found later.

        A moved file keeps its size, so only files of that size are read to find out. Returns False if the run was
        cancelled before that was done.
        """
        task, catalog = content.item, self._store.catalog
        here = None if task.known is None else catalog.photos.at(task.root.id, task.file.path)
        was = None if here is None else catalog.photos.content_of(here.id)
        if here is None or was is None or was == content.hash:
            return True
        others = self._tasks_of(was, here.file.size)
        if others is None:
            return False
        while others:
            other = others[0]
            itself = other.known is not None and catalog.photos.content_of(other.known.id) == was
            if other.path != task.path and not itself:
                self._displace(here)
                return True
            others.popleft()  # it already has that content, and keeps it to the end of this run
        return True

    def _tasks_of(self, content: bytes, size: int) -> deque[Task] | None:
        """Return the files of this run with a content of this size; None if the run was cancelled first.

        All files of this size that have not been read yet are read for it, once.
        """
        if size not in self._by_content:
            for task in self._of_size.get(size, []):
                if task.path not in self._hashes:
                    if self._cancelled():
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
        """The sizes, according to the catalog, of the known files that this run reads."""
        return frozenset(task.known.file.size for task in self._tasks if task.known is not None)

    @cached_property
    def _of_size(self) -> dict[int, list[Task]]:
        """The files that this run reads, by size."""
        sizes: dict[int, list[Task]] = defaultdict(list)
        for task in self._tasks:
            sizes[task.file.size].append(task)
        return sizes

    def _displace(self, photo: KnownPhoto) -> None:
        """Hide a photo whose path belongs to another one now, until it is found elsewhere."""
        catalog = self._store.catalog
        catalog.photos.displace(photo.id, self._now)
        self._displaced.add(photo.id)
        self._moved.discard(photo.id)
        content = catalog.photos.content_of(photo.id)
        candidates = None if content is None else self._may_have_left.get((content, photo.outdated))
        if candidates is not None and has_current_faces(photo):
            candidates.append((replace(photo, missing=True), b""))  # it has certainly left

    def _one_that_left(self, content: bytes, *, outdated: bool) -> KnownPhoto | None:
        """Return a photo of this content that is no longer at its place, preferably one that was visible.

        Each is checked once per run: one that is still at its place is not checked again.
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

    def _has_left(self, photo: KnownPhoto, path: bytes) -> bool:
        """Whether a known photo is no longer at its place: the file is missing, or has become another.

        On a disk that is not mounted it may still exist, so the answer is no.
        """
        if photo.root in self._offline:
            return False
        try:
            found = os.stat(path)
        except (OSError, ValueError):  # the path of a displaced photo does not exist
            return True
        is_missing = photo.missing and not photo.handed_over
        return is_missing or not looks_unchanged(PhotoFile(path, found.st_size, found.st_mtime_ns), photo.file)
