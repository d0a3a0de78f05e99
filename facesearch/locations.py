"""Decide whether paths are the same folder or inside one, with symbolic links, in the same way for every command.

A folder can have several names. Two names mean the same place if they resolve to the same path: links to folders are
resolved once, when a path is given. The path as given is stored and shown. A link to a photo is a photo of its own,
under its own name.

Inside a root, photos have the names under which a scan finds them. A link to a place inside the root is not followed,
because its target is reached anyway. A link to a place outside the root is followed, under its own name.
"""

from __future__ import annotations

import os
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

__all__ = ["Locations", "Place", "absolute", "is_inside", "resolved"]


class Place(NamedTuple):
    """The place of a path: a root and the path relative to it, which is empty for the whole root."""

    root: int
    inner: bytes


def absolute(path: str | bytes | os.PathLike[str]) -> bytes:
    """Return the absolute path as bytes in the system's encoding, without resolving links."""
    return os.path.abspath(os.fsencode(path))


def resolved(path: bytes) -> bytes:
    """Resolve the links in an absolute path; the last part of a file's path keeps its own name."""
    if os.path.isdir(path):
        return os.path.realpath(path)
    folder, name = os.path.split(path)
    return os.path.join(os.path.realpath(folder), name)


def is_inside(path: bytes, folder: bytes) -> bool:
    """Return True if a path is the folder or lies inside it, by their names alone."""
    return path == folder or path.startswith(os.path.join(folder, b""))


class Locations:
    """The roots of an index, by id and absolute path: find those that equal, contain or lie inside a path."""

    def __init__(self, roots: Iterable[tuple[int, bytes]]) -> None:
        self._names, self._places = _Paths(), _Paths()
        self._waiting = list(roots)
        self._reals: dict[bytes, bytes] = {}

    def add(self, root: int, path: bytes) -> None:
        """Add a root."""
        self._waiting.append((root, path))

    def remove(self, root: int) -> None:
        """Remove a root."""
        self._resolve()
        self._names.remove(root)
        self._places.remove(root)

    def places(self, path: bytes) -> list[Place]:
        """Return every place that an absolute path covers: inside roots, and all roots that lie inside it."""
        return list(dict.fromkeys([*self.containing(path), *(Place(root, b"") for root in self.inside(path))]))

    def containing(self, path: bytes) -> list[Place]:
        """Return the roots that equal or contain a path; several if photos have several names."""
        self._resolve()
        found = {place.root: place for place in self._places.around(resolved(path))}
        # Below a link to a place outside a root, a path keeps its name relative to the last folder inside the root.
        for folder in islice(_upwards(path), 1, None):
            for place in self._places.around(self._real(folder)):
                if place.root not in found:
                    inner = os.path.join(place.inner, _below(path, folder))
                    found[place.root] = Place(place.root, inner)
        return list(found.values())

    def _real(self, folder: bytes) -> bytes:
        """Resolve a folder, with a cache: many paths share their folders."""
        if folder not in self._reals:
            self._reals[folder] = resolved(folder)
        return self._reals[folder]

    def inside(self, path: bytes) -> list[int]:
        """Return the roots inside a folder, by their names or resolved paths, without the folder itself."""
        self._resolve()
        return sorted({*self._names.inside(path), *self._places.inside(resolved(path))})

    def at(self, path: bytes) -> int | None:
        """Return the root that equals a path; None if there is none. Among several names, prefers the exact one."""
        found = [place.root for place in self.containing(path) if not place.inner]
        return min(found, key=lambda root: self._names.path(root) != path, default=None)

    def inner_path(self, root: int, folder: bytes) -> bytes:
        """Return a root's path relative to a folder, as a scan of the folder finds it."""
        self._resolve()
        place, top = self._places.path(root), resolved(folder)
        return _below(place, top) if is_inside(place, top) else _below(self._names.path(root), folder)

    def _resolve(self) -> None:
        """Resolve new roots on demand; each takes a few system calls."""
        for root, path in self._waiting:
            self._names.add(root, path)
            self._places.add(root, resolved(path))
        self._waiting.clear()


class _Paths:
    """The paths of roots, sorted."""

    def __init__(self) -> None:
        self._of_root: dict[int, bytes] = {}
        self._ordered: list[tuple[bytes, int]] = []

    def add(self, root: int, path: bytes) -> None:
        self._of_root[root] = path
        insort(self._ordered, (path, root))

    def remove(self, root: int) -> None:
        path = self._of_root.pop(root)
        del self._ordered[bisect_left(self._ordered, (path, root))]

    def path(self, root: int) -> bytes:
        return self._of_root[root]

    def around(self, path: bytes) -> Iterator[Place]:
        """Yield the roots that equal or contain a path."""
        for folder in _upwards(path):
            for found, root in self._from((folder, -1)):
                if found != folder:
                    break
                yield Place(root, _below(path, folder))

    def inside(self, folder: bytes) -> Iterator[int]:
        """Yield the roots inside a folder."""
        prefix = os.path.join(folder, b"")
        for path, root in self._from((prefix, -1)):
            if not path.startswith(prefix):
                return
            if path != folder:
                yield root

    def _from(self, key: tuple[bytes, int]) -> Iterator[tuple[bytes, int]]:
        for number in range(bisect_left(self._ordered, key), len(self._ordered)):
            yield self._ordered[number]


def _below(path: bytes, folder: bytes) -> bytes:
    """Return a path relative to a folder that contains it."""
    return path[len(os.path.join(folder, b"")) :]


def _upwards(path: bytes) -> Iterator[bytes]:
    """Yield a path and its parent folders, up to the top."""
    while True:
        yield path
        above = os.path.dirname(path)
        if above == path:
            return
        path = above
