"""The people of an index as records: what is listed of each, and more about one of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from facesearch.catalog.catalog import Catalog
    from facesearch.catalog.people import Profile
    from facesearch.types import FaceRecord

__all__ = ["PersonDetails", "PersonSummary", "covers_of", "details_of", "summaries", "summary_of"]

_MOST_BESIDE = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonSummary:
    """A person of an index: its number, what the user said, its faces and photos, and their first and last day.

    `name`, `external_id` and `born` are None if they were not given; `ignored` is set for a stranger. Without a photo
    that can be found the days are empty.
    """

    number: int
    name: str | None = None
    aliases: tuple[str, ...] = ()
    external_id: str | None = None
    born: str | None = None
    ignored: bool = False
    faces: int
    photos: int
    first: str
    last: str

    @property
    def names(self) -> tuple[str, ...]:
        """The name and the aliases."""
        return self.aliases if self.name is None else (self.name, *self.aliases)

    @property
    def called(self) -> str:
        """The name, or else the number."""
        return f"#{self.number}" if self.name is None else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonDetails:
    """A person of an index: the summary, the number of photos by year, and of photos together with other people."""

    summary: PersonSummary
    years: dict[str, int]
    beside: list[tuple[PersonSummary, int]]


def summaries(catalog: Catalog, people: Sequence[int] | None = None) -> list[PersonSummary]:
    """Return everybody who has a photo that can be found, or a name; those with the most photos first.

    Strangers are among them. With `people`, only these.
    """
    from facesearch.catalog.people import Profile

    profiles = catalog.people.profiles()
    found = catalog.people.summary(people)
    without_photos = set(profiles if people is None else profiles.keys() & set(people)) - {row[0] for row in found}
    rows = [*found, *((number, 0, 0, "", "") for number in sorted(without_photos) if profiles[number].names)]
    return [
        _summary(number, profiles.get(number, Profile()), faces, photos, first, last)
        for number, faces, photos, first, last in rows
    ]


def summary_of(catalog: Catalog, person: int) -> PersonSummary:
    """Return a person; without a photo that can be found it has 0 photos, and no days."""
    from facesearch.catalog.people import Profile

    found = next((row for row in catalog.people.summary([person])), (person, 0, 0, "", ""))
    return _summary(person, catalog.people.profiles().get(person, Profile()), *found[1:])


def details_of(catalog: Catalog, person: int) -> PersonDetails:
    """Return more about a person."""
    profiles = catalog.people.profiles()
    others = catalog.people.beside(person)
    noticed = [(number, photos) for number, photos in others if number not in profiles or not profiles[number].ignored]
    photos_beside = dict(noticed[:_MOST_BESIDE])
    known = {one.number: one for one in summaries(catalog, list(photos_beside))}
    return PersonDetails(
        summary=summary_of(catalog, person), years=catalog.people.years(person),
        beside=[(known[number], photos) for number, photos in photos_beside.items()],
    )  # fmt: skip


def covers_of(catalog: Catalog, people: Iterable[int]) -> dict[int, FaceRecord]:
    """Return the face that stands for each of these people, by number, as far as one can be found."""
    profiles = catalog.people.profiles()
    chosen = {one: profiles[one].cover if one in profiles else None for one in people}
    vectors = {one: catalog.people.cover(one, cover) for one, cover in chosen.items()}
    records = catalog.faces.records([vector for vector in vectors.values() if vector is not None])
    return {one: records[vector] for one, vector in vectors.items() if vector in records}


def _summary(number: int, said: Profile, faces: int, photos: int, first: str, last: str) -> PersonSummary:
    return PersonSummary(
        number=number, name=said.name, aliases=said.aliases, external_id=said.external_id, born=said.born,
        ignored=said.ignored, faces=faces, photos=photos, first=first, last=last,
    )  # fmt: skip
