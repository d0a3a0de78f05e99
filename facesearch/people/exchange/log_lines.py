"""The log as lines of a file: statements, and between them where faces are whose photos were edited since.

A place in the log is a pair: a statement, and the last edit after it or 0. Both only ever grow at the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from heapq import merge
from typing import TYPE_CHECKING

from facesearch.catalog.columns import MOST_COUNTED
from facesearch.catalog.statements import StatementRow
from facesearch.people.exchange.document import carry_line, statement_line

if TYPE_CHECKING:
    from facesearch.catalog.carried import Carry
    from facesearch.catalog.catalog import Catalog

__all__ = ["END", "START", "Place", "before", "is_statement", "last_place", "log_lines"]

Place = tuple[int, int]
START: Place = (0, 0)
END: Place = (MOST_COUNTED, MOST_COUNTED)


def last_place(catalog: Catalog) -> Place:
    """Return the place of the last line."""
    edit, statement = catalog.carried.last(), (catalog.statements.last_id(), 0)
    return statement if edit is None else max(statement, (edit.after, edit.id))


def before(place: Place) -> Place:
    """Return the place before a line, and after all lines before it."""
    statement, edit = place
    return (statement, edit - 1) if edit else (statement - 1, MOST_COUNTED)


def is_statement(line: bytes) -> bool:
    """Whether a line is that of a statement."""
    return line.startswith(b'{"id":')


def _place(line: StatementRow | Carry) -> Place:
    return (line.id, 0) if isinstance(line, StatementRow) else (line.after, line.id)


def log_lines(
    catalog: Catalog, uids: Mapping[int, str], *, after: Place = START, until: Place = END
) -> Iterator[bytes]:
    """Yield the lines after a place up to another; `uids` are the ids of people outside the catalog."""
    faces = catalog.exchange.said_faces(after[0], until[0])
    statements, said = catalog.exchange.counts_until(after[0])
    edits = catalog.carried.count_until(after)
    rows: list[StatementRow | Carry] = [
        row for row in catalog.statements.all(after=after[0]) if row.id <= until[0]
    ]  # fmt: skip
    carries: list[StatementRow | Carry] = [*catalog.carried.all(after, until)]
    for one in merge(rows, carries, key=_place):
        if isinstance(one, StatementRow):
            of_it = faces.get(one.id, [])
            statements, said = statements + 1, said + len(of_it)
            yield statement_line(one, uids, of_it, (statements, said, edits) if edits else (statements, said))
        else:
            edits += 1
            yield carry_line(one, (statements, said, edits))
