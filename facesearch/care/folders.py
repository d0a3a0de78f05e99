"""Find a root of an index by its path, and move one to where its photos are now."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from facesearch.catalog.records import Root
from facesearch.errors import Hint, InputError, UsageError
from facesearch.index.store import Store
from facesearch.locations import Locations, absolute
from facesearch.photos.known import is_known

if TYPE_CHECKING:
    from facesearch.types import KnownFile

__all__ = ["find_root", "move_root"]

_SAMPLED, _SAMPLED_CONTENTS = 50, 5


def find_root(store: Store, path: Path) -> Root:
    """Return the root at a path. Raises `InputError`, which names the existing roots, if there is none."""
    roots = {root.id: root for root in store.catalog.roots.all()}
    wanted = absolute(path)
    found = Locations(roots.values()).at(wanted)
    if found is not None:
        return roots[found]
    known = ", ".join(os.fsdecode(root.path) for root in roots.values()) or "none"
    raise InputError(f"{os.fsdecode(wanted)}: not a folder of this index (folders: {known})")


def move_root(store: Store, old: Path, new: Path, *, anyway: bool = False) -> None:
    """Record that the library at `old` is now at `new`; photos, faces, names and ids stay.

    A sample of its photos must exist at `new`, unless `anyway` is set, for example because the disk is not mounted.
    Raises `InputError` if `old` is not a root or `new` is missing or contains other photos, `UsageError` if `new`
    overlaps another root.
    """
    root = find_root(store, old)
    target = absolute(new)
    if not os.path.exists(target):
        raise InputError(f"{os.fsdecode(target)}: no such file or folder; check the path")
    others = {other.id: other for other in store.catalog.roots.all() if other.id != root.id}
    locations = Locations(others.values())
    for place in locations.places(target):
        other = os.fsdecode(others[place.root].path)
        raise UsageError(f"{os.fsdecode(target)} overlaps the folder {other}; folders cannot be nested")
    is_single = store.catalog.photos.at(root.id, b"") is not None
    if is_single == os.path.isdir(target):
        was, now = ("a photo", "a folder") if is_single else ("a folder", "a photo")
        raise InputError(f"{os.fsdecode(target)}: {now}, but {os.fsdecode(root.path)} was {was}; check the path")
    if not anyway:
        _require_photos(store, root, target)
    with store.transaction():
        store.catalog.roots.move(root.id, target)


def _require_photos(store: Store, root: Root, target: bytes) -> None:
    """Raise `InputError` if most of a sample of the root's photos are not at `target`, by size and content."""
    sample = [
        replace(file, path=os.path.join(target, file.path) if file.path else target)
        for file in store.catalog.photos.sample_files(root.id, _SAMPLED)
    ]
    there = [file for file in sample if _has_size(file)]
    smallest = sorted(there, key=lambda file: file.size)[:_SAMPLED_CONTENTS]
    others = sum(not is_known(file) for file in smallest)
    if 2 * len(there) >= len(sample) and 2 * others <= len(smallest):
        return
    raise InputError(
        f"{os.fsdecode(target)}: has {len(there) - others:,} of {len(sample):,} known photos of "
        f"{os.fsdecode(root.path)} (expected {os.fsdecode(sample[0].path)}, ...)",
        Hint.ANYWAY,
    )


def _has_size(file: KnownFile) -> bool:
    try:
        return os.path.getsize(file.path) == file.size
    except OSError:
        return False
