"""Faces that are there because the user said so, and places where there is none: what follows from statements.

A statement is about a place in one content: all copies of the photo share it, and an edited photo has another content.
The last statement about a place counts. Photos are read with `corrections`; what is in the catalog already follows a
new statement at once, see `follow`. Only what has to be detected or embedded waits until the photo is read again.

A face of which the user said whom it shows, or does not show, stays as well, if another model misses it. Once that was
undone, it stays until the photo is read again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from facesearch.people.statements import ABOUT_FACES, Kind, undone_by
from facesearch.types import SAME_FACE, Box, Corrections, GivenFace

if TYPE_CHECKING:
    from collections.abc import Iterable

    from facesearch.catalog.catalog import Catalog

__all__ = ["ABOUT_PLACES", "Place", "changes_faces", "corrections", "follow", "places"]

ABOUT_PLACES = (Kind.face, Kind.no_face)
"""The kinds of statements about whether there is a face in a place. Faces and vectors follow from them."""


class Place(NamedTuple):
    """A place in a content of which the user said whether there is a face."""

    box: Box
    is_face: bool


def places(catalog: Catalog, content: bytes | None = None) -> dict[bytes, list[Place]]:
    """Return what was said about the places in each content, or in one, and not undone."""
    said = catalog.given.said(ABOUT_PLACES, content)
    undone = undone_by(catalog.statements.all()) if said else {}
    found: dict[bytes, list[Place]] = {}
    for told in said:
        if told.statement not in undone:
            others = [place for place in found.get(told.content, []) if place.box.overlap(told.box) < SAME_FACE]
            found[told.content] = [*others, Place(told.box, told.kind == Kind.face)]
    return found


def corrections(catalog: Catalog, content: bytes | None = None) -> dict[bytes, Corrections]:
    """Return what a run has to know of what was said, by content: of all contents, or of one."""
    spoken = catalog.given.spoken_of(ABOUT_FACES, content)
    undone = undone_by(catalog.statements.all()) if spoken else {}
    known: dict[bytes, dict[Box, GivenFace]] = {}
    for face in spoken:
        if face.statement not in undone:
            known.setdefault(face.content, {})[face.box] = GivenFace(face.box, face.landmarks)
    drawn: dict[bytes, dict[Box, GivenFace]] = {}
    said = places(catalog, content)
    for where, box, landmarks in catalog.given.landmarks() if said else ():
        drawn.setdefault(where, {})[box] = GivenFace(box, landmarks)
    found = {}
    for where in {**said, **known}:
        earlier, boxes = drawn.get(where, {}), [place.box for place in said.get(where, [])]
        found[where] = Corrections(
            given=tuple(earlier.get(box, GivenFace(box)) for box, is_face in said.get(where, []) if is_face),
            not_faces=tuple(box for box, is_face in said.get(where, []) if not is_face),
            kept=tuple(face for box, face in known.get(where, {}).items() if not _covers(boxes, box)),
        )
    return found


def follow(catalog: Catalog, before: dict[bytes, list[Place]]) -> None:
    """Change faces to what is said now, in the transaction in progress; `before` is what was said about places before.

    Faces that are none are deleted, in all copies, and so are drawn ones that are taken back. Photos of which a
    face may come back are read again by the next run. The caller needs the lock of the writer.
    """
    after = places(catalog)
    for content in sorted({*before, *after}):
        if before.get(content) != after.get(content):
            _follow_in(catalog, content, before.get(content, []), after.get(content, []))


def changes_faces(catalog: Catalog, action: int) -> bool:
    """Whether faces follow when an action is undone: it is about places, or undoes an action that is."""
    statements = catalog.statements.all()
    by_action: dict[int, list[tuple[str, int | None]]] = {}
    action_of = {row.id: row.batch or row.id for row in statements}
    for row in statements:
        by_action.setdefault(action_of[row.id], []).append((row.kind, row.undoes))
    left = [action_of.get(action, action)]
    while left:
        for kind, undoes in by_action.pop(left.pop(), []):
            if kind in ABOUT_PLACES:
                return True
            if undoes is not None:
                left.append(action_of.get(undoes, undoes))
    return False


def _follow_in(catalog: Catalog, content: bytes, before: list[Place], after: list[Place]) -> None:
    given = [place.box for place in after if place.is_face]
    none = [place.box for place in after if not place.is_face]
    faces = catalog.given.faces_in(content)
    taken_back = [place.box for place in before if place.is_face and not _covers(given, place.box)]
    gone = {one.face for one in faces if _covers(none, one.box) or (one.given and _covers(taken_back, one.box))}
    catalog.given.remove(sorted(gone))
    catalog.staging.drop([content])
    left: dict[int, list[Box]] = {photo: [] for photo in catalog.given.photos_of(content)}
    for one in faces:
        if one.face not in gone and one.photo in left:
            left[one.photo].append(one.box)
    missing = any(not _covers(boxes, box) for boxes in left.values() for box in given)
    free_again = any(not _covers(none, place.box) for place in before if not place.is_face)
    catalog.given.count_again(content)
    if missing or free_again:
        catalog.given.read_again(content)


def _covers(boxes: Iterable[Box], box: Box) -> bool:
    return any(box.overlap(other) >= SAME_FACE for other in boxes)
