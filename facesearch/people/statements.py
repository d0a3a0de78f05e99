"""What the user says about people: an append-only log, and what follows from it.

Statements are the truth; which face belongs to whom is derived from them and from grouping, and can be derived again. A
later statement counts more than an earlier one, and a statement that was undone does not count. Copies of a photo share
what is said of one of them.
"""

from __future__ import annotations

import getpass
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from facesearch.catalog.people import StatementRow
from facesearch.errors import UsageError

if TYPE_CHECKING:
    from facesearch.catalog.catalog import Catalog

__all__ = ["Kind", "Said", "everything_said", "say"]

_NEW = 0


class Kind(StrEnum):
    """The kinds of statements.

    `belongs`: these faces are this person. `does_not`: these faces are not this person. `one`: `person` and `other`
    are one person. `two`: they are two people. `undo`: the statement `undoes` does not count.
    """

    belongs = "is"
    does_not = "is-not"
    one = "one"
    two = "two"
    undo = "undo"


@dataclass(slots=True)
class Said:
    """What follows from all statements.

    `placed` is the person and the statement of each face that the user has placed, `barred` are faces with a person
    whom they do not show, `apart` pairs of people who are two, and `joined` people with whom they are one.
    """

    placed: dict[int, tuple[int, int]] = field(default_factory=dict)
    barred: set[tuple[int, int]] = field(default_factory=set)
    apart: set[tuple[int, int]] = field(default_factory=set)
    joined: dict[int, int] = field(default_factory=dict)

    @property
    def spoken_of(self) -> set[int]:
        """The people whom the user has joined or told apart."""
        return {self.current(person) for person in self.joined} | {person for pair in self.apart for person in pair}

    def current(self, person: int) -> int:
        """Return the person that a person was joined to."""
        while person in self.joined:
            person = self.joined[person]
        return person


def say(
    catalog: Catalog,
    kind: Kind,
    *,
    faces: Sequence[int] = (),
    person: int | None = None,
    other: int | None = None,
    undoes: int | None = None,
    origin: str = "hand",
    author: str | None = None,
) -> int:
    """Append a statement to the log, in the transaction in progress, and return its id. Raises `UsageError`."""
    for number in (person, other):
        if number is not None and catalog.people.current(number) is None:
            raise UsageError(f"person #{number}: not known; list the people first")
    row = StatementRow(_NEW, int(time.time()), author or _user(), origin, kind, person, other, None, None, undoes)
    return catalog.people.say(row, faces)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container in which the user has no name
        return ""


def everything_said(catalog: Catalog) -> Said:
    """Derive what follows from all statements that were not undone."""
    statements = catalog.people.statements()
    undone: set[int] = set()
    for statement in reversed(statements):  # so that an undone undo does not count
        if statement.kind == Kind.undo and statement.undoes is not None and statement.id not in undone:
            undone.add(statement.undoes)
    faces: dict[int, list[int]] = {}
    for told in catalog.people.said_faces():
        faces.setdefault(told.statement, []).append(told.face)
    said = Said()
    for statement in statements:
        if statement.id not in undone:
            _apply(said, statement, faces.get(statement.id, []))
    said.placed = {face: (said.current(person), by) for face, (person, by) in said.placed.items()}
    said.barred = {(face, said.current(person)) for face, person in said.barred}
    said.apart = {(said.current(one), said.current(other)) for one, other in said.apart}
    return said


def _apply(said: Said, statement: StatementRow, faces: Sequence[int]) -> None:
    person, other = statement.person, statement.other
    if person is None:
        return
    if statement.kind == Kind.belongs:
        for face in faces:
            said.placed[face] = (person, statement.id)
            said.barred.discard((face, person))
    elif statement.kind == Kind.does_not:
        for face in faces:
            said.barred.add((face, person))
            if face in said.placed and said.placed[face][0] == person:
                del said.placed[face]
    elif statement.kind == Kind.one and other is not None and said.current(other) != said.current(person):
        said.joined[said.current(other)] = said.current(person)
    elif statement.kind == Kind.two and other is not None:
        said.apart.add((person, other))
