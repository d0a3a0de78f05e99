"""Care of an index: is it sound, mend it, forget photos for good, move roots, hand everything out."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from facesearch.catalog.audit import audit, mend
from facesearch.catalog.catalog import Catalog, KnownPhoto, Root
from facesearch.errors import Hint, IndexDamagedError, InputError, ModelError, UsageError
from facesearch.index.store import Store
from facesearch.locations import Locations, absolute, resolved
from facesearch.models.resolve import EMBEDDED, model_info
from facesearch.photos.known import digest_of, is_known
from facesearch.types import FaceRecord
from facesearch.wording import are, counted

if TYPE_CHECKING:
    from facesearch.types import FloatArray, KnownFile, ModelInfo

__all__ = [
    "Forgetting",
    "Health",
    "check",
    "every_face",
    "find_root",
    "forget",
    "move_root",
    "photos_at",
    "to_forget_face",
    "to_forget_photos",
    "to_forget_root",
]


_SAMPLED, _SAMPLED_CONTENTS = 50, 5


@dataclass(slots=True)
class Health:
    """What a check found. `faults` make the index unsound; `notes` are worth knowing and harm nothing.

    `mendable` tells that `check` with `repair` would mend all of them; `done` is what it did, one line each.
    """

    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    mendable: bool = True
    done: list[str] = field(default_factory=list)


def check(path: Path, *, repair: bool = False, wait: float = 0.0) -> Health:
    """Look at everything: the database, every row, every vector, the vector file, and whether the photos are there.

    With `repair` what can be mended is mended from what is there: first the catalog, then what is derived from it.
    Raises `IndexNotFoundError`, `LockedError` (to repair), and `IndexDamagedError` where nothing can be read.
    """
    health = Health()
    with Store.open_catalog(path, write=repair, wait=wait) as catalog:
        found = audit(catalog)
        if found.faults and repair:
            try:
                health.done += mend(catalog, found, _model_named_by(catalog))
            except IndexDamagedError as error:
                health.done.append(str(error))
            found = audit(catalog)
        health.faults += found.faults
        health.mendable = not found.beyond_repair
    if health.faults:
        return health
    with Store.open(path, write=repair, wait=wait, prepare=False) as store:
        _check_vectors(store, health, repair=repair, made_again=bool(health.done))
        _check_looks(store, health, repair=repair)
        _look_for_photos(store, health)
        _check_model(store, health, repair=repair)
    return health


def _check_model(store: Store, health: Health, *, repair: bool) -> None:
    """Whether the model of the index is here. Raises `ModelMismatchError` where another has its name."""
    try:
        store.require_model(model_info(store.model.source or store.model.name))
    except ModelError as error:
        embedded = model_info(EMBEDDED)
        if store.model.identity != embedded.identity:
            health.notes.append(f"its model is missing: {error}")
        elif repair:
            store.take_model(embedded)
            health.done.append(f"the index names its model {EMBEDDED} again")
        else:
            named = store.model.source or store.model.name
            health.faults.append(f"the model's record names {named!r:.60}; its weights are those of {EMBEDDED}")


def _model_named_by(catalog: Catalog) -> ModelInfo | None:
    """The model on this machine that has the name that the catalog gives; the embedded one where none has it."""
    rows = catalog.ask("SELECT name FROM models ORDER BY id LIMIT 1")
    try:
        return model_info(str(rows[0][0])) if rows else None
    except (ModelError, ValueError):  # ValueError: a NUL in what should be a name
        return model_info(EMBEDDED)


def _check_vectors(store: Store, health: Health, *, repair: bool, made_again: bool) -> None:
    """Every vector, and the file that is derived from them."""
    bad = store.catalog.bad_vectors(store.model.dim)
    if bad and not repair:
        health.faults.append(f"{are(len(bad), 'vector')} not of unit length")
        return
    if bad:
        with store.transaction():
            store.catalog.read_again(bad)
        health.done.append(f"dropped {counted(len(bad), 'vector')}; the next refresh reads their photos again")
    missing = not store.has_vector_file()
    fault = None if missing else store.vector_file_fault()
    if repair and (bad or missing or fault or made_again):
        store.vacuum()
        health.done.append("the vector file was made again from the catalog")
    elif missing:
        health.notes.append("the vector file is missing; the next question or refresh makes it")
    elif fault:
        health.faults.append(fault)


def _check_looks(store: Store, health: Health, *, repair: bool) -> None:
    """What a model that is to take over has seen."""
    bad = store.catalog.bad_looks()
    if not bad:
        return
    if not repair:
        health.faults.append(f"{are(len(bad), 'photo')} not kept as the next model can have seen {_them(bad)}")
        return
    with store.transaction():
        store.catalog.look_again(bad)
    health.done.append(f"{counted(len(bad), 'photo')} will be looked at again by the next model")


def _look_for_photos(store: Store, health: Health) -> None:
    names: dict[bytes, str] = {}
    for root in store.catalog.roots():
        name = os.fsdecode(root.path)
        first = names.setdefault(resolved(root.path), name)
        if first != name:  # as an earlier version let them be
            health.notes.append(
                f"{name} is the same folder as {first}, so its photos are found twice; {Hint.REMOVE_FOLDER}"
            )
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
            health.notes.append(f"{are(gone, 'photo')} no longer in {name}; the next refresh hides what has gone")
        for reason, number in sorted(unseen.items()):
            health.notes.append(
                f"{counted(number, 'photo')} in {name} cannot be looked at ({reason}); nothing is hidden"
            )


def find_root(store: Store, path: Path) -> Root:
    """The root at a path. Raises `InputError` naming those that there are."""
    roots = {root.id: root for root in store.catalog.roots()}
    wanted = absolute(path)
    found = Locations(roots.values()).at(wanted)
    if found is not None:
        return roots[found]
    known = ", ".join(os.fsdecode(root.path) for root in roots.values()) or "none"
    raise InputError(f"{os.fsdecode(wanted)}: not a root of this index (roots: {known})")


def move_root(store: Store, old: Path, new: Path, *, anyway: bool = False) -> None:
    """The library at `old` is at `new` from now on: photos, faces, names and ids stay.

    A sample of its photos has to be there, unless it is to be moved `anyway`, to a disk that is not mounted now. Raises
    `InputError` when `old` is no root, `new` is missing or holds other photos, `UsageError` when `new` overlaps another
    root.
    """
    root = find_root(store, old)
    target = absolute(new)
    if not os.path.exists(target):
        raise InputError(f"{os.fsdecode(target)}: no such file or folder; check the path")
    others = {other.id: other for other in store.catalog.roots() if other.id != root.id}
    locations = Locations(others.values())
    for place in locations.places(target):
        raise UsageError(
            f"{os.fsdecode(target)} overlaps the root {os.fsdecode(others[place.root].path)}; roots do not nest"
        )
    is_single = store.catalog.photo_at(root.id, b"") is not None
    if is_single == os.path.isdir(target):
        was, now = ("a photo", "a folder") if is_single else ("a folder", "a photo")
        raise InputError(f"{os.fsdecode(target)}: {now}, and {os.fsdecode(root.path)} was {was}; check the path")
    if not anyway:
        _require_photos(store, root, target)
    with store.transaction():
        store.catalog.move_root(root.id, target)


def _require_photos(store: Store, root: Root, target: bytes) -> None:
    """Raises `InputError` where most of a sample of the root's photos are not at `target`, by size and content."""
    sample = [
        replace(file, path=os.path.join(target, file.path) if file.path else target)
        for file in store.catalog.sample_files(root.id, _SAMPLED)
    ]
    there = [file for file in sample if _has_size(file)]
    smallest = sorted(there, key=lambda file: file.size)[:_SAMPLED_CONTENTS]
    others = sum(not is_known(file) for file in smallest)
    if 2 * len(there) >= len(sample) and 2 * others <= len(smallest):
        return
    raise InputError(
        f"{os.fsdecode(target)}: holds {len(there) - others:,} of {len(sample):,} known photos of "
        f"{os.fsdecode(root.path)} (looked for {os.fsdecode(sample[0].path)}, ...)",
        Hint.ANYWAY,
    )


