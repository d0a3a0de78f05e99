"""A gallery that switches to another model: a second one is filled beside it, and then takes its place.

Until then, queries go to the current gallery. An index is pushed to the one that has its model. What is deleted
from an index is deleted from both.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING

from facesearch.errors import GalleryError, Hint
from facesearch.galleries.address import Address
from facesearch.galleries.known import open_gallery
from facesearch.galleries.push import drop_gone

if TYPE_CHECKING:
    from facesearch.catalog.changes import Connected
    from facesearch.galleries.shared import SharedGallery
    from facesearch.index.store import Store

__all__ = ["left_behind", "open_all", "opened_for"]


@contextmanager
def opened_for(store: Store, known: Connected) -> Iterator[SharedGallery]:
    """Open the gallery that has the model of an index; what was deleted from the index goes from the other first.

    If neither has its model, that is the current one. Raises `GalleryError`, and `ConflictError` if another copy of the
    index was pushed last.
    """
    with open_all(Address.of(known.address)) as galleries:
        chosen = next((one for one in galleries if one.model.identity == store.model.identity), galleries[0])
        for other in galleries:
            if other is not chosen:
                drop_gone(store, other, known)
        yield chosen


@contextmanager
def open_all(address: Address) -> Iterator[list[SharedGallery]]:
    """Open a gallery, and the one beside it if there is one. Raises `GalleryError`."""
    with ExitStack() as stack:
        galleries = [stack.enter_context(closing(open_gallery(address)))]
        try:
            galleries.append(stack.enter_context(closing(open_gallery(address, beside=True))))
        except GalleryError as error:
            if error.hint is not Hint.GALLERY_INIT:
                raise
        yield galleries


def left_behind(current: SharedGallery, beside: SharedGallery) -> list[str]:
    """Return the names of the indexes that queries would not find any more after a switch."""
    there = {index.uuid for index in beside.indexes() if index.pushed_at is not None}
    return [index.name for index in current.indexes() if index.uuid not in there and index.faces]
