"""`Index.people`: the people of an index, their names, and what users have said of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from facesearch.arguments import AnyPaths, require_whole_number, several_paths
from facesearch.errors import Hint, UsageError
from facesearch.events import SILENT, CancelledError, Observer

if TYPE_CHECKING:
    from facesearch.api.opening import Stores
    from facesearch.api.people_news import News
    from facesearch.api.people_parts import PersonPart
    from facesearch.catalog.catalog import Catalog
    from facesearch.catalog.people import Profile
    from facesearch.index.store import Store
    from facesearch.people.history import Action
    from facesearch.people.regroup import Grouping
    from facesearch.people.saying import Statement

__all__ = ["People", "PersonDetails", "PersonSummary", "group_within"]

_LONG = 50_000
"""Faces. Grouping more of them takes long enough to say so."""

_MOST_BESIDE = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonSummary:
    """A person of an index: its number, what the user said, its faces and photos, and their first and last day.

    `name`, `external_id` and `born` are None if they were not given; `ignored` is set for a stranger.
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


class People:
    """The people of an index: groups of faces that show one person. A number stands for the same person for good.

    A person is given by number (12 or "#12"), by name, by alias or by external id; case does not count in names. Every
    method that says something about people returns the number of that action, with which `undo` takes it back.

    Methods raise what those of `Index` raise. `InputError` is raised for a person who is not known, `UsageError` for a
    name that several people have.
    """

    def __init__(self, stores: Stores, observer: Observer) -> None:
        self._stores = stores
        self._observer = observer

    # Reading

    def list(self, *, unnamed: bool = False, ignored: bool = False) -> list[PersonSummary]:
        """Return all people who have a photo that can be found, those with the most photos first.

        `unnamed` returns only those without a name; `ignored` also returns strangers.
        """
        return [
            one
            for one in _summaries(self._stores.reading().catalog)
            if (ignored or not one.ignored) and not (unnamed and one.name is not None)
        ]

    def find(self, who: int | str) -> PersonSummary:
        """Return a person by number or name. Without a photo that can be found it has 0 photos, and no days."""
        catalog = self._stores.reading().catalog
        return _summary_of(catalog, self._person(catalog, who))

    def show(self, who: int | str) -> PersonDetails:
        """Return more about a person."""
        catalog = self._stores.reading().catalog
        person = self._person(catalog, who)
        known = {one.number: one for one in _summaries(catalog)}
        beside = [
            (known[number], photos) for number, photos in catalog.people.beside(person) if not known[number].ignored
        ]
        return PersonDetails(
            summary=_summary_of(catalog, person), years=catalog.people.years(person), beside=beside[:_MOST_BESIDE]
        )

    def called(self, name: str) -> Sequence[PersonSummary]:
        """Return the people who bear a name, as their name, an alias or an external id."""
        from facesearch.people.names import people_called

        catalog = self._stores.reading().catalog
        return [_summary_of(catalog, number) for number in people_called(catalog.people.profiles(), name)]

    def knows(self, who: str) -> bool:
        """Whether this is the name, an alias, the external id or the number of somebody."""
        from facesearch.people.names import number_in

        return number_in(who) is not None or bool(self.called(who))

    def history(self) -> Sequence[Action]:
        """Return what was said about people, and by whom, the last first."""
        from facesearch.people.history import actions

        return actions(self._stores.reading().catalog)

    def seen(self, bookmark: str = "default", *, since: str | None = None, keep: bool = True) -> News:
        """Return who is in photos that were indexed since the last call with this bookmark; see `api.people_news`.

        With `since`, a year, month or day, only photos taken then or later count, and all of those. Otherwise the
        bookmark moves to what is there now, unless `keep` is false.
        """
        from facesearch.api.people_news import news_of

        return news_of(self._stores, self.list(ignored=True), bookmark, since, keep=keep)

    # Naming

    def name(
        self,
        who: int | str,
        name: str | None = None,
        *,
        aliases: Iterable[str] = (),
        born: str | None = None,
        external_id: str | None = None,
        if_taken: Literal["merge", "keep"] | None = None,
    ) -> int:
        """Name a person, and say more about them.

        `born` is a year, month or day: photos taken before it are marked, and come last. If somebody else bears the
        name, `if_taken` says whether both are one person ("merge") or two ("keep"); None raises `UsageError`.
        """
        from facesearch.people.names import checked_born, checked_name
        from facesearch.people.saying import Statement
        from facesearch.people.statements import Kind

        if if_taken not in (None, "merge", "keep"):
            raise UsageError(f"if_taken {if_taken!s:.60}: choose merge or keep", option="if_taken")
        given = {
            Kind.name: [] if name is None else [checked_name(name)],
            Kind.alias: [
                checked_name(alias, "alias") for alias in ([aliases] if isinstance(aliases, str) else aliases)
            ],
            Kind.born: [] if born is None else [checked_born(born)],
            Kind.external_id: [] if external_id is None else [checked_name(external_id, "external id")],
        }
        if not any(given.values()):
            raise UsageError("give a name, an alias, a date of birth or an external id")

        def statements(catalog: Catalog) -> Iterator[Statement]:
            person = self._person(catalog, who)
            profile = catalog.people.profiles().get(person)
            if profile is not None and profile.ignored:
                yield Statement(Kind.notice, person=person)
            faces = catalog.people.faces_of(person) if given[Kind.name] else ()
            for kind, values in given.items():
                for value in values:
                    yield Statement(kind, faces if kind is Kind.name else (), person, value=value)
            for other in self._others_called(catalog, [*given[Kind.name], *given[Kind.external_id]], person):
                if if_taken is None:
                    raise UsageError(
                        f"{_summary_of(catalog, other).called}: #{other} has this name already, with "
                        f"{_photos(catalog, other)}",
                        Hint.NAME_TAKEN,
                    )
                yield Statement(Kind.one if if_taken == "merge" else Kind.two, person=other, other=person)

        return self._tell(statements)

    def unname(self, who: int | str) -> int:
        """Take the name, the aliases, the external id and the date of birth off a person. The faces stay together."""
        from facesearch.people.saying import Statement
        from facesearch.people.statements import Kind

        def statements(catalog: Catalog) -> Iterator[Statement]:
            person = self._person(catalog, who)
            said = catalog.people.profiles().get(person)
            if said is None or not (said.names or said.external_id or said.born):
                raise UsageError(f"{_shown(who)}: has no name")
            parts = [person, *(one for one, whole in catalog.people.joined().items() if whole == person)]
            for part in parts:
                for kind in (Kind.name, Kind.born, Kind.external_id):
                    yield Statement(kind, person=part)
                for alias in said.names:
                    yield Statement(Kind.no_alias, person=part, value=alias)

        return self._tell(statements)

    def merge(self, people: Sequence[int | str]) -> int:
        """Say that several people are one: the first, whose name and number stay."""
        from facesearch.people.saying import Statement
        from facesearch.people.statements import Kind

        def statements(catalog: Catalog) -> Iterator[Statement]:
            first, *others = dict.fromkeys(self._person(catalog, who) for who in people)
            if not others:
                raise UsageError(f"{_shown(people[0])}: give at least one other person to merge")
            for other in others:
                yield Statement(Kind.one, person=first, other=other)

        if len(people) < 2:
            raise UsageError("give at least two people to merge")
        return self._tell(statements)

    def parts(self, who: int | str) -> Sequence[PersonPart]:
        """Return the parts of a person's faces, the largest first: if two people were taken for one, they differ."""
        from facesearch.api.people_parts import part_records
        from facesearch.people.parts import parts_of

        store = self._stores.reading()
        return part_records(store.catalog, parts_of(store, self._person(store.catalog, who)))

    def split(self, who: int | str, parts: Iterable[int] = (), *, faces: Iterable[int] = ()) -> int:
        """Say that some of a person's faces, given as `parts` by number or by their ids, are another person.

        That person gets a number of its own, which `history` tells.
        """
        from facesearch.api.people_parts import divided
        from facesearch.people.parts import parts_of

        store = self._stores.reading()
        person = self._person(store.catalog, who)
        found, chosen, moving = parts_of(store, person), list(parts), list(faces)
        return self._tell(lambda catalog: divided(catalog, person, found, chosen, moving))

    def is_not(self, who: int | str, photos: AnyPaths = (), *, faces: Iterable[int] = ()) -> int:
        """Say that faces do not show a person: faces by their ids, or those of this person in photos."""
        from facesearch.people.saying import Statement
        from facesearch.people.statements import Kind

        paths, given = several_paths("photo", photos), list(faces)
        if bool(paths) == bool(given):
            raise UsageError("give either photos or faces")
        for face in given:
            require_whole_number("face", face, 1)

        def statements(catalog: Catalog) -> Iterator[Statement]:
            person = self._person(catalog, who)
            if given:
                chosen = _known_faces(catalog, given)
            else:
                chosen = [face for path in paths for face in _faces_in(catalog, path, person, _shown(who))]
            yield Statement(Kind.does_not, chosen, person)

        return self._tell(statements)

    def is_person(self, who: int | str, faces: Iterable[int]) -> int:
        """Say that faces, given by their ids, show a person."""
        from facesearch.people.saying import Statement
        from facesearch.people.statements import Kind

        given = list(faces)
        for face in given:
            require_whole_number("face", face, 1)
        if not given:
            raise UsageError("give the ids of faces", Hint.FACE_IDS)

        def statements(catalog: Catalog) -> Iterator[Statement]:
            yield Statement(Kind.belongs, _known_faces(catalog, given), self._person(catalog, who))

        return self._tell(statements)

    def ignore(self, people: Sequence[int | str] = (), *, all_under: int | None = None) -> int:
        """Say that people are strangers: they are kept, and not listed. Named people are never among `all_under`.

        `all_under` ignores everybody without a name who is in fewer photos than that.
        """
        from facesearch.people.saying import Statement
        from facesearch.people.statements import Kind

        if bool(people) == (all_under is not None):
            raise UsageError("give either people to ignore, or a number of photos")
        if all_under is not None:
            require_whole_number("all_under", all_under, 1)

        def statements(catalog: Catalog) -> Iterator[Statement]:
            if all_under is None:
                chosen = [self._person(catalog, who) for who in people]
            else:
                chosen = [
                    one.number
                    for one in _summaries(catalog)
                    if one.name is None and not one.ignored and one.photos < all_under
                ]
                if not chosen:
                    raise UsageError(f"nobody without a name is in fewer than {all_under:,} photos")
            for person in dict.fromkeys(chosen):
                yield Statement(Kind.ignore, person=person)

        return self._tell(statements)

    def notice(self, people: Sequence[int | str]) -> int:
        """Say that people are no strangers after all: they are listed again."""
        from facesearch.people.saying import Statement
        from facesearch.people.statements import Kind

        if not people:
            raise UsageError("give people to list again")

        def statements(catalog: Catalog) -> Iterator[Statement]:
            for person in dict.fromkeys(self._person(catalog, who) for who in people):
                yield Statement(Kind.notice, person=person)

        return self._tell(statements)

    def undo(self, action: int | None = None) -> int:
        """Take back an action, by default the last one that was not taken back; return the number of the undoing.

        Taking back an undoing brings the action back. Raises `UsageError` if there is nothing to take back.
        """
        from facesearch.people.history import last_to_undo
        from facesearch.people.saying import undo

        with self._telling() as catalog:
            return undo(catalog, last_to_undo(catalog) if action is None else action)

    # Grouping

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
        with self._stores.writing() as store:
            if again and confirm is not None:
                preview = group_within(store, told, again=True, dry_run=True)
                if preview is None:
                    return None
                confirm(preview)
            return group_within(store, told, again=again)

    def preview(self, *, again: bool = False, observer: Observer | None = None) -> Grouping | None:
        """Return what `group` would change; nothing is written. None if the observer cancelled."""
        told = self._observer if observer is None else observer
        return group_within(self._stores.reading(keep=False), told, again=again, dry_run=True)

    # Inside

    def _person(self, catalog: Catalog, who: int | str) -> int:
        from facesearch.people.names import person_of

        return person_of(catalog, who, str(self._stores.path))

    def _others_called(self, catalog: Catalog, names: Iterable[str], person: int) -> Sequence[int]:
        """Return everybody but `person` who bears one of these names."""
        from facesearch.people.names import people_called

        profiles = catalog.people.profiles()
        return list(
            dict.fromkeys(other for name in names for other in people_called(profiles, name) if other != person)
        )

    def _tell(self, statements: Callable[[Catalog], Iterable[Statement]]) -> int:
        """Say what is decided within the transaction in which it is said; return the number of the action."""
        from facesearch.people.saying import say_all

        with self._telling() as catalog:
            return say_all(catalog, list(statements(catalog)))

    @contextmanager
    def _telling(self) -> Iterator[Catalog]:
        """Open the catalog for a statement, in one transaction. A run that writes does not block it for long."""
        with self._stores.telling() as catalog, catalog.transaction():
            yield catalog


