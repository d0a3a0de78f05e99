"""Group the faces of an index by person: after a run, and on request."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from facesearch.events import SILENT, CancelledError, Observer

if TYPE_CHECKING:
    from facesearch.api.opening import Stores
    from facesearch.index.store import Store
    from facesearch.people.regroup import Grouping

__all__ = ["group", "group_within"]

_LONG = 50_000
"""Faces. Grouping more of them takes long enough to say so."""


def group(
    stores: Stores, observer: Observer, *, again: bool, confirm: Callable[[Grouping], object] | None
) -> Grouping | None:
    """Group the faces of an index; see `People.group`."""
    with stores.writing() as store:
        if again and confirm is not None:
            preview = group_within(store, observer, again=True, dry_run=True)
            if preview is None:
                return None
            confirm(preview)
        return group_within(store, observer, again=again)


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
