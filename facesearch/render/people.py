"""The people of an index, and what grouping changes, as text and as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from facesearch.render.text import table
from facesearch.wording import counted

if TYPE_CHECKING:
    from facesearch.api.results import Grouping, PersonSummary

__all__ = ["changes_line", "grouping_line", "grouping_record", "people_records", "render_people"]


def render_people(people: Sequence[PersonSummary]) -> str:
    """Return a table of people, one per line."""
    rows = [(f"#{one.number}", f"{one.photos:,}", f"{one.faces:,}", one.first, one.last) for one in people]
    return table(("person", "photos", "faces", "first", "last"), rows, ("person", "first", "last")) if rows else ""


def people_records(people: Sequence[PersonSummary]) -> list[dict[str, Any]]:
    """Return people as plain values."""
    return [asdict(one) for one in people]


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
