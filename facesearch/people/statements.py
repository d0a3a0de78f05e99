"""What users say about people, and what follows from it.

Statements are the truth; which face belongs to whom is derived from them and from grouping, and can be derived again. A
later statement counts more than an earlier one, and a statement that was undone does not count. Copies of a photo share
what is said of one of them. Nothing is written here; see `saying`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from facesearch.catalog.people import Profile

if TYPE_CHECKING:
    from facesearch.catalog.catalog import Catalog
    from facesearch.catalog.statements import StatementRow

__all__ = [
    "ABOUT_FACES", "GROUPING", "Kind", "Said", "Sayable", "everything_said", "faces_of_names", "undone_by",
]  # fmt: skip


class Kind(StrEnum):
    """The kinds of statements.

    About faces: `belongs`: they are this person. `does_not`: they are not. `no_face`: they are no faces. `face`: the
    user has drawn this face. About people: `one`: `person` and `other` are one person. `two`: they are two people.
    `name`, `alias`, `no_alias`, `born` and `external_id` have a `value`; None takes back what was said before.
    `ignore`: this is a stranger, who is not listed. `notice`: this is not a stranger. `cover`: this face stands for the
    person. `undo`: the statement `undoes` does not count, nor do others of its batch. `imported`: the statements after
    it in its batch come from a file, which `value` describes.
    """

    belongs = "is"
    does_not = "is-not"
    no_face = "no-face"
    face = "face"
    one = "one"
    two = "two"
    name = "name"
    alias = "alias"
    no_alias = "no-alias"
    born = "born"
    external_id = "external-id"
    ignore = "ignore"
    notice = "notice"
    cover = "cover"
    undo = "undo"
    imported = "import"


GROUPING = (Kind.belongs, Kind.does_not, Kind.one, Kind.two, Kind.undo)
"""The kinds of statements after which faces are grouped again."""

ABOUT_FACES = (Kind.belongs, Kind.does_not, Kind.cover)
"""The kinds of statements about who the very faces are that they name."""


@dataclass(slots=True)
class Said:
    """What follows from all statements.

    `placed` is the person and the statement of each face that the user has placed, `barred` are faces with a person
    whom they do not show, `apart` pairs of people who are two, and `joined` people with whom they are one.
    `profiles` is what was said about each person.
    """

    placed: dict[int, tuple[int, int]] = field(default_factory=dict)
    barred: set[tuple[int, int]] = field(default_factory=set)
    apart: set[tuple[int, int]] = field(default_factory=set)
    joined: dict[int, int] = field(default_factory=dict)
    profiles: dict[int, Profile] = field(default_factory=dict)

    @property
    def known(self) -> set[int]:
        """The people whom the user knows: named, joined or told apart, or with faces that the user has placed.

        Grouping never makes two of them one, and never takes faces from them unless a photo shows them twice.
        """
        return {
            *(self.current(person) for person in self.joined),
            *(person for pair in self.apart for person in pair),
            *(person for person, _ in self.placed.values()),
            *(person for person, said in self.profiles.items() if said.name is not None),
        }

    def current(self, person: int) -> int:
        """Return the person that a person was joined to."""
        while person in self.joined:
            person = self.joined[person]
        return person

    def of(self, face: int, grouped: int) -> tuple[int, int]:
        """Return the person of a face and the statement that says so, each 0 for none; `grouped` is grouping's view."""
        if face in self.placed:
            return self.placed[face]
        person = self.current(grouped)
        return (0, 0) if (face, person) in self.barred else (person, 0)


def everything_said(catalog: Catalog) -> Said:
    """Derive what follows from all statements that were not undone."""
    statements = catalog.statements.all()
    undone = undone_by(statements)
    merged = dict(catalog.people.merged())
    faces: dict[int, list[int]] = {}
    for told in catalog.statements.faces(ABOUT_FACES):
        faces.setdefault(told.statement, []).append(told.face)
    said = Said()
    for statement in statements:
        if statement.id not in undone:
            whom = [
                None if number is None else merged.get(number, number) for number in (statement.person, statement.other)
            ]
            _apply(said, statement, whom[0], whom[1], faces.get(statement.id, []))
    said.placed = {face: (said.current(person), by) for face, (person, by) in said.placed.items()}
    said.barred = {(face, said.current(person)) for face, person in said.barred}
    apart = {(said.current(one), said.current(other)) for one, other in said.apart}
    said.apart = {(one, other) for one, other in apart if one != other}
    said.profiles = _of_whole_people(said)
    return said


