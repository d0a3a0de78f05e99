"""The arguments of `Index.forget`, and what it does: photos, a face, a folder or a person."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Literal, Self, TypedDict

from facesearch.api.galleries import pay_debts
from facesearch.api.opening import as_path
from facesearch.arguments import AnyPath, require_whole_number
from facesearch.errors import Hint, UsageError
from facesearch.filters import first_and_last_second

if TYPE_CHECKING:
    from facesearch.care.forget import Forgetting
    from facesearch.events import Observer
    from facesearch.index.store import Store

__all__ = ["Asked", "ForgetKeywords", "forget_within"]

_YEAR = 365.25 * 86400
_YEARS, _MOST_YEARS = 2, 10


class ForgetKeywords(TypedDict, total=False):
    """What `Index.forget` deletes, and how much of it.

    `face` is the id of a face, `folder` a folder of the index, `person` a name or a number. With `never_again`
    identical copies of photos are deleted too, and later runs skip these photos.

    A person is deleted with every face that could be the person and fits nobody else better, and with everything that
    was said about the person: `reach="group"` deletes only the faces that belong to the person, `reach="everything"`
    all that are similar. Faces in `spare` stay. With `never_again` later runs leave this person out `until` a date, by
    default for two years: for that, the mean embedding of the faces is kept. The `receipt` in what is returned says
    what was removed, and what facesearch cannot reach.
    """

    face: int | None
    folder: AnyPath | None
    never_again: bool
    person: int | str | None
    reach: Literal["group", "similar", "everything"]
    spare: Sequence[int]
    until: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be forgotten, as it was asked for."""

    path: AnyPath | None
    face: int | None
    folder: AnyPath | None
    never_again: bool
    person: int | str | None = None
    reach: Literal["group", "similar", "everything"] = "similar"
    spare: tuple[int, ...] = ()
    until: int | None = None

    @classmethod
    def of(
        cls,
        path: AnyPath | None,
        *,
        face: int | None = None,
        folder: AnyPath | None = None,
        never_again: bool = False,
        person: int | str | None = None,
        reach: Literal["group", "similar", "everything"] = "similar",
        spare: Iterable[int] = (),
        until: str | None = None,
    ) -> Self:
        """Return what is asked for, checked as far as that needs no index. Raises `UsageError`."""
        spare = tuple(spare)
        if [path, face, folder, person].count(None) != 3:
            raise UsageError("forget takes exactly one photo, face, folder or person", Hint.ONE_THING_TO_FORGET)
        if never_again and path is None and person is None:
            raise UsageError("a face or a whole folder cannot be put on the never-again list", Hint.KEEP_OUT_PHOTOS)
        if person is None and (spare or until is not None or reach != "similar"):
            raise UsageError("spare, reach and until are about a person; give the person")
        if until is not None and not never_again:
            raise UsageError(f"until {until}: says how long a person is left out; use never_again", option="until")
        if reach not in ("group", "similar", "everything"):
            raise UsageError(f"reach {reach!s:.60}: choose group, similar or everything", option="reach")
        for one in spare:
            require_whole_number("spare", one, 1)
        end = _end(until) if never_again and person is not None else None
        return cls(
            path=path, face=face, folder=folder, never_again=never_again, person=person, reach=reach,
            spare=spare, until=end,
        )  # fmt: skip

    def selected(self, store: Store, observer: Observer) -> Forgetting:
        """Return what would be forgotten. Raises `InputError` if the index does not know it, `UsageError`."""
        from facesearch.care.forget import to_forget_face, to_forget_photos, to_forget_root

        if self.person is not None:
            from facesearch.care.forget_person import to_forget_person

            return to_forget_person(
                store, self.person, reach=self.reach, spare=self.spare, never_again=self.never_again,
                until=self.until, check=observer.check,
            )  # fmt: skip
        if self.path is not None:
            return to_forget_photos(store, as_path("path", self.path), never_again=self.never_again)
        if self.folder is not None:
            return to_forget_root(store, as_path("folder", self.folder))
        assert self.face is not None
        require_whole_number("face", self.face, -(2**63))
        return to_forget_face(store, min(self.face, 2**63 - 1))  # no id is larger than what SQLite can hold


def forget_within(
    store: Store, asked: Asked, confirm: Callable[[Forgetting], object] | None, observer: Observer
) -> Forgetting:
    """Forget what is asked for, in the index and in its galleries; see `Index.forget`."""
    from facesearch.care.forget import forget
    from facesearch.care.forget_person import forget_person
    from facesearch.care.receipt import receipt_of

    going = asked.selected(store, observer)
    if confirm is not None:
        confirm(going)
    if going.sweep is None:
        forget(store, going)
        return replace(going, owed=tuple(pay_debts(store, observer)))
    done = forget_person(store, going)
    owed = pay_debts(store, observer)
    return replace(going, owed=tuple(owed), receipt=receipt_of(store, going, done, owed))


def _end(until: str | None) -> int:
    """Return the last second of a date, in seconds since 1970; by default in two years. Raises `UsageError`."""
    now = time.time()
    if until is None:
        return int(now + _YEARS * _YEAR)
    last = first_and_last_second("until", until)[1]
    try:
        end = int(datetime.fromisoformat(last).timestamp())
    except (ValueError, OverflowError, OSError):
        raise UsageError(f"until {until}: not a date; give one such as 2028-12-31", option="until") from None
    if end <= now:
        raise UsageError(f"until {until}: in the past; give a later date", option="until")
    if end > now + _MOST_YEARS * _YEAR:
        raise UsageError(f"until {until}: give a date within {_MOST_YEARS} years", option="until")
    return end
