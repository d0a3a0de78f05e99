"""Care of an index: is it sound, mend it, forget photos for good, move roots, hand everything out."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from facesearch.errors import InputError, UsageError
from facesearch.store.catalog import FaceRow, KnownPhoto, Root
from facesearch.store.store import Store
from facesearch.wording import are, counted

if TYPE_CHECKING:
    from facesearch.types import FloatArray

__all__ = [
    "Health",
    "check",
    "every_face",
    "find_root",
    "forget_face",
    "forget_photos",
    "move_root",
    "no_such_face",
    "photos_at",
    "remove_root",
    "repair",
]


@dataclass(slots=True)
class Health:
    """What a check found. `faults` make the index unsound; `notes` are worth knowing and harm nothing.

    `bad_vectors` and `bad_file` are what `repair` can mend.
    """

    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    bad_vectors: list[int] = field(default_factory=list)
    bad_file: bool = False


def check(store: Store) -> Health:
    """Look at everything: the database, every vector, the vector file, and whether the photos are still there."""
    health = Health()
    health.faults += store.catalog.faults()
    if health.faults:
        return health
    health.bad_vectors = store.catalog.bad_vectors(store.model.dim)
    if health.bad_vectors:
        health.faults.append(f"{are(len(health.bad_vectors), 'vector')} not of unit length")
        return health
    health.bad_file = not store.has_vector_file()
    if health.bad_file:
        health.notes.append("there is no vector file; the next question or `facesearch index` makes it")
    else:
        fault = store.vector_file_fault()
        if fault:
            health.bad_file = True
            health.faults.append(fault)
    for root in store.catalog.roots():
        name = os.fsdecode(root.path)
        trouble = _why_not_seen(root.path)
        if trouble is not None:
            health.notes.append(f"{name} cannot be looked at ({trouble})" if trouble else f"{name} is not there now")
            continue
        gone, unseen = 0, Counter[str]()
        for photo in store.catalog.photos(root.id):
            if not photo.missing:
                trouble = _why_not_seen(_path(root, photo))
                gone += trouble == ""
                unseen.update([trouble] if trouble else [])
        if gone:
            health.notes.append(
                f"{are(gone, 'photo')} no longer in {name}; the next `facesearch index` hides what has gone"
            )
        for reason, number in sorted(unseen.items()):
            health.notes.append(
                f"{counted(number, 'photo')} in {name} cannot be looked at ({reason}); nothing is hidden"
            )
    return health


def repair(store: Store, health: Health) -> list[str]:
    """Mend what can be mended from what is there; says what was done, one line each.

    A vector that cannot be used is dropped and its photo read anew by the next run. A database that SQLite finds
    damaged cannot be mended from itself.
    """
    done = []
    if health.bad_vectors:
        store.catalog.begin()
        store.catalog.read_again(health.bad_vectors)
        store.commit(vectors_changed=True)
        done.append(
            f"dropped {counted(len(health.bad_vectors), 'vector')}; run `facesearch index` to read the photos again"
        )
    if health.bad_file or health.bad_vectors:
        store.vacuum()
        done.append("the vector file was made anew from the catalog")
    return done


def find_root(store: Store, path: Path) -> Root:
    """The root at a path. Raises `InputError` naming those that there are."""
    wanted = os.path.abspath(os.fsencode(path))
    for root in store.catalog.roots():
        if root.path == wanted:
            return root
    known = ", ".join(os.fsdecode(root.path) for root in store.catalog.roots()) or "none"
    raise InputError(f"{os.fsdecode(wanted)}: not a root of this index (roots: {known})")


def move_root(store: Store, old: Path, new: Path) -> None:
    """The library at `old` is at `new` from now on: photos, faces, names and ids stay.

    Raises `InputError` when `old` is no root or `new` is not there, `UsageError` when `new` overlaps another root.
    """
    root = find_root(store, old)
    target = os.path.abspath(os.fsencode(new))
    if not os.path.exists(target):
        raise InputError(f"{os.fsdecode(target)}: no such file or folder; check the path")
    for other in store.catalog.roots():
        inside = target.startswith(os.path.join(other.path, b"")) or other.path.startswith(os.path.join(target, b""))
        if other.id != root.id and (inside or other.path == target):
            raise UsageError(f"{os.fsdecode(target)} overlaps the root {os.fsdecode(other.path)}; roots do not nest")
    store.catalog.begin()
    store.catalog.move_root(root.id, target)
    store.commit(vectors_changed=False)


def remove_root(store: Store, root: Root) -> None:
    """Remove a root with its photos, faces and vectors for good."""
    photos = [photo.id for photo in store.catalog.photos(root.id)]
    store.erase(
        [
            *(partial(store.catalog.delete_photo, photo) for photo in photos),
            partial(store.catalog.remove_root, root.id),
        ]
    )


def photos_at(store: Store, path: Path) -> list[KnownPhoto]:
    """The known photos at a path: one file, or all in a folder. Hidden ones count; the files need not be there."""
    wanted = os.path.abspath(os.fsencode(path))
    for root in store.catalog.roots():
        if wanted == root.path:
            return list(store.catalog.photos(root.id))
        if wanted.startswith(os.path.join(root.path, b"")):
            within = os.path.relpath(wanted, root.path)
            single = store.catalog.photo_at(root.id, within)
            return [single] if single else list(store.catalog.photos(root.id, within))
    return []


def forget_photos(store: Store, photos: Sequence[KnownPhoto], *, never_again: bool) -> None:
    """Remove photos with their faces and vectors for good; nothing of the vectors stays on the disk.

    With `never_again` their content is remembered, without faces, so that later runs leave it out.
    """
    forget = store.catalog.keep_out if never_again else store.catalog.delete_photo
    store.erase([partial(forget, photo.id) for photo in photos])


def forget_face(store: Store, face: int) -> None:
    """Remove one face for good; it comes back only when its photo changes. Raises `InputError` for an unknown id."""

    def forget() -> None:
        if not store.catalog.delete_face(face):
            raise InputError(no_such_face(face))

    store.erase([forget])


def no_such_face(face: int) -> str:
    """What is said of an unknown id."""
    return f"--face {face}: no face has this id; `facesearch query --format jsonl` shows face_id"


def every_face(store: Store) -> Iterator[tuple[FaceRow, FloatArray]]:
    """Each face that can be found, with its vector, float32[dim]."""
    batch: list[FaceRow] = []
    for row in store.catalog.all_faces():
        batch.append(row)
        if len(batch) == 500:
            yield from _with_vectors(store, batch)
            batch = []
    yield from _with_vectors(store, batch)


def _with_vectors(store: Store, rows: list[FaceRow]) -> Iterator[tuple[FaceRow, FloatArray]]:
    yield from zip(rows, store.catalog.vectors([row.vector_id for row in rows], store.model.dim), strict=True)


def _why_not_seen(path: bytes) -> str | None:
    """None for a file that is there, an empty text for one that has gone, else why nobody can say."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return ""
    except OSError as error:
        return error.strerror or type(error).__name__
    return None


def _path(root: Root, photo: KnownPhoto) -> bytes:
    return os.path.join(root.path, photo.file.path) if photo.file.path else root.path