def _has_size(file: KnownFile) -> bool:
    try:
        return os.path.getsize(file.path) == file.size
    except OSError:
        return False


def photos_at(store: Store, path: Path) -> list[KnownPhoto]:
    """The known photos at a path: one file, or all in a folder. Hidden ones count; the files need not be there."""
    found: dict[int, KnownPhoto] = {}
    for root, inner in Locations(store.catalog.roots()).places(absolute(path)):
        single = store.catalog.photo_at(root, inner) if inner else None
        for photo in [single] if single else store.catalog.photos(root, inner):
            found[photo.id] = photo
    return list(found.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgetting:
    """What is about to be removed for good: photos, one face, or a root with all that is in it.

    `what` names it. `copies` are the paths of identical copies: of photos that are never to be seen again, and
    of the photo of a face, they go too; else they stay, and are found as before. `contents` are those of photos
    of which the catalog does not know them, by their ids.
    """

    what: str
    photos: tuple[KnownPhoto, ...] = ()
    face: int | None = None
    root: Root | None = None
    never_again: bool = False
    copies: tuple[str, ...] = ()
    contents: Mapping[int, bytes] = field(default_factory=dict)

    @property
    def takes_copies(self) -> bool:
        """Whether the copies go too."""
        return bool(self.copies) and (self.never_again or self.face is not None)


def to_forget_photos(store: Store, path: Path, *, never_again: bool) -> Forgetting:
    """All photos at a path. Raises `InputError` where there are none."""
    photos = photos_at(store, path)
    if not photos:
        raise InputError(f"{path}: no known photo is there; nothing was forgotten")
    contents = _contents_read_now(store, photos) if never_again else {}
    twins = [
        (photo, os.fsdecode(where))
        for photo, where in store.catalog.copies((photo.id for photo in photos), contents.values())
        if photo.status != "unwanted"
    ]
    return Forgetting(
        what=f"{path}: {counted(len(photos), 'photo')} with all faces in {_them(photos)}",
        photos=(*photos, *(photo for photo, _ in twins if never_again)),
        never_again=never_again,
        copies=tuple(name for _, name in twins),
        contents=contents,
    )


def _contents_read_now(store: Store, photos: Sequence[KnownPhoto]) -> dict[int, bytes]:
    """The content of photos that the catalog does not know it of, such as ones over a limit; by their ids.

    What cannot be read now is left out: of that only the path can be kept out.
    """
    roots = {root.id: root for root in store.catalog.roots()}
    contents = {}
    for photo in photos:
        if store.catalog.content_of(photo.id) is None and not photo.missing:
            digest = digest_of(_path(roots[photo.root], photo))
            if digest is not None:
                contents[photo.id] = digest
    return contents


def to_forget_face(store: Store, face: int) -> Forgetting:
    """One face, in its photo and all identical copies. Raises `InputError` for an unknown id."""
    found = [os.fsdecode(path) for _, path in store.catalog.copies_of_face(face)]
    if not found:
        raise InputError(f"face {face}: no face has this id", Hint.FACE_IDS)
    return Forgetting(what=f"face {face} in {found[0]}", face=face, copies=tuple(found[1:]))


def to_forget_root(store: Store, path: Path) -> Forgetting:
    """A root with its photos and faces. Raises `InputError` where there is none."""
    root = find_root(store, path)
    count = sum(1 for _ in store.catalog.photos(root.id))
    name = os.fsdecode(root.path)
    return Forgetting(what=f"{name}: the folder and {counted(count, 'photo')} in it, with all faces,", root=root)


def forget(store: Store, forgetting: Forgetting) -> None:
    """Remove it, with faces and vectors; nothing of the vectors stays on the disk.

    What is never to be seen again is remembered by its content, without faces, so that later runs leave it out. A face
    comes back only when its photo changes.
    """
    catalog = store.catalog
    deletions: list[Callable[[], object]] = [
        partial(catalog.keep_out, photo.id, forgetting.contents.get(photo.id))
        if forgetting.never_again
        else partial(catalog.delete_photo, photo.id)
        for photo in forgetting.photos
    ]
    if forgetting.face is not None:
        deletions.append(partial(catalog.delete_face, forgetting.face))
    if forgetting.root is not None:
        deletions += [partial(catalog.delete_photo, photo.id) for photo in catalog.photos(forgetting.root.id)]
        deletions.append(partial(catalog.remove_root, forgetting.root.id))
    store.erase(deletions)


def every_face(store: Store) -> Iterator[tuple[FaceRecord, FloatArray]]:
    """Each face that can be found, with its vector, float32[dim]."""
    batch: list[FaceRecord] = []
    for row in store.catalog.all_faces():
        batch.append(row)
        if len(batch) == 500:
            yield from _with_vectors(store, batch)
            batch = []
    yield from _with_vectors(store, batch)


def _with_vectors(store: Store, rows: list[FaceRecord]) -> Iterator[tuple[FaceRecord, FloatArray]]:
    yield from zip(rows, store.catalog.vectors([row.vector_id for row in rows], store.model.dim), strict=True)


def _them(some: Sequence[object]) -> str:
    return "it" if len(some) == 1 else "them"


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
