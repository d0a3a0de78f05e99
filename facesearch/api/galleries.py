"""`Index.galleries`: the shared galleries that an index is pushed to."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from facesearch.api.gallery import require_name
from facesearch.errors import GalleryError, Hint, InputError, UsageError
from facesearch.events import CancelledError, Observer

if TYPE_CHECKING:
    from facesearch.catalog.changes import Connected
    from facesearch.galleries.address import Address
    from facesearch.galleries.push import Difference, Pushed
    from facesearch.galleries.shared import SharedGallery
    from facesearch.index.store import Store

__all__ = ["ConnectedGallery", "Galleries", "pay_debts", "push_after_run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectedGallery:
    """A gallery that an index is pushed to.

    `known_as` is the name of the index there; `pending` faces changed since the last push. With `after_runs` each
    indexing run ends with a push.
    """

    name: str
    address: str
    known_as: str
    pending: int
    after_runs: bool


class Galleries:
    """The shared galleries that an index is pushed to.

    Methods raise what those of `Index` raise, and `GalleryError` if a server cannot be reached or refuses.
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

    def list(self) -> list[ConnectedGallery]:
        """Return the connected galleries."""
        from facesearch.galleries.push import pending

        store = self._reading(keep=False)
        return [
            ConnectedGallery(
                name=known.name, address=known.address, known_as=known.known_as, pending=pending(store, known),
                after_runs=known.after_runs,
            )
            for known in store.catalog.changes.galleries()
        ]  # fmt: skip

    def connect(
        self,
        address: str,
        *,
        name: str = "gallery",
        known_as: str | None = None,
        after_runs: bool | None = None,
        tenant: str | None = None,
    ) -> None:
        """Connect a gallery under a name; from now on, changes are listed for it. The gallery need not exist yet.

        `known_as` is the name of this index there, by default that of the machine. With `after_runs` each indexing run
        ends with a push. `tenant` is whom the index belongs to, in the SQL of services whose users share one role;
        "" is nobody. The next push sends it.

        Raises `UsageError` if this index was pushed to another gallery under that name.
        """
        from facesearch.galleries.address import Address
        from facesearch.galleries.known import remember

        where = Address.of(address)
        for text in (name, *([] if known_as is None else [known_as]), *([tenant] if tenant else [])):
            require_name(text)
        with self._writing() as store:
            before = {known.name: known for known in store.catalog.changes.galleries()}
            _require_unused(before.get(name), where)
            called = known_as or (before[name].known_as if name in before else socket.gethostname())
            require_name(called)
            remember(name, where)
            with store.catalog.transaction():
                store.catalog.changes.connect(name, where.text, called)
                if after_runs is not None:
                    store.catalog.changes.push_after_runs(name, after_runs)
                if tenant is not None:
                    store.catalog.changes.set_tenant(name, tenant or None)

    def pending(self, name: str | None = None) -> int:
        """Return the number of faces that a push would send. Raises `InputError` for an unknown name."""
        from facesearch.galleries.push import pending

        store = self._reading(keep=False)
        return pending(store, _connected(store, name))

    def push(
        self,
        name: str | None = None,
        *,
        take_over: bool = False,
        observer: Observer | None = None,
    ) -> Pushed | None:
        """Bring a gallery up to date with what changed since the last push; without a name, the only one.

        If another copy of this index was pushed last, `take_over` replaces what it pushed. Returns None if the observer
        cancelled; the next push continues.

        Raises `ConflictError` if another copy was pushed last.
        """
        from facesearch.galleries.switching import opened_for

        told = self._observer if observer is None else observer
        with self._writing() as store:
            known = _connected(store, name)
            with opened_for(store, known) as shared:
                return _push(store, shared, known, told, take_over=take_over)

    def verify(self, name: str | None = None, *, repair: bool = False) -> Difference:
        """Compare every face with what a gallery has of this index; `repair` makes the gallery right."""
        from facesearch.galleries.push import compare, repaired
        from facesearch.galleries.switching import opened_for

        with self._writing() as store:
            known = _connected(store, name)
            with opened_for(store, known) as shared:
                return repaired(store, shared, known) if repair else compare(store, shared)

    def owed(self, name: str | None = None) -> int:
        """Return the number of deleted faces that a gallery may still have. Raises `InputError` for an unknown name."""
        store = self._reading(keep=False)
        known = _connected(store, name)
        return 0 if known.token is None else store.catalog.changes.count_lost(known.pushed)

    def disconnect(self, name: str | None = None, *, forget: bool = False) -> str:
        """Disconnect a gallery, and return its name; with `forget` everything of this index is deleted there first.

        The name stays known for queries; see `Gallery.forget_name`.
        """
        from facesearch.galleries.address import Address
        from facesearch.galleries.push import remove
        from facesearch.galleries.switching import open_all

        with self._writing() as store:
            known = _connected(store, name)
            if forget:
                with open_all(Address.of(known.address)) as galleries:
                    for shared in galleries:
                        remove(store, shared, known)
            with store.catalog.transaction():
                store.catalog.changes.disconnect(known.name)
        return known.name


def _push(
    store: Store, shared: SharedGallery, known: Connected, observer: Observer, *, take_over: bool = False
) -> Pushed | None:
    from facesearch.galleries.push import push

    try:
        return push(store, shared, known, take_over=take_over, check=observer.check)
    except CancelledError:
        return None


def push_after_run(store: Store, observer: Observer) -> list[str]:
    """Push to the galleries that get every run; return the names of those that could not be brought up to date."""
    from facesearch.galleries.switching import opened_for

    failed = []
    for known in store.catalog.changes.galleries():
        if not known.after_runs:
            continue
        try:
            with opened_for(store, known) as shared:
                done = _push(store, shared, known, observer)
        except (GalleryError, UsageError) as error:
            observer.warn(f"{error}; the gallery {known.name} gets these changes with the next push")
            failed.append(known.name)
            continue
        if done is None:
            failed.append(known.name)
        else:
            observer.note(f"pushed to {known.name}: {done.changed:,} faces changed there")
    return failed


def pay_debts(store: Store, observer: Observer) -> list[str]:
    """Delete in every gallery the faces that the index has not any more; return the names of those out of reach."""
    from facesearch.galleries.push import drop_all_forgotten
    from facesearch.galleries.switching import opened_for

    failed = []
    for known in store.catalog.changes.galleries():
        try:
            with opened_for(store, known) as shared:
                drop_all_forgotten(store, shared, known)
        except (GalleryError, UsageError) as error:
            observer.warn(f"{error}; the faces are still in the gallery {known.name}: the next push deletes them first")
            failed.append(known.name)
    return failed


def _require_unused(known: Connected | None, address: Address) -> None:
    """Raise `UsageError` if a gallery that has faces of the index would be forgotten."""
    if known is not None and known.address != address.text and (known.token is not None or known.pushed):
        raise UsageError(
            f"{known.name}: connected to {known.address}, which has faces of this index; disconnect it first,"
            " or connect the other under another name"
        )


def _connected(store: Store, name: str | None) -> Connected:
    """Return the connected gallery of a name, or the only one."""
    known = store.catalog.changes.galleries()
    if not known:
        raise InputError(f"{store.path}: no gallery is connected", Hint.CONNECT_GALLERY)
    if name is None and len(known) > 1:
        raise UsageError(f"several galleries are connected ({', '.join(one.name for one in known)}); name one")
    found = [one for one in known if name in (None, one.name)]
    if not found:
        raise InputError(f"{name}: no gallery of this name is connected ({', '.join(one.name for one in known)})")
    return found[0]