def faces_of_names(catalog: Catalog, said: Said) -> dict[int, int]:
    """Return the faces that people had when they were named, or copies of these, with the person that has the name now.

    They place nobody, but a face that was deleted and comes back is known by them.
    """
    statements = catalog.statements.all()
    undone, merged = undone_by(statements), dict(catalog.people.merged())
    whose: dict[int, int] = {}
    for row in statements:
        if row.kind == Kind.name and row.value is not None and row.person is not None and row.id not in undone:
            person = said.current(merged.get(row.person, row.person))
            if person in said.profiles and said.profiles[person].name is not None:
                whose[row.id] = person
    return {
        told.face: whose[told.statement] for told in catalog.statements.faces((Kind.name,)) if told.statement in whose
    }


class Sayable(Protocol):
    """What `undone_by` needs of a statement, in a catalog or in a file."""

    @property
    def id(self) -> int:
        """Its number."""

    @property
    def kind(self) -> str:
        """Its `Kind`."""

    @property
    def batch(self) -> int | None:
        """The first statement of its action, None for that itself."""

    @property
    def undoes(self) -> int | None:
        """The statement that it undoes."""


def undone_by(statements: Sequence[Sayable]) -> dict[int, int]:
    """Return the statements that do not count, each with the one that undoes it.

    A statement of a batch stands for the whole batch. An undone `undo` does not count either.
    """
    batches: dict[int, list[int]] = {}
    for statement in statements:
        batches.setdefault(statement.batch or statement.id, []).append(statement.id)
    undone: dict[int, int] = {}
    for statement in reversed(statements):  # so that an undone undo does not count
        if statement.kind == Kind.undo and statement.undoes is not None and statement.id not in undone:
            undone |= dict.fromkeys(batches.get(statement.undoes, [statement.undoes]), statement.id)
    return undone


def _apply(said: Said, statement: StatementRow, person: int | None, other: int | None, faces: Sequence[int]) -> None:
    kind, value = statement.kind, statement.value
    if person is None:
        return
    if kind == Kind.belongs:
        for face in faces:
            said.placed[face] = (person, statement.id)
            said.barred.discard((face, person))
    elif kind == Kind.does_not:
        for face in faces:
            said.barred.add((face, person))
            if face in said.placed and said.placed[face][0] == person:
                del said.placed[face]
    elif kind == Kind.one and other is not None:
        one, another = said.current(person), said.current(other)
        if one != another:
            said.joined[another] = one
        said.apart -= {(one, another), (another, one)}
    elif kind == Kind.two and other is not None:
        said.apart.add((person, other))
    elif kind in _CHANGES:
        profile = said.profiles.get(person, Profile())
        said.profiles[person] = _CHANGES[Kind(kind)](profile, value, next(iter(faces), None))


_Change = Callable[[Profile, str | None, int | None], Profile]

_CHANGES: dict[Kind, _Change] = {
    Kind.name: lambda said, value, _: said._replace(name=value),
    Kind.alias: lambda said, value, _: said._replace(aliases=_with(said.aliases, value)),
    Kind.no_alias: lambda said, value, _: said._replace(aliases=tuple(one for one in said.aliases if one != value)),
    Kind.born: lambda said, value, _: said._replace(born=value),
    Kind.external_id: lambda said, value, _: said._replace(external_id=value),
    Kind.ignore: lambda said, _value, _: said._replace(ignored=True),
    Kind.notice: lambda said, _value, _: said._replace(ignored=False),
    Kind.cover: lambda said, _value, face: said._replace(cover=face),
}


def _with(names: tuple[str, ...], name: str | None) -> tuple[str, ...]:
    return names if name is None or name in names else (*names, name)


def _of_whole_people(said: Said) -> dict[int, Profile]:
    """Return the profiles of people, with what was said of those who are one with them.

    What was said of the person itself counts first. The names of the others become aliases. Whoever was noticed, or was
    never ignored, makes the whole person noticed.
    """
    parts: dict[int, list[int]] = {}
    for person in [*said.profiles, *said.joined]:
        parts.setdefault(said.current(person), []).append(person)
    whole = {}
    for person, others in parts.items():
        ordered = list(dict.fromkeys([person, *others]))  # in the order in which they were spoken of
        profiles = [said.profiles.get(one, Profile()) for one in ordered]
        name = next((one.name for one in profiles if one.name is not None), None)
        aliases = dict.fromkeys(alias for one in profiles for alias in one.names if alias != name)
        found = Profile(
            name, tuple(aliases), _first(one.external_id for one in profiles), _first(one.born for one in profiles),
            all(one.ignored for one in profiles), next((one.cover for one in profiles if one.cover is not None), None),
        )  # fmt: skip
        if found != Profile():
            whole[person] = found
    return whole


def _first(values: Iterator[str | None]) -> str | None:
    return next((value for value in values if value is not None), None)
