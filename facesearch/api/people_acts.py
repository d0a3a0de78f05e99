"""What `Index.people` says of people, for the user: the bodies of its methods that append statements."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from facesearch.arguments import AnyPaths, require_whole_number, several_paths
from facesearch.errors import Hint, UsageError

if TYPE_CHECKING:
    from facesearch.api.opening import Stores
    from facesearch.catalog.catalog import Catalog
    from facesearch.people.review import Question
    from facesearch.people.saying import Statement

__all__ = [
    "answer", "call", "cover", "ignore", "is_not", "is_person", "merge", "name", "notice", "person_in", "skip", "split",
    "unname",
]  # fmt: skip


def person_in(stores: Stores, catalog: Catalog, who: int | str) -> int:
    """Return the number of a person. Raises `InputError` for nobody, `UsageError` for a name of several people."""
    from facesearch.people.names import person_of

    return person_of(catalog, who, str(stores.path))


def name(
    stores: Stores, who: int | str, called: str | None, aliases: str | Iterable[str], born: str | None,
    external_id: str | None, if_taken: Literal["merge", "keep"] | None,
) -> int:  # fmt: skip
    """Name a person; see `People.name`."""
    from facesearch.people.acts import naming
    from facesearch.people.names import checked_born, checked_name
    from facesearch.people.statements import Kind

    if if_taken not in (None, "merge", "keep"):
        raise UsageError(f"if_taken {if_taken!s:.60}: choose merge or keep", option="if_taken")
    others = [aliases] if isinstance(aliases, str) else aliases
    given = {
        Kind.name: [] if called is None else [checked_name(called)],
        Kind.alias: [checked_name(alias, "alias") for alias in others],
        Kind.born: [] if born is None else [checked_born(born)],
        Kind.external_id: [] if external_id is None else [checked_name(external_id, "external id")],
    }
    if not any(given.values()):
        raise UsageError("give a name, an alias, a date of birth or an external id")
    return _tell(stores, lambda catalog: naming(catalog, person_in(stores, catalog, who), given, if_taken))


def unname(stores: Stores, who: int | str) -> int:
    """Take the name off a person; see `People.unname`."""
    from facesearch.people.acts import unnaming

    return _tell(stores, lambda catalog: unnaming(catalog, person_in(stores, catalog, who)))


def merge(stores: Stores, people: Sequence[int | str]) -> int:
    """Say that several people are one; see `People.merge`."""
    from facesearch.people.acts import merging

    if isinstance(people, str) or len(people) < 2:
        raise UsageError("give at least two people to merge")
    return _tell(stores, lambda catalog: merging(person_in(stores, catalog, who) for who in people))


def split(stores: Stores, who: int | str, parts: Iterable[int], faces: Iterable[int]) -> int:
    """Say that some of a person's faces are another person; see `People.split`."""
    from facesearch.people.acts import dividing
    from facesearch.people.parts import parts_of

    store = stores.reading()
    person = person_in(stores, store.catalog, who)
    found, chosen, moving = parts_of(store, person), list(parts), _ids(faces)
    return _tell(stores, lambda catalog: dividing(catalog, person, found, chosen, moving))


def is_person(stores: Stores, who: int | str, faces: Iterable[int]) -> int:
    """Say that faces show a person; see `People.is_person`."""
    from facesearch.people.acts import placing

    given = _ids(faces)
    if not given:
        raise UsageError("give the ids of faces", Hint.FACE_IDS)
    return _tell(stores, lambda catalog: placing(catalog, person_in(stores, catalog, who), given))


def call(stores: Stores, faces: Iterable[int], called: str) -> int:
    """Say whom faces show, by a name that may be new; see `People.call`."""
    from facesearch.people.acts import calling
    from facesearch.people.names import checked_name

    given, called = _ids(faces), checked_name(called)
    if not given:
        raise UsageError("give the ids of faces", Hint.FACE_IDS)
    return _tell(stores, lambda catalog: calling(catalog, str(stores.path), given, called)[1])


def cover(stores: Stores, who: int | str, face: int) -> int:
    """Say which face stands for a person; see `People.cover`."""
    from facesearch.people.acts import covering

    require_whole_number("face", face, 1)
    return _tell(stores, lambda catalog: covering(catalog, person_in(stores, catalog, who), face))


def is_not(stores: Stores, who: int | str, photos: AnyPaths, faces: Iterable[int]) -> int:
    """Say that faces do not show a person; see `People.is_not`."""
    from facesearch.people.acts import denying

    paths, given = several_paths("photo", photos), _ids(faces)
    if bool(paths) == bool(given):
        raise UsageError("give either photos or faces")

    def statements(catalog: Catalog) -> Iterable[Statement]:
        found = {path: catalog.photos.ids_at(os.fsencode(os.path.abspath(path))) for path in paths}
        return denying(catalog, person_in(stores, catalog, who), given, found)

    return _tell(stores, statements)


def ignore(stores: Stores, people: Sequence[int | str], all_under: int | None) -> int:
    """Say that people are strangers; see `People.ignore`."""
    from facesearch.people.acts import ignoring, strangers

    if bool(people) == (all_under is not None):
        raise UsageError("give either people to ignore, or a number of photos")
    if all_under is not None:
        require_whole_number("all_under", all_under, 1)
        least = all_under
        return _tell(stores, lambda catalog: ignoring(strangers(catalog, least)))
    return _tell(stores, lambda catalog: ignoring(person_in(stores, catalog, who) for who in people))


def notice(stores: Stores, people: Sequence[int | str]) -> int:
    """Say that people are no strangers; see `People.notice`."""
    from facesearch.people.acts import noticing

    if not people:
        raise UsageError("give people to list again")
    return _tell(stores, lambda catalog: noticing(person_in(stores, catalog, who) for who in people))


def answer(stores: Stores, question: Question | str, *, yes: bool) -> int:
    """Answer a question; see `People.answer`."""
    from facesearch.people.review import answer as answered

    with stores.telling() as catalog:
        return answered(catalog, question if isinstance(question, str) else question.id, yes=yes)


def skip(stores: Stores, question: Question | str, *, skipped: bool) -> None:
    """Ask a question after all others; see `People.skip`."""
    from facesearch.people.review import skip as put_off

    with stores.telling() as catalog:
        put_off(catalog, question if isinstance(question, str) else question.id, skipped=skipped)


def _tell(stores: Stores, statements: Callable[[Catalog], Iterable[Statement]]) -> int:
    """Say what is decided within the transaction in which it is said; return the number of the action."""
    from facesearch.people.saying import say_all

    with stores.telling() as catalog:
        return say_all(catalog, list(statements(catalog)))


def _ids(faces: Iterable[int]) -> list[int]:
    """Return ids of faces. Raises `UsageError` if one is no whole number above zero."""
    given = list(faces)
    for face in given:
        require_whole_number("face", face, 1)
    return given
