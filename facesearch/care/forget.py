"""Forget photos, one face, or a root with everything in it, for good."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from facesearch.care.folders import find_root
from facesearch.catalog.records import KnownPhoto, Root, path_in_root
from facesearch.errors import Hint, InputError
from facesearch.index.store import Store
from facesearch.locations import Locations, absolute
from facesearch.people.sweeping import Sweep, SweptFace
from facesearch.photos.known import digest_of
from facesearch.wording import counted

__all__ = ["Forgetting", "forget", "photos_at", "to_forget_face", "to_forget_photos", "to_forget_root"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgetting:
    """What is about to be removed for good: photos, one face, a person, or a root with everything in it.

    `what` describes it. `copies` are the paths of identical copies. They are removed too for photos with `never_again`
    and for a face; otherwise they stay and are found as before. `contents` are the contents, by id, of photos whose
    content the catalog does not know. `owed` are the galleries that could not be reached, and still have the faces.

    For a person, `sweep` is what could be the person, of which `going` are removed and `spared` stay. `until` is when
    somebody who is left out may be indexed again, in seconds since 1970. `receipt` says what was removed, as plain
    values; it is empty before.
    """

    what: str
    photos: tuple[KnownPhoto, ...] = ()
    face: int | None = None
    root: Root | None = None
    never_again: bool = False
    copies: tuple[str, ...] = ()
    contents: Mapping[int, bytes] = field(default_factory=dict)
    owed: tuple[str, ...] = ()
    sweep: Sweep | None = None
    going: tuple[SweptFace, ...] = ()
    spared: tuple[SweptFace, ...] = ()
    until: int | None = None
    receipt: Mapping[str, Any] = field(default_factory=dict)

    @property
    def takes_copies(self) -> bool:
        """Whether the copies are removed too."""
        return bool(self.copies) and (self.never_again or self.face is not None)


def to_forget_photos(store: Store, path: Path, *, never_again: bool) -> Forgetting:
    """Select all photos at a path. Raises `InputError` if there are none."""
    photos = photos_at(store, path)
    if not photos:
        raise InputError(f"{path}: no known photo at this path; nothing was forgotten")
    contents = _contents_read_now(store, photos) if never_again else {}
    twins = [
        (photo, os.fsdecode(where))
        for photo, where in store.catalog.photos.copies((photo.id for photo in photos), contents.values())
        if photo.status != "unwanted"
    ]
    return Forgetting(
        what=f"{path}: {counted(len(photos), 'photo')} with all faces in {'it' if len(photos) == 1 else 'them'}",
        photos=(*photos, *(photo for photo, _ in twins if never_again)),
        never_again=never_again,
        copies=tuple(name for _, name in twins),
        contents=contents,
    )


def _contents_read_now(store: Store, photos: Sequence[KnownPhoto]) -> dict[int, bytes]:
    """Return the contents, by id, of photos whose content the catalog does not know, such as ones over a limit.

    Photos that cannot be read now are omitted: only their path can be kept out of the index.
    """
    roots = {root.id: root for root in store.catalog.roots.all()}
    contents = {}
    for photo in photos:
        if store.catalog.photos.content_of(photo.id) is None and not photo.missing:
            digest = digest_of(path_in_root(roots[photo.root].path, photo.file.path))
            if digest is not None:
                contents[photo.id] = digest
    return contents


def to_forget_face(store: Store, face: int) -> Forgetting:
    """Select one face, in its photo and all identical copies. Raises `InputError` for an unknown id."""
    found = [os.fsdecode(path) for _, path in store.catalog.faces.copies(face)]
    if not found:
        raise InputError(f"face {face}: no face has this id", Hint.FACE_IDS, option="face")
    return Forgetting(what=f"face {face} in {found[0]}", face=face, copies=tuple(found[1:]))


def to_forget_root(store: Store, path: Path) -> Forgetting:
    """Select a root with its photos and faces. Raises `InputError` if there is none."""
    root = find_root(store, path)
    count = sum(1 for _ in store.catalog.photos.within(root.id))
    name = os.fsdecode(root.path)
    return Forgetting(what=f"{name}: the folder and {counted(count, 'photo')} in it, with all faces,", root=root)


def forget(store: Store, forgetting: Forgetting) -> None:
    """Remove what was selected, with faces and vectors; nothing of the vectors stays on the disk.

    Photos with `never_again` are remembered by their content, without faces, so that later runs skip them. A face comes
    back only if its photo changes.
    """
    catalog = store.catalog
    going = forgetting.photos if forgetting.root is None else tuple(catalog.photos.within(forgetting.root.id))
    deletions: list[Callable[[], object]] = []
    for photo in going:  # one after the other: the last copy of a photo takes what was said of it along
        deletions.append(partial(catalog.statements.forget_photo, photo.id))
        deletions.append(
            partial(catalog.photos.keep_out, photo.id, forgetting.contents.get(photo.id))
            if forgetting.never_again
            else partial(catalog.photos.delete, photo.id)
        )
    if forgetting.face is not None:
        deletions.append(partial(catalog.statements.forget_face, forgetting.face))
        deletions.append(partial(catalog.faces.delete, forgetting.face))
    if forgetting.root is not None:
        deletions.append(partial(catalog.roots.remove, forgetting.root.id))
    store.erase(deletions)


def photos_at(store: Store, path: Path) -> list[KnownPhoto]:
    """Return the known photos at a path: one file, or all in a folder, hidden ones too. The files need not exist."""
    found: dict[int, KnownPhoto] = {}
    for root, inner in Locations(store.catalog.roots.all()).places(absolute(path)):
        single = store.catalog.photos.at(root, inner) if inner else None
        for photo in [single] if single else store.catalog.photos.within(root, inner):
            found[photo.id] = photo
    return list(found.values())
