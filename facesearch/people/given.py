"""Faces that the user gave by hand, and places where the user said that there is none: what follows from statements.

A statement is about a place in one content: all copies of the photo share it, and an edited photo has another content.
The last statement about a place counts. Photos are read with `corrections`; what is in the catalog already follows a
new statement at once, see `follow`. Only what has to be detected or embedded waits until the photo is read again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from facesearch.people.statements import Kind, undone_by
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


def places(catalog: Catalog) -> dict[bytes, list[Place]]:
    """Return what was said about the places in each content, and not undone."""
    said = catalog.given.said(ABOUT_PLACES)
    undone = undone_by(catalog.statements.all()) if said else {}
    found: dict[bytes, list[Place]] = {}
    for told in said:
        if told.statement not in undone:
            others = [place for place in found.get(told.content, []) if place.box.overlap(told.box) < SAME_FACE]
            found[told.content] = [*others, Place(told.box, told.kind == Kind.face)]
    return found


def corrections(catalog: Catalog) -> dict[bytes, Corrections]:
    """Return what a run has to know of what was said, by content."""
    known: dict[bytes, list[GivenFace]] = {}
    for content, box, landmarks in catalog.given.landmarks():
        known.setdefault(content, []).append(GivenFace(box, landmarks))
    found = {}
    for content, said in places(catalog).items():
        earlier = {face.box: face for face in known.get(content, [])}
        found[content] = Corrections(
            given=tuple(earlier.get(place.box, GivenFace(place.box)) for place in said if place.is_face),
            not_faces=tuple(place.box for place in said if not place.is_face),
        )
    return found


def follow(catalog: Catalog, before: dict[bytes, list[Place]]) -> None:
    """Change faces to what is said now, in the transaction in progress; `before` is what was said about places before.

    Faces that are none are deleted, in all copies, and so are given ones that are no longer given. Photos of which a
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
    gone = {one.face for one in faces if _covers(none, one.box) or (one.given and not _covers(given, one.box))}
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
