"""Which folders and photos an indexing run scans; a path that is not known yet becomes a root."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from facesearch.catalog.records import KnownPhoto, Root
from facesearch.errors import Hint, InputError, UsageError
from facesearch.index.store import Store
from facesearch.locations import Locations, Place, absolute, resolved

__all__ = ["Scope", "find_scopes", "known_photos", "require_paths"]


class Scope(NamedTuple):
    """A root, or one folder or file in it."""

    root: Root
    within: bytes


def require_paths(paths: Iterable[Path | bytes]) -> None:
    """Raise `InputError` for the first path that is neither a file nor a folder."""
    for path in paths:
        if not os.path.exists(path):
            raise InputError(f"{os.fsdecode(path)}: no such file or folder; check the path")
        if not (os.path.isfile(path) or os.path.isdir(path)):
            raise InputError(f"{os.fsdecode(path)}: neither a file nor a folder; name a photo or a folder of photos")


def find_scopes(store: Store, paths: Sequence[Path]) -> list[Scope]:
    """Return what a run scans: every root, or these paths. A path in no root is added as one, outer ones first.

    Raises `UsageError` if there is neither a path nor a root, `InputError` if a path does not exist.
    """
    roots = {root.id: root for root in store.catalog.roots.all()}
    if not paths:
        if not roots:
            raise UsageError("nothing to index yet", Hint.NAME_A_FOLDER)
        return [Scope(root, b"") for root in roots.values()]
    locations = Locations(roots.values())
    wanted = sorted({absolute(path) for path in paths}, key=lambda path: len(resolved(path)))  # outer ones first
    require_paths(path for path in wanted if not _is_known(store, locations, path))
    scopes: dict[Place, Scope] = {}
    for path in wanted:
        places = locations.containing(path)
        if not places:
            root = store.catalog.roots.add(path, locations)
            roots[root.id], places = root, [Place(root.id, b"")]
        for place in places:
            if not any(Place(place.root, folder) in scopes for folder in _upwards(place.inner)):
                scopes[place] = Scope(roots[place.root], place.inner)
    return list(scopes.values())


def _is_known(store: Store, locations: Locations, path: bytes) -> bool:
    """Whether a path is a root or contains known photos: then it may be missing, and its photos with it."""
    return any(
        not place.inner or next(known_photos(store, place.root, place.inner), None) is not None
        for place in locations.containing(path)
    )


def _upwards(inner: bytes) -> Iterator[bytes]:
    """Yield a path in a root, then its parent folders, up to the root."""
    while inner:
        yield inner
        inner = os.path.dirname(inner)
    yield b""


def known_photos(store: Store, root: int, within: bytes) -> Iterator[KnownPhoto]:
    """Yield the photos of a scope, which may be a single file in a root."""
    single = store.catalog.photos.at(root, within) if within else None
    if single is not None:
        yield single
    else:
        yield from store.catalog.photos.within(root, within)