def _shown(who: int | str) -> str:
    return f"#{who}" if isinstance(who, int) else f"{who:.60}"


def _photos(catalog: Catalog, person: int) -> str:
    from facesearch.wording import counted

    return counted(_summary_of(catalog, person).photos, "photo")


def _summaries(catalog: Catalog) -> list[PersonSummary]:
    from facesearch.catalog.people import Profile

    profiles = catalog.people.profiles()
    return [
        _summary(number, profiles.get(number, Profile()), faces, photos, first, last)
        for number, faces, photos, first, last in catalog.people.summary()
    ]


def _summary(number: int, said: Profile, faces: int, photos: int, first: str, last: str) -> PersonSummary:
    return PersonSummary(
        number=number, name=said.name, aliases=said.aliases, external_id=said.external_id, born=said.born,
        ignored=said.ignored, faces=faces, photos=photos, first=first, last=last,
    )  # fmt: skip


def _summary_of(catalog: Catalog, person: int) -> PersonSummary:
    from facesearch.catalog.people import Profile

    found = next((row for row in catalog.people.summary(person)), (person, 0, 0, "", ""))
    return _summary(person, catalog.people.profiles().get(person, Profile()), *found[1:])


def _known_faces(catalog: Catalog, faces: Sequence[int]) -> list[int]:
    """Return faces, each once. Raises `InputError` if one is not known."""
    from facesearch.errors import InputError

    known = catalog.people.grouped(faces)
    for face in faces:
        if face not in known:
            raise InputError(f"face {face}: no such face in the index", Hint.FACE_IDS)
    return sorted(known)


def _faces_in(catalog: Catalog, path: str, person: int, who: str) -> list[int]:
    """Return the faces of a person in a photo. Raises `InputError` if there is none, or if the photo is not known."""
    import os

    from facesearch.errors import InputError

    photos = catalog.photos.ids_at(os.fsencode(os.path.abspath(path)))
    if not photos:
        raise InputError(f"{path}: no photo of the index; check the path")
    faces = [face for photo in photos for face in catalog.people.faces_in(photo, person)]
    if not faces:
        raise InputError(f"{path}: no face in it belongs to {who}", Hint.FACE_IDS)
    return faces


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
