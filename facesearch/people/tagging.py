"""Give a face by hand that the detector missed, or say that what it found is not a face."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from facesearch.catalog.records import path_in_root
from facesearch.errors import Hint, InputError, PhotoError, UsageError
from facesearch.faces.extract import embed_given
from facesearch.faces.given import tight_box
from facesearch.locations import Locations, absolute
from facesearch.people.acts import calling, person_or_new
from facesearch.people.names import checked_name, number_in
from facesearch.people.saying import Statement, say, say_all
from facesearch.people.statements import Kind
from facesearch.photos.known import read_known
from facesearch.photos.sources import open_source
from facesearch.settings import DEFAULT_MAX_PIXELS
from facesearch.types import SAME_FACE, Box, GivenFace, KnownFile

if TYPE_CHECKING:
    from facesearch.catalog.catalog import Catalog
    from facesearch.catalog.given import FaceAt
    from facesearch.index.store import Store
    from facesearch.models.protocol import FaceModel
    from facesearch.photos.picture import Photo
    from facesearch.types import Face

__all__ = ["TaggedFace", "not_a_face", "tag"]

_LEAST_SIDE = 8
"""Pixels: the shorter side of a box. Detectors find faces from 20 pixels on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaggedFace:
    """A face that was given by hand: its id, and the number of the action, with which it can be taken back.

    `person` is the number of the person whom it was said to show. `known` is set if the face was in the index already.
    `box` is in pixels of the upright photo: that of the face inside the given box, if a closer look finds one.
    `quality` is 0 if none was found: then the face is found through its person only.
    """

    face: int
    action: int
    person: int | None
    known: bool
    box: Box
    quality: float | None


def tag(
    store: Store, open_model: Callable[[], FaceModel], path: str, sides: Sequence[float], *, name: str | None = None
) -> TaggedFace:
    """Add the face in a box, as left, top, width and height, to a photo and to all copies of it.

    With `name` the face is said to show that person, who may be new. A known face in the same place is only named. The
    model is opened if it is needed. Raises `UsageError` for a box that the photo cannot have, or for a known face
    without a name, `InputError` if the photo is not in the index, and `PhotoError` if it cannot be read.
    """
    if name is not None and number_in(name) is None:
        name = checked_name(name)
    known = _known_photo(store.catalog, path)
    if name is not None:
        person_or_new(store.catalog, str(store.path), name)  # before anything is read
    try:
        with open_source(read_known(known.file), max_pixels=known.pixels) as source:
            box = _checked_box(sides, source.cover.size)
            same, face = _face_at(store.catalog, known.id, box), None
            if same is None:
                face = _embedded(store.catalog, open_model(), source.cover, known, box)
                same = _face_at(store.catalog, known.id, face.detection.box)
    except PhotoError as error:
        raise type(error)(f"{path}: {error}", error.hint, **error.values) from error
    if same is not None:
        return _name_known(store, same, name, path)
    assert face is not None
    return _add(store, known, face, name)


def not_a_face(store: Store, face: int) -> int:
    """Say that this is not a face: it is deleted, in all copies of its photo, and not detected again.

    Returns the number of the action. Raises `InputError` if there is no such face, or if its photo is to be read again.
    """
    catalog = store.catalog
    copies = catalog.faces.copies(face)
    if not copies:
        raise InputError(f"face {face}: no such face in the index", Hint.FACE_IDS)
    with store.transaction():
        statement = say(catalog, Kind.no_face, faces=[face])
        if any(one.content is None for one in catalog.statements.faces_of(statement)):
            path = os.fsdecode(copies[0][1])
            raise InputError(f"face {face}: {path} has changed since it was read", Hint.LOOK_FOR_CHANGES)
    store.finish()
    return statement


class _KnownPhoto(NamedTuple):
    """A visible photo of the index: its id, its file, and a limit of pixels that it passes."""

    id: int
    file: KnownFile
    pixels: int


def _known_photo(catalog: Catalog, path: str) -> _KnownPhoto:
    roots = {root.id: root for root in catalog.roots.all()}
    for place, inner in Locations(roots.values()).places(absolute(path)):
        root = roots[place]
        known = catalog.photos.at(root.id, inner)
        if known is None or known.missing or known.ours or known.status == "unwanted":
            continue
        content = catalog.photos.content_of(known.id)
        if content is None or known.status == "failed":
            raise InputError(f"{path}: could not be read when it was indexed; check the file")
        facts = catalog.photos.facts_of(known.id)
        # It was read before, perhaps with a higher limit than usual.
        pixels = max(DEFAULT_MAX_PIXELS, facts.width * facts.height)
        return _KnownPhoto(known.id, KnownFile(path_in_root(root.path, inner), known.file.size, content), pixels)
    raise InputError(f"{path}: no photo of the index; check the path")


def _checked_box(sides: Sequence[float], size: tuple[int, int]) -> Box:
    """Return the box. Raises `UsageError` if it is none, too small, or not in a photo of this size."""
    width, height = size
    try:
        numbers = [float(side) for side in sides]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) != 4 or not all(map(math.isfinite, numbers)):
        raise UsageError(f"box {sides!s:.60}: give left, top, width and height in pixels", option="box")
    box, told = Box(*numbers), ",".join(f"{number:g}" for number in numbers)
    if box.shorter < _LEAST_SIDE:
        raise UsageError(
            f"box {told}: too small to show a face; give at least {_LEAST_SIDE} x {_LEAST_SIDE} pixels of the photo, "
            f"which has {width} x {height}",
            option="box",
        )
    if box.left < 0 or box.top < 0 or box.left + box.width > width or box.top + box.height > height:
        raise UsageError(f"box {told}: not inside the photo, which has {width} x {height} pixels", option="box")
    return box


def _face_at(catalog: Catalog, photo: int, box: Box) -> FaceAt | None:
    """Return the known face in a place of a photo; None if there is none."""
    found = max(catalog.given.faces_of(photo), key=lambda one: one.box.overlap(box), default=None)
    return found if found is not None and found.box.overlap(box) >= SAME_FACE else None


def _embedded(catalog: Catalog, model: FaceModel, photo: Photo, known: _KnownPhoto, box: Box) -> Face:
    """Embed the face in a box, as a run does that reads the photo again."""
    tight = tight_box(model, photo, box)
    if any(tight.overlap(place) >= SAME_FACE for place in catalog.faces.forgotten_in(known.id)):
        raise InputError(f"{os.fsdecode(known.file.path)}: the face in this place was forgotten for good")
    return embed_given(model, photo, GivenFace(tight))


def _name_known(store: Store, known: FaceAt, name: str | None, path: str) -> TaggedFace:
    if name is None:
        raise UsageError(f"{path}: face {known.face} is known in this place already; give a name to say whose it is")
    with store.transaction():
        person, statements = calling(store.catalog, str(store.path), [known.face], name)
        action = say_all(store.catalog, statements)
    return TaggedFace(face=known.face, action=action, person=person, known=True, box=known.box, quality=known.quality)


def _add(store: Store, known: _KnownPhoto, face: Face, name: str | None) -> TaggedFace:
    """Add a face to all photos of a content, and say what was said of it, in one action."""
    catalog, content = store.catalog, known.file.content or b""
    with store.transaction():
        added = {photo: catalog.faces.add(photo, face) for photo in catalog.given.photos_of(content)}
        own = added[known.id]
        person, naming = (None, []) if name is None else calling(catalog, str(store.path), [own], name)
        action = say_all(catalog, [Statement(Kind.face, [own], person), *naming])
    store.finish()
    return TaggedFace(face=own, action=action, person=person, known=False, box=face.detection.box, quality=face.quality)
