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
from facesearch.shards import Shard

__all__ = ["Scope", "find_scopes", "known_photos", "require_divisible", "require_paths"]


class Scope(NamedTuple):
    """A root, or one folder or file in it, and the shard of the root that the index takes."""

    root: Root
    within: bytes
    shard: Shard = Shard()


def require_paths(paths: Iterable[Path | bytes]) -> None:
    """Raise `InputError` for the first path that is neither a file nor a folder."""
    for path in paths:
        if not os.path.exists(path):
            raise InputError(f"{os.fsdecode(path)}: no such file or folder; check the path")
        if not (os.path.isfile(path) or os.path.isdir(path)):
            raise InputError(f"{os.fsdecode(path)}: neither a file nor a folder; name a photo or a folder of photos")


def require_divisible(paths: Iterable[Path | bytes], shard: Shard | None) -> None:
    """Raise `UsageError` for the first path that is a single photo, if these paths are to be divided."""
    for path in paths:
        if shard is not None and not shard.is_all and os.path.isfile(path):
            raise UsageError(f"shard {shard}: {os.fsdecode(path)} is a single photo; name a folder", option="shard")


def find_scopes(store: Store, paths: Sequence[Path], shard: Shard | None = None) -> list[Scope]:
    """Return what a run scans: every root, or these paths. A path in no root is added as one, outer ones first.

    With `shard` the index takes this shard of these roots from now on. Without paths, roots that are a single photo
    stay as they are.

    Raises `UsageError` if there is neither a path nor a root, or if a path cannot have the shard, `InputError` if a
    path does not exist.
    """
    roots = {root.id: root for root in store.catalog.roots.all()}
    if not paths and not roots:
        raise UsageError("nothing to index yet", Hint.NAME_A_FOLDER)
    shards = _Shards(store, shard)
    if not paths:
        for root in roots.values():
            if not _is_single(store, root):
                shards.take(root)
        return [Scope(root, b"", shards.of(root.id)) for root in roots.values()]
    locations = Locations(roots.values())
    wanted = sorted({absolute(path) for path in paths}, key=lambda path: len(resolved(path)))  # outer ones first
    require_paths(path for path in wanted if not _is_known(store, locations, path))
    scopes: dict[Place, Scope] = {}
    for path in wanted:
        places = locations.containing(path)
        if places:
            shards.take_at(path, [(roots[place.root], place.inner) for place in places])
        else:
            shards.check_new(path, [roots[inner] for inner in locations.inside(path)])
            root = store.catalog.roots.add(path, locations)
            roots[root.id], places = root, [Place(root.id, b"")]
            shards.take(root)
        for place in places:
            if not any(Place(place.root, folder) in scopes for folder in _upwards(place.inner)):
                scopes[place] = Scope(roots[place.root], place.inner, shards.of(place.root))
    return list(scopes.values())


class _Shards:
    """The shards of the roots, and the one that they are to have; None if they keep theirs."""

    def __init__(self, store: Store, wanted: Shard | None) -> None:
        self._store = store
        self._wanted = wanted
        self._kept = store.catalog.roots.shards()

    def of(self, root: int) -> Shard:
        """Return the shard of a root."""
        return self._kept.get(root, Shard())

    def take(self, root: Root) -> None:
        """Record the wanted shard for a root."""
        if self._wanted is not None and self._wanted != self.of(root.id):
            self._store.catalog.roots.take_shard(root.id, self._wanted)
            self._kept[root.id] = self._wanted

    def take_at(self, path: bytes, places: Sequence[tuple[Root, bytes]]) -> None:
        """Record the wanted shard for the root at a path. Raises `UsageError` if it would be that of a part of one."""
        whole = [root for root, inner in places if not inner]
        for root in whole:
            require_divisible([path], self._wanted)
            self.take(root)
        root, _ = places[0]
        if not whole and self._wanted is not None and self._wanted != self.of(root.id):
            raise UsageError(
                f"shard {self._wanted}: {os.fsdecode(path)} is a part of {os.fsdecode(root.path)}, a folder of this"
                " index; name that",
                option="shard",
            )

    def check_new(self, path: bytes, inside: Sequence[Root]) -> None:
        """Raise `UsageError` if a new root cannot have the wanted shard, or if it has none but a root inside it does.

        The shards of the roots inside end with them, and the index would take everything without having been told so.
        """
        require_divisible([path], self._wanted)
        limited = [root for root in inside if not self.of(root.id).is_all]
        if limited and self._wanted is None:
            inner, its = os.fsdecode(limited[0].path), self.of(limited[0].id)
            raise UsageError(
                f"shard: {os.fsdecode(path)} has the folder {inner} in it, of which the index takes {its}; give the"
                " shard of the whole, or all",
                option="shard",
            )


def _is_single(store: Store, root: Root) -> bool:
    return os.path.isfile(root.path) or store.catalog.photos.at(root.id, b"") is not None


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
