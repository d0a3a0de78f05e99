"""What "the same folder" and "inside a folder" mean, with links in the way: one answer for every command.

A folder can be reached by several names. Two names mean the same place when the system says so: links to folders are
resolved, once, when a path is given. What was given is what is kept and shown. A link to a photo is a photo of its own,
under its own name.

Inside a root, photos are known by the names under which a scan meets them: a link that stays inside the root is not
followed, since what it leads to is reached without it; a link that leads out of the root is, under its own name.
"""

from __future__ import annotations

import os
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

__all__ = ["Locations", "Place", "absolute", "is_inside", "resolved"]


class Place(NamedTuple):
    """Where a path lies: in a root, at a path relative to it; all of the root where that is empty."""

    root: int
    inner: bytes


def absolute(path: str | bytes | os.PathLike[str]) -> bytes:
    """A path that was given, from the top, in the system's bytes; links stay."""
    return os.path.abspath(os.fsencode(path))


def resolved(path: bytes) -> bytes:
    """The place that an absolute path means: without links to folders, but with its own name where it is a file's."""
    if os.path.isdir(path):
        return os.path.realpath(path)
    folder, name = os.path.split(path)
    return os.path.join(os.path.realpath(folder), name)


def is_inside(path: bytes, folder: bytes) -> bool:
    """Whether a path is a folder or lies in it, by their names alone."""
    return path == folder or path.startswith(os.path.join(folder, b""))


class Locations:
    """The roots of an index, given by id and absolute path: which of them a path is, lies in, or lies around."""

    def __init__(self, roots: Iterable[tuple[int, bytes]]) -> None:
        self._names, self._places = _Paths(), _Paths()
        self._waiting = list(roots)
        self._reals: dict[bytes, bytes] = {}

    def add(self, root: int, path: bytes) -> None:
        """One more root."""
        self._waiting.append((root, path))

    def remove(self, root: int) -> None:
        """One less."""
        self._resolve()
        self._names.remove(root)
        self._places.remove(root)

    def places(self, path: bytes) -> list[Place]:
        """Every place that an absolute path means: in roots, and all of the roots that lie in it."""
        return list(dict.fromkeys([*self.containing(path), *(Place(root, b"") for root in self.inside(path))]))

    def containing(self, path: bytes) -> list[Place]:
        """The roots that a path is, or lies in; several where photos are known by several names."""
        self._resolve()
        found = {place.root: place for place in self._places.around(resolved(path))}
        # Below a link that leads out of a root a path has the name that follows on from the last folder in the root.
        for folder in islice(_upwards(path), 1, None):
            for place in self._places.around(self._real(folder)):
                if place.root not in found:
                    inner = os.path.join(place.inner, _below(path, folder))
                    found[place.root] = Place(place.root, inner)
        return list(found.values())

    def _real(self, folder: bytes) -> bytes:
        """The place of a folder, looked up once: many paths have their folders in common."""
        if folder not in self._reals:
            self._reals[folder] = resolved(folder)
        return self._reals[folder]

    def inside(self, path: bytes) -> list[int]:
        """The roots in a folder, by their names or by their places; the folder itself is none of them."""
        self._resolve()
        return sorted({*self._names.inside(path), *self._places.inside(resolved(path))})

    def at(self, path: bytes) -> int | None:
        """The root that a path is; None where it is none. Of several for one folder, the one of this very name."""
        found = [place.root for place in self.containing(path) if not place.inner]
        return min(found, key=lambda root: self._names.path(root) != path, default=None)

    def inner_path(self, root: int, folder: bytes) -> bytes:
        """How a root is called inside a folder, under which a scan of the folder meets it."""
        self._resolve()
        place, top = self._places.path(root), resolved(folder)
        return _below(place, top) if is_inside(place, top) else _below(self._names.path(root), folder)

    def _resolve(self) -> None:
        """Look where the roots are, which takes a few system calls each, only when somebody asks."""
        for root, path in self._waiting:
            self._names.add(root, path)
            self._places.add(root, resolved(path))
        self._waiting.clear()


class _Paths:
    """Paths of roots, in order."""

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
        """Roots that a path is, or lies in."""
        for folder in _upwards(path):
            for found, root in self._from((folder, -1)):
                if found != folder:
                    break
                yield Place(root, _below(path, folder))

    def inside(self, folder: bytes) -> Iterator[int]:
        """Roots in a folder."""
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
    """A path relative to a folder that it lies in."""
    return path[len(os.path.join(folder, b"")) :]


def _upwards(path: bytes) -> Iterator[bytes]:
    """A path, its folder, the folder of that, up to the top."""
    while True:
        yield path
        above = os.path.dirname(path)
        if above == path:
            return
        path = above
