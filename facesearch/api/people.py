"""`Index.people`: the people of an index."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from facesearch.events import SILENT, CancelledError, Observer

if TYPE_CHECKING:
    from facesearch.index.store import Store
    from facesearch.people.regroup import Grouping

__all__ = ["People", "PersonSummary", "group_within"]

_LONG = 50_000
"""Faces. Grouping more of them takes long enough to say so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonSummary:
    """A person of an index: its number, its faces and photos, and the first and last day of these photos."""

    number: int
    faces: int
    photos: int
    first: str
    last: str


class People:
    """The people of an index: groups of faces that show one person. A number stands for the same person for good.

    Methods raise what those of `Index` raise.
    """

    def __init__(
        self,
        reading: Callable[..., Store],
        writing: Callable[[], AbstractContextManager[Store]],
        observer: Observer,
    ) -> None:
        self._reading = reading
        self._writing = writing
        self._observer = observer

    def list(self) -> list[PersonSummary]:
        """Return all people who have a photo that can be found, those with the most photos first."""
        return [
            PersonSummary(number=number, faces=faces, photos=photos, first=first, last=last)
            for number, faces, photos, first, last in self._reading().catalog.people.summary()
        ]

    def group(
        self,
        *,
        again: bool = False,
        confirm: Callable[[Grouping], object] | None = None,
        observer: Observer | None = None,
    ) -> Grouping | None:
        """Group new faces by person; with `again` group all faces from scratch.

        Faces that the user has placed stay where they are. With `again`, `confirm` is called with what would change.
        Returns None if the observer cancelled; then nothing is changed.
        """
        told = self._observer if observer is None else observer
        with self._writing() as store:
            if again and confirm is not None:
                preview = group_within(store, told, again=True, dry_run=True)
                if preview is None:
                    return None
                confirm(preview)
            return group_within(store, told, again=again)

    def preview(self, *, again: bool = False, observer: Observer | None = None) -> Grouping | None:
        """Return what `group` would change; nothing is written. None if the observer cancelled."""
        told = self._observer if observer is None else observer
        return group_within(self._reading(keep=False), told, again=again, dry_run=True)


def group_within(
    store: Store, observer: Observer = SILENT, *, again: bool = False, dry_run: bool = False
) -> Grouping | None:
    """Group the faces of a store; None if the observer cancelled. See `facesearch.people.regroup`."""
    from facesearch.people.regroup import is_up_to_date, regroup

    if (again or not is_up_to_date(store)) and (faces := store.catalog.vectors.count()) > _LONG:
        observer.note(f"grouping {faces:,} faces by person")
    try:
        done = regroup(store, again=again, dry_run=dry_run, check=observer.check)
    except CancelledError:
        return None
    observer.lap("group faces by person")
    return done
