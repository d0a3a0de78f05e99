"""What was said about people, action by action: who said it, when, and whether it still counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from facesearch.errors import UsageError
from facesearch.people.statements import Kind, undone_by
from facesearch.types import Somebody

if TYPE_CHECKING:
    from facesearch.catalog.catalog import Catalog
    from facesearch.catalog.statements import StatementRow

__all__ = ["Action", "Told", "actions", "last_to_undo"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One statement of an action: its kind, whom it is about, its value, and the number of faces."""

    kind: str
    person: Somebody | None = None
    other: Somebody | None = None
    value: str | None = None
    faces: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What was said at once: its number, when (seconds since 1970), by whom and from where.

    `undoes` is the action that it takes back. `undone_by` is the action that took it back, None if it counts.
    """

    number: int
    said_at: int
    author: str
    origin: str
    statements: tuple[Told, ...]
    undoes: int | None = None
    undone_by: int | None = None


def actions(catalog: Catalog) -> list[Action]:
    """Return all actions, the last first. People have the numbers and the names that they have now."""
    statements = catalog.statements.all()
    undone = undone_by(statements)
    profiles, counts = catalog.people.profiles(), catalog.statements.face_counts()
    merged, joined = dict(catalog.people.merged()), catalog.people.joined()

    def somebody(number: int | None) -> Somebody | None:
        if number is None:
            return None
        current = merged.get(number, number)
        current = joined.get(current, current)
        return Somebody(number, None, profiles[current].name if current in profiles else None)

    rows: dict[int, list[StatementRow]] = {}
    for row in statements:
        rows.setdefault(row.batch or row.id, []).append(row)
    return [
        Action(
            number=number, said_at=first.said_at, author=first.author, origin=first.origin,
            statements=tuple(
                Told(
                    kind=row.kind, person=somebody(row.person), other=somebody(row.other), value=row.value,
                    faces=counts.get(row.id, 0),
                )
                for row in (first, *others)
            ),
            undoes=first.undoes, undone_by=undone.get(first.id),
        )
        for number, (first, *others) in sorted(rows.items(), reverse=True)
    ]  # fmt: skip


def last_to_undo(catalog: Catalog) -> int:
    """Return the last action that counts and that takes nothing back. Raises `UsageError` if there is none."""
    statements = catalog.statements.all()
    undone = undone_by(statements)
    for row in reversed(statements):
        if row.kind != Kind.undo and row.id not in undone:
            return row.batch or row.id
    raise UsageError("nothing was said about people that could be taken back")
