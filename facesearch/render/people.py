"""The people of an index, and what grouping changes, as text and as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from facesearch.render.records import path_keys
from facesearch.render.text import lines_of, table
from facesearch.types import Somebody
from facesearch.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from facesearch.api.results import Action, Grouping, News, PersonDetails, PersonPart, PersonSummary, Told

__all__ = [
    "action_line",
    "changes_line",
    "details_record",
    "grouping_line",
    "grouping_record",
    "history_records",
    "news_record",
    "part_records",
    "people_records",
    "render_details",
    "render_history",
    "render_news",
    "render_parts",
    "render_people",
    "split_record",
]

_HEAD = ("person", "name", "photos", "faces", "first", "last", "")
_LEFT = ("person", "name", "first", "last", "")


def render_people(people: Sequence[PersonSummary], show: Callable[[str], str] = str) -> str:
    """Return a table of people, one per line."""
    named = any(one.names for one in people)
    ignored = any(one.ignored for one in people)
    head = [name if named or name != "name" else "" for name in _HEAD]
    rows = [
        (
            f"#{one.number}", show(", ".join(one.names)), f"{one.photos:,}", f"{one.faces:,}", one.first, one.last,
            "ignored" if one.ignored and ignored else "",
        )
        for one in people
    ]  # fmt: skip
    return table(head, rows, _LEFT) if rows else ""


def render_details(found: PersonDetails, show: Callable[[str], str] = str) -> str:
    """Return what is known about a person, one fact per line."""
    one = found.summary
    lines = [("person", f"#{one.number}")]
    lines += [("name", show(one.name))] if one.name is not None else []
    lines += [("also called", show(", ".join(one.aliases)))] if one.aliases else []
    lines += [("born", one.born)] if one.born else []
    lines += [("id", show(one.external_id))] if one.external_id else []
    lines += [("ignored", "yes")] if one.ignored else []
    lines += [("photos", f"{one.photos:,}"), ("faces", f"{one.faces:,}")]
    if one.photos:
        lines.append(("from", f"{one.first} to {one.last}"))
        lines.append(("by year", ", ".join(f"{year}: {photos:,}" for year, photos in found.years.items())))
    if found.beside:
        lines.append(("with", ", ".join(f"{show(other.called)} ({photos:,})" for other, photos in found.beside)))
    return lines_of(lines)


def details_record(found: PersonDetails) -> dict[str, Any]:
    """Return what is known about a person as plain values."""
    beside = [{"person": other.number, "name": other.name, "photos": photos} for other, photos in found.beside]
    return {**asdict(found.summary), "years": found.years, "beside": beside}


def render_history(actions: Sequence[Action], show: Callable[[str], str] = str) -> str:
    """Return a table of actions, one per line."""
    rows = [
        (
            str(action.number), datetime.fromtimestamp(action.said_at).isoformat(" ", "minutes"),
            show(action.author) + ("" if action.origin == "hand" else f" ({action.origin})"),
            show(action_line(action)), "" if action.undone_by is None else f"taken back by {action.undone_by}",
        )
        for action in actions
    ]  # fmt: skip
    return table(("number", "when", "who", "what", ""), rows, ("when", "who", "what", "")) if rows else ""


def history_records(actions: Sequence[Action]) -> list[dict[str, Any]]:
    """Return actions as plain values."""
    return [{**asdict(action), "what": action_line(action)} for action in actions]


def action_line(action: Action) -> str:
    """Return what was said, in a few words: the first statement, and how many more there are."""
    if action.undoes is not None:
        return f"take back {action.undoes}"
    first, *others = action.statements
    if first.kind == "import":
        return _told(first)
    if first.kind == "name" and first.value is None:  # unnaming takes everything off, whether it was said or not
        names = dict.fromkeys(told.value for told in others if told.kind == "no-alias" and told.value)
        return f"{_number(first.person)} is no longer called {' or '.join(names)}" if names else _told(first)
    alike = [told for told in others if told.kind == first.kind and told.person == first.person]
    if len(alike) == len(others) and first.kind == "one":
        return f"{' and '.join(_number(told.other) for told in action.statements)} = {_who(first.person)}"
    more = f" and {len(others):,} more" if others else ""
    return _told(first) + more


def _told(told: Told) -> str:
    person, faces = _who(told.person), counted(told.faces, "face")
    taken_off = {"name": "name", "born": "date of birth", "external-id": "id"}
    if told.kind in taken_off and told.value is None:
        return f"{person}: no {taken_off[told.kind]}"
    return {
        "is": f"{faces} = {person}",
        "is-not": f"{faces} not {person}",
        "no-face": "not a face",
        "face": f"a face given by hand, of {person}" if told.person else "a face given by hand",
        "one": f"{_number(told.other)} = {person}",
        "two": f"{_number(told.other)} is not {person}",
        "name": f"{_number(told.person)} is called {told.value}",
        "alias": f"{person} is also called {told.value}",
        "no-alias": f"{person} is not called {told.value}",
        "born": f"{person} was born {told.value}",
        "external-id": f"{person} has the id {told.value}",
        "ignore": f"{person} ignored",
        "notice": f"{person} listed again",
        "cover": f"cover of {person}",
        "import": f"imported {told.value}",
    }.get(told.kind, told.kind)


def _who(person: Somebody | None) -> str:
    return "nobody" if person is None else str(person)


def _number(person: Somebody | None) -> str:
    return "nobody" if person is None else f"#{person.number}"


def people_records(people: Sequence[PersonSummary]) -> list[dict[str, Any]]:
    """Return people as plain values."""
    return [asdict(one) for one in people]


def render_parts(parts: Sequence[PersonPart], show: Callable[[str], str] = str) -> str:
    """Return a table of the parts of a person, one per line."""
    rows = [
        (str(one.number), f"{one.photos:,}", f"{len(one.faces):,}", one.first, one.last, show(one.path))
        for one in parts
    ]
    return table(("part", "photos", "faces", "first", "last", "such as"), rows, ("first", "last", "such as"))


def part_records(parts: Sequence[PersonPart]) -> list[dict[str, Any]]:
    """Return the parts of a person as plain values."""
    return [
        {
            "part": one.number, "photos": one.photos, "faces": list(one.faces), "first": one.first, "last": one.last,
            **path_keys("path", one.cover.path), "face_id": one.cover.face_id,
        }
        for one in parts
    ]  # fmt: skip


def split_record(action: int, kept: PersonSummary, new: PersonSummary) -> dict[str, Any]:
    """Return the two parts of a divided person as plain values: who stays, then the new person."""
    return {"action": action, "parts": people_records([kept, new])}


def render_news(news: News, show: Callable[[str], str] = str) -> str:
    """Return who is in new photos, one person per line."""
    lines = [
        f"{counted(one.photos, 'new photo')} of {show(one.person.called)}{' (new)' * one.new}\n" for one in news.people
    ]
    if news.unknown_faces:
        lines.append(
            f"{counted(news.unknown_faces, 'face')} nobody knows, in {counted(news.unknown_photos, 'photo')}\n"
        )
    return "".join(lines)


def news_record(news: News) -> dict[str, Any]:
    """Return who is in new photos as plain values."""
    people = [
        {"person": one.person.number, "name": one.person.name, "photos": one.photos, "new": one.new}
        for one in news.people
    ]
    unknown = {"unknown_faces": news.unknown_faces, "unknown_photos": news.unknown_photos}
    return {"bookmark": news.bookmark, "people": people, **unknown}


def grouping_record(done: Grouping) -> dict[str, Any]:
    """Return what grouping did as plain values."""
    return asdict(done)


def grouping_line(done: Grouping) -> str:
    """Return the result of grouping in one line."""
    people = counted(done.people, "person", "people")
    return f"{people} with {done.grouped:,} of {counted(done.faces, 'face')}; {changes_line(done)}"


def changes_line(done: Grouping) -> str:
    """Return what grouping changed, or would change."""
    changes = [
        (done.new, "new person", "new people"),
        (done.merged, "person part of another", "people part of others"),
        (done.joined, "face joined", "faces joined"),
        (done.moved, "face moved to somebody else", "faces moved to somebody else"),
        (done.left, "face alone now", "faces alone now"),
    ]
    return ", ".join(counted(*change) for change in changes if change[0]) or "nothing changed"
