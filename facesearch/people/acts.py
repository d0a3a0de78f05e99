"""What users do with people, as statements: name, merge, split, correct, ignore.

Each function yields the statements of one action; `saying.say_all` appends them. It is called within the transaction in
which they are said, with people by their present numbers, and raises `UsageError` or `InputError` if there is nothing
to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from facesearch.errors import Hint, InputError, UsageError
from facesearch.people.names import described, number_in, people_called, person_of
from facesearch.people.saying import Statement
from facesearch.people.statements import Kind
from facesearch.wording import counted

if TYPE_CHECKING:
    from facesearch.catalog.catalog import Catalog
    from facesearch.catalog.people import FaceRow

__all__ = [
    "calling",
    "covering",
    "denying",
    "dividing",
    "ignoring",
    "merging",
    "naming",
    "noticing",
    "person_or_new",
    "placing",
    "strangers",
    "unnaming",
]


def naming(
    catalog: Catalog, person: int, given: Mapping[Kind, Sequence[str]], if_taken: Literal["merge", "keep"] | None
) -> Iterator[Statement]:
    """Say names, a date of birth or an external id, which are checked already, of a person.

    A name is said of the faces that the person has now. If somebody else bears the name or an alias, `if_taken` says
    whether the two are one person; None raises `UsageError`. An external id stands for one person only.
    """
    profile = catalog.people.profiles().get(person)
    if profile is not None and profile.ignored:
        yield Statement(Kind.notice, person=person)
    for kind, values in given.items():
        faces = catalog.people.faces_of(person) if kind is Kind.name and values else ()
        for value in values:
            yield Statement(kind, faces, person, value=value)
    for other in _who_have_it(catalog, person, given, if_taken):
        yield Statement(Kind.one if if_taken == "merge" else Kind.two, person=other, other=person)


def _who_have_it(
    catalog: Catalog, person: int, given: Mapping[Kind, Sequence[str]], if_taken: Literal["merge", "keep"] | None
) -> list[int]:
    """Return the others who bear a name, an alias or an external id. Raises `UsageError` if that is not wanted.

    An alias is looked up like a name, so whoever shares one has to say so. An external id never stands for two people.
    """
    profiles = catalog.people.profiles()
    found: dict[int, None] = {}
    for kind, what in ((Kind.name, ""), (Kind.alias, "alias "), (Kind.external_id, "external id ")):
        for value in given.get(kind, ()):
            for other in people_called(profiles, value):
                if other == person:
                    continue
                is_id = kind is Kind.external_id and profiles[other].external_id == value
                if if_taken is None or (is_id and if_taken == "keep"):
                    photos = counted(next((row[2] for row in catalog.people.summary([other])), 0), "photo")
                    raise UsageError(
                        f"{what}{value}: {described(profiles, other)} has this {'id' if is_id else 'name'} already, "
                        f"with {photos}",
                        Hint.ID_TAKEN if is_id else Hint.NAME_TAKEN,
                    )
                found[other] = None
    return list(found)


def unnaming(catalog: Catalog, person: int) -> Iterator[Statement]:
    """Take everything off a person that `naming` says."""
    said = catalog.people.profiles().get(person)
    if said is None or not (said.names or said.external_id or said.born):
        raise UsageError(f"#{person}: has no name")
    for part in [person, *(one for one, whole in catalog.people.joined().items() if whole == person)]:
        for kind in (Kind.name, Kind.born, Kind.external_id):
            yield Statement(kind, person=part)
        for alias in said.names:
            yield Statement(Kind.no_alias, person=part, value=alias)


def merging(people: Iterable[int]) -> Iterator[Statement]:
    """Say that people are one: the first."""
    first, *others = dict.fromkeys(people)
    if not others:
        raise UsageError(f"#{first}: give at least one other person to merge")
    for other in others:
        yield Statement(Kind.one, person=first, other=other)


def dividing(
    catalog: Catalog, person: int, parts: Sequence[Sequence[FaceRow]], chosen: Sequence[int], faces: Sequence[int]
) -> Iterator[Statement]:
    """Say that the chosen parts, by number from 1, and faces, by id, are a new person, and that the two are not one."""
    for number in chosen:
        if not 1 <= number <= len(parts):
            raise UsageError(f"part {number}: no such part; there are {len(parts)}, numbered from 1")
    everybody = {row.face for part in parts for row in part}
    for face in faces:
        if face not in everybody:
            raise UsageError(f"face {face}: does not belong to #{person}")
    moving = sorted({*faces, *(row.face for number in chosen for row in parts[number - 1])})
    if not moving:
        raise UsageError("give the parts, or the faces, that are somebody else")
    if len(moving) == len(everybody):
        raise UsageError("nobody would be left; leave out the part that shows the person")
    new = catalog.people.add()
    yield Statement(Kind.belongs, moving, new)
    yield Statement(Kind.two, person=person, other=new)


def placing(catalog: Catalog, person: int, faces: Sequence[int]) -> Iterator[Statement]:
    """Say that faces, by id, show a person."""
    yield Statement(Kind.belongs, _known(catalog, faces), person)


def calling(catalog: Catalog, index: str, faces: Sequence[int], name: str) -> tuple[int, list[Statement]]:
    """Return the person of a name or number, and the statements that faces show them; a new person gets the name.

    Raises `UsageError` if several people bear the name.
    """
    known, person = _known(catalog, faces), person_or_new(catalog, index, name)
    if person is not None:
        return person, [Statement(Kind.belongs, known, person)]
    person = catalog.people.add()
    return person, [Statement(Kind.belongs, known, person), Statement(Kind.name, known, person, value=name)]


def person_or_new(catalog: Catalog, index: str, name: str) -> int | None:
    """Return the person of a name or number, None for a new name. Raises `UsageError` if several people bear it."""
    if number_in(name) is None and not people_called(catalog.people.profiles(), name):
        return None
    return person_of(catalog, name, index)


def covering(catalog: Catalog, person: int, face: int) -> Iterator[Statement]:
    """Say which face stands for a person."""
    if face not in catalog.people.faces_of(person):
        raise UsageError(f"face {face}: does not belong to #{person}")
    yield Statement(Kind.cover, [face], person)


def denying(
    catalog: Catalog, person: int, faces: Sequence[int], photos: Mapping[str, Sequence[int]]
) -> Iterator[Statement]:
    """Say that faces, by id, do not show a person; or that the faces of that person in photos do not.

    `photos` are the ids of photos, by the path that was given.
    """
    chosen = _known(catalog, faces)
    for path, ids in photos.items():
        if not ids:
            raise InputError(f"{path}: no photo of the index; check the path")
        found = [face for photo in ids for face in catalog.people.faces_in(photo, person)]
        if not found:
            whose = described(catalog.people.profiles(), person)
            raise InputError(f"{path}: no face in it belongs to {whose}", Hint.FACE_IDS)
        chosen += found
    yield Statement(Kind.does_not, chosen, person)


def ignoring(people: Iterable[int]) -> Iterator[Statement]:
    """Say that people are strangers, who are not listed."""
    for person in dict.fromkeys(people):
        yield Statement(Kind.ignore, person=person)


def noticing(people: Iterable[int]) -> Iterator[Statement]:
    """Say that people are no strangers after all."""
    for person in dict.fromkeys(people):
        yield Statement(Kind.notice, person=person)


def strangers(catalog: Catalog, all_under: int) -> list[int]:
    """Return everybody without a name, and not ignored yet, who is in fewer photos than `all_under`."""
    profiles = catalog.people.profiles()
    known = {person for person, said in profiles.items() if said.name is not None or said.ignored}
    found = [number for number, _, photos, _, _ in catalog.people.summary() if photos < all_under]
    chosen = [number for number in found if number not in known]
    if not chosen:
        raise UsageError(f"nobody without a name is in fewer than {all_under:,} photos")
    return chosen


def _known(catalog: Catalog, faces: Sequence[int]) -> list[int]:
    """Return faces, each once. Raises `InputError` if one is not known."""
    known = catalog.people.grouped(faces)
    for face in faces:
        if face not in known:
            raise InputError(f"face {face}: no such face in the index", Hint.FACE_IDS)
    return sorted(known)
