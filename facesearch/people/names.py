"""Names of people: which are allowed, and whom a name, an alias, an external id or a number stands for."""

from __future__ import annotations

import difflib
import unicodedata
from datetime import date
from typing import TYPE_CHECKING

from facesearch.errors import Hint, InputError, UsageError
from facesearch.wording import counted

if TYPE_CHECKING:
    from facesearch.catalog.catalog import Catalog
    from facesearch.catalog.people import Profile

__all__ = [
    "checked_born",
    "checked_name",
    "described",
    "names_beginning",
    "number_in",
    "people_called",
    "person_of",
]

_LONGEST = 200
_ALIKE = 0.6
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Mc", "Me", "Mn", "Zl", "Zp", "Zs"})
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and symbols that look like a space."""


def checked_name(name: str, what: str = "name") -> str:
    """Return a name without spaces around it, in composed form. Raises `UsageError` if it is none."""
    text = unicodedata.normalize("NFC", str(name)).strip()
    if not text:
        raise UsageError(f"the {what} is empty")
    if not any(_is_visible(letter) for letter in text):
        raise UsageError(f"{what} {text!a:.60}: has no visible character; give a name that can be read")
    if any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in text):
        raise UsageError(f"{what} {text!r:.60}: has control characters; leave them out")
    if len(text) > _LONGEST:
        raise UsageError(f"{what} {text:.40}...: {len(text):,} characters; use at most {_LONGEST}")
    if number_in(text) is not None or text.startswith("#"):
        raise UsageError(f"{what} {text!r:.60}: would be taken for the number of a person; add a letter")
    return text


def _is_visible(letter: str) -> bool:
    return letter not in _BLANK and unicodedata.category(letter) not in _INVISIBLE


def checked_born(born: str) -> str:
    """Return a date of birth: a year, a month or a day, not in the future. Raises `UsageError` for anything else."""
    from facesearch.filters import first_and_last_second

    text = str(born).strip()
    first, _ = first_and_last_second("born", text)
    parts = text.split("-")
    if len(parts) > 3 or "T" in text or " " in text:
        raise UsageError(f"born {text}: give a year, a month or a day, such as 2018, 2018-05 or 2018-05-31")
    if first[:10] > date.today().isoformat():
        raise UsageError(f"born {text}: is in the future; give the date of birth")
    return first[: {1: 4, 2: 7, 3: 10}[len(parts)]]


def number_in(who: int | str) -> int | None:
    """Return the number of a person written as 12, "12" or "#12"; None for a name."""
    if isinstance(who, int) and not isinstance(who, bool):
        return who
    text = str(who).strip().removeprefix("#")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def people_called(profiles: dict[int, Profile], name: str) -> list[int]:
    """Return the people who bear a name, as their name, an alias or an external id; case does not count."""
    wanted = _folded(name)
    exactly = [person for person, said in profiles.items() if said.external_id == name]
    return exactly or [person for person, said in profiles.items() if any(_folded(one) == wanted for one in said.names)]


def described(profiles: dict[int, Profile], person: int) -> str:
    """Return a person as "Anna (#12)", or as "#12" without a name."""
    name = profiles[person].name if person in profiles else None
    return f"#{person}" if name is None else f"{name} (#{person})"


def names_beginning(catalog: Catalog, beginning: str) -> list[str]:
    """Return the names and aliases that begin so, of people who have a visible photo, sorted; case does not count."""
    typed = beginning.casefold()
    found = {
        person: [name for name in said.names if name.casefold().startswith(typed)]
        for person, said in catalog.people.profiles().items()
    }
    shown = catalog.people.shown([person for person, names in found.items() if names])
    return sorted({name for person in shown for name in found[person]})


def person_of(catalog: Catalog, who: int | str, place: str) -> int:
    """Return the person that a number, name, alias or external id stands for; `place` is the index, for messages.

    Raises `InputError` if there is nobody, `UsageError` if several people bear the name.
    """
    number = number_in(who)
    if number is not None:
        current = catalog.people.current(number)
        if current is None and catalog.forgetting.was_used(number):
            raise InputError(f"#{number}: was forgotten; {place} has nothing about this person", Hint.LIST_PEOPLE)
        if current is None:
            people = catalog.people.count()
            known, hint = counted(people, "person", "people"), Hint.LIST_PEOPLE if people else Hint.GROUP
            raise InputError(f"#{number}: no such person in {place}, which has {known}", hint)
        return current
    profiles = catalog.people.profiles()
    found = people_called(profiles, str(who))
    if len(found) == 1:
        return found[0]
    if not found:
        known_names = sorted({name for said in profiles.values() for name in said.names})
        near = difflib.get_close_matches(str(who), known_names, 1, _ALIKE)
        like = f" (there is {near[0]})" if near else ""
        raise InputError(f"{who!s:.60}: nobody in {place} has this name{like}", Hint.LIST_PEOPLE)
    photos = {number: photos for number, _, photos, _, _ in catalog.people.summary(found)}
    listed = ", ".join(f"#{person} ({counted(photos.get(person, 0), 'photo')})" for person in found)
    raise UsageError(f"{who!s:.60}: {len(found)} people have this name: {listed}; give the number")


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()).strip()
