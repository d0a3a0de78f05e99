"""What `Index.people` does that changes faces: faces given by hand, faces that are none, and taking that back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from facesearch.arguments import AnyPath, require_whole_number, text_of_path
from facesearch.errors import Hint
from facesearch.wording import counted

if TYPE_CHECKING:
    from facesearch.api.opening import Models, Stores
    from facesearch.events import Observer
    from facesearch.people.tagging import TaggedFace

__all__ = ["not_a_face", "tag", "undo"]


def tag(stores: Stores, models: Models, photo: AnyPath, box: Sequence[float], name: str | None) -> TaggedFace:
    """Give a face by hand; see `People.tag`."""
    from facesearch.people.tagging import tag as tagged

    path = text_of_path("photo", photo)
    with stores.writing() as store:
        return tagged(store, lambda: models.open_for(store, few=True, at_once=False), path, box, name=name)


def not_a_face(stores: Stores, face: int) -> int:
    """Say that this is not a face; see `People.not_a_face`."""
    from facesearch.people.tagging import not_a_face as said

    require_whole_number("face", face, 1)
    with stores.writing() as store:
        return said(store, face)


def undo(stores: Stores, observer: Observer, action: int | None) -> int:
    """Take back an action; see `People.undo`. Only what changes faces needs the lock of the writer."""
    from facesearch.people.given import changes_faces
    from facesearch.people.history import last_to_undo
    from facesearch.people.saying import undo as undone

    with stores.telling() as catalog:
        action = last_to_undo(catalog) if action is None else action
        if not changes_faces(catalog, action):
            return undone(catalog, action)
    with stores.writing() as store:
        before = store.catalog.photos.count_outdated()
        with store.transaction():
            undoing = undone(store.catalog, action)
        left = store.catalog.photos.count_outdated() - before
        store.finish()
    if left > 0:
        observer.note(f"to bring a face back, {counted(left, 'photo')} must be read again; {Hint.REFRESH}")
    return undoing
