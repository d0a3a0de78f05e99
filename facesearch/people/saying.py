"""Append a statement to the log, and derive what follows from it, in one transaction.

Only the faces and people are derived again of which the statement changes anything. A statement that is undone leaves
everything as it was: whom grouping took a face for is kept while statements say something else.
"""

from __future__ import annotations

import getpass
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from facesearch.catalog.statements import StatementRow
from facesearch.errors import Hint, UsageError
from facesearch.people.given import follow, places
from facesearch.people.statements import Kind, Said, everything_said, undone_by

if TYPE_CHECKING:
    from facesearch.catalog.catalog import Catalog

__all__ = [
    "Statement", "current_user", "derive_again", "deriving", "place_faces", "say", "say_all", "undo",
]  # fmt: skip

_NEW = 0
_AT_ONCE = 50_000


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement to be made; see `Kind` for what each kind is about."""

    kind: Kind
    faces: Sequence[int] = ()
    person: int | None = None
    other: int | None = None
    value: str | None = None
    undoes: int | None = None


def say(
    catalog: Catalog,
    kind: Kind,
    *,
    faces: Sequence[int] = (),
    person: int | None = None,
    other: int | None = None,
    value: str | None = None,
    undoes: int | None = None,
    origin: str = "hand",
    author: str | None = None,
) -> int:
    """Append one statement, in the transaction in progress, and return its id; see `say_all`."""
    return say_all(catalog, [Statement(kind, faces, person, other, value, undoes)], origin=origin, author=author)


def say_all(
    catalog: Catalog, statements: Iterable[Statement], *, origin: str = "hand", author: str | None = None
) -> int:
    """Append statements, which are one action, in the transaction in progress; return the id of the first.

    They can be undone together only. `author` is by default that of the catalog, or else the name of the system's user.
    For statements about where faces are, or undoing such, the caller needs the lock of the writer; see `given`. Raises
    `UsageError` if one is about a person who is not known.
    """
    now, author = int(time.time()), author or catalog.statements.author or current_user()
    first: int | None = None
    with deriving(catalog):
        for said in statements:
            for number in (said.person, said.other):
                if number is not None and catalog.people.current(number) is None:
                    raise UsageError(f"person #{number}: not known", Hint.LIST_PEOPLE)
            row = StatementRow(
                _NEW, now, author, origin, said.kind, said.person, said.other, said.value, first, said.undoes
            )
            number = catalog.statements.add(row, said.faces)
            first = first or number
        if first is None:
            raise UsageError("nothing was said")
    return first


@contextmanager
def deriving(catalog: Catalog) -> Iterator[None]:
    """Derive what follows from the statements that are appended in the block."""
    before, faces_before = everything_said(catalog), places(catalog)
    yield
    follow(catalog, faces_before)
    _derive(catalog, before, everything_said(catalog))


def undo(catalog: Catalog, statement: int, *, author: str | None = None) -> int:
    """Undo a statement with all others of its action, in the transaction in progress; return the id of the undoing.

    Raises `UsageError` if there is no such statement, or if it does not count anyway.
    """
    known = catalog.statements.all()
    found = next((row for row in known if row.id == statement), None)
    if found is None and catalog.forgetting.was_said(statement):
        raise UsageError(f"{statement}: was forgotten with the person whom it was about; it cannot be taken back")
    if found is None:
        raise UsageError(f"{statement}: no such statement", Hint.HISTORY)
    undone = undone_by(known).get(statement)
    if undone is not None:
        raise UsageError(f"{statement}: was undone already, by {undone}; undo {undone} to bring it back")
    return say(catalog, Kind.undo, undoes=found.batch or found.id, author=author)


def derive_again(catalog: Catalog) -> None:
    """Derive everything that follows from statements again, in the transaction in progress."""
    said = everything_said(catalog)
    everyone = [face for part in catalog.people.face_rows() for face in (row.face for row in part)]
    for start in range(0, len(everyone), _AT_ONCE):
        place_faces(catalog, said, everyone[start : start + _AT_ONCE])
    catalog.people.set_joined(_closure(said))
    catalog.people.set_profiles(said.profiles)


def current_user() -> str:
    """Return the name of the system's user, the author of what is said; empty if there is none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container in which the user has no name
        return ""


def _derive(catalog: Catalog, before: Said, after: Said) -> None:
    """Write what has changed between what followed from statements before and what follows now."""
    people = catalog.people
    faces = {face for face in {*before.placed, *after.placed} if before.placed.get(face) != after.placed.get(face)}
    faces |= {face for face, _ in before.barred ^ after.barred}
    moved = {person for person in {*before.joined, *after.joined} if before.current(person) != after.current(person)}
    if moved:
        faces.update(people.faces_grouped_as(sorted({*moved, *map(before.current, moved)})))
    place_faces(catalog, after, sorted(faces))
    if before.joined != after.joined:
        people.set_joined(_closure(after))
    if before.profiles != after.profiles:
        people.set_profiles(after.profiles)


def _closure(said: Said) -> dict[int, int]:
    return {person: said.current(person) for person in sorted(said.joined)}


def place_faces(catalog: Catalog, said: Said, faces: Sequence[int]) -> None:
    """Assign faces to the people that statements and grouping say."""
    grouped = catalog.people.grouped(faces)
    nobody, assigned, overruled, agreed = [], [], [], []
    for face, group in grouped.items():
        person, statement = said.of(face, group)
        if person:
            assigned.append((face, person, statement or None))
        else:
            nobody.append(face)
        # A face that was placed and that grouping knows nobody for stays marked, so that it is grouped next time.
        if statement or person != group or not person:
            overruled.append((face, group or None))
        else:
            agreed.append(face)
    catalog.people.unassign(nobody)
    catalog.people.assign(assigned)
    catalog.people.overrule(overruled)
    catalog.people.agree(agreed)
